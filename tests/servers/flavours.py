"""One server in every form that a target can have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import grpc.aio

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.correct import Correct, int32
from servers.variants import Plain

_Context: TypeAlias = "grpc.aio.ServicerContext[StreamRequest, StreamResponse]"

instance = Correct()
"""A servicer instance."""


def factory() -> Correct:
    """Create a servicer."""
    return Correct()


def serve(server: grpc.Server) -> None:
    """Register on a server without generated code, with custom serializers."""
    servicer = Correct()
    to_request = StreamRequest.FromString
    to_bytes = StreamResponse.SerializeToString
    handlers = {
        "List": grpc.unary_stream_rpc_method_handler(servicer.List, to_request, to_bytes),
        "Record": grpc.stream_unary_rpc_method_handler(servicer.Record, to_request, to_bytes),
        "Route": grpc.stream_stream_rpc_method_handler(servicer.Route, to_request, to_bytes),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("proto.StreamService", handlers),))


class Holder:
    """Holds a servicer class: a target may name a nested attribute."""

    class Inner(Plain):
        """A servicer class inside a class."""


class Async:
    """The core of the contract in coroutines."""

    async def List(self, request: StreamRequest, context: _Context) -> AsyncIterator[StreamResponse]:
        """Count up from the request's value, seven times."""
        await _need_point(request, context)
        for number in range(7):
            yield StreamResponse(pt=StreamPoint(name=request.pt.name, value=int32(request.pt.value + number)))

    async def Record(self, requests: AsyncIterator[StreamRequest], context: _Context) -> StreamResponse:
        """Read everything, then answer once."""
        async for request in requests:
            await _need_point(request, context)
        return StreamResponse(pt=StreamPoint(name="gRPC Stream Server: Record", value=1))

    async def Route(self, requests: AsyncIterator[StreamRequest], context: _Context) -> AsyncIterator[StreamResponse]:
        """Answer each request when it is read."""
        sent = 0
        async for request in requests:
            await _need_point(request, context)
            yield StreamResponse(pt=StreamPoint(name="gRPC Stream Server: Route", value=sent))
            sent += 1


async def _need_point(request: StreamRequest, context: _Context) -> None:
    if not request.HasField("pt"):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request has no pt")
