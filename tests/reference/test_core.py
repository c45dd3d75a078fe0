"""The core of the contract: what every StreamService does."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from pytest_grpcstream.messages import StreamPoint, StreamRequest

from .harness import Requests, Stub, drain, point, request, serving, status_of

LARGEST = 2**31 - 1
NAMES = ["", "a", "gRPC Stream Client: List", "\x00\n\u202e", "naïve \U0001f642 e\u0301", "x" * 65_536]
OK = (grpc.StatusCode.OK, "")
NO_POINT = (grpc.StatusCode.INVALID_ARGUMENT, "a request must have a pt, and this one has none")


@pytest.mark.parametrize("value", [0, 1, -1, -4, 1234, LARGEST - 6, -(2**31)])
def test_list_counts_up_from_the_value_of_the_request(stub: Stub, value: int) -> None:
    """List sends seven responses; the first has the value of the request."""
    call = stub.list("count", value)
    assert drain(call) == [("count", value + number) for number in range(7)]
    assert status_of(call) == OK


def test_list_wraps_at_two_to_the_31(stub: Stub) -> None:
    """The smallest int32 follows the largest."""
    values = [value for _, value in drain(stub.list("wrap", LARGEST - 2))]
    assert values == [LARGEST - 2, LARGEST - 1, LARGEST, -LARGEST - 1, -LARGEST, -LARGEST + 1, -LARGEST + 2]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_list_returns_the_name_of_the_request(stub: Stub, name: str) -> None:
    """A name may be any text, and is returned unchanged."""
    assert {returned for returned, _ in drain(stub.list(name))} == {name}


def test_list_without_a_request_violates_the_cardinality(stub: Stub) -> None:
    """A List that is half-closed before its request ends with UNIMPLEMENTED, and does not hang."""
    call = stub.list_of_stream([])
    assert drain(call) == []
    assert call.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_record_answers_any_number_of_requests_once(stub: Stub, count: int) -> None:
    """Record sends the same single response, whatever the requests were."""
    call = stub.record([request("any", number) for number in range(count)])
    assert point(call.result()) == ("gRPC Stream Server: Record", 1)
    assert status_of(call) == OK


def test_record_does_not_answer_before_the_half_close(stub: Stub) -> None:
    """Record waits for the half-close, however many requests it has read."""
    requests = Requests()
    call = stub.record(requests)
    for number in range(3):
        requests.send("more", number)
    with pytest.raises(grpc.FutureTimeoutError):
        call.result(timeout=0.2)
    requests.half_close()
    assert point(call.result()) == ("gRPC Stream Server: Record", 1)


def test_route_answers_each_request_as_it_is_read(stub: Stub) -> None:
    """No response of Route waits for another request or for the half-close."""
    requests = Requests()
    call = stub.route(requests)
    for number in range(20):
        requests.send("ping", -number)
        assert point(next(call)) == ("gRPC Stream Server: Route", number)
    requests.half_close()
    assert drain(call) == []
    assert status_of(call) == OK


def test_half_close_does_not_drop_responses(stub: Stub) -> None:
    """Requests sent before the half-close are answered, even after the half-close has arrived."""
    call = stub.route([request("burst")] * 500)
    assert [value for _, value in drain(call)] == list(range(500))
    assert status_of(call) == OK


def test_route_without_requests_ends_with_ok(stub: Stub) -> None:
    """A Route that is half-closed at once has no responses."""
    call = stub.route([])
    assert drain(call) == []
    assert status_of(call) == OK


def test_route_counts_per_stream(stub: Stub) -> None:
    """The counter belongs to the stream, not to the server."""
    streams = [(requests := Requests(), stub.route(requests)) for _ in range(3)]
    for number in range(3):
        for requests, call in streams:
            requests.send("mine")
            assert next(call).pt.value == number
    for requests, call in streams:
        requests.half_close()
        assert drain(call) == []


def test_list_refuses_a_request_without_a_point(stub: Stub) -> None:
    """List ends with INVALID_ARGUMENT, and the server still serves."""
    call = stub.send_list(StreamRequest())
    assert drain(call) == []
    assert status_of(call) == NO_POINT
    assert stub.works()


def test_record_refuses_a_request_without_a_point(stub: Stub) -> None:
    """Record ends with INVALID_ARGUMENT before the half-close, and the server still serves."""
    requests = Requests()
    call = stub.record(requests)
    requests.send("good")
    requests.put(StreamRequest())
    assert status_of(call) == NO_POINT
    assert stub.works()
    requests.half_close()


def test_route_refuses_a_request_without_a_point(stub: Stub) -> None:
    """Route answers earlier requests, then ends with INVALID_ARGUMENT, and the server still serves."""
    requests = Requests()
    call = stub.route(requests)
    requests.send("good")
    requests.put(StreamRequest())
    assert drain(call) == [("gRPC Stream Server: Route", 0)]
    assert status_of(call) == NO_POINT
    assert stub.works()
    requests.half_close()


def test_empty_point_is_a_point(stub: Stub) -> None:
    """A point whose fields have their defaults does not count as missing."""
    empty = StreamRequest(pt=StreamPoint())
    assert drain(stub.send_list(empty)) == [("", number) for number in range(7)]
    assert point(stub.record([empty]).result()) == ("gRPC Stream Server: Record", 1)
    assert len(drain(stub.route([empty, empty]))) == 2


def test_messages_may_have_up_to_four_mebibytes(stub: Stub) -> None:
    """A request of exactly 4 MiB is served; a larger one ends its RPC with RESOURCE_EXHAUSTED."""
    limit = 4 * 2**20
    fitting = request("x" * (limit - 10))
    assert fitting.ByteSize() == limit
    assert point(stub.record([fitting] * 2).result()) == ("gRPC Stream Server: Record", 1)
    call = stub.record([request("small"), request("x" * (limit - 9))])
    assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.works()


def test_garbage_ends_one_rpc_only(flavour: str, connect: Callable[[str], Stub]) -> None:
    """Grpcio refuses a request that is not a message; the server still serves, and can be stopped."""
    refusals = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}  # of grpc.server and grpc.aio
    with serving(flavour) as served:  # leaving it stops the server
        stub = connect(served.address)
        for method in ("List", "Record", "Route"):
            for _ in range(20):
                call = stub.send_bytes(method, [b"\x0a\xff\xff\xff\xff\x0f"])
                assert drain(call) == []
                assert call.code() in refusals
        assert stub.works()


def test_five_hundred_streams_are_open_at_once(stub: Stub) -> None:
    """Each stream is answered while all others are open."""
    streams = [(requests := Requests(), stub.route(requests)) for _ in range(500)]
    for requests, _ in streams:
        requests.send("all")
    for _, call in streams:
        assert next(call).pt.value == 0
    for requests, call in streams:
        requests.half_close()
        assert drain(call) == []
        assert status_of(call) == OK
