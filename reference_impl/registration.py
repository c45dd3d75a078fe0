"""Registration of the reference implementation at a server, without generated code."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from pytest_grpcstream.messages import DESCRIPTOR, StreamRequest, StreamResponse

from .aio import AioStreamService
from .sync import StreamService

SERVICE = DESCRIPTOR.services_by_name["StreamService"].full_name


def add_to_server(servicer: StreamService | AioStreamService, server: grpc.Server | grpc.aio.Server) -> None:
    """Register a servicer: a StreamService at a ``grpc.Server``, an AioStreamService at a ``grpc.aio.Server``."""
    coders: Any = {
        "request_deserializer": StreamRequest.FromString,
        "response_serializer": StreamResponse.SerializeToString,
    }
    if isinstance(servicer, AioStreamService):
        # To grpc.aio a List without a request is an RPC to forget, which leaves the client without a status. As a
        # stream it reaches the servicer, which ends it as a violation of the request's cardinality.
        list_handler = grpc.stream_stream_rpc_method_handler(servicer.list_of_stream, **coders)
    else:
        list_handler = grpc.unary_stream_rpc_method_handler(servicer.List, **coders)
    handlers = {
        "List": list_handler,
        "Record": grpc.stream_unary_rpc_method_handler(servicer.Record, **coders),
        "Route": grpc.stream_stream_rpc_method_handler(servicer.Route, **coders),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def serve(server: grpc.Server) -> None:
    """Register the reference at a server with threads; a launcher finds it by its name."""
    add_to_server(StreamService(), server)


async def serve_aio(server: grpc.aio.Server) -> None:
    """Register the reference at an asyncio server; a launcher finds it by its name."""
    add_to_server(AioStreamService(), server)
