"""A registration like that of generated code, for behaviour that grpcio's own method handlers cannot show.

A launcher finds it by the name of the base class, as it finds that of generated code.
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
        """Everything that Record sends: one response."""
        yield self.Record(requests, context)

    def other_methods(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Additional handlers beside those of the service: none."""
        return ()

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request."""
        return StreamRequest.FromString(message)


def add_StreamServiceServicer_to_server(servicer: StreamServiceServicer, server: grpc.Server) -> None:
    """Register a servicer, with Record as a bidirectional stream."""

    def to_bytes(response: StreamResponse) -> bytes:
        return response.SerializeToString()

    handlers = {
        "List": grpc.unary_stream_rpc_method_handler(servicer.List, servicer.parse, to_bytes),
        "Record": grpc.stream_stream_rpc_method_handler(servicer.record_responses, servicer.parse, to_bytes),
        "Route": grpc.stream_stream_rpc_method_handler(servicer.Route, servicer.parse, to_bytes),
    }
    service = grpc.method_handlers_generic_handler("proto.StreamService", handlers)
    server.add_generic_rpc_handlers((service, *servicer.other_methods()))
