"""Survival of requests that no ordinary client sends: the call may fail, the server and its other calls go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Code, Connect, Deviation, Mismatch, Point, verify
from pytest_grpcstream.clients.wire import ErrorCode, FrameType, Shape, WireClient, framed
from pytest_grpcstream.verify.payloads import gzip_message
from pytest_grpcstream.verify.wire import await_outcome, each, encode_literally, expect_answer, send_record

requirement = pytest.mark.grpcstream_requirement

Fault = Callable[[WireClient], object]
"""Makes one call fail on the client's connection."""


# Requests without pt ----------------------------------------------------------------------------------------------


@requirement("ROBUST-4")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_request_without_pt_does_not_crash_the_server(
    grpcstream: Client, grpcstream_connect: Connect, method: str
) -> None:
    others: dict[Code, str] = {
        code: "an error, but with another code" for code in Code if code not in (Code.OK, Code.INVALID_ARGUMENT)
    }
    with grpcstream.open(method) as stream:
        stream.send(None)
        stream.close_send()
        points = stream.collect()
        verify.serves(grpcstream_connect(), f"after a {method} request without pt")
        verify.status(stream, Code.INVALID_ARGUMENT, allowed=(Code.OK,), tolerated=others)
        if stream.status is not None and stream.status.ok and method == "Route":
            expected = "an answer to the request, which counts as empty"
            verify.fail_unless(len(points) == 1, expected, f"{len(points)}", stream)


@requirement("ROBUST-4")
def test_a_request_without_pt_does_not_end_the_requests(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for point in (Point("before", 1), None, Point("after", 2)):
            stream.send(point)
        stream.close_send()
        count = len(stream.collect())
        if stream.status is not None and stream.status.ok:
            verify.fail_unless(count == 3, "3 answers, or INVALID_ARGUMENT", f"{count} answers and OK", stream)


@requirement("ROBUST-4", features=("echo",), observed_by=("record",))
def test_a_request_without_pt_is_counted_or_refused(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for point in (Point("!echo before", 1), None, Point("!echo after", 2)):
            stream.send(point)
        stream.close_send()
        points = stream.collect()
        if stream.status is not None and stream.status.ok:
            verify.same(stream, points, [Point("before,,after", 3)], "the empty request counted, or INVALID_ARGUMENT")


@requirement("ROBUST-4")
def test_a_request_without_pt_does_not_harm_later_calls(grpcstream: Client) -> None:
    for method in ("List", "Record", "Route"):
        with grpcstream.open(method) as stream:
            stream.send(None)
            stream.close_send()
            stream.end()
    verify.serves(grpcstream, "after requests without pt")


# Corrupt messages and unusual paths -------------------------------------------------------------------------------


@requirement("ROBUST-5")
def test_corrupt_compressed_messages_do_not_crash_the_server(grpcstream_wire: WireClient) -> None:
    plain = STREAM_SERVICE.encode(STREAM_SERVICE.plain)
    messages = {
        "not gzip": framed(b"not gzip", compressed=1),
        "half of it": gzip_message(plain * 9, length=24),
        "no checksum": gzip_message(plain, checksum=b""),
        "a wrong checksum": gzip_message(plain, checksum=bytes(8)),
    }

    def check(client: WireClient, message: bytes) -> None:
        headers = client.request_headers("Record").added("grpc-encoding", "gzip")
        expect_answer(send_record(client, headers, message), "an error for a corrupt gzip message")

    each(grpcstream_wire, messages, check)


@requirement("ROBUST-16")
def test_unusual_paths_do_no_harm(grpcstream_wire: WireClient) -> None:
    paths = {
        "a NUL": "/proto.StreamService/\0Record",
        "6000 characters": "/proto.StreamService/" + "x" * 6000,
        "32 KiB": "/proto.StreamService/" + "x" * 32_768,
        "a percent sign": "/proto.StreamService/%00%",
        "no names": "/" * 50,
    }

    def check(client: WireClient, path: str) -> None:
        block = encode_literally(client.request_headers("Record").replaced(":path", path))
        await_outcome(send_record(client, shape=Shape(block=block)))

    each(grpcstream_wire, paths, check)


# Other calls on the connection ------------------------------------------------------------------------------------


def other_call_survives(client: WireClient, fault: Fault) -> None:
    """A Route that is open while another call on its connection fails goes on, and ends with OK."""
    with client.open("Route") as route:
        route.send("before", 1)
        verify.answer(route)
        fault(client)
        route.send("after", 2)
        verify.answer(route)
        route.close_send()
        verify.eof(route)


def call_unknown_method(client: WireClient) -> None:
    """Call a method that does not exist."""
    with client.open("NoSuchMethod") as stream:
        stream.close_send()
        await_outcome(stream)


def send_bad_protobuf_without_half_close(client: WireClient) -> None:
    """Send a request that does not parse, and leave the request stream open."""
    with client.open("Record") as stream:
        stream.write(framed(b"\x0a\xff\xff\xff\xff\xff"))
        await_outcome(stream)


def announce_4_gib(client: WireClient) -> None:
    """Announce a message of 4 GiB, and reset the call if the server waits for it."""
    with client.open("Record") as stream:
        stream.write(framed(b"", length=2**32 - 1))
        await_outcome(stream, 0.2)
        stream.reset(ErrorCode.CANCEL)


@requirement("ROBUST-18", observed_by=("duplex",))
def test_a_grpc_fault_does_not_affect_other_calls(grpcstream_wire: WireClient) -> None:
    faults: dict[str, Fault] = {
        "an unknown method": call_unknown_method,
        "no protobuf": send_bad_protobuf_without_half_close,
        "a compressed flag": lambda client: await_outcome(send_record(client, data=framed(b"flag", compressed=1))),
        "half a message": lambda client: await_outcome(send_record(client, data=framed(b"half", length=8))),
        "too much announced": announce_4_gib,
    }
    each(grpcstream_wire, faults, other_call_survives)


def send_data_after_end_stream(client: WireClient) -> None:
    """Send DATA after END_STREAM."""
    stream = send_record(client)
    stream.data(framed(Point("late", 1)))
    await_outcome(stream)


def send_window_update_of_0(client: WireClient) -> None:
    """Send a WINDOW_UPDATE of 0 on a stream."""
    with client.open("Record") as stream:
        client.connection.send_frame(FrameType.WINDOW_UPDATE, bytes(4), stream_id=stream.stream_id)
        stream.data(framed(Point("plain", 1)), end_stream=True)
        await_outcome(stream)


def omit_method(client: WireClient) -> None:
    """Send a request without :method."""
    await_outcome(send_record(client, client.request_headers("Record").without(":method")))


@requirement("ROBUST-18", observed_by=("duplex",))
def test_an_http2_stream_error_does_not_affect_other_calls(grpcstream_wire: WireClient) -> None:
    faults: dict[str, Fault] = {
        "DATA after END_STREAM": send_data_after_end_stream,
        "WINDOW_UPDATE of 0": send_window_update_of_0,
        "no :method": omit_method,
    }

    def check(client: WireClient, fault: Fault) -> None:
        try:
            other_call_survives(client, fault)
        except Mismatch as found:
            # RFC 9113, section 5.4.1: a server may treat any stream error as a connection error.
            raise Deviation(found.expected, found.actual, found.stream) from found

    each(grpcstream_wire, faults, check)


@requirement("ROBUST-18", observed_by=("duplex",))
def test_a_last_request_that_is_not_protobuf_does_not_affect_other_calls(grpcstream_wire: WireClient) -> None:
    def fault(client: WireClient) -> None:
        await_outcome(send_record(client, data=framed(b"\x0a\xff\xff\xff\xff\xff")))

    try:
        other_call_survives(grpcstream_wire, fault)
    except Mismatch as found:
        # A server may find the fault while it handles the half-close. grpc-java then answers twice, in a race, and its
        # HTTP/2 layer ends the connection, which the author of a service cannot fix.
        raise Deviation(found.expected, found.actual, found.stream) from found
