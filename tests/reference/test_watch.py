"""Watched RPCs: the server knows whose client cancelled or disconnected, and releases them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import pytest
from pytest_grpcstream.reference_impl.watches import Watches

from pytest_grpcstream.messages import StreamRequest

from .harness import Requests, Served, Stub, drain, fresh_token, request, serving

MANY = 40


class Opened(NamedTuple):
    """An RPC that the server has marked and keeps open."""

    call: Any
    requests: Requests


def open_list(served: Served, stub: Stub, token: str, **options: Any) -> Opened:
    """Open a List that the server keeps open."""
    call = stub.list(f"!watch {token}", **options)
    call.initial_metadata()  # a watched List sends it at once
    served.wait_until_read(f"!watch {token}")
    return Opened(call, Requests())


def open_record(served: Served, stub: Stub, token: str, **options: Any) -> Opened:
    """Open a Record whose server waits for the next request."""
    requests = Requests()
    requests.send(f"!watch {token}")
    call = stub.record(requests, **options)
    served.wait_until_read(f"!watch {token}")
    return Opened(call, requests)


def open_route(served: Served, stub: Stub, token: str, **options: Any) -> Opened:
    """Open a Route whose server waits for the next request."""
    requests = Requests()
    requests.send(f"!watch {token}")
    call = stub.route(requests, **options)
    served.wait_until_read(f"!watch {token}")
    assert next(call).pt.value == 0
    return Opened(call, requests)


OPENERS = [open_list, open_record, open_route]
open_watched = pytest.mark.parametrize("open_rpc", OPENERS, ids=["List", "Record", "Route"])


@open_watched
def test_cancelled_rpc_counts(served: Served, stub: Stub, open_rpc: Callable[..., Opened]) -> None:
    """The server notices every one of many cancelled RPCs, whatever grpcio reports first to the handler."""
    tokens = [fresh_token() for _ in range(MANY)]
    opened = [open_rpc(served, stub, token) for token in tokens]
    assert not any(stub.was_cancelled(token) for token in tokens)
    for rpc in opened:
        rpc.call.cancel()
    for token in tokens:
        stub.wait_until_cancelled(token)
    for rpc in opened:
        rpc.requests.half_close()


@open_watched
def test_expired_deadline_counts(served: Served, stub: Stub, open_rpc: Callable[..., Opened]) -> None:
    """The server notices that the deadline of an RPC expired."""
    token = fresh_token()
    rpc = open_rpc(served, stub, token, timeout=0.3)
    assert rpc.call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    stub.wait_until_cancelled(token)
    rpc.requests.half_close()


@open_watched
def test_lost_connection_counts(
    served: Served, stub: Stub, connect: Callable[[str], Stub], open_rpc: Callable[..., Opened]
) -> None:
    """The server notices that the RPCs of a connection ended with it."""
    tokens = [fresh_token() for _ in range(MANY)]
    other = connect(served.address)
    opened = [open_rpc(served, other, token) for token in tokens]
    other.disconnect()
    for token in tokens:
        stub.wait_until_cancelled(token)
    for rpc in opened:
        rpc.requests.half_close()


def test_watched_list_sends_its_headers_only(stub: Stub) -> None:
    """List stays open until its deadline expires, and sends no response."""
    call = stub.list(f"!watch {fresh_token()}", timeout=0.3)
    assert call.initial_metadata() is not None
    assert drain(call) == []
    assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_cancelled_sleep_counts(served: Served, stub: Stub) -> None:
    """A sleeping handler is woken, on both methods that can be marked before they sleep."""
    for open_rpc in (open_record, open_route):
        token = fresh_token()
        rpc = open_rpc(served, stub, token)
        rpc.requests.send(f"!sleep {60_000 + len(token)}")
        served.wait_until_read(f"!sleep {60_000 + len(token)}")
        rpc.call.cancel()
        stub.wait_until_cancelled(token)
        rpc.requests.half_close()


def test_cancelled_blocked_send_counts(served: Served, stub: Stub) -> None:
    """A handler that is blocked by flow control is released."""
    token = fresh_token()
    rpc = open_route(served, stub, token)
    endless = f"!repeat 1000000 {token}{'x' * 60_000}"
    rpc.requests.send(endless)
    served.wait_until_read(endless)
    assert next(rpc.call).pt.value == 0
    rpc.call.cancel()
    stub.wait_until_cancelled(token)
    rpc.requests.half_close()


@pytest.mark.parametrize("token_count", [2, 200])
def test_rpc_may_have_many_tokens(served: Served, stub: Stub, token_count: int) -> None:
    """The newest tokens of an RPC count; of very many, the oldest are forgotten."""
    tokens = [fresh_token() for _ in range(token_count)]
    rpc = open_route(served, stub, tokens[0])
    for token in tokens[1:]:
        rpc.requests.send(f"!watch {token}")
        next(rpc.call)
    rpc.call.cancel()
    stub.wait_until_cancelled(tokens[-1])
    forgotten = max(0, token_count - 100)
    assert [stub.was_cancelled(token) for token in tokens] == [number >= forgotten for number in range(token_count)]
    rpc.requests.half_close()


ENDS: dict[str, Callable[[Requests], None]] = {
    "half-close": lambda requests: requests.half_close(),
    "finish": lambda requests: requests.send("!finish"),
    "abort": lambda requests: requests.send("!abort 0 over", 1),
    "bad directive": lambda requests: requests.send("!sleep"),
    "no point": lambda requests: requests.put(StreamRequest()),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("open_rpc", [open_record, open_route], ids=["Record", "Route"])
def test_rpc_that_the_server_ended_does_not_count(
    served: Served, connect: Callable[[str], Stub], open_rpc: Callable[..., Opened], end: str
) -> None:
    """No status counts, even if the client cancels and disconnects afterwards."""
    client, observer = connect(served.address), connect(served.address)
    ended, witness = [fresh_token() for _ in range(5)], fresh_token()
    for token in ended:
        rpc = open_rpc(served, client, token)
        ENDS[end](rpc.requests)
        drain(rpc.call) if open_rpc is open_route else rpc.call.code()
        assert (rpc.call.code() is grpc.StatusCode.OK) == (end in {"half-close", "finish"})
        rpc.call.cancel()
        rpc.requests.half_close()
    last = open_rpc(served, client, witness)
    client.disconnect()
    observer.wait_until_cancelled(witness)
    assert not any(observer.was_cancelled(token) for token in ended)
    last.requests.half_close()


@pytest.mark.parametrize(
    "abandon",
    [
        lambda stub: stub.list("!watch held"),
        lambda stub: stub.list("!sleep 60000"),
        lambda stub: stub.list(f"!repeat 1000000 {'x' * 60_000}"),
        lambda stub: stub.record([request("!sleep 60000")]),
        lambda stub: stub.route([request("!sleep 60000")]),
        lambda stub: stub.route([request(f"!repeat 1000000 {'x' * 60_000}")]),
    ],
    ids=["List watch", "List sleep", "List blocked", "Record sleep", "Route sleep", "Route blocked"],
)
def test_cancelled_rpc_releases_its_thread(connect: Callable[[str], Stub], abandon: Callable[[Stub], Any]) -> None:
    """A server with two threads still serves after two RPCs were cancelled."""
    with serving("sync", streams=2) as served:
        stub = connect(served.address)
        calls = [abandon(stub) for _ in range(2)]
        assert stub.list("busy", timeout=0.1).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        for call in calls:
            call.cancel()
        assert stub.works()


def test_oldest_tokens_are_forgotten() -> None:
    """The newest tokens are kept; a token that is used again becomes the newest."""
    watches = Watches(capacity=3)
    watches.record(["a", "b", "c"])
    watches.record(["a"])
    watches.record(["d"])
    assert [watches.saw(token) for token in "abcd"] == [True, False, True, True]
