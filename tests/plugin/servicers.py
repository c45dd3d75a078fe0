"""Servicers for the plugin's tests: one that conforms in the core, and others that are each wrong in one way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

HOSTILE = "\x1b]0;owned\x07\x1b[2J\nFAKED passed\r\u202e\u2028end"
"""A text that a target sends to take control of the user's terminal."""


def response(name: str, value: int) -> StreamResponse:
    """A response with a point."""
    return StreamResponse(pt=StreamPoint(name=name, value=value))


def _wait_until_over(context: grpc.ServicerContext) -> None:
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait()


class Core:
    """Implements the core of the contract, without optional features."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """Return the point of a request; abort the call if there is none."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request has no pt")
        return request.pt

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up from the value of the request."""
        point = self.point(request, context)
        for number in range(3):
            yield response(point.name, (point.value + number + 2**31) % 2**32 - 2**31)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read every request, then respond once."""
        for request in requests:
            self.point(request, context)
        return response("gRPC Stream Server: Record", 1)

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Respond to each request as soon as it is read."""
        for number, request in enumerate(requests):
            self.point(request, context)
            yield response("gRPC Stream Server: Route", number)


class ListSkipsOne(Core):
    """Skips one number in every List."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up, and skip one number."""
        point = self.point(request, context)
        for number in (0, 1, 3):
            yield response(point.name, point.value + number)


class ListBreaksOff(Core):
    """Aborts every List after two responses, whatever the number that was requested."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send two responses, then abort."""
        point = self.point(request, context)
        for number in (0, 1):
            yield response(point.name, point.value + number)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the hop is gone")


class WrongForGrpcio(ListSkipsOne):
    """Skips one number in every List whose client is grpcio."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up, correctly unless the client is grpcio."""
        agents = [str(value) for key, value in context.invocation_metadata() if key == "user-agent"]
        kind = ListSkipsOne if any("grpc-python/" in agent for agent in agents) else Core
        yield from kind.List(self, request, context)


class HostileNames(Core):
    """Responds to every List with a text that would take control of a terminal."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send the text instead of the name in the request."""
        yield response(HOSTILE, request.pt.value)


class HostileStatus(Core):
    """Aborts every Record with a message that would take control of a terminal."""

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read every request, then abort."""
        for _ in requests:
            continue
        context.abort(grpc.StatusCode.INTERNAL, HOSTILE)
        raise AssertionError  # abort() raises


class UnknownWithoutPoint(Core):
    """Rejects a request without a point with the wrong code, which is a warning."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """Return the point of a request; abort the call if there is none."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.UNKNOWN, "it is not known what this is")
        return request.pt


class SeveralFaults(ListSkipsOne, UnknownWithoutPoint):
    """Causes a failure, a warning, and inconclusive tests where a requirement is observed through a List."""


class HostileWithoutPoint(Core):
    """Rejects a request without a point with the wrong code and a text that would take control of a terminal."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """Return the point of a request; abort the call if there is none."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.UNKNOWN, HOSTILE)
        return request.pt


class ExitsWithoutPoint(Core):
    """Exits with its process when a request has no point."""

    def point(self, request: StreamRequest, context: grpc.ServicerContext) -> StreamPoint:
        """Return the point of a request; exit if there is none."""
        if not request.HasField("pt"):
            print(f"no point {HOSTILE}", flush=True)
            os._exit(9)
        return super().point(request, context)


class ExitsOnList(Core):
    """Exits with its process on every List."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Exit."""
        os._exit(7)


class RouteMute(Core):
    """Does not respond to a Route until the client is gone."""

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send no response."""
        _wait_until_over(context)
        yield from ()


class Mute(RouteMute):
    """Does not respond to any call."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send no response."""
        _wait_until_over(context)
        yield from ()

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Send no response."""
        _wait_until_over(context)
        return StreamResponse()


class EverySecondRecord(Core):
    """Aborts every second Record with seven requests."""

    def __init__(self) -> None:
        self._calls = 0

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Respond, or abort."""
        read = list(requests)
        self._calls += len(read) == 7
        if len(read) == 7 and self._calls % 2 == 0:
            context.abort(grpc.StatusCode.INTERNAL, "every second one")
        return super().Record(iter(read), context)
