"""Small servicers in every form that a target may have; each says by a name which one it is."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from pytest_grpcstream.targets.serving import register


def response(name: str, value: int = 0) -> StreamResponse:
    """A response with a point."""
    return StreamResponse(pt=StreamPoint(name=name, value=value))


class Plain:
    """Answers a Route by its own name, and has no other method."""

    def __init__(self, name: str = "class") -> None:
        self.name = name

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer each request."""
        for _ in requests:
            yield response(self.name)


class Async:
    """The same, with a method that is an asynchronous generator."""

    async def Route(self, requests: Any, context: Any) -> AsyncIterator[StreamResponse]:
        """Answer each request."""
        async for _ in requests:
            yield response("async class")


class AsyncMethods:
    """The same, with a method that is a coroutine and uses the context to read and write."""

    async def Route(self, requests: Any, context: Any) -> None:
        """Answer each request."""
        while await context.read() is not grpc.aio.EOF:
            await context.write(response("async method"))


class Holder:
    """Holds a servicer, so that it is named by two attributes."""

    Inner = functools.partial(Plain, "attribute of an attribute")


class WithOptionalArguments(Plain):
    """A class whose arguments all have defaults."""

    def __init__(self, name: str = "default", *, verbose: bool = False) -> None:
        super().__init__(f"{name} {verbose}")


instance = Plain("instance")


def factory() -> Plain:
    """A factory without arguments."""
    return Plain("factory")


def function(server: grpc.Server) -> None:
    """Register on a server."""
    register(Plain("function of a server"), server)


async def async_function(server: grpc.aio.Server) -> None:
    """Register on an asynchronous server."""
    await asyncio.sleep(0)
    register(Async(), server)


def static(request: StreamRequest) -> StreamRequest:
    """A function of one argument that does not register anything; what it is given is a server."""
    raise KeyError(type(request).__name__)


def broken() -> Plain:
    """A factory that fails."""
    raise ConnectionError("no database")


def number() -> int:
    """A factory of something that is not a servicer."""
    return 3


class NoMethods:
    """No servicer at all."""


class NeedsArguments(Plain):
    """A class that cannot be made without arguments."""

    def __init__(self, database: str, cache: str) -> None:
        super().__init__(database + cache)
