"""HTTP/2 that a server must accept: settings, extensions, padding, priorities, large frames and late frames."""

from __future__ import annotations

import pytest

from pytest_grpcstream import INITIAL_KEY, STREAM_SERVICE, Code, Deviation, NotApplicable, Point, verify
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
from pytest_grpcstream.verify.wire import (
    await_outcome,
    describe_disturbance,
    each,
    encode_request_of,
    expect_served,
    send_record,
)

requirement = pytest.mark.grpcstream_requirement

UNKNOWN_SETTING = 0x5A5A
UNKNOWN_TYPE = 0xBE
UNUSED_FLAGS = 0xF0
"""Flags that no frame type defines."""
SMALLEST_MAX_FRAME = 16_384
"""The largest frame payload that every endpoint must accept, in bytes (RFC 9113, section 4.2)."""


# Settings ---------------------------------------------------------------------------------------------------------


def count_acknowledgements(connection: Connection) -> int:
    """How many SETTINGS frames the server has acknowledged by the time it answers a PING."""
    connection.ping()
    received = (one for one in connection.frames if one.kind == FrameType.SETTINGS and not one.sent)
    return sum(bool(one.flags & Flag.ACK) for one in received)


@requirement("H2-4")
def test_settings_are_acknowledged(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    connection = grpcstream_wire.connect()
    connection.await_settings_ack()
    connection.send_settings()
    connection.await_settings_ack()
    count = count_acknowledgements(connection)
    wrong = connection.violations.of(Rule.SETTINGS_ACK_PAYLOAD)
    verify.no_findings(map(str, wrong), "acknowledgements without a payload")
    verify.fail_unless(count == 2, "2 acknowledgements of 2 SETTINGS frames", f"{count} acknowledgements")
    with connection.corked():
        for _ in range(3):
            connection.send_settings()
    connection.await_settings_ack(grpcstream_quiet)
    count = count_acknowledgements(connection)
    if count != 5:
        raise Deviation("5 acknowledgements of 5 SETTINGS frames, 3 of them in one write", f"{count} acknowledgements")


@requirement("H2-4", observed_by=("list",))
def test_the_last_settings_apply(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.fresh(hold_windows=True) as client:
        connection = client.connect()
        with connection.corked():
            for window in (100, 1000, 0):
                connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: window})
        connection.ping()
        with client.open("List") as stream:
            stream.send_last(STREAM_SERVICE.plain)
            verify.pause(grpcstream_quiet)
            sent = stream.response.flow_bytes
            verify.fail_unless(sent == 0, "no DATA, because the last window is 0", f"{sent} bytes", stream)
            connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 1 << 20})
            verify.list_answer(stream, STREAM_SERVICE.plain)


@requirement("H2-5", observed_by=("record",))
def test_unknown_settings_are_ignored(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings=[(UNKNOWN_SETTING, 1), (0xFFFF, 2**32 - 1)]) as client:
        client.connect().send_settings([(0, 7), (UNKNOWN_SETTING, 8)])
        expect_served(send_record(client))


# Extensions -------------------------------------------------------------------------------------------------------


@requirement("H2-6", observed_by=("record",))
def test_unknown_frames_are_ignored(grpcstream_wire: WireClient) -> None:
    def check(client: WireClient, on_a_stream: bool) -> None:
        with client.open("Record") as stream:
            place = stream.stream_id if on_a_stream else 0
            for name in ("first", "second"):
                client.connection.send_frame(UNKNOWN_TYPE, b"anything", stream_id=place)
                stream.send(name, 1)
            client.connection.send_frame(UNKNOWN_TYPE, stream_id=place)
            stream.close_send()
            expect_served(stream)

    each(grpcstream_wire, {"on the connection": False, "on a stream": True}, check)


@requirement("H2-7", observed_by=("record",))
def test_unused_flags_are_ignored(grpcstream_wire: WireClient) -> None:
    frames = {
        "DATA": (FrameType.DATA, framed(Point("flagged", 1)), 1),
        "SETTINGS": (FrameType.SETTINGS, b"", 0),
        "PING": (FrameType.PING, bytes(8), 0),
        "WINDOW_UPDATE": (FrameType.WINDOW_UPDATE, b"\x00\x00\x00\x01", 0),
    }

    def check(client: WireClient, frame: tuple[FrameType, bytes, int]) -> None:
        kind, payload, stream_id = frame
        with client.open("Record", stream_id=1) as stream:
            client.connection.send_frame(kind, payload, flags=UNUSED_FLAGS, stream_id=stream_id)
            stream.send("plain", 1)
            stream.close_send()
            expect_served(stream)

    each(grpcstream_wire, frames, check)


# Padding and priority ---------------------------------------------------------------------------------------------


@requirement("H2-8", observed_by=("record",))
def test_padded_data_is_accepted_without_its_padding(grpcstream_wire: WireClient) -> None:
    echo = grpcstream_wire.has("echo")

    def check(client: WireClient, padding: int) -> None:
        with client.open("Record") as stream:
            stream.padding = padding
            for text in ("first", "second"):
                stream.send(f"!echo {text}" if echo else text, 1)
            stream.close_send()
            expect_served(stream)
            point = stream.recv()
        if echo:
            verify.fail_unless(point == Point("first,second", 2), "both requests", str(point), stream)

    variants = {f"{padding} bytes of padding": padding for padding in (0, 10, 255)}
    each(grpcstream_wire, variants, check)


@requirement("H2-9", observed_by=("record",))
def test_padding_and_priority_in_headers_are_accepted(grpcstream_wire: WireClient) -> None:
    shapes = {
        "padding": Shape(padding=20),
        "priority": Shape(priority=Priority(weight=200)),
        "both": Shape(padding=7, priority=Priority(exclusive=True)),
    }
    each(grpcstream_wire, shapes, lambda client, shape: expect_served(send_record(client, shape=shape)))


@requirement("H2-27", observed_by=("record",))
def test_priority_frames_are_accepted_in_every_state(grpcstream_wire: WireClient) -> None:
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
        expect_served(stream, expected)
    prioritize(stream.stream_id)  # closed
    gone = describe_disturbance(connection)
    verify.fail_unless(gone is None, expected, str(gone), stream)
    expect_served(send_record(grpcstream_wire), expected)


# Frame sizes ------------------------------------------------------------------------------------------------------


@requirement("H2-15", observed_by=("record",))
def test_a_frame_of_16384_bytes_is_accepted(grpcstream_wire: WireClient) -> None:
    stream = grpcstream_wire.open("Record")
    if min(stream.send_window, stream.connection.send_window) < SMALLEST_MAX_FRAME:
        raise NotApplicable(f"the windows of the target are smaller than {SMALLEST_MAX_FRAME} bytes")
    prefix = len(framed(b""))
    stream.write(framed(encode_request_of(SMALLEST_MAX_FRAME - prefix)), end_stream=True)
    expect_served(stream, f"OK for a frame of {SMALLEST_MAX_FRAME} bytes")


@requirement("H2-23", observed_by=("list",))
def test_frames_of_the_server_are_not_too_large(grpcstream_wire: WireClient) -> None:
    point = Point("f" * 40_000, 1)
    with grpcstream_wire.open("List") as stream:
        stream.send_last(point)
        verify.list_answer(stream, point)
    large = grpcstream_wire.connection.violations.of(Rule.FRAME_TOO_LARGE)
    verify.no_findings(map(str, large), f"no frame above {SMALLEST_MAX_FRAME} bytes", stream)


@requirement("H2-23", features=("abort",))
def test_frames_with_large_trailers_are_not_too_large(grpcstream_wire: WireClient) -> None:
    # Digits take 5 or 6 bits each in a header block (RFC 7541, appendix B), so these trailers need two frames.
    message = "0123456789" * 3000
    with grpcstream_wire.open("Record") as stream:
        stream.send(f"!abort 0 {message}", Code.ABORTED)
        await_outcome(stream)
    large = grpcstream_wire.connection.violations.of(Rule.FRAME_TOO_LARGE)
    verify.no_findings(map(str, large), f"no frame above {SMALLEST_MAX_FRAME} bytes", stream)


# Late frames ------------------------------------------------------------------------------------------------------


@requirement("H2-24", observed_by=("record",))
def test_headers_of_failed_calls_update_the_compression_state(grpcstream_wire: WireClient) -> None:
    returns_metadata = grpcstream_wire.has("metadata")

    def metadata(value: str) -> list[tuple[str, str]]:
        return [(INITIAL_KEY, value), (f"x-{value}", value)]

    def served_with(*values: str) -> None:
        for value in values:
            with grpcstream_wire.open("Record", metadata=metadata(value)) as stream:
                stream.send_last(STREAM_SERVICE.plain)
                expect_served(stream)
                if returns_metadata:
                    verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])

    grpcstream_wire.open("Record", metadata=metadata("reset")).reset(ErrorCode.CANCEL)
    with grpcstream_wire.open("NoSuchMethod", metadata=metadata("refused")) as refused:
        refused.close_send()
        await_outcome(refused)
    served_with("reset", "refused", "new")
    headers = grpcstream_wire.request_headers("Record", metadata=metadata("malformed")).without(":method")
    malformed = send_record(grpcstream_wire, headers)
    await_outcome(malformed)
    # RFC 9113, section 5.4.1, lets the server end the connection. Then nothing more can be observed.
    if describe_disturbance(malformed.connection) is None:
        served_with("malformed", "newer")


@requirement("H2-26", observed_by=("record",))
def test_a_late_window_update_does_not_affect_the_connection(grpcstream_wire: WireClient) -> None:
    expected = "a WINDOW_UPDATE ignored that arrives after the end of the stream"
    for _ in range(3):
        stream = send_record(grpcstream_wire)
        expect_served(stream)
        stream.open_window(1000)
    gone = describe_disturbance(stream.connection)
    verify.fail_unless(gone is None, expected, str(gone), stream)
    expect_served(send_record(grpcstream_wire), expected)


@requirement("H2-26", observed_by=("record",))
def test_late_data_does_not_affect_the_connection(grpcstream_wire: WireClient) -> None:
    stream = send_record(grpcstream_wire)
    expect_served(stream)
    stream.data(framed(Point("late", 2)))
    gone = describe_disturbance(stream.connection)
    verify.serves(grpcstream_wire, "after DATA for a stream that has ended")
    if gone is not None:
        raise Deviation("late DATA ignored, or its stream reset", gone, stream)
