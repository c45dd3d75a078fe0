"""Requests that no usual client sends: the call may fail, the server goes on serving."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_grpcstream import Client, Code, Point, verify
from pytest_grpcstream.targets.probing import Capabilities

requirement = pytest.mark.grpcstream_requirement
every_method = pytest.mark.parametrize("method", ["List", "Record", "Route"])

NO_PROTOBUF = b"\x0a\xff\xff\xff\xff\xff"
"""A field that says it is longer than any message can be."""


def tag(field: int, wire_type: int) -> bytes:
    """The key of a protobuf field with a number below 2048."""
    number = field << 3 | wire_type
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])


def chunk(field: int, content: bytes) -> bytes:
    """A length-delimited protobuf field with content below 128 bytes."""
    return tag(field, 2) + bytes([len(content)]) + content


def other_errors(named: Code) -> dict[Code, str]:
    """Every error code but the one that the specification names: the call fails, and only the word is wrong."""
    return {code: "an error, but another one" for code in Code if code not in (Code.OK, named)}


VALUE_5, VALUE_9 = tag(2, 0) + b"\x05", tag(2, 0) + b"\x09"
UNKNOWN = tag(99, 0) + b"\x07" + chunk(100, b"unknown") + tag(101, 5) + b"\x01\x02\x03\x04" + tag(102, 1) + bytes(8)
ENCODINGS = {
    "value before name": chunk(1, VALUE_5 + chunk(1, b"name")),
    "last value wins": chunk(1, VALUE_9 + chunk(1, b"other") + VALUE_5 + chunk(1, b"name")),
    "pt in two parts": chunk(1, chunk(1, b"name")) + chunk(1, VALUE_5),
    "long varint": chunk(1, chunk(1, b"name") + tag(2, 0) + b"\x85\x80\x80\x80\x00"),
}


@requirement("ROBUST-4")
@every_method
def test_a_request_without_pt_does_not_take_the_server_down(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], method: str, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.open(method) as stream:
        stream.send(None)
        stream.close_send()
        points = stream.collect()
        verify.serves(grpcstream_connect(), grpcstream_capabilities, f"after a {method} request without pt")
        verify.status(stream, Code.INVALID_ARGUMENT, allowed=(Code.OK,), tolerated=other_errors(Code.INVALID_ARGUMENT))
        if stream.status is not None and stream.status.ok and method == "Route":
            answered = len(points) - grpcstream_capabilities.route_speaks_first
            verify.fail_unless(answered == 1, "an answer to the request, which counts as empty", f"{answered}", stream)


@requirement("ROBUST-4")
def test_a_request_without_pt_does_not_end_the_requests(
    grpcstream: Client, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.route() as stream:
        for point in (Point("before", 1), None, Point("after", 2)):
            stream.send(point)
        stream.close_send()
        answered = len(stream.collect()) - grpcstream_capabilities.route_speaks_first
        if stream.status is not None and stream.status.ok:
            verify.fail_unless(answered == 3, "3 answers, or INVALID_ARGUMENT", f"{answered} answers and OK", stream)


@requirement("ROBUST-4", needs=("echo", "record"))
def test_a_request_without_pt_is_counted_or_refused(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for point in (Point("!echo before", 1), None, Point("!echo after", 2)):
            stream.send(point)
        stream.close_send()
        points = stream.collect()
        if stream.status is not None and stream.status.ok:
            verify.same(stream, points, [Point("before,,after", 3)], "the empty request counted, or INVALID_ARGUMENT")


@requirement("ROBUST-4")
def test_a_request_without_pt_harms_no_later_call_on_the_connection(
    grpcstream: Client, grpcstream_capabilities: Capabilities
) -> None:
    for method in ("List", "Record", "Route"):
        with grpcstream.open(method) as stream:
            stream.send(None)
            stream.close_send()
            stream.end()
    verify.serves(grpcstream, grpcstream_capabilities, "after requests without pt")


@requirement("WIRE-1")
def test_an_unknown_method_is_unimplemented(grpcstream: Client, grpcstream_capabilities: Capabilities) -> None:
    with grpcstream.open("NoSuchMethod") as stream:
        stream.send("anybody there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, tolerated=other_errors(Code.UNIMPLEMENTED))
    verify.unharmed(grpcstream, grpcstream_capabilities, "after a call of an unknown method")


@requirement("WIRE-2")
def test_an_unknown_service_is_unimplemented(grpcstream: Client, grpcstream_capabilities: Capabilities) -> None:
    with grpcstream.open("/proto.NoSuchService/List") as stream:
        stream.send("anybody there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, tolerated=other_errors(Code.UNIMPLEMENTED))
    verify.unharmed(grpcstream, grpcstream_capabilities, "after a call of an unknown service")


@requirement("WIRE-3")
@pytest.mark.parametrize(
    "path", ["/proto.streamservice/List", "/proto.StreamService/list", "/proto.StreamService/List/"]
)
def test_the_path_of_a_method_is_exact(grpcstream: Client, path: str) -> None:
    with grpcstream.open(path) as stream:
        stream.send("anybody there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, allowed=other_errors(Code.UNIMPLEMENTED))


@requirement("WIRE-15")
@every_method
def test_a_request_that_is_no_protobuf_is_refused(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], method: str, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.open(method) as stream:
        stream.send_bytes(NO_PROTOBUF)
        stream.close_send()
        stream.end()
        verify.serves(
            grpcstream_connect(), grpcstream_capabilities, f"after a {method} request that is no protobuf message"
        )
        verify.status(stream, Code.INTERNAL, tolerated=other_errors(Code.INTERNAL))


@requirement("WIRE-16", needs=("list",))
def test_unknown_fields_are_ignored(grpcstream: Client) -> None:
    with grpcstream.open("List") as stream:
        stream.send_bytes(UNKNOWN + chunk(1, UNKNOWN + chunk(1, b"name") + VALUE_5) + UNKNOWN)
        stream.close_send()
        verify.list_answer(stream, Point("name", 5))


@requirement("WIRE-17")
@every_method
def test_a_name_that_is_no_utf8_does_not_take_the_server_down(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], method: str, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.open(method) as stream:
        stream.send_bytes(chunk(1, chunk(1, b"\xff\xfe\x80") + VALUE_5))
        stream.close_send()
        stream.end()
    verify.serves(grpcstream_connect(), grpcstream_capabilities, f"after a {method} request whose name is no UTF-8")


@requirement("WIRE-18", needs=("list",))
@pytest.mark.parametrize("encoded", ENCODINGS.values(), ids=ENCODINGS)
def test_unusual_encodings_are_understood(grpcstream: Client, encoded: bytes) -> None:
    with grpcstream.open("List") as stream:
        stream.send_bytes(encoded)
        stream.close_send()
        verify.list_answer(stream, Point("name", 5))
