"""StreamService for ``grpc.aio.server``: each RPC runs in its own task."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from pytest_grpcstream.messages import StreamRequest, StreamResponse

from . import semantics
from .metadata import echoed_initial, echoed_trailing
from .semantics import Mark, Receive, Send, SendHeaders, StatusError, Wait
from .watches import TOKENS_PER_RPC, Watches

_Context = grpc.aio.ServicerContext[Any, Any]


class AioStreamService:
    """The reference StreamService with coroutine methods, which read and write through their context.

    If ``log`` is given, it is called with each request that was read.
    """

    def __init__(self, log: Callable[[StreamRequest], object] | None = None) -> None:
        self._log = log
        self._watches = Watches()

    async def List(self, request: StreamRequest, context: _Context) -> None:
        """Send the responses to one request."""
        requests = iter((request,))

        async def read() -> StreamRequest | None:
            return next(requests, None)

        await self._run(semantics.list_points(self._watches), read, context.write, context)

    async def list_of_stream(self, _requests: AsyncIterator[StreamRequest], context: _Context) -> None:
        """List, registered with a stream of requests, of which only the first is read."""
        await self._run(semantics.list_points(self._watches), lambda: _read(context), context.write, context)

    async def Record(self, _requests: AsyncIterator[StreamRequest], context: _Context) -> StreamResponse:
        """Read the requests and return the one response."""
        responses: list[StreamResponse] = []

        async def keep(response: StreamResponse) -> None:
            responses.append(response)

        await self._run(semantics.record(), lambda: _read(context), keep, context)
        return responses[0]

    async def Route(self, _requests: AsyncIterator[StreamRequest], context: _Context) -> None:
        """Answer each request when it is read."""
        await self._run(semantics.route(), lambda: _read(context), context.write, context)

    async def _run(
        self,
        rpc: semantics.Rpc,
        read: Callable[[], Awaitable[StreamRequest | None]],
        write: Callable[[StreamResponse], Awaitable[None]],
        context: _Context,
    ) -> None:
        """Do what the RPC yields until it ends; raises asyncio.CancelledError if the client ended it."""
        tokens: deque[str] = deque(maxlen=TOKENS_PER_RPC)
        try:
            await self._follow(rpc, read, write, context, tokens)
        except StatusError as error:
            await context.abort(error.code, error.message)
        except asyncio.CancelledError:
            self._watches.record(tokens)
            raise
        except grpc.aio.InternalError as error:
            # A response cannot be sent, because the RPC was cancelled; its task is about to be cancelled too.
            self._watches.record(tokens)
            raise asyncio.CancelledError from error

    async def _follow(
        self,
        rpc: semantics.Rpc,
        read: Callable[[], Awaitable[StreamRequest | None]],
        write: Callable[[StreamResponse], Awaitable[None]],
        context: _Context,
        tokens: deque[str],
    ) -> None:
        received: StreamRequest | None = None
        metadata = tuple(context.invocation_metadata() or ())
        context.set_trailing_metadata(echoed_trailing(metadata))
        initial = echoed_initial(metadata)
        if initial:
            await context.send_initial_metadata(initial)
        while True:
            try:
                effect = rpc.send(received)
            except StopIteration:
                return
            received = None
            match effect:
                case Receive():
                    received = await read()
                    if received is not None and self._log is not None:
                        self._log(received)
                case Send(response):
                    await write(response)
                case SendHeaders():
                    if not initial:
                        await context.send_initial_metadata(())
                case Wait(None):
                    await asyncio.Event().wait()
                case Wait(float(seconds)):
                    await asyncio.sleep(seconds)
                case Mark(token):
                    tokens.append(token)


async def _read(context: _Context) -> StreamRequest | None:
    """Return the next request, or None after the half-close; is cancelled if the client cancelled or disconnected."""
    request = await context.read()
    if request is grpc.aio.EOF:
        # When an RPC is cancelled, grpcio ends the stream of requests before it cancels the task. By the time a second
        # read returns, the task is cancelled, unless the client has really half-closed.
        request = await context.read()
    return None if request is grpc.aio.EOF else request
