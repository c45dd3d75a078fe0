"""Correct servers on plain generated code, whose modules must be importable: generate them from proto/stream.proto."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import grpc

from servers.correct import int32


def servicer(name: str) -> object:
    """A servicer of the core on the modules that protoc generates from ``name.proto``, with their message classes."""
    pb2 = importlib.import_module(f"{name}_pb2")
    base: Any = importlib.import_module(f"{name}_pb2_grpc").StreamServiceServicer

    def need_point(request: Any, context: grpc.ServicerContext) -> None:
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request has no pt")

    class Generated(base):  # type: ignore[misc] # the base is known only at run time
        """What a user of generated code writes."""

        def List(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            """Count up from the request's value, seven times."""
            need_point(request, context)
            for number in range(7):
                point = pb2.StreamPoint(name=request.pt.name, value=int32(request.pt.value + number))
                yield pb2.StreamResponse(pt=point)

        def Record(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            """Read everything, then answer once."""
            for request in requests:
                need_point(request, context)
            return pb2.StreamResponse(pt=pb2.StreamPoint(name="gRPC Stream Server: Record", value=1))

        def Route(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            """Answer each request when it is read."""
            for number, request in enumerate(requests):
                need_point(request, context)
                yield pb2.StreamResponse(pt=pb2.StreamPoint(name="gRPC Stream Server: Route", value=number))

    return Generated()


def stream() -> object:
    """A servicer on ``stream_pb2``, generated from the original file."""
    return servicer("stream")


def renamed() -> object:
    """A servicer on ``messages_v1_pb2``, generated from the same file under another name."""
    return servicer("messages_v1")
