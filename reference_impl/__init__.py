"""The reference implementation of StreamService, with every directive of the contract, on grpcio.

``StreamService`` is served by ``grpc.server``, ``AioStreamService`` by ``grpc.aio.server``. As programs,
``python -m pytest_grpcstream.reference_impl`` is the server, and ``python -m pytest_grpcstream.reference_impl.client``
the classic client.
"""

from __future__ import annotations

from .aio import AioStreamService
from .registration import add_to_server, serve, serve_aio
from .sync import StreamService

__all__ = ["AioStreamService", "StreamService", "add_to_server", "serve", "serve_aio"]
