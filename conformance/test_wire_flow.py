"""Flow control on the wire: the server sends what the windows allow, all of it, and gives back what it takes."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import Code, Deviation, OperationTimeout, Point, verify
from pytest_grpcstream.clients.wire import Connection, Rule, SettingCode, WireClient, WireStream
from pytest_grpcstream.targets.probing import Capabilities

requirement = pytest.mark.grpcstream_requirement

WINDOW = SettingCode.INITIAL_WINDOW_SIZE
DEFAULT = 65_535
"""The initial size of every window (RFC 9113 section 6.9.2)."""
LARGE = Point(f"!repeat 200 {'r' * 1000}", 0)
"""A List of 200 KB: more than three windows of the default size."""


def held(client: WireClient, window: int) -> WireClient:
    """A client whose streams begin with a window of that size and get no more until a test opens it."""
    return client.fresh(settings={WINDOW: window}, hold_windows=True)


def asked(client: WireClient, point: Point) -> WireStream:
    """A List that was asked for, not yet read."""
    stream = client.open("List")
    stream.send_last(point)
    return stream


def exactly(stream: WireStream, count: int, quiet: float) -> None:
    """The server has sent as much DATA as it was allowed to, and not a byte more in a quiet time.

    Raises:
        Deviation: it has sent less. Nobody has to use up a window, but who waits for more may wait for ever.
    """
    got = stream.await_bytes(count)
    within_its_windows(stream)
    if got < count:
        raise Deviation(f"{count} bytes of DATA, as the windows allow", f"only {got} bytes came", stream)
    verify.pause(quiet)
    got = stream.response.flow_bytes
    verify.fail_unless(
        got == count, f"no more than {count} bytes of DATA, as the windows allow", f"{got} bytes", stream
    )
    within_its_windows(stream)


def within_its_windows(stream: WireStream) -> None:
    """The server has overrun neither window on the stream's connection."""
    found = stream.connection.violations.of(Rule.STREAM_OVERRUN, Rule.CONNECTION_OVERRUN)
    verify.nothing_wrong(map(str, found), "DATA within the flow-control windows", stream)


def complete(stream: WireStream, point: Point, count: int) -> None:
    """All responses of a List arrive, then OK."""
    verify.responses(stream, verify.counted(point, count))
    within_its_windows(stream)


@requirement("FLOW-1", needs=("list",))
def test_a_shut_window_lets_no_data_through(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with held(grpcstream_wire, 0) as client, asked(client, Point("shut", 1)) as stream:
        exactly(stream, 0, grpcstream_quiet)
        stream.open_window(1 << 20)
        verify.list_answer(stream, Point("shut", 1))
        within_its_windows(stream)


@requirement("FLOW-2", needs=("repeat", "list"))
def test_odd_windows_are_used_to_the_byte(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with held(grpcstream_wire, 7) as client, asked(client, LARGE) as stream:
        exactly(stream, 7, grpcstream_quiet / 2)
        total = 7
        for count in (1, 3, 1001):
            stream.open_window(count)
            total += count
            exactly(stream, total, grpcstream_quiet / 4)
        stream.open_window(1 << 20)
        client.connection.release_window()
        complete(stream, LARGE, 200)


@requirement("FLOW-3", needs=("repeat", "list"))
def test_the_window_of_the_connection_is_kept(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with held(grpcstream_wire, 1 << 20) as client, asked(client, LARGE) as stream:
        exactly(stream, DEFAULT, grpcstream_quiet)
        client.connection.open_window(1 << 20)
        complete(stream, LARGE, 200)


@requirement("FLOW-4", needs=("repeat", "list"))
def test_a_window_may_become_negative(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with held(grpcstream_wire, 1000) as client, asked(client, LARGE) as stream:
        exactly(stream, 1000, 0)
        client.connection.send_settings({WINDOW: 100})
        verify.reached(client.connection.await_settings_ack(), "the acknowledgement of SETTINGS", "none came", stream)
        stream.open_window(900)
        exactly(stream, 1000, grpcstream_quiet)
        stream.open_window(500)
        exactly(stream, 1500, grpcstream_quiet / 2)
        client.connection.release_window()
        stream.open_window(1 << 20)
        complete(stream, LARGE, 200)


@requirement("FLOW-5", needs=("list",))
def test_a_larger_initial_window_counts_for_open_streams(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with held(grpcstream_wire, 0) as client, asked(client, Point("later", 1)) as stream:
        exactly(stream, 0, grpcstream_quiet / 2)
        client.connection.send_settings({WINDOW: 1 << 20})
        verify.list_answer(stream, Point("later", 1))


@requirement("FLOW-6", needs=("repeat", "duplex"))
def test_a_stream_with_a_shut_window_holds_up_no_other(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    with asked(grpcstream_wire.fresh(), Point("other connection", 0)):
        stalled = grpcstream_wire.open("List", hold_window=True)
        stalled.send_last(LARGE)
        stalled.await_bytes(DEFAULT)
        verify.serves(grpcstream_wire, grpcstream_capabilities, "while the window of one stream is shut")
        stalled.release_window()
        stalled.open_window(1 << 20)
        complete(stalled, LARGE, 200)


@requirement("FLOW-8", needs=("abort",))
@pytest.mark.parametrize("late", [False, True], ids=["before the end", "behind the end"])
def test_bytes_of_aborted_uploads_are_given_back(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, late: bool
) -> None:
    connection = grpcstream_wire.connect()
    connection.ping()  # what the server grants at its beginning has come then
    window, sent = connection.send_window, 0
    while sent < min(2 * window, 6_000_000) and connection.usable:
        with grpcstream_wire.open("Record", connection=connection) as stream:
            abort, unread = Point("!abort 0 unread", Code.ABORTED), [Point("u" * 12_000, 1)] * 4
            if late:
                stream.send(abort)
                stream.await_end()
                # Few streams do where much may come on one: many that are reset look like an attack.
                room = min(stream.send_window, connection.send_window, max(window // 8, 48_000), 1 << 19)
                for _ in range(room // 12_000):
                    stream.data(bytes(12_000))
                sent += room
            else:
                # In one write, so that it has come before the server ends the call.
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
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after aborted uploads on one connection")


def _given_back(stream: WireStream, where: WireStream | Connection, window: int) -> bool:
    """Whether more than half of what was spent is back, or the stream over."""
    return stream.ended is not None or where.send_window > window * 3 // 8


@requirement("FLOW-9", needs=("record",))
def test_padding_is_given_back(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    connection.ping()
    with grpcstream_wire.open("Record", connection=connection) as stream:
        stream.padding = 255
        # What is much larger than the smaller window, or than this, is hardly touched.
        window = min(connection.send_window, stream.send_window, 1 << 20)
        for number in range(window * 3 // 4 // 266):
            if not stream.send("p", number):
                break
        windows: dict[str, WireStream | Connection] = {"stream": stream, "connection": connection}
        for what, where in windows.items():
            given = connection.wait(partial(_given_back, stream, where, window))
            told = f"{where.send_window} bytes are left of it"
            verify.fail_unless(given, f"the window of the {what}, of {window} bytes, given back", told, stream)
        stream.close_send()
        ended = stream.await_end()
        if ended.server_status is None or not ended.server_status.ok:
            raise Deviation("padded DATA taken, and its padding given back", str(ended), stream)


@requirement("FLOW-15", needs=("abort",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_status_needs_no_window(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, method: str
) -> None:
    window = 0
    if method == "Route" and grpcstream_capabilities.route_speaks_first:
        # Its greeting takes the window, to the byte, before it can read anything.
        with grpcstream_wire.open("Route") as stream:
            verify.greeting(stream, grpcstream_capabilities)
            window = stream.response.flow_bytes
    with held(grpcstream_wire, window) as client, client.open(method) as stream:
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
            told = "it came when the window was opened"
            raise Deviation(f"{expected} while the window is shut", told, stream) from late


@requirement("FLOW-17", needs=("list",))
def test_the_largest_windows_work(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    largest = 2**31 - 1
    with grpcstream_wire.fresh(settings={WINDOW: largest}, connection_window=largest) as client:
        verify.serves(client, grpcstream_capabilities, "with windows of 2^31-1 bytes")


@requirement("FLOW-18", needs=("duplex", "sleep"))
def test_each_response_is_sent_without_waiting_for_the_next(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream_wire.open("Route") as stream:
        verify.greeting(stream, grpcstream_capabilities)
        stream.send("first", 1)
        stream.send(f"!sleep {int(grpcstream_wire.timeout * 4000)}")
        verify.answer(stream)
