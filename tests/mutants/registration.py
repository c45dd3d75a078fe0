"""A registration like that of generated code, but with more freedom: for what grpcio's own method handlers never do.

A launcher finds it by the name of the base class beside it, as it finds that of generated code.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from mutants.base import Mutant
from pytest_grpcstream.messages import StreamRequest, StreamResponse


class StreamServiceServicer(Mutant):
    """A mutant whose Record may send any number of responses, and which parses requests itself."""

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """All that Record sends: one response."""
        yield self.Record(requests, context)

    def other_methods(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Handlers of RPCs beside those of the service: none."""
        return ()

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes."""
        return StreamRequest.FromString(message)


def add_StreamServiceServicer_to_server(servicer: StreamServiceServicer, server: grpc.Server) -> None:
    """Register a servicer, its Record as if both sides were streams."""

    def to_bytes(response: StreamResponse) -> bytes:
        return response.SerializeToString()

    handlers = {
        "List": grpc.unary_stream_rpc_method_handler(servicer.List, servicer.parse, to_bytes),
        "Record": grpc.stream_stream_rpc_method_handler(servicer.record_responses, servicer.parse, to_bytes),
        "Route": grpc.stream_stream_rpc_method_handler(servicer.Route, servicer.parse, to_bytes),
    }
    service = grpc.method_handlers_generic_handler("proto.StreamService", handlers)
    server.add_generic_rpc_handlers((service, *servicer.other_methods()))
