"""HTTP/2 that a server must take: settings, unknown extensions, padding, priorities, and what comes late."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Code, Deviation, NotApplicable, Point, verify
from pytest_grpcstream.clients.wire import (
    Connection,
    ErrorCode,
    Flag,
    FrameType,
    Priority,
    Rule,
    SettingCode,
    Shape,
    WireClient,
    framed,
)
from pytest_grpcstream.targets.probing import INITIAL_KEY, Capabilities
from pytest_grpcstream.verify.wire import PLAIN_REQUEST, asked, disturbed, each, outcome, request_of, served

requirement = pytest.mark.grpcstream_requirement

WINDOW = SettingCode.INITIAL_WINDOW_SIZE
UNKNOWN_SETTING = 0x5A5A
UNKNOWN_TYPE = 0xBE
UNUSED = 0xF0
"""Flags that no frame type defines."""
SMALLEST_MAX_FRAME = 16_384
"""Bytes that every endpoint takes in one frame (RFC 9113, section 4.2)."""
PREFIX = len(framed(b""))


# Settings ---------------------------------------------------------------------------------------------------------


def acknowledgements(connection: Connection) -> int:
    """How many SETTINGS frames the server has acknowledged by the time that it answers a PING."""
    connection.ping()
    answers = (one for one in connection.frames if one.kind == FrameType.SETTINGS and not one.sent)
    return sum(bool(one.flags & Flag.ACK) for one in answers)


@requirement("H2-4")
def test_settings_are_acknowledged(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    connection = grpcstream_wire.connect()
    connection.await_settings_ack()
    connection.send_settings()
    connection.await_settings_ack()
    count = acknowledgements(connection)
    wrong = connection.violations.of(Rule.SETTINGS_ACK_PAYLOAD)
    verify.nothing_wrong(map(str, wrong), "acknowledgements without a payload")
    verify.fail_unless(count == 2, "2 acknowledgements of 2 SETTINGS frames", f"{count} acknowledgements")
    with connection.corked():
        for _ in range(3):
            connection.send_settings()
    connection.await_settings_ack(grpcstream_quiet)
    count = acknowledgements(connection)
    if count != 5:
        raise Deviation("5 acknowledgements of 5 SETTINGS frames, 3 of them in one write", f"{count} acknowledgements")


@requirement("H2-4", needs=("list",))
def test_the_last_settings_count(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.fresh(hold_windows=True) as client:
        connection = client.connect()
        with connection.corked():
            for window in (100, 1000, 0):
                connection.send_settings({WINDOW: window})
        connection.ping()
        with client.open("List") as stream:
            stream.send_last(PLAIN_REQUEST)
            verify.pause(grpcstream_quiet)
            sent = stream.response.flow_bytes
            verify.fail_unless(sent == 0, "no DATA, because the last window is 0", f"{sent} bytes", stream)
            connection.send_settings({WINDOW: 1 << 20})
            verify.list_answer(stream, PLAIN_REQUEST)


@requirement("H2-5", needs=("record",))
def test_unknown_settings_are_ignored(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings=[(UNKNOWN_SETTING, 1), (0xFFFF, 2**32 - 1)]) as client:
        client.connect().send_settings([(0, 7), (UNKNOWN_SETTING, 8)])
        served(asked(client))


# Extensions -------------------------------------------------------------------------------------------------------


@requirement("H2-6", needs=("record",))
def test_unknown_frames_are_ignored(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    def check(client: WireClient, on_a_stream: bool) -> None:
        with client.open("Record") as stream:
            place = stream.stream_id if on_a_stream else 0
            for name in ("first", "second"):
                client.connection.send_frame(UNKNOWN_TYPE, b"anything", stream_id=place)
                stream.send(name, 1)
            client.connection.send_frame(UNKNOWN_TYPE, stream_id=place)
            stream.close_send()
            served(stream)

    each(grpcstream_wire, grpcstream_capabilities, {"on the connection": False, "on a stream": True}, check)


@requirement("H2-7", needs=("record",))
def test_unused_flags_are_ignored(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    frames = {
        "DATA": (FrameType.DATA, framed(Point("flagged", 1)), 1),
        "SETTINGS": (FrameType.SETTINGS, b"", 0),
        "PING": (FrameType.PING, bytes(8), 0),
        "WINDOW_UPDATE": (FrameType.WINDOW_UPDATE, b"\x00\x00\x00\x01", 0),
    }

    def check(client: WireClient, frame: tuple[FrameType, bytes, int]) -> None:
        kind, payload, stream_id = frame
        with client.open("Record", stream_id=1) as stream:
            client.connection.send_frame(kind, payload, flags=UNUSED, stream_id=stream_id)
            stream.send("plain", 1)
            stream.close_send()
            served(stream)

    each(grpcstream_wire, grpcstream_capabilities, frames, check)


# Padding and priority ---------------------------------------------------------------------------------------------


@requirement("H2-8", needs=("record",))
def test_padded_data_is_taken_without_its_padding(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    name = "!echo {}" if "echo" in grpcstream_capabilities.features else "{}"

    def check(client: WireClient, padding: int) -> None:
        with client.open("Record") as stream:
            stream.padding = padding
            for text in ("first", "second"):
                stream.send(name.format(text), 1)
            stream.close_send()
            served(stream)
            point = stream.recv()
        if "echo" in grpcstream_capabilities.features:
            verify.fail_unless(point == Point("first,second", 2), "both requests", str(point), stream)

    variants = {f"{padding} bytes of padding": padding for padding in (0, 10, 255)}
    each(grpcstream_wire, grpcstream_capabilities, variants, check)


@requirement("H2-9", needs=("record",))
def test_padding_and_priority_in_headers_are_taken(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    shapes = {
        "padding": Shape(padding=20),
        "priority": Shape(priority=Priority(weight=200)),
        "both": Shape(padding=7, priority=Priority(exclusive=True)),
    }
    each(grpcstream_wire, grpcstream_capabilities, shapes, lambda client, shape: served(asked(client, shape=shape)))


@requirement("H2-27", needs=("record",))
def test_priority_frames_are_taken_in_every_state(grpcstream_wire: WireClient) -> None:
    expected = "the call served among PRIORITY frames"
    connection = grpcstream_wire.connect()

    def prioritize(stream_id: int) -> None:
        connection.send_frame(FrameType.PRIORITY, Priority(weight=3).encode(), stream_id=stream_id)

    prioritize(101)  # idle
    with grpcstream_wire.open("Record") as stream:
        prioritize(stream.stream_id)  # open
        stream.send("plain", 1)
        stream.close_send()
        prioritize(stream.stream_id)  # half-closed
        served(stream, expected)
    prioritize(stream.stream_id)  # closed
    gone = disturbed(connection)
    verify.fail_unless(gone is None, expected, str(gone), stream)
    served(asked(grpcstream_wire), expected)


# Sizes of frames --------------------------------------------------------------------------------------------------


@requirement("H2-15", needs=("record",))
def test_a_frame_of_16384_bytes_is_taken(grpcstream_wire: WireClient) -> None:
    stream = grpcstream_wire.open("Record")
    if min(stream.send_window, stream.connection.send_window) < SMALLEST_MAX_FRAME:
        raise NotApplicable(f"the windows of the target are smaller than {SMALLEST_MAX_FRAME} bytes")
    stream.write(framed(request_of(SMALLEST_MAX_FRAME - PREFIX)), end_stream=True)
    served(stream, f"OK for a frame of {SMALLEST_MAX_FRAME} bytes")


@requirement("H2-23", needs=("list",))
def test_frames_of_the_server_are_not_too_large(grpcstream_wire: WireClient) -> None:
    point = Point("f" * 40_000, 1)
    with grpcstream_wire.open("List") as stream:
        stream.send_last(point)
        verify.list_answer(stream, point)
    large = grpcstream_wire.connection.violations.of(Rule.FRAME_TOO_LARGE)
    verify.nothing_wrong(map(str, large), f"no frame above {SMALLEST_MAX_FRAME} bytes", stream)


@requirement("H2-23", needs=("abort",))
def test_frames_with_large_trailers_are_not_too_large(grpcstream_wire: WireClient) -> None:
    # Digits take five or six bits each in a header block (RFC 7541, appendix B), so that this is two frames of it.
    message = "0123456789" * 3000
    with grpcstream_wire.open("Record") as stream:
        stream.send(f"!abort 0 {message}", Code.ABORTED)
        outcome(stream)
    large = grpcstream_wire.connection.violations.of(Rule.FRAME_TOO_LARGE)
    verify.nothing_wrong(map(str, large), f"no frame above {SMALLEST_MAX_FRAME} bytes", stream)


# What comes late --------------------------------------------------------------------------------------------------


@requirement("H2-24", needs=("record",))
def test_headers_of_calls_that_failed_count_for_compression(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    def metadata(value: str) -> list[tuple[str, str]]:
        return [(INITIAL_KEY, value), (f"x-{value}", value)]

    def counted(*values: str) -> None:
        for value in values:
            with grpcstream_wire.open("Record", metadata=metadata(value)) as stream:
                stream.send_last(PLAIN_REQUEST)
                served(stream)
                if "metadata" in grpcstream_capabilities.features:
                    verify.carries(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])

    grpcstream_wire.open("Record", metadata=metadata("reset")).reset(ErrorCode.CANCEL)
    with grpcstream_wire.open("NoSuchMethod", metadata=metadata("refused")) as refused:
        refused.close_send()
        outcome(refused)
    counted("reset", "refused", "new")
    headers = grpcstream_wire.request_headers("Record", metadata=metadata("malformed")).without(":method")
    malformed = asked(grpcstream_wire, headers)
    outcome(malformed)
    # RFC 9113, section 5.4.1, lets the server end the connection for it; then there is no more to see.
    if disturbed(malformed.connection) is None:
        counted("malformed", "newer")


@requirement("H2-26", needs=("record",))
def test_windows_of_streams_that_have_ended_may_still_be_opened(grpcstream_wire: WireClient) -> None:
    expected = "a WINDOW_UPDATE ignored that comes when the stream has ended"
    for _ in range(3):
        stream = asked(grpcstream_wire)
        served(stream)
        stream.open_window(1000)
    gone = disturbed(stream.connection)
    verify.fail_unless(gone is None, expected, str(gone), stream)
    served(asked(grpcstream_wire), expected)


@requirement("H2-26", needs=("record",))
def test_data_for_a_stream_that_has_ended_leaves_the_connection_alone(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    stream = asked(grpcstream_wire)
    served(stream)
    stream.data(framed(Point("late", 2)))
    gone = disturbed(stream.connection)
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after DATA for a stream that has ended")
    if gone is not None:
        raise Deviation("DATA ignored, or the stream reset, when it comes late", gone, stream)
