"""Servers for the plugin's tests: one that is right in the core, and others that each go wrong in one way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

HOSTILE = "\x1b]0;owned\x07\x1b[2J\nFAKED passed\r\u202e\u2028end"
"""What a target would send to reach the terminal of who looks at it."""


def response(name: str, value: int) -> StreamResponse:
    """A response with a point."""
    return StreamResponse(pt=StreamPoint(name=name, value=value))


def _wait_for_the_end(context: grpc.ServicerContext) -> None:
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait()


class Core:
    """The core of the contract, without any directive."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """The point of a request, which must have one."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request has no pt")
        return request.pt

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up from the request's value."""
        point = self.point(request, context)
        for number in range(3):
            yield response(point.name, (point.value + number + 2**31) % 2**32 - 2**31)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read everything, then answer once."""
        for request in requests:
            self.point(request, context)
        return response("gRPC Stream Server: Record", 1)

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer each request when it is read."""
        for number, request in enumerate(requests):
            self.point(request, context)
            yield response("gRPC Stream Server: Route", number)


class ListSkipsOne(Core):
    """Leaves out one number in every List."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up, but not quite."""
        point = self.point(request, context)
        for number in (0, 1, 3):
            yield response(point.name, point.value + number)


class ListBreaksOff(Core):
    """Ends every List with an error after two responses, however many were asked for."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Two responses and no more."""
        point = self.point(request, context)
        for number in (0, 1):
            yield response(point.name, point.value + number)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the hop is gone")


class WrongForGrpcio(ListSkipsOne):
    """Leaves out one number in every List of a client that is grpcio."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up, rightly or not."""
        agents = [str(value) for key, value in context.invocation_metadata() if key == "user-agent"]
        kind = ListSkipsOne if any("grpc-python/" in agent for agent in agents) else Core
        yield from kind.List(self, request, context)


class HostileNames(Core):
    """Answers every List by a text that would act on a terminal."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send the text in place of the request's name."""
        yield response(HOSTILE, request.pt.value)


class HostileStatus(Core):
    """Ends every Record by an error whose message would act on a terminal."""

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read everything, then fail."""
        for _ in requests:
            continue
        context.abort(grpc.StatusCode.INTERNAL, HOSTILE)
        raise AssertionError  # abort() raises


class UnknownWithoutPoint(Core):
    """Refuses a request without a point by another code than the one that it should: a warning."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """The point of a request, which must have one."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.UNKNOWN, "it is not known what this is")
        return request.pt


class SeveralFaults(ListSkipsOne, UnknownWithoutPoint):
    """Has an error and a warning, and leaves open what is observed by a List."""


class HostileWithoutPoint(Core):
    """Refuses a request without a point by another code, and by a text that would act on a terminal."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """The point of a request, which must have one."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.UNKNOWN, HOSTILE)
        return request.pt


class ExitsWithoutPoint(Core):
    """The whole process ends at a request without a point."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """The point of a request, if the process lives on."""
        if not request.HasField("pt"):
            print(f"no point {HOSTILE}", flush=True)
            os._exit(9)
        return super().point(request, context)


class ExitsOnList(Core):
    """The whole process ends at every List."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """End."""
        os._exit(7)


class RouteMute(Core):
    """Reads what comes on a Route, and says nothing until the client is gone."""

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer nothing."""
        _wait_for_the_end(context)
        yield from ()


class Mute(RouteMute):
    """Says nothing to any call."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer nothing."""
        _wait_for_the_end(context)
        yield from ()

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Answer nothing."""
        _wait_for_the_end(context)
        return StreamResponse()


class EverySecondRecord(Core):
    """Of the Records with seven requests every second is aborted."""

    def __init__(self) -> None:
        self._calls = 0

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Answer, or abort."""
        read = list(requests)
        self._calls += len(read) == 7
        if len(read) == 7 and self._calls % 2 == 0:
            context.abort(grpc.StatusCode.INTERNAL, "every second one")
        return super().Record(iter(read), context)
