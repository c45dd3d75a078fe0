"""Small servicers in every form that a target may have; each answers with the name of its form."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from pytest_grpcstream.targets.servicers import register


def response(name: str, value: int = 0) -> StreamResponse:
    """A response with a point."""
    return StreamResponse(pt=StreamPoint(name=name, value=value))


class Plain:
    """Answers a Route with its own name, and has no other method."""

    def __init__(self, name: str = "class") -> None:
        self.name = name

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer each request."""
        for _ in requests:
            yield response(self.name)


class Async:
    """Like `Plain`, with an asynchronous generator as its method."""

    async def Route(self, requests: Any, context: Any) -> AsyncIterator[StreamResponse]:
        """Answer each request."""
        async for _ in requests:
            yield response("async class")


class AsyncMethods:
    """Like `Plain`, with a coroutine as its method, which reads and writes by the context."""

    async def Route(self, requests: Any, context: Any) -> None:
        """Answer each request."""
        while await context.read() is not grpc.aio.EOF:
            await context.write(response("async method"))


class Holder:
    """Contains a servicer, so that its path has two attributes."""

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
    """A function with one argument that is not a registration; it gets a server all the same."""
    raise KeyError(type(request).__name__)


def broken() -> Plain:
    """A factory that fails."""
    raise ConnectionError("no database")


def number() -> int:
    """A factory whose result is not a servicer."""
    return 3


class NoMethods:
    """A class without any method of the service."""


class NeedsArguments(Plain):
    """A class that cannot be instantiated without arguments."""

    def __init__(self, database: str, cache: str) -> None:
        super().__init__(database + cache)
