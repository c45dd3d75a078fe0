"""gRPC health and reflection of the server program: each is served if its package is installed."""

from __future__ import annotations

import grpc
import grpc.aio

from pytest_grpcstream.messages import POOL

from .registration import SERVICE


def add_reflection(server: grpc.Server | grpc.aio.Server) -> None:
    """Let clients such as grpcurl query the definition of the service."""
    try:
        from grpc_reflection.v1alpha import reflection
    except ImportError:  # an optional dependency
        return
    reflection.enable_server_reflection((SERVICE,), server, pool=POOL)


def add_health(server: grpc.Server) -> None:
    """Report SERVING for the server and for its service."""
    try:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    except ImportError:  # an optional dependency
        return
    servicer = health.HealthServicer()
    for name in ("", SERVICE):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


async def add_aio_health(server: grpc.aio.Server) -> None:
    """Report SERVING for the server and for its service."""
    try:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    except ImportError:  # an optional dependency
        return
    servicer = health.aio.HealthServicer()
    for name in ("", SERVICE):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
