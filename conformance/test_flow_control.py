"""Flow control: the server sends what the windows allow, all of it, and returns the bytes that it receives."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Code, Connect, Deviation, OperationTimeout, Point, verify
from pytest_grpcstream.clients.wire import Connection, Rule, SettingCode, WireClient, WireStream

requirement = pytest.mark.grpcstream_requirement

DEFAULT_WINDOW = 65_535
"""The initial size of every window, in bytes (RFC 9113, section 6.9.2)."""
LARGE = Point(f"!repeat 200 {'r' * 1000}", 0)
"""A List of 200 KB: more than three windows of the default size."""
UNREAD = Point(f"!repeat 400 {'k' * (16 << 10)}", 0)
"""A List of 6.4 MB: more than the flow-control windows of usual servers and clients."""


def with_window(client: WireClient, window: int) -> WireClient:
    """Another client whose streams begin with this window, in bytes. Only the test opens it further."""
    return client.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: window}, hold_windows=True)


def call_list(client: WireClient, point: Point) -> WireStream:
    """Call List without reading a response."""
    stream = client.open("List")
    stream.send_last(point)
    return stream


def sends_exactly(stream: WireStream, count: int, quiet: float) -> None:
    """The server has sent ``count`` bytes of DATA on the stream, and sends no more in a quiet time.

    Raises:
        Deviation: it has sent less. No rule says that a server must use a window up, but a client may wait for it.
    """
    got = stream.await_bytes(count)
    stays_within_windows(stream)
    if got < count:
        raise Deviation(f"{count} bytes of DATA, as the windows allow", f"only {got} bytes arrived", stream)
    verify.pause(quiet)
    got = stream.response.flow_bytes
    verify.fail_unless(
        got == count, f"no more than {count} bytes of DATA, as the windows allow", f"{got} bytes", stream
    )
    stays_within_windows(stream)


def stays_within_windows(stream: WireStream) -> None:
    """The server has exceeded neither the window of a stream nor that of the connection."""
    found = stream.connection.violations.of(Rule.STREAM_OVERRUN, Rule.CONNECTION_OVERRUN)
    verify.no_findings(map(str, found), "DATA within the flow-control windows", stream)


def completes(stream: WireStream, point: Point, count: int) -> None:
    """All responses of a List arrive within the windows, then OK."""
    verify.responses(stream, STREAM_SERVICE.list_responses(point, count))
    stays_within_windows(stream)


# The windows of the client ----------------------------------------------------------------------------------------


@requirement("FLOW-1", observed_by=("list",))
def test_an_exhausted_window_stops_data(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with with_window(grpcstream_wire, 0) as client, call_list(client, Point("shut", 1)) as stream:
        sends_exactly(stream, 0, grpcstream_quiet)
        stream.open_window(1 << 20)
        verify.list_answer(stream, Point("shut", 1))
        stays_within_windows(stream)


@requirement("FLOW-2", features=("repeat",), observed_by=("list",))
def test_odd_windows_are_used_to_the_last_byte(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with with_window(grpcstream_wire, 7) as client, call_list(client, LARGE) as stream:
        sends_exactly(stream, 7, grpcstream_quiet / 2)
        total = 7
        for count in (1, 3, 1001):
            stream.open_window(count)
            total += count
            sends_exactly(stream, total, grpcstream_quiet / 4)
        stream.open_window(1 << 20)
        client.connection.release_window()
        completes(stream, LARGE, 200)


@requirement("FLOW-3", features=("repeat",), observed_by=("list",))
def test_the_connection_window_is_respected(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with with_window(grpcstream_wire, 1 << 20) as client, call_list(client, LARGE) as stream:
        sends_exactly(stream, DEFAULT_WINDOW, grpcstream_quiet)
        client.connection.open_window(1 << 20)
        completes(stream, LARGE, 200)


@requirement("FLOW-4", features=("repeat",), observed_by=("list",))
def test_a_window_may_become_negative(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with with_window(grpcstream_wire, 1000) as client, call_list(client, LARGE) as stream:
        sends_exactly(stream, 1000, 0)
        client.connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 100})
        verify.precondition(
            client.connection.await_settings_ack(), "the acknowledgement of SETTINGS", "none came", stream
        )
        stream.open_window(900)
        sends_exactly(stream, 1000, grpcstream_quiet)
        stream.open_window(500)
        sends_exactly(stream, 1500, grpcstream_quiet / 2)
        client.connection.release_window()
        stream.open_window(1 << 20)
        completes(stream, LARGE, 200)


@requirement("FLOW-5", observed_by=("list",))
def test_a_larger_initial_window_applies_to_open_streams(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with with_window(grpcstream_wire, 0) as client, call_list(client, Point("later", 1)) as stream:
        sends_exactly(stream, 0, grpcstream_quiet / 2)
        client.connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 1 << 20})
        verify.list_answer(stream, Point("later", 1))


@requirement("FLOW-17", observed_by=("list",))
def test_the_largest_windows_work(grpcstream_wire: WireClient) -> None:
    largest = 2**31 - 1
    settings = {SettingCode.INITIAL_WINDOW_SIZE: largest}
    with grpcstream_wire.fresh(settings=settings, connection_window=largest) as client:
        verify.serves(client, "with windows of 2^31-1 bytes")


# Stalled and slow readers -----------------------------------------------------------------------------------------


@requirement("FLOW-6", features=("repeat",), observed_by=("duplex",))
def test_a_stalled_call_does_not_delay_others(grpcstream: Client) -> None:
    with grpcstream.list(UNREAD) as stalled:
        stalled.headers()
        with grpcstream.route() as route:
            for number in range(10):
                route.send("beside a stalled call", number)
                verify.answer(route)
        verify.serves(grpcstream, "while one call is not read")
        verify.precondition(
            stalled.status is None, "a call that is still open", f"it ended with {stalled.status}", stalled
        )


@requirement("FLOW-6", features=("repeat",))
def test_a_stalled_call_does_not_delay_other_connections(grpcstream: Client, grpcstream_connect: Connect) -> None:
    with grpcstream.list(UNREAD) as stalled:
        stalled.headers()
        verify.serves(grpcstream_connect(), "while a call of another client is not read")


@requirement("FLOW-6", features=("repeat",), observed_by=("duplex",))
def test_a_stream_with_an_exhausted_window_does_not_delay_others(grpcstream_wire: WireClient) -> None:
    with call_list(grpcstream_wire.fresh(), Point("other connection", 0)):
        stalled = grpcstream_wire.open("List", hold_window=True)
        stalled.send_last(LARGE)
        stalled.await_bytes(DEFAULT_WINDOW)
        verify.serves(grpcstream_wire, "while the window of one stream is exhausted")
        stalled.release_window()
        stalled.open_window(1 << 20)
        completes(stalled, LARGE, 200)


@requirement("FLOW-13", features=("repeat",), observed_by=("list",))
def test_a_slow_reader_receives_everything(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.list(UNREAD) as stream:
        expected = STREAM_SERVICE.list_responses(UNREAD, 400)
        for place in range(3):
            verify.pause(grpcstream_quiet)
            verify.same(stream, stream.take(1), expected[place : place + 1], "one response after a while")
        verify.responses(stream, expected[3:], "the rest of the responses")


# The windows of the server ----------------------------------------------------------------------------------------


@requirement("FLOW-7", observed_by=("record",))
def test_a_long_upload_completes(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for number in range(256):
            stream.send("k" * (32 << 10), number)
        verify.only_answer(stream)


@requirement("FLOW-8", features=("abort",))
@pytest.mark.parametrize("late", [False, True], ids=["before the end", "after the end"])
def test_bytes_of_aborted_uploads_are_returned(grpcstream_wire: WireClient, late: bool) -> None:
    connection = grpcstream_wire.connect()
    connection.ping()  # the windows that the server grants at the start have arrived with the answer
    window, sent = connection.send_window, 0
    while sent < min(2 * window, 6_000_000) and connection.usable:
        with grpcstream_wire.open("Record", connection=connection) as stream:
            abort, unread = Point("!abort 0 unread", Code.ABORTED), [Point("u" * 12_000, 1)] * 4
            if late:
                stream.send(abort)
                stream.await_end()
                # As much as possible on each stream, because many reset streams look like an attack.
                room = min(stream.send_window, connection.send_window, max(window // 8, 48_000), 1 << 19)
                for _ in range(room // 12_000):
                    stream.data(bytes(12_000))
                sent += room
            else:
                # In one write, so that all of it arrives before the server ends the call.
                stream.send_together([abort, *unread])
                stream.await_end()
                sent += 48_000
        verify.fail_unless(
            connection.send_window > 12_000 or connection.wait(lambda: connection.send_window > 12_000),
            "the connection's window given back for requests that the handler never read",
            f"it stays at {connection.send_window} of {window} bytes",
            stream,
        )
        sent += 1000
    verify.serves(grpcstream_wire, "after aborted uploads on one connection")


@requirement("FLOW-9", observed_by=("record",))
def test_padding_is_returned(grpcstream_wire: WireClient) -> None:
    def returned(stream: WireStream, where: WireStream | Connection, window: int) -> bool:
        """Whether the server has returned more than half of the bytes sent, or ended the stream."""
        return stream.ended is not None or where.send_window > window * 3 // 8

    connection = grpcstream_wire.connect()
    connection.ping()  # the windows that the server grants at the start have arrived with the answer
    with grpcstream_wire.open("Record", connection=connection) as stream:
        stream.padding = 255
        # At most 1 MiB: a window much larger than that, or than the other one, is hardly used.
        window = min(connection.send_window, stream.send_window, 1 << 20)
        for number in range(window * 3 // 4 // 266):
            if not stream.send("p", number):
                break
        windows: dict[str, WireStream | Connection] = {"stream": stream, "connection": connection}
        for name, where in windows.items():
            verify.fail_unless(
                connection.wait(partial(returned, stream, where, window)),
                f"the window of the {name}, of {window} bytes, given back",
                f"{where.send_window} bytes are left of it",
                stream,
            )
        stream.close_send()
        ended = stream.await_end()
        if ended.server_status is None or not ended.server_status.ok:
            raise Deviation("padded DATA accepted, and its padding given back", str(ended), stream)


# When responses are sent ------------------------------------------------------------------------------------------


@requirement("FLOW-15", features=("abort",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_status_needs_no_window(grpcstream_wire: WireClient, method: str) -> None:
    window = 0
    if method == "Route" and grpcstream_wire.greetings:
        # The greeting of such a Route needs a window of exactly its size before the handler reads a request.
        with grpcstream_wire.open("Route") as stream:
            window = stream.response.flow_bytes
    with with_window(grpcstream_wire, window) as client, client.open(method) as stream:
        stream.send("!abort 0 no window", Code.NOT_FOUND)
        if method == "List":
            stream.close_send()
        try:
            late, ended = None, stream.await_end()
        except OperationTimeout as error:
            if stream.response.headers is None:
                raise
            # nghttp2 does not ask for the end of a body while the window is 0, so Node keeps the trailers.
            late = error
            stream.open_window(1 << 16)
            ended = stream.await_end()
        expected = "the status NOT_FOUND 'no window'"
        verify.fail_unless(ended.server_status == (Code.NOT_FOUND, "no window"), expected, str(ended), stream)
        if late is not None:
            raise Deviation(
                f"{expected} while the window is exhausted", "it arrived when the window was opened", stream
            ) from late


@requirement("FLOW-18", features=("sleep",), observed_by=("duplex",))
def test_each_response_is_sent_without_waiting_for_the_next(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Route") as stream:
        stream.send("first", 1)
        # Four times as long as the client waits, in milliseconds: the first answer cannot come with the second.
        stream.send(f"!sleep {int(grpcstream_wire.timeout * 4000)}")
        verify.answer(stream)
