"""A StreamService on two independent gRPC stacks, grpcio and grpclib, controlled by its requests.

List answers ``pt{name, value}`` with ``value`` responses of that name, numbered from 0; a negative value makes it end
with that status code after one response, the name as its message. Record answers with the number of requests and the
length of all names. Route echoes the name of each request, numbered from 0. The metadata ``x-initial`` and
``x-trailing-bin`` comes back; ``x-compress: gzip`` makes grpcio compress its responses.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import grpclib.const
import grpclib.server
from grpclib.events import RecvRequest, listen

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

_SERVICE = "proto.StreamService"


def response(name: str, value: int) -> StreamResponse:
    """A response with a point."""
    return StreamResponse(pt=StreamPoint(name=name, value=value))


class _Grpcio:
    def List(self, request: StreamRequest, context: Any) -> Iterator[StreamResponse]:
        _echo(context)
        if request.pt.value < 0:
            yield response(request.pt.name, 0)
            context.abort(_code(-request.pt.value), request.pt.name)
        for number in range(request.pt.value):
            yield response(request.pt.name, number)

    def Record(self, requests: Iterator[StreamRequest], context: Any) -> StreamResponse:
        _echo(context)
        names = [request.pt.name for request in requests]
        return response(str(sum(map(len, names))), len(names))

    def Route(self, requests: Iterator[StreamRequest], context: Any) -> Iterator[StreamResponse]:
        _echo(context)
        for number, request in enumerate(requests):
            yield response(request.pt.name, number)


def _code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def _echo(context: Any) -> None:
    metadata = list(context.invocation_metadata())
    if ("x-compress", "gzip") in metadata:
        context.set_compression(grpc.Compression.Gzip)
    context.send_initial_metadata([(key, value) for key, value in metadata if key == "x-initial"])
    context.set_trailing_metadata([(key, value) for key, value in metadata if key == "x-trailing-bin"])


@contextlib.contextmanager
def grpcio_server(
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    threads: int = 64,
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] | None = None,
) -> Iterator[str]:
    """The service, or one with other methods, on grpcio; yields its address."""
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    service = _Grpcio()
    decode, encode = StreamRequest.FromString, StreamResponse.SerializeToString
    methods: dict[str, Any] = handlers or {
        "List": grpc.unary_stream_rpc_method_handler(service.List, decode, encode),
        "Record": grpc.stream_unary_rpc_method_handler(service.Record, decode, encode),
        "Route": grpc.stream_stream_rpc_method_handler(service.Route, decode, encode),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
    finally:
        server.stop(0).wait()


class _Grpclib:
    async def list(self, stream: grpclib.server.Stream[StreamRequest, StreamResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.pt.value < 0:
            await stream.send_message(response(request.pt.name, 0))
            raise grpclib.GRPCError(grpclib.const.Status(-request.pt.value), request.pt.name)
        for number in range(request.pt.value):
            await stream.send_message(response(request.pt.name, number))

    async def record(self, stream: grpclib.server.Stream[StreamRequest, StreamResponse]) -> None:
        names = [request.pt.name async for request in stream]
        await stream.send_message(response(str(sum(map(len, names))), len(names)))

    async def route(self, stream: grpclib.server.Stream[StreamRequest, StreamResponse]) -> None:
        number = 0
        async for request in stream:
            await stream.send_message(response(request.pt.name, number))
            number += 1

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        kinds = grpclib.const.Cardinality
        return {
            f"/{_SERVICE}/{name}": grpclib.const.Handler(function, kind, StreamRequest, StreamResponse)
            for name, function, kind in (
                ("List", self.list, kinds.UNARY_STREAM),
                ("Record", self.record, kinds.STREAM_UNARY),
                ("Route", self.route, kinds.STREAM_STREAM),
            )
        }


async def _echo_grpclib(event: RecvRequest) -> None:
    method = event.method_func

    async def echoing(stream: Any) -> None:
        metadata = list(stream.metadata.items())
        await stream.send_initial_metadata(metadata=[pair for pair in metadata if pair[0] == "x-initial"])
        await method(stream)
        trailing = [pair for pair in metadata if pair[0] == "x-trailing-bin"]
        await stream.send_trailing_metadata(metadata=trailing)

    event.method_func = echoing


@contextlib.contextmanager
def grpclib_server(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The service on grpclib, in an event loop of its own; yields its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="grpclib-server")
    thread.start()

    async def start() -> tuple[grpclib.server.Server, int]:
        server = grpclib.server.Server([_Grpclib()])
        listen(server, RecvRequest, _echo_grpclib)
        await server.start("127.0.0.1", 0, ssl=context)
        listening: Any = server._server  # asyncio's own server has sockets, its abstract type does not
        return server, listening.sockets[0].getsockname()[1]

    async def stop(server: grpclib.server.Server) -> None:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)  # the transports of the last connections close in turns of the loop after this

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
