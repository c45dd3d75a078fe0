"""Cancellation: a client may cancel a call at any time without affecting other calls."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Client, Code, Deviation, Point, verify
from pytest_grpcstream.clients.wire import ErrorCode, FrameType, Rule, SettingCode, WireClient, WireStream, framed

requirement = pytest.mark.grpcstream_requirement

LARGEST_LIMIT = 280
"""The test fills limits of concurrent streams up to this one; a thousand resets would look like an attack."""


@requirement("CANCEL-3")
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_cancel_right_after_the_start_does_no_harm(grpcstream: Client, method: str) -> None:
    for number in range(40):
        with grpcstream.open(method, greeting=False) as stream:
            # Without a pause the cancel arrives before the handler starts, with one while it runs.
            verify.pause(0.005 * (number % 2))
            stream.cancel()
    verify.unharmed(grpcstream, "after calls cancelled before their first request")


@requirement("CANCEL-4", features=("sleep",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_cancel_between_half_close_and_response_does_no_harm(
    grpcstream: Client, method: str, grpcstream_quiet: float
) -> None:
    streams = [grpcstream.open(method) for _ in range(5)]
    for stream in streams:
        stream.send(verify.endless_sleep(grpcstream))
        stream.close_send()
    verify.pause(grpcstream_quiet)
    for stream in streams:
        stream.cancel()
    verify.unharmed(grpcstream, "after calls cancelled while their handlers slept")


@requirement("CANCEL-5", observed_by=("duplex",))
def test_a_cancel_after_a_response_does_no_harm(grpcstream: Client) -> None:
    for number in range(10):
        with grpcstream.route() as route, grpcstream.list("cancelled", number) as listing:
            route.send("cancelled", number)
            verify.answer(route)
            verify.point(listing, Point("cancelled", number))
            route.cancel()
            listing.cancel()
            verify.status(route, Code.CANCELLED)
    verify.unharmed(grpcstream, "after calls cancelled after their first response")


@requirement("CANCEL-12", observed_by=("list",))
def test_a_reset_after_the_response_is_harmless(grpcstream_wire: WireClient) -> None:
    for _ in range(5):
        with grpcstream_wire.list("plain", 1) as stream:
            verify.list_answer(stream, Point("plain", 1))
            grpcstream_wire.connection.send_frame(
                FrameType.RST_STREAM, ErrorCode.NO_ERROR.to_bytes(4, "big"), stream_id=stream.stream_id
            )
    verify.serves(grpcstream_wire, "after RST_STREAM on streams that had ended")
    verify.fail_unless(
        len(grpcstream_wire.connections) == 1,
        "the connection stays open after RST_STREAM on an ended stream",
        "the connection ended",
        stream,
    )


@requirement("CANCEL-9", observed_by=("duplex",))
def test_cancels_do_not_disturb_a_concurrent_call(grpcstream: Client) -> None:
    with grpcstream.route() as sibling:
        for number in range(50):
            with grpcstream.open(("List", "Record", "Route")[number % 3], greeting=False) as stream:
                stream.send("cancelled", number)
                stream.cancel()
            sibling.send("still here", number)
            verify.answer(sibling)
        sibling.close_send()
        verify.eof(sibling)


@requirement("CANCEL-15", observed_by=("duplex",))
def test_goaway_from_the_client_does_not_cancel_open_calls(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.route() as stream:
        stream.send("before", 1)
        verify.answer(stream)
        grpcstream_wire.connection.goaway(ErrorCode.NO_ERROR)
        stream.send("after", 2)
        verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


# What the server sends after a reset ------------------------------------------------------------------------------


def expect_silence_after_reset(stream: WireStream) -> None:
    """The server has sent nothing on a stream after it read the client's RST_STREAM.

    Raises:
        Deviation: it has sent a status; some stacks do, and clients ignore it.
        Failure: it has sent anything else.
    """
    late = stream.connection.violations.of(Rule.AFTER_RESET)
    expected = "no frames on the stream after the server has read its RST_STREAM"
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
        verify.precondition(
            grpcstream_wire.connection.ping() is not None, "the acknowledgement of a PING", "none arrived", stream
        )
        grpcstream_wire.connection.ping()
        expect_silence_after_reset(stream)


@requirement("CANCEL-1", features=("sleep",), observed_by=("route",))
def test_a_handler_that_wakes_up_sends_nothing_on_a_cancelled_stream(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.route() as stream:
        stream.send(f"!sleep {int(grpcstream_quiet * 500)}", 1)
        verify.pause(grpcstream_quiet / 10)
        stream.reset(ErrorCode.CANCEL)
        verify.precondition(
            grpcstream_wire.connection.ping() is not None, "the acknowledgement of a PING", "none arrived", stream
        )
        verify.pause(grpcstream_quiet)
        expect_silence_after_reset(stream)


@requirement("CANCEL-6", observed_by=("duplex",))
def test_a_reset_is_not_answered_with_a_reset(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.route() as stream:
        stream.send("plain", 1)
        verify.answer(stream)
        stream.reset(ErrorCode.CANCEL)
        verify.pause(grpcstream_quiet)
        found = grpcstream_wire.connection.violations.of(Rule.RST_ANSWERED)
        verify.no_findings(map(str, found), "no RST_STREAM in response to one", stream)


# Resources of cancelled calls -------------------------------------------------------------------------------------


@requirement("CANCEL-7", observed_by=("duplex",))
def test_cancelled_streams_do_not_count_as_concurrent(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    allowed = connection.server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, LARGEST_LIMIT + 1)
    # More streams in total than the server allows concurrently, or 100 if its limit is too large to fill.
    count = allowed + 20 if allowed <= LARGEST_LIMIT else 100
    at_once = max(1, min(allowed, 50))
    for _ in range(0, count, at_once):
        streams = [grpcstream_wire.open("Route", greeting=False) for _ in range(at_once)]
        # Let the server accept the streams: many resets before that look like an attack.
        connection.wait(lambda: False, 0.02)
        for stream in streams:
            stream.reset(ErrorCode.CANCEL)
    verify.serves(grpcstream_wire, f"after {count} cancelled streams")


@requirement("CANCEL-14", observed_by=("record",))
@pytest.mark.parametrize("together", [False, True], ids=["two writes", "one write"])
def test_windows_of_cancelled_uploads_are_restored(grpcstream_wire: WireClient, together: bool) -> None:
    """Uploads that are reset before they are complete use up the connection's window one and a half times."""
    connection = grpcstream_wire.connect()
    connection.ping()  # the acknowledgement follows the server's first WINDOW_UPDATE
    window = connection.send_window
    # In one write, the server reads a small upload together with its reset. In separate writes the uploads are larger,
    # so that fewer are needed: many resets look like an attack.
    largest = min(connection.server_settings.get(SettingCode.INITIAL_WINDOW_SIZE, 65_535), window, 1 << 20)
    frames = 1 if together else max(1, largest // 8 // 12_000)
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
            "the connection's window given back for cancelled uploads",
            f"it stays at {connection.send_window} of {window} bytes",
            stream,
        )
    verify.serves(grpcstream_wire, "after cancelled uploads on one connection")
