"""StreamService on connectrpc and Hypercorn: ``python server.py --port 50051`` serves it on the loopback interface."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from gen.stream_connect import StreamServiceASGIApplication
from gen.stream_pb import StreamPoint, StreamRequest, StreamResponse
from hypercorn.asyncio import serve
from hypercorn.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectrpc.request import RequestContext

LIST_RESPONSES = 7
RECORD_NAME = "gRPC Stream Server: Record"
ROUTE_NAME = "gRPC Stream Server: Route"
INITIAL_KEY = "x-grpc-test-echo-initial"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
CODES = tuple(Code)  # in the order of gRPC's codes, starting at CANCELED = 1

Context: TypeAlias = "RequestContext[StreamRequest, StreamResponse]"
Tokens: TypeAlias = set[str]


class StreamService:
    """The whole contract: the core and every directive."""

    def __init__(self) -> None:
        self._gone: Tokens = set()

    async def list(self, request: StreamRequest, ctx: Context) -> AsyncGenerator[StreamResponse]:
        """Answer one request with responses that count up from its value."""
        with self._watched(ctx) as tokens:
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
                    # Its headers wait: connectrpc sends them with the first response.
                    tokens.add(rest)
                    await asyncio.Event().wait()
                case "!cancelled":
                    first, count = int(rest in self._gone), 1
            for k in range(count):
                yield response(point.name, first + k)
            if end is not None:
                raise end

    async def record(self, requests: AsyncIterator[StreamRequest], ctx: Context) -> StreamResponse:
        """Read requests up to the half-close and answer once."""
        with self._watched(ctx) as tokens:
            received = 0
            texts: list[str] = []
            echo = False
            async for request in requests:
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
            return response(",".join(texts), received) if echo else response(RECORD_NAME, 1)

    async def route(self, requests: AsyncIterator[StreamRequest], ctx: Context) -> AsyncGenerator[StreamResponse]:
        """Answer each request as soon as it is read."""
        with self._watched(ctx) as tokens:
            sent = 0
            async for request in requests:
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
                    yield response(name, first + k)
                    sent += 1

    @contextmanager
    def _watched(self, ctx: Context) -> Iterator[Tokens]:
        """Echo an RPC's metadata, and notice if the client goes away."""
        for value in ctx.request_headers.getall(INITIAL_KEY):
            ctx.response_headers.add(INITIAL_KEY, value)
        for value in ctx.request_headers.getall(TRAILING_KEY):
            ctx.response_trailers.add(TRAILING_KEY, value)
        tokens: Tokens = set()
        try:
            yield tokens
        except (asyncio.CancelledError, GeneratorExit):
            # Raised in a method that waits or sends, also at its deadline.
            self._gone |= tokens
            raise
        except ConnectError as error:
            # Raised in a method that reads. A status that the method chose itself may have the same code.
            if error.code is Code.CANCELED and not isinstance(error, Refusal):
                self._gone |= tokens
            raise


class Refusal(ConnectError):
    """A status that a method chose itself."""


def point_of(request: StreamRequest) -> StreamPoint:
    """Return the request's ``pt``; raises Refusal if it has none."""
    if request.pt is None:
        raise Refusal(Code.INVALID_ARGUMENT, "a request must have a pt")
    return request.pt


def number(rest: str) -> int:
    """Return the number at the start of a directive's rest; raises Refusal if there is none."""
    first, _, _ = rest.partition(" ")
    if not (first.isascii() and first.isdigit() and len(first) <= 9):
        raise Refusal(Code.INVALID_ARGUMENT, f"a number of at most 9 digits is needed, not {first[:40]!r}")
    return int(first)


def abort(rest: str, code: int) -> tuple[int, Refusal]:
    """Parse ``K TEXT`` of ``!abort K TEXT``; raises Refusal if it is malformed."""
    count = number(rest)
    if not 1 <= code <= len(CODES):
        raise Refusal(Code.INVALID_ARGUMENT, f"!abort takes a status code from 1 to 16, not {code}")
    return count, Refusal(CODES[code - 1], rest.partition(" ")[2])


def response(name: str, value: int) -> StreamResponse:
    """Return a response whose value is wrapped around to int32."""
    return StreamResponse(pt=StreamPoint(name=name, value=(value + 2**31) % 2**32 - 2**31))


async def main(port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 1.0
    config.h2_max_concurrent_streams = 1000
    await serve(StreamServiceASGIApplication(StreamService()), config, shutdown_trigger=stopping.wait)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve StreamService on the loopback interface")
    parser.add_argument("--port", type=int, default=50051, help="Port to listen on")
    asyncio.run(main(parser.parse_args().port))
