"""Registers the reference implementation on a server, without generated code."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from pytest_grpcstream.messages import DESCRIPTOR, StreamRequest, StreamResponse

from .aio import AioStreamService
from .sync import StreamService

SERVICE = DESCRIPTOR.services_by_name["StreamService"].full_name


def add_to_server(servicer: StreamService | AioStreamService, server: grpc.Server | grpc.aio.Server) -> None:
    """Register a StreamService on a ``grpc.Server``, or an AioStreamService on a ``grpc.aio.Server``."""
    coders: Any = {
        "request_deserializer": StreamRequest.FromString,
        "response_serializer": StreamResponse.SerializeToString,
    }
    if isinstance(servicer, AioStreamService):
        # grpc.aio drops a List without a request, and the client gets no status. Registered with a stream of requests,
        # the RPC reaches the servicer, which ends it as a violation of the request cardinality.
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
    """Register the reference on a ``grpc.Server``; a launcher finds this function by its name."""
    add_to_server(StreamService(), server)


async def serve_aio(server: grpc.aio.Server) -> None:
    """Register the reference on a ``grpc.aio.Server``; a launcher finds this function by its name."""
    add_to_server(AioStreamService(), server)
