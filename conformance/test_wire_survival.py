"""Clients that do everything wrong: whatever becomes of their calls, the server goes on serving others."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from pytest_grpcstream import Deviation, Point, verify
from pytest_grpcstream.clients.wire import Connection, ErrorCode, FrameType, Shape, WireClient, framed
from pytest_grpcstream.errors import Mismatch
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import asked, bare, each, outcome, uncompressed

requirement = pytest.mark.grpcstream_requirement

SILENT = 50
"""Connections that say nothing or not enough."""
LOSSES = 10
"""Connections that are lost in each of the ways."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

STRANGERS = {
    "garbage": random.Random(9113).randbytes(1024),
    "HTTP/1.1": b"POST /proto.StreamService/List HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
    "the beginning of TLS": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(194),
}


@requirement("ROBUST-1")
@pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS)
def test_strangers_do_no_harm(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, said: bytes) -> None:
    with bare(grpcstream_wire, said):
        verify.serves(grpcstream_wire, grpcstream_capabilities, "beside a client that does not speak HTTP/2")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a client that does not speak HTTP/2")


@requirement("ROBUST-2")
def test_silent_connections_keep_nobody_out(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(SILENT):
            stack.enter_context(bare(grpcstream_wire, PREFACE[: number % len(PREFACE)]))
        verify.serves(grpcstream_wire, grpcstream_capabilities, f"beside {SILENT} connections that say nothing")


# Lost connections -------------------------------------------------------------------------------------------------


def in_a_frame(client: WireClient) -> None:
    """Send the first bytes of a frame that announces more."""
    client.connection.send_bytes(b"\x00\x01\x00\x00\x00\x00\x00\x00\x01only")


def in_a_header_block(client: WireClient) -> None:
    """Send the first fields of a header block without its end."""
    client.connection.send_frame(FrameType.HEADERS, b"\x83\x86", stream_id=1)


def in_a_message(client: WireClient) -> None:
    """Send the first bytes of a message that announces more."""
    client.open("Record").data(framed(b"only", length=1000))


PLACES = {"in a frame": in_a_frame, "in a header block": in_a_header_block, "in a message": in_a_message}


@requirement("ROBUST-3")
@pytest.mark.parametrize("begin", PLACES.values(), ids=PLACES)
def test_lost_connections_do_no_harm(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, begin: Callable[[WireClient], None]
) -> None:
    for _ in range(LOSSES):
        with grpcstream_wire.fresh() as client:
            begin(client)
            client.connection.reset()
    verify.serves(grpcstream_wire, grpcstream_capabilities, f"after {LOSSES} connections that were lost")


@requirement("ROBUST-15")
@pytest.mark.parametrize("leave", [Connection.drop, Connection.close], ids=["FIN", "GOAWAY and FIN"])
def test_unfinished_headers_do_no_harm(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, leave: Callable[[Connection], None]
) -> None:
    for _ in range(LOSSES):
        with grpcstream_wire.fresh() as client:
            in_a_header_block(client)
            leave(client.connection)
    verify.serves(grpcstream_wire, grpcstream_capabilities, f"after {LOSSES} header blocks without an end")


# Paths ------------------------------------------------------------------------------------------------------------


@requirement("ROBUST-16")
def test_unusual_paths_do_no_harm(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    paths = {
        "a NUL": "/proto.StreamService/\0Record",
        "6000 characters": "/proto.StreamService/" + "x" * 6000,
        "32 KiB": "/proto.StreamService/" + "x" * 32_768,
        "a percent sign": "/proto.StreamService/%00%",
        "no names": "/" * 50,
    }

    def check(client: WireClient, path: str) -> None:
        block = uncompressed(client.request_headers("Record").replaced(":path", path))
        outcome(asked(client, shape=Shape(block=block)))

    each(grpcstream_wire, grpcstream_capabilities, paths, check)


# Faults and their neighbours --------------------------------------------------------------------------------------

BAD_PROTOBUF = framed(b"\x0a\xff\xff\xff\xff\xff")


def unknown_method(client: WireClient) -> None:
    """Call a method that is not there."""
    with client.open("NoSuchMethod") as stream:
        stream.close_send()
        outcome(stream)


def oversize(client: WireClient) -> None:
    """Announce more than a server takes, and reset the call if it waits for it."""
    with client.open("Record") as stream:
        stream.write(framed(b"", length=2**32 - 1))
        outcome(stream, 0.2)
        stream.reset(ErrorCode.CANCEL)


def no_protobuf(client: WireClient) -> None:
    """Send a request that does not parse, and leave the request stream open."""
    with client.open("Record") as stream:
        stream.write(BAD_PROTOBUF)
        outcome(stream)


OF_GRPC: dict[str, Callable[[WireClient], object]] = {
    "an unknown method": unknown_method,
    "no protobuf": no_protobuf,
    "a compressed flag": lambda client: outcome(asked(client, data=framed(b"flag", compressed=1))),
    "half a message": lambda client: outcome(asked(client, data=framed(b"half", length=8))),
    "too much announced": oversize,
}


def after_the_end(client: WireClient) -> None:
    """Send DATA behind END_STREAM."""
    stream = asked(client)
    stream.data(framed(Point("late", 1)))
    outcome(stream)


def window_update_of_0(client: WireClient) -> None:
    """Open the window of a stream by nothing."""
    with client.open("Record") as stream:
        client.connection.send_frame(FrameType.WINDOW_UPDATE, bytes(4), stream_id=stream.stream_id)
        stream.data(framed(Point("plain", 1)), end_stream=True)
        outcome(stream)


def malformed(client: WireClient) -> None:
    """Leave :method out."""
    outcome(asked(client, client.request_headers("Record").without(":method")))


OF_HTTP2: dict[str, Callable[[WireClient], object]] = {
    "DATA behind END_STREAM": after_the_end,
    "WINDOW_UPDATE of 0": window_update_of_0,
    "no :method": malformed,
}


def neighbour_survives(client: WireClient, capabilities: Capabilities, fault: Callable[[WireClient], object]) -> None:
    """A Route that is open on the connection while another call fails goes on, and ends with OK."""
    with client.open("Route") as route:
        verify.greeting(route, capabilities)
        route.send("before", 1)
        verify.answer(route)
        fault(client)
        route.send("after", 2)
        verify.answer(route)
        route.close_send()
        verify.eof(route)


@requirement("ROBUST-18", needs=("duplex",))
def test_a_fault_of_grpc_leaves_other_calls_alone(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    def check(client: WireClient, fault: Callable[[WireClient], object]) -> None:
        neighbour_survives(client, grpcstream_capabilities, fault)

    each(grpcstream_wire, grpcstream_capabilities, OF_GRPC, check)


@requirement("ROBUST-18", needs=("duplex",))
def test_a_fault_of_http2_leaves_other_calls_alone(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    def check(client: WireClient, fault: Callable[[WireClient], object]) -> None:
        try:
            neighbour_survives(client, grpcstream_capabilities, fault)
        except Mismatch as verdict:
            # RFC 9113, section 5.4.1: any stream error may be treated as a connection error.
            raise Deviation(verdict.expected, verdict.actual, verdict.stream) from verdict

    each(grpcstream_wire, grpcstream_capabilities, OF_HTTP2, check)


@requirement("ROBUST-18", needs=("duplex",))
def test_a_last_request_that_is_no_protobuf_leaves_other_calls_alone(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    try:
        neighbour_survives(
            grpcstream_wire, grpcstream_capabilities, lambda client: outcome(asked(client, data=BAD_PROTOBUF))
        )
    except Mismatch as verdict:
        # A server may find the fault while it handles the half-close. grpc-java then answers twice, in a race, and its
        # HTTP/2 ends the connection for it, which no author of a service can mend.
        raise Deviation(verdict.expected, verdict.actual, verdict.stream) from verdict
