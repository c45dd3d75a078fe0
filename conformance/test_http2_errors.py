"""HTTP/2 that a server must not accept: each fault is a connection error, or a stream error where the test says so."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from pytest_grpcstream import INITIAL_KEY, STREAM_SERVICE, NotApplicable, Observe, Point, verify
from pytest_grpcstream.clients.wire import (
    Connection,
    Flag,
    FrameType,
    Headers,
    Rule,
    SettingCode,
    Shape,
    WireClient,
    WireStream,
    framed,
)
from pytest_grpcstream.verify.payloads import table_size_update
from pytest_grpcstream.verify.wire import (
    await_outcome,
    describe_connection,
    each,
    encode_request_of,
    expect_connection_error,
    expect_refusal,
    has_connection_error,
    send_record,
)

requirement = pytest.mark.grpcstream_requirement

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PING = struct.pack(">HBBBL", 0, 8, FrameType.PING, 0, 0) + bytes(8)
MAX_FRAME = 16_384
"""The initial SETTINGS_MAX_FRAME_SIZE, in bytes."""
LARGEST_FRAME = 2**24 - 1
"""The largest frame payload that HTTP/2 can express, in bytes: the length field has three bytes (RFC 9113, 4.1)."""

Frame = tuple[FrameType, bytes, int, int]
"""A frame: type, payload, flags, stream identifier."""


def send(client: WireClient, *frames: Frame) -> Connection:
    """Send frames on the client's connection and return the connection."""
    connection = client.connect()
    for kind, payload, flags, stream_id in frames:
        connection.send_frame(kind, payload, flags=flags, stream_id=stream_id)
    return connection


def are_connection_errors(client: WireClient, variants: Mapping[str, list[Frame]], expected: str, quiet: float) -> None:
    """Each of these sequences of frames, on its own connection, is a connection error, and the server keeps serving."""
    each(client, variants, lambda own, frames: expect_connection_error(send(own, *frames), expected, quiet))


# The connection preface -------------------------------------------------------------------------------------------


@requirement("H2-2")
def test_a_client_without_the_http2_preface_is_rejected(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    expected = "the connection closed, or a response in HTTP/1.1"
    with grpcstream_wire.fresh(preface=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", await_settings=False) as client:
        connection = client.connect()
        connection.wait(lambda: has_connection_error(connection))
        expect_connection_error(connection, expected, grpcstream_quiet)
    verify.serves(grpcstream_wire, "after a client that does not speak HTTP/2")


@requirement("H2-3")
def test_the_first_frame_must_be_settings(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.fresh(preface=PREFACE + PING, await_settings=False) as client:
        expect_connection_error(client.connect(), "a connection error for a PING before SETTINGS", grpcstream_quiet)
    verify.serves(grpcstream_wire, "after a PING before SETTINGS")


# Streams ----------------------------------------------------------------------------------------------------------


@requirement("H2-10", observed_by=("record",))
def test_a_second_header_block_is_malformed(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Record") as stream:
        stream.send("before", 1)
        stream.send_headers(Headers([("x-more", "1")]))
        stream.data(framed(Point("after", 2)), end_stream=True)
        expect_refusal(stream, "a refusal of a request with two header blocks")
    verify.serves(grpcstream_wire.fresh(), "after a second header block")


@requirement("H2-11")
def test_a_client_stream_must_have_an_odd_identifier(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    stream = send_record(grpcstream_wire, stream_id=2)
    expect_connection_error(stream.connection, "a connection error for HEADERS on stream 2", grpcstream_quiet)
    verify.serves(grpcstream_wire.fresh(), "after HEADERS on stream 2")


@requirement("H2-12")
def test_stream_identifiers_must_increase(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    send_record(grpcstream_wire, stream_id=5)
    stream = send_record(grpcstream_wire, stream_id=3)
    expect_connection_error(
        stream.connection, "a connection error for HEADERS on stream 3 after stream 5", grpcstream_quiet
    )
    verify.serves(grpcstream_wire.fresh(), "after HEADERS on stream 3 after stream 5")


@requirement("H2-13")
def test_frames_on_idle_streams_are_errors(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    frames: dict[str, list[Frame]] = {
        "DATA": [(FrameType.DATA, b"idle", 0, 7)],
        "RST_STREAM": [(FrameType.RST_STREAM, bytes(4), 0, 7)],
        "WINDOW_UPDATE": [(FrameType.WINDOW_UPDATE, b"\x00\x00\x00\x01", 0, 7)],
    }
    are_connection_errors(grpcstream_wire, frames, "a connection error for a frame on an idle stream", grpcstream_quiet)


@requirement("H2-14")
def test_data_on_stream_0_is_an_error(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    frames: dict[str, list[Frame]] = {"DATA": [(FrameType.DATA, b"nowhere", 0, 0)]}
    are_connection_errors(grpcstream_wire, frames, "a connection error for DATA on stream 0", grpcstream_quiet)


@requirement("H2-21")
def test_the_server_sends_no_push_promise(grpcstream_wire: WireClient) -> None:
    for method in ("List", "Record", "Route"):
        with grpcstream_wire.open(method, metadata=[(INITIAL_KEY, "anything")]) as stream:
            stream.send_last(STREAM_SERVICE.plain)
            await_outcome(stream)
    pushed = [one for connection in grpcstream_wire.connections for one in connection.violations.of(Rule.PUSH_PROMISE)]
    verify.no_findings(map(str, pushed), "no PUSH_PROMISE to a client that disabled it", stream)


@requirement("H2-21")
def test_a_client_cannot_push(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    with grpcstream_wire.open("Record") as stream:
        promise = (2).to_bytes(4, "big") + b"\x82"  # stream 2, and the field ":method: GET"
        send(grpcstream_wire, (FrameType.PUSH_PROMISE, promise, Flag.END_HEADERS, stream.stream_id))
        expect_connection_error(stream.connection, "a connection error for PUSH_PROMISE", grpcstream_quiet)
    verify.serves(grpcstream_wire.fresh(), "after PUSH_PROMISE")


# Frame sizes, windows and settings --------------------------------------------------------------------------------


@requirement("H2-15")
def test_a_frame_that_is_too_large_is_an_error(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    largest = grpcstream_wire.connect().server_settings.get(SettingCode.MAX_FRAME_SIZE, MAX_FRAME)
    if largest == LARGEST_FRAME:
        raise NotApplicable("the target accepts frames of any size")
    with grpcstream_wire.open("Record") as stream:
        stream.data(framed(encode_request_of(largest + 1 - len(framed(b"")))))
        expected = f"an error for a frame of {largest + 1} bytes, one above SETTINGS_MAX_FRAME_SIZE"
        expect_connection_error(stream.connection, expected, grpcstream_quiet, stream)
    verify.serves(grpcstream_wire.fresh(), "after a frame that is too large")


def are_window_errors(client: WireClient, increments: list[bytes], expected: str, quiet: float) -> None:
    """WINDOW_UPDATE frames with these payloads are an error: of the connection, or on a stream of either."""

    def check(own: WireClient, on_a_stream: bool) -> None:
        with own.open("Record") as stream:
            place = stream.stream_id if on_a_stream else 0
            send(own, *((FrameType.WINDOW_UPDATE, increment, 0, place) for increment in increments))
            expect_connection_error(stream.connection, expected, quiet, stream if on_a_stream else None)

    each(client, {"on a stream": True, "on the connection": False}, check)


@requirement("H2-16")
def test_a_window_update_of_0_is_an_error(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    are_window_errors(grpcstream_wire, [bytes(4)], "an error for a WINDOW_UPDATE of 0", grpcstream_quiet)


@requirement("H2-17")
def test_a_window_that_is_too_large_is_an_error(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    largest = (2**31 - 1).to_bytes(4, "big")  # it fits into any window once, but not twice
    are_window_errors(grpcstream_wire, [largest, largest], "an error for a window above 2^31-1", grpcstream_quiet)


@requirement("H2-18")
def test_invalid_settings_are_errors(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    def setting(code: SettingCode, value: int) -> list[Frame]:
        return [(FrameType.SETTINGS, struct.pack(">HL", code, value), 0, 0)]

    frames: dict[str, list[Frame]] = {
        "ENABLE_PUSH 2": setting(SettingCode.ENABLE_PUSH, 2),
        "INITIAL_WINDOW_SIZE 2^31": setting(SettingCode.INITIAL_WINDOW_SIZE, 2**31),
        "MAX_FRAME_SIZE 16383": setting(SettingCode.MAX_FRAME_SIZE, MAX_FRAME - 1),
        "MAX_FRAME_SIZE 2^24": setting(SettingCode.MAX_FRAME_SIZE, 2**24),
        "5 bytes": [(FrameType.SETTINGS, bytes(5), 0, 0)],
        "an acknowledgement with a payload": [(FrameType.SETTINGS, bytes(6), Flag.ACK, 0)],
        "on stream 1": [(FrameType.SETTINGS, b"", 0, 1)],
    }
    are_connection_errors(grpcstream_wire, frames, "a connection error for invalid SETTINGS", grpcstream_quiet)


# Header blocks ----------------------------------------------------------------------------------------------------


@requirement("H2-19")
def test_header_blocks_that_do_not_decode_are_errors(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    allowed = grpcstream_wire.connect().server_settings.get(SettingCode.HEADER_TABLE_SIZE, 4096)
    blocks = {
        "index 0": b"\x80",
        "an index beyond the table": b"\xff\x49",
        "a string without its end": b"\x40\x05ab",
        "a table larger than allowed": table_size_update(max(allowed + 1, 31)) + b"\x82",
    }

    def check(client: WireClient, block: bytes) -> None:
        stream = send_record(client, shape=Shape(block=block))
        expect_connection_error(
            stream.connection, "a connection error for a header block that does not decode", grpcstream_quiet
        )

    each(grpcstream_wire, blocks, check)


@requirement("H2-20")
def test_an_interrupted_header_block_is_an_error(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    begun: Frame = (FrameType.HEADERS, b"\x83", 0, 1)  # ":method: POST" without END_HEADERS
    frames: dict[str, list[Frame]] = {
        "PING": [begun, (FrameType.PING, bytes(8), 0, 0)],
        "DATA of the stream": [begun, (FrameType.DATA, b"early", 0, 1)],
        "HEADERS of another stream": [begun, (FrameType.HEADERS, b"\x83", Flag.END_HEADERS, 3)],
        "CONTINUATION of another stream": [begun, (FrameType.CONTINUATION, b"\x86", Flag.END_HEADERS, 3)],
        "CONTINUATION without HEADERS": [(FrameType.CONTINUATION, b"\x83", Flag.END_HEADERS, 1)],
    }
    are_connection_errors(
        grpcstream_wire, frames, "a connection error for an interrupted header block", grpcstream_quiet
    )


# Reports of errors ------------------------------------------------------------------------------------------------


@requirement("H2-22")
def test_a_connection_error_is_reported_by_goaway(grpcstream_wire: WireClient, grpcstream_observe: Observe) -> None:
    stimuli: dict[str, Callable[[WireClient], Connection | WireStream]] = {
        "a PING of 7 bytes": lambda client: send(client, (FrameType.PING, bytes(7), 0, 0)),
        "a header block that does not decode": partial(send_record, shape=Shape(block=b"\x80")),
        "SETTINGS of 5 bytes": lambda client: send(client, (FrameType.SETTINGS, bytes(5), 0, 0)),
    }
    for name, stimulus in stimuli.items():
        with grpcstream_wire.fresh() as client:
            stimulus(client)
            client.connection.wait(partial(has_connection_error, client.connection))
            grpcstream_observe(f"{name}: {describe_connection(client.connection)}")
