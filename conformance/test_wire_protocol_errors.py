"""HTTP/2 that a server must not take: every fault here is a connection error, or one of a stream where that is said."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

import pytest

from pytest_grpcstream import NotApplicable, Point, verify
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
from pytest_grpcstream.plugin.session import observe
from pytest_grpcstream.targets.probing import INITIAL_KEY, Capabilities
from pytest_grpcstream.verify.wire import (
    PLAIN_REQUEST,
    asked,
    each,
    given_up,
    gives_up,
    outcome,
    refused,
    request_of,
    told_of,
)

requirement = pytest.mark.grpcstream_requirement

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PING = struct.pack(">HBBBL", 0, 8, FrameType.PING, 0, 0) + bytes(8)
HALF = (2**31 - 1).to_bytes(4, "big")
"""An increment that fits into a window once, but not twice."""
MAX_FRAME = 16_384
LARGEST = 2**24 - 1
"""The largest frame that there is (RFC 9113 section 4.1): its length has three bytes."""

Frame = tuple[FrameType, bytes, int, int]
"""A frame: type, payload, flags, stream identifier."""
AreErrors = Callable[[str, dict[str, list[Frame]]], None]
AreErrorsOfAWindow = Callable[[str, list[bytes]], None]


def sent(client: WireClient, *frames: Frame) -> Connection:
    """A connection on which these frames were sent."""
    connection = client.connect()
    for kind, payload, flags, stream_id in frames:
        connection.send_frame(kind, payload, flags=flags, stream_id=stream_id)
    return connection


@pytest.fixture
def are_errors(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> AreErrors:
    """A verdict: each of these sequences of frames, on a connection of its own, is a connection error."""

    def judge(expected: str, variants: dict[str, list[Frame]]) -> None:
        def check(client: WireClient, frames: list[Frame]) -> None:
            gives_up(sent(client, *frames), expected, grpcstream_quiet)

        each(grpcstream_wire, grpcstream_capabilities, variants, check)

    return judge


# The beginning ----------------------------------------------------------------------------------------------------


@requirement("H2-2")
def test_who_does_not_speak_http2_is_turned_away(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    expected = "the connection closed, or an answer in HTTP/1.1"
    with grpcstream_wire.fresh(preface=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", await_settings=False) as client:
        connection = client.connect()
        connection.wait(lambda: given_up(connection))
        gives_up(connection, expected, grpcstream_quiet)
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after a client that does not speak HTTP/2")


@requirement("H2-3")
def test_the_first_frame_must_be_settings(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.fresh(preface=PREFACE + PING, await_settings=False) as client:
        gives_up(client.connect(), "a connection error for a PING before SETTINGS", grpcstream_quiet)
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after a PING before SETTINGS")


# Streams ----------------------------------------------------------------------------------------------------------


@requirement("H2-10", needs=("record",))
def test_a_second_block_of_headers_is_malformed(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream_wire.open("Record") as stream:
        stream.send("before", 1)
        stream.send_headers(Headers([("x-more", "1")]))
        stream.data(framed(Point("after", 2)), end_stream=True)
        refused(stream, "a refusal of a request with two blocks of headers")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a second block of headers")


@requirement("H2-11")
def test_a_stream_of_the_client_must_be_odd(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    stream = asked(grpcstream_wire, stream_id=2)
    gives_up(stream.connection, "a connection error for HEADERS on stream 2", grpcstream_quiet)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after HEADERS on stream 2")


@requirement("H2-12")
def test_the_identifiers_of_streams_must_grow(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    asked(grpcstream_wire, stream_id=5)
    stream = asked(grpcstream_wire, stream_id=3)
    gives_up(stream.connection, "a connection error for HEADERS on stream 3 after stream 5", grpcstream_quiet)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after HEADERS on stream 3 after stream 5")


@requirement("H2-13")
def test_frames_on_streams_that_nobody_opened_are_errors(are_errors: AreErrors) -> None:
    variants: dict[str, list[Frame]] = {
        "DATA": [(FrameType.DATA, b"idle", 0, 7)],
        "RST_STREAM": [(FrameType.RST_STREAM, bytes(4), 0, 7)],
        "WINDOW_UPDATE": [(FrameType.WINDOW_UPDATE, b"\x00\x00\x00\x01", 0, 7)],
    }
    are_errors("a connection error for a frame on a stream that was never opened", variants)


@requirement("H2-14")
def test_data_without_a_stream_is_an_error(are_errors: AreErrors) -> None:
    are_errors("a connection error for DATA on stream 0", {"DATA": [(FrameType.DATA, b"nowhere", 0, 0)]})


@requirement("H2-21")
def test_the_server_pushes_nothing(grpcstream_wire: WireClient) -> None:
    for method in ("List", "Record", "Route"):
        with grpcstream_wire.open(method, metadata=[(INITIAL_KEY, "anything")]) as stream:
            stream.send_last(PLAIN_REQUEST)
            outcome(stream)
    pushed = [one for connection in grpcstream_wire.connections for one in connection.violations.of(Rule.PUSH_PROMISE)]
    verify.nothing_wrong(map(str, pushed), "nothing pushed to a client that disabled it", stream)


@requirement("H2-21")
def test_a_client_cannot_push(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.open("Record") as stream:
        promise = (2).to_bytes(4, "big") + b"\x82"  # stream 2, and the field ":method: GET"
        sent(grpcstream_wire, (FrameType.PUSH_PROMISE, promise, Flag.END_HEADERS, stream.stream_id))
        gives_up(stream.connection, "a connection error for PUSH_PROMISE", grpcstream_quiet)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after PUSH_PROMISE")


# Sizes, windows and settings --------------------------------------------------------------------------------------


@requirement("H2-15")
def test_a_frame_that_is_too_large_is_an_error(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    largest = grpcstream_wire.connect().server_settings.get(SettingCode.MAX_FRAME_SIZE, MAX_FRAME)
    if largest == LARGEST:
        raise NotApplicable("the target takes frames of any size")
    with grpcstream_wire.open("Record") as stream:
        stream.data(framed(request_of(largest + 1 - len(framed(b"")))))
        expected = f"an error for a frame of {largest + 1} bytes, one above SETTINGS_MAX_FRAME_SIZE"
        gives_up(stream.connection, expected, grpcstream_quiet, stream)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a frame that is too large")


@pytest.fixture
def are_errors_of_a_window(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> AreErrorsOfAWindow:
    """A verdict: these increments are an error for the connection, and on a stream an error of it or of that."""

    def judge(expected: str, increments: list[bytes]) -> None:
        def check(client: WireClient, on_a_stream: bool) -> None:
            with client.open("Record") as stream:
                place = stream.stream_id if on_a_stream else 0
                sent(client, *((FrameType.WINDOW_UPDATE, one, 0, place) for one in increments))
                gives_up(stream.connection, expected, grpcstream_quiet, stream if on_a_stream else None)

        each(grpcstream_wire, grpcstream_capabilities, {"on a stream": True, "on the connection": False}, check)

    return judge


@requirement("H2-16")
def test_a_window_update_of_0_is_an_error(are_errors_of_a_window: AreErrorsOfAWindow) -> None:
    are_errors_of_a_window("an error for WINDOW_UPDATE of 0", [bytes(4)])


@requirement("H2-17")
def test_a_window_that_is_too_large_is_an_error(are_errors_of_a_window: AreErrorsOfAWindow) -> None:
    are_errors_of_a_window("an error for a window above 2^31-1", [HALF, HALF])


def setting(code: SettingCode, value: int) -> list[Frame]:
    """A SETTINGS frame with one value."""
    return [(FrameType.SETTINGS, struct.pack(">HL", code, value), 0, 0)]


@requirement("H2-18")
def test_settings_that_are_not_allowed_are_errors(are_errors: AreErrors) -> None:
    variants: dict[str, list[Frame]] = {
        "ENABLE_PUSH 2": setting(SettingCode.ENABLE_PUSH, 2),
        "INITIAL_WINDOW_SIZE 2^31": setting(SettingCode.INITIAL_WINDOW_SIZE, 2**31),
        "MAX_FRAME_SIZE 16383": setting(SettingCode.MAX_FRAME_SIZE, MAX_FRAME - 1),
        "MAX_FRAME_SIZE 2^24": setting(SettingCode.MAX_FRAME_SIZE, 2**24),
        "5 bytes": [(FrameType.SETTINGS, bytes(5), 0, 0)],
        "an acknowledgement with a payload": [(FrameType.SETTINGS, bytes(6), Flag.ACK, 0)],
        "on stream 1": [(FrameType.SETTINGS, b"", 0, 1)],
    }
    are_errors("a connection error for SETTINGS that are not allowed", variants)


# Header blocks ----------------------------------------------------------------------------------------------------

BLOCKS = {
    "index 0": b"\x80",
    "an index beyond the table": b"\xff\x49",
    "a string without its end": b"\x40\x05ab",
}


def table_of(size: int) -> bytes:
    """A change of HPACK's table to a size of 31 bytes or more: RFC 7541, sections 5.1 and 6.3."""
    rest, digits = size - 31, [0x3F]
    while rest >= 128:
        digits.append(rest % 128 + 128)
        rest //= 128
    return bytes([*digits, rest])


@requirement("H2-19")
def test_header_blocks_that_do_not_decode_are_errors(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    def check(client: WireClient, block: bytes) -> None:
        stream = asked(client, shape=Shape(block=block))
        gives_up(stream.connection, "a connection error for a header block that does not decode", grpcstream_quiet)

    allowed = grpcstream_wire.connect().server_settings.get(SettingCode.HEADER_TABLE_SIZE, 4096)
    too_large = table_of(max(allowed + 1, 31)) + b"\x82"
    each(grpcstream_wire, grpcstream_capabilities, {**BLOCKS, "a table larger than allowed": too_large}, check)


@requirement("H2-20")
def test_nothing_may_stand_between_headers_and_continuation(are_errors: AreErrors) -> None:
    begun: Frame = (FrameType.HEADERS, b"\x83", 0, 1)  # ":method: POST", and more to come
    variants: dict[str, list[Frame]] = {
        "PING": [begun, (FrameType.PING, bytes(8), 0, 0)],
        "DATA of the stream": [begun, (FrameType.DATA, b"early", 0, 1)],
        "HEADERS of another stream": [begun, (FrameType.HEADERS, b"\x83", Flag.END_HEADERS, 3)],
        "CONTINUATION of another stream": [begun, (FrameType.CONTINUATION, b"\x86", Flag.END_HEADERS, 3)],
        "CONTINUATION without HEADERS": [(FrameType.CONTINUATION, b"\x83", Flag.END_HEADERS, 1)],
    }
    are_errors("a connection error for a header block that is interrupted", variants)


# How errors are told ----------------------------------------------------------------------------------------------


@requirement("H2-22")
def test_a_connection_error_is_told_by_goaway(grpcstream_wire: WireClient, request: pytest.FixtureRequest) -> None:
    stimuli: dict[str, Callable[[WireClient], Connection | WireStream]] = {
        "a PING of 7 bytes": lambda client: sent(client, (FrameType.PING, bytes(7), 0, 0)),
        "a header block that does not decode": partial(asked, shape=Shape(block=BLOCKS["index 0"])),
        "SETTINGS of 5 bytes": lambda client: sent(client, (FrameType.SETTINGS, bytes(5), 0, 0)),
    }
    for name, stimulus in stimuli.items():
        with grpcstream_wire.fresh() as client:
            stimulus(client)
            client.connection.wait(partial(given_up, client.connection))
            observe(request.node, f"{name}: {told_of(client.connection)}")
