"""Number of requests: a List has exactly one."""

from __future__ import annotations

import pytest

from pytest_grpcstream import STREAM_SERVICE, Code, Deviation, OperationTimeout, Point, verify
from pytest_grpcstream.clients.wire import Chunking, WireClient, WireStream, chunking

requirement = pytest.mark.grpcstream_requirement


def expect_cardinality_error(stream: WireStream) -> None:
    """The RPC ends with UNIMPLEMENTED, INTERNAL or UNKNOWN; any other error is a warning."""
    usual = (Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNKNOWN)
    unusual: dict[Code, str] = {
        code: "an error, but usual are UNIMPLEMENTED, INTERNAL and UNKNOWN"
        for code in Code
        if code not in (Code.OK, *usual)
    }
    verify.status(stream, Code.UNIMPLEMENTED, allowed=usual[1:], tolerated=unusual)


@requirement("CARD-1")
def test_a_list_without_a_request_is_an_error(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("List") as stream:
        stream.close_send()
        try:
            stream.end()
        except OperationTimeout as error:
            # Only a warning: gRPC clients never send this, so no application hangs.
            raise Deviation("an error", error.actual, stream) from error
        expect_cardinality_error(stream)


@requirement("CARD-2", observed_by=("list",))
@pytest.mark.parametrize("cut", [chunking.one_each, chunking.joined], ids=["two frames", "one frame"])
def test_a_list_with_two_requests_is_an_error(grpcstream_wire: WireClient, cut: Chunking) -> None:
    with grpcstream_wire.open("List") as stream:
        stream.send_together([Point("first", 1), Point("second", 50)], cut, end_stream=True)
        points = stream.collect()
        if stream.status is not None and stream.status.ok:
            verify.same(
                stream,
                points,
                STREAM_SERVICE.list_responses(Point("first", 1), len(points)),
                "responses to the first request",
            )
            raise Deviation("an error", "OK, and the server ignored the second request", stream)
        expect_cardinality_error(stream)
