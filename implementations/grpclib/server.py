"""StreamService on grpclib: ``python server.py --port 50051`` serves it on the loopback interface."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from grpclib import GRPCError, Status
from grpclib.server import Server, Stream
from grpclib.utils import graceful_exit
from stream_grpc import StreamServiceBase
from stream_pb2 import StreamPoint, StreamRequest, StreamResponse

LIST_RESPONSES = 7
RECORD_NAME = "gRPC Stream Server: Record"
ROUTE_NAME = "gRPC Stream Server: Route"
INITIAL_KEY = "x-grpc-test-echo-initial"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"

RpcStream: TypeAlias = Stream[StreamRequest, StreamResponse]
Tokens: TypeAlias = set[str]
Method: TypeAlias = Callable[[RpcStream, Tokens], Awaitable[None]]


class StreamService(StreamServiceBase):
    """The whole contract: the core and every directive."""

    def __init__(self) -> None:
        self._gone: Tokens = set()

    async def List(self, stream: RpcStream) -> None:
        """Answer one request with responses that count up from its value."""
        await self._serve(stream, self._list)

    async def Record(self, stream: RpcStream) -> None:
        """Read requests up to the half-close and answer once."""
        await self._serve(stream, self._record)

    async def Route(self, stream: RpcStream) -> None:
        """Answer each request as soon as it is read."""
        await self._serve(stream, self._route)

    async def _serve(self, stream: RpcStream, method: Method) -> None:
        """Run a method, echo its metadata, and notice if the client goes away."""
        assert stream.metadata is not None  # noqa: S101 - grpclib has set it
        initial = [(INITIAL_KEY, value) for value in stream.metadata.getall(INITIAL_KEY, [])]
        trailing = [(TRAILING_KEY, value) for value in stream.metadata.getall(TRAILING_KEY, [])]
        tokens: Tokens = set()
        status, message = Status.OK, None
        try:
            if initial:
                # At once, because grpclib answers an error with a trailers-only response.
                await stream.send_initial_metadata(metadata=initial)
            await method(stream, tokens)
        except GRPCError as error:
            status, message = error.status, error.message
        except asyncio.CancelledError:
            # grpclib raises these on a reset, on a lost connection, and when the deadline has passed.
            self._gone |= tokens
            raise
        await stream.send_trailing_metadata(status=status, status_message=message, metadata=trailing)

    async def _list(self, stream: RpcStream, tokens: Tokens) -> None:
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.UNIMPLEMENTED, "List takes exactly one request")
        point = point_of(request)
        word, _, rest = point.name.partition(" ")
        first, count, end = point.value, LIST_RESPONSES, None
        match word:
            case "!abort":
                count, end = abort(rest, point.value)
                first = 0
            case "!finish":
                count = 0
            case "!repeat":
                count = number(rest)
            case "!sleep":
                await asyncio.sleep(number(rest) / 1000)
            case "!watch":
                tokens.add(rest)
                # Headers with metadata were sent already.
                if INITIAL_KEY not in (stream.metadata or ()):
                    await stream.send_initial_metadata()
                await asyncio.Event().wait()
            case "!cancelled":
                first, count = int(rest in self._gone), 1
        for k in range(count):
            await stream.send_message(response(point.name, first + k))
        if end is not None:
            raise end

    async def _record(self, stream: RpcStream, tokens: Tokens) -> None:
        received = 0
        texts: list[str] = []
        echo = False
        async for request in stream:
            point = point_of(request)
            received += 1
            word, _, rest = point.name.partition(" ")
            match word:
                case "!abort":
                    raise abort(rest, point.value)[1]
                case "!finish":
                    break
                case "!echo":
                    echo = True
                    texts.append(rest)
                case "!sleep":
                    await asyncio.sleep(number(rest) / 1000)
                case "!watch":
                    tokens.add(rest)
                case _:
                    texts.append(point.name)
        await stream.send_message(response(",".join(texts), received) if echo else response(RECORD_NAME, 1))

    async def _route(self, stream: RpcStream, tokens: Tokens) -> None:
        sent = 0
        async for request in stream:
            point = point_of(request)
            word, _, rest = point.name.partition(" ")
            name, first, count = ROUTE_NAME, sent, 1
            match word:
                case "!abort":
                    raise abort(rest, point.value)[1]
                case "!finish":
                    return
                case "!repeat":
                    name, first, count = point.name, point.value, number(rest)
                case "!echo":
                    name, first = point.name, point.value
                case "!sleep":
                    await asyncio.sleep(number(rest) / 1000)
                case "!watch":
                    tokens.add(rest)
            for k in range(count):
                await stream.send_message(response(name, first + k))
                sent += 1


def point_of(request: StreamRequest) -> StreamPoint:
    """Return the request's ``pt``; raises GRPCError if it has none."""
    if not request.HasField("pt"):
        raise GRPCError(Status.INVALID_ARGUMENT, "a request must have a pt")
    return request.pt


def number(rest: str) -> int:
    """Return the number at the start of a directive's rest; raises GRPCError if there is none."""
    first, _, _ = rest.partition(" ")
    if not (first.isascii() and first.isdigit() and len(first) <= 9):
        raise GRPCError(Status.INVALID_ARGUMENT, f"a number of at most 9 digits is needed, not {first[:40]!r}")
    return int(first)


def abort(rest: str, code: int) -> tuple[int, GRPCError]:
    """Parse ``K TEXT`` of ``!abort K TEXT``; raises GRPCError if it is malformed."""
    count = number(rest)
    if not 1 <= code <= 16:
        raise GRPCError(Status.INVALID_ARGUMENT, f"!abort takes a status code from 1 to 16, not {code}")
    return count, GRPCError(Status(code), rest.partition(" ")[2])


def response(name: str, value: int) -> StreamResponse:
    """Return a response whose value is wrapped around to int32."""
    return StreamResponse(pt=StreamPoint(name=name, value=(value + 2**31) % 2**32 - 2**31))


async def serve(port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    server = Server([StreamService()])
    with graceful_exit([server]):
        await server.start("127.0.0.1", port)
        await server.wait_closed()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve StreamService on the loopback interface")
    parser.add_argument("--port", type=int, default=50051, help="Port to listen on")
    asyncio.run(serve(parser.parse_args().port))
