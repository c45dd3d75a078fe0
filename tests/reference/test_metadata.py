"""The metadata feature: the server sends two keys of the request back, whatever the status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from pytest_grpcstream.messages import StreamRequest

from .harness import Requests, Stub, drain, request

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"
SENT = (
    (INITIAL, "first, with a comma"),
    (TRAILING, b"\xab\xab\xab"),
    ("x-other", "not echoed"),
    (INITIAL, ""),
    (TRAILING, b""),
    (INITIAL, "last"),
    (TRAILING, bytes(range(256))),
)

ENDS: dict[str, tuple[grpc.StatusCode, Callable[[], StreamRequest]]] = {
    "ok": (grpc.StatusCode.OK, lambda: request("ordinary")),
    "finish": (grpc.StatusCode.OK, lambda: request("!finish")),
    "abort": (grpc.StatusCode.DATA_LOSS, lambda: request("!abort 0 gone", 15)),
    "bad directive": (grpc.StatusCode.INVALID_ARGUMENT, lambda: request("!sleep")),
    "no point": (grpc.StatusCode.INVALID_ARGUMENT, StreamRequest),
}


def of_key(metadata: Any, key: str) -> list[str | bytes]:
    """Return the values of a key in order."""
    return [value for found, value in metadata if found == key]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_metadata_is_echoed_with_every_status(stub: Stub, method: str, end: str) -> None:
    """Repeated keys keep all their values in order; initial and trailing metadata are not mixed."""
    code, make_request = ENDS[end]
    if method == "List":
        call = stub.send_list(make_request(), metadata=SENT)
        drain(call)
    elif method == "Record":
        call = stub.record([make_request()], metadata=SENT)
    else:
        call = stub.route([make_request()], metadata=SENT)
        drain(call)
    assert call.code() is code
    assert of_key(call.initial_metadata(), INITIAL) == ["first, with a comma", "", "last"]
    assert of_key(call.initial_metadata(), TRAILING) == []
    assert of_key(call.trailing_metadata(), TRAILING) == [b"\xab\xab\xab", b"", bytes(range(256))]
    assert of_key(call.trailing_metadata(), INITIAL) == []
    assert of_key((*call.initial_metadata(), *call.trailing_metadata()), "x-other") == []


def test_headers_of_a_watched_list_have_the_metadata(stub: Stub) -> None:
    """Headers that are sent at once contain the echoed metadata."""
    call = stub.list("!watch headers", metadata=SENT)
    assert of_key(call.initial_metadata(), INITIAL) == ["first, with a comma", "", "last"]
    call.cancel()


def test_metadata_belongs_to_one_call(stub: Stub) -> None:
    """Concurrent calls get their own values, and a call without the keys gets none."""
    values = [str(number) for number in range(20)]
    streams = [
        (requests := Requests(), stub.route(requests, metadata=((INITIAL, value), (TRAILING, value.encode()))))
        for value in values
    ]
    silent = stub.route([])
    for requests, _ in reversed(streams):
        requests.half_close()
    for value, (_, call) in zip(values, streams, strict=True):
        assert drain(call) == []
        assert of_key(call.initial_metadata(), INITIAL) == [value]
        assert of_key(call.trailing_metadata(), TRAILING) == [value.encode()]
    assert drain(silent) == []
    assert of_key((*silent.initial_metadata(), *silent.trailing_metadata()), INITIAL) == []
    assert of_key((*silent.initial_metadata(), *silent.trailing_metadata()), TRAILING) == []
