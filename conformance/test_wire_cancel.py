"""Cancellation on the wire: RST_STREAM with any code, a lost connection, and what is left behind."""

from __future__ import annotations

import uuid

import pytest

from pytest_grpcstream import Deviation, Point, verify
from pytest_grpcstream.clients.wire import ErrorCode, FrameType, Rule, SettingCode, WireClient, WireStream, framed

requirement = pytest.mark.grpcstream_requirement

UNKNOWN_CODE = 0xDEADBEEF
LARGEST_LIMIT = 280
"""The largest limit of concurrent streams that is filled: a thousand resets would look like an attack."""
BLOCKED = {SettingCode.INITIAL_WINDOW_SIZE: 1000}
"""A window in which a large response is stuck from its beginning."""


def marked_route(client: WireClient) -> tuple[WireStream, str]:
    """A Route whose handler runs and has read its mark, and the token of the mark."""
    token = uuid.uuid4().hex
    stream = client.route()
    stream.send(f"!watch {token}")
    verify.answer(stream)
    return stream, token


def silent_after_its_reset(stream: WireStream) -> None:
    """The server has sent nothing on a stream whose reset it has read.

    Raises:
        Deviation: it has sent a status; some stacks do, and clients pass over it.
    """
    late = stream.connection.violations.of(Rule.AFTER_RESET)
    expected = "nothing on the stream once the server has read its reset"
    if late and all(one.detail == "HEADERS" for one in late):
        raise Deviation(expected, "; ".join(map(str, late[:5])), stream)
    verify.no_findings(map(str, late), expected, stream)


@requirement("CANCEL-1", features=("repeat",))
@pytest.mark.parametrize("method", ["List", "Route"])
def test_nothing_is_sent_on_a_cancelled_stream(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send(f"!repeat 5000 {'r' * 1000}")
        if method == "List":
            stream.close_send()
        verify.answer(stream)
        stream.reset(ErrorCode.CANCEL)
        verify.precondition(grpcstream_wire.connection.ping() is not None, "the answer to a PING", "none came", stream)
        grpcstream_wire.connection.ping()
        silent_after_its_reset(stream)


@requirement("CANCEL-1", features=("sleep",), observed_by=("route",))
def test_a_handler_that_wakes_up_sends_nothing_on_a_cancelled_stream(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.route() as stream:
        stream.send(f"!sleep {int(grpcstream_quiet * 500)}", 1)
        verify.pause(grpcstream_quiet / 10)
        stream.reset(ErrorCode.CANCEL)
        verify.precondition(grpcstream_wire.connection.ping() is not None, "the answer to a PING", "none came", stream)
        verify.pause(grpcstream_quiet)
        silent_after_its_reset(stream)


@requirement("CANCEL-6", observed_by=("duplex",))
def test_a_reset_is_not_answered_by_a_reset(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.route() as stream:
        stream.send("plain", 1)
        verify.answer(stream)
        stream.reset(ErrorCode.CANCEL)
        verify.pause(grpcstream_quiet)
        found = grpcstream_wire.connection.violations.of(Rule.RST_ANSWERED)
        verify.no_findings(map(str, found), "no RST_STREAM in answer to one", stream)


@requirement("CANCEL-7", observed_by=("duplex",))
def test_cancelled_streams_make_room_for_others(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    allowed = connection.server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, LARGEST_LIMIT + 1)
    # More than the server allows at a time; where it allows too many for that, some.
    count = allowed + 20 if allowed <= LARGEST_LIMIT else 100
    at_once = max(1, min(allowed, 50))
    for _ in range(0, count, at_once):
        streams = [grpcstream_wire.open("Route", greeting=False) for _ in range(at_once)]
        # The server has time to take them: many that are reset before that look like an attack.
        connection.wait(lambda: False, 0.02)
        for stream in streams:
            stream.reset(ErrorCode.CANCEL)
    verify.serves(grpcstream_wire, f"after {count} cancelled streams")


@requirement("CANCEL-10", features=("watch",), observed_by=("duplex",))
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_the_handler_learns_of_a_lost_connection(grpcstream_wire: WireClient, how: str) -> None:
    lost = grpcstream_wire.fresh()
    stream, token = marked_route(lost)
    if how == "FIN":
        lost.connection.drop()
    else:
        lost.connection.reset()
    verify.await_cancellation(grpcstream_wire, token, stream, f"a TCP connection that its client closed by {how}")


@requirement("CANCEL-10", features=("watch",))
@pytest.mark.parametrize("method", ["List", "Record"])
def test_the_handler_of_one_request_or_response_learns_of_a_lost_connection(
    grpcstream_wire: WireClient, method: str, grpcstream_quiet: float
) -> None:
    def lose(pause: float) -> None:
        lost, token = grpcstream_wire.fresh(), uuid.uuid4().hex
        stream = lost.open(method)
        stream.send(f"!watch {token}")
        if method == "List":
            stream.close_send()
        verify.pause(pause)
        lost.connection.reset()
        verify.await_cancellation(grpcstream_wire, token, stream, "a TCP connection that its client closed by RST")

    verify.retry_with_longer_pauses(lose, grpcstream_quiet)


@requirement("CANCEL-11", features=("watch",), observed_by=("duplex",))
@pytest.mark.parametrize(
    "code",
    [ErrorCode.NO_ERROR, ErrorCode.INTERNAL_ERROR, ErrorCode.REFUSED_STREAM, UNKNOWN_CODE],
    ids=["NO_ERROR", "INTERNAL_ERROR", "REFUSED_STREAM", "unknown"],
)
def test_a_reset_with_any_code_ends_the_call(grpcstream_wire: WireClient, code: int) -> None:
    stream, token = marked_route(grpcstream_wire)
    stream.reset(code)
    verify.await_cancellation(grpcstream_wire, token, stream, "a reset that is no CANCEL")
    verify.serves(grpcstream_wire, "after a reset that is no CANCEL")


@requirement("EOF-8", features=("watch",))
@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.NO_ERROR], ids=["CANCEL", "NO_ERROR"])
def test_a_reset_request_stream_is_no_end_of_requests(
    grpcstream_wire: WireClient, grpcstream_quiet: float, code: int
) -> None:
    def cut_off(pause: float) -> None:
        token = uuid.uuid4().hex
        with grpcstream_wire.open("Record") as stream:
            stream.send(f"!watch {token}")
            verify.pause(pause)
            stream.reset(code)
            verify.await_cancellation(grpcstream_wire, token, stream, "a Record whose requests were cut off")

    verify.retry_with_longer_pauses(cut_off, grpcstream_quiet)


@requirement("CANCEL-12", observed_by=("list",))
def test_a_reset_after_the_response_is_harmless(grpcstream_wire: WireClient) -> None:
    for _ in range(5):
        with grpcstream_wire.list("plain", 1) as stream:
            verify.list_answer(stream, Point("plain", 1))
            grpcstream_wire.connection.send_frame(
                FrameType.RST_STREAM, ErrorCode.NO_ERROR.to_bytes(4, "big"), stream_id=stream.stream_id
            )
    verify.serves(grpcstream_wire, "after resets of streams that had ended")
    verify.fail_unless(
        len(grpcstream_wire.connections) == 1, "the same connection", "it ended after a late RST_STREAM", stream
    )


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_reset_ends_a_handler_whose_window_is_shut(grpcstream_wire: WireClient) -> None:
    blocked = grpcstream_wire.fresh(settings=BLOCKED, hold_windows=True)
    with blocked:
        stream, token = marked_route(blocked)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        stream.await_bytes(900)
        stream.reset(ErrorCode.CANCEL)
        verify.await_cancellation(grpcstream_wire, token, stream, "a reset while its window is shut")
        verify.serves(grpcstream_wire, "after a reset while the window was shut")


@requirement("CANCEL-15", observed_by=("duplex",))
def test_a_goaway_of_the_client_is_no_cancel(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.route() as stream:
        stream.send("before", 1)
        verify.answer(stream)
        grpcstream_wire.connection.goaway(ErrorCode.NO_ERROR)
        stream.send("after", 2)
        verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("CANCEL-14", observed_by=("record",))
@pytest.mark.parametrize("together", [False, True], ids=["two writes", "one write"])
def test_bytes_of_cancelled_uploads_are_given_back(grpcstream_wire: WireClient, together: bool) -> None:
    """The connection's window is spent one and a half times over by uploads that are reset before they are whole."""
    connection = grpcstream_wire.connect()
    connection.ping()  # what the server grants at its beginning has come then
    window = connection.send_window
    # One read of the server takes a small upload with its reset; else few larger ones do: many look like an attack.
    room = min(connection.server_settings.get(SettingCode.INITIAL_WINDOW_SIZE, 65_535), window, 1 << 20)
    frames = 1 if together else max(1, room // 8 // 12_000)
    size = frames * 12_000
    unfinished = framed(b"", length=2 * size) + b"u" * (size - 5)
    for _ in range(min(400, window * 3 // 2 // size + 1)):
        if connection.send_window < size:
            connection.wait(lambda: connection.send_window >= size)
        if not connection.usable:
            break
        if together:
            with connection.corked():
                stream = grpcstream_wire.open("Record", connection=connection)
                stream.data(unfinished)
                stream.reset(ErrorCode.CANCEL)
        else:
            stream = grpcstream_wire.open("Record", connection=connection)
            for place in range(0, size, 12_000):
                stream.data(unfinished[place : place + 12_000])
            connection.wait(lambda: False, 0.002)
            stream.reset(ErrorCode.CANCEL)
        verify.fail_unless(
            connection.closed is not None or connection.send_window > 0 or bool(connection.goaways),
            "the connection's window given back for uploads that were cancelled",
            f"it stays at {connection.send_window} of {window} bytes",
            stream,
        )
    verify.serves(grpcstream_wire, "after cancelled uploads on one connection")
