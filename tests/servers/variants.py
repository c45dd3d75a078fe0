"""Correct servers that differ from the classic one where the contract leaves a choice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.correct import STATUS_CODES, Correct, int32
from servers.directives import Directive


class Eager(Correct):
    """Route speaks first: response 0 comes before any request is read, and k requests get k + 1 responses."""

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The greeting, then one response for each request."""
        yield self.response(self.ROUTE_NAME, 0)
        sent = 1
        for point in points:
            directive = self.directive(call, point)
            if directive.word == "!finish":
                return
            for response in self.answer(call, point, directive, sent):
                yield response
                sent += 1


class ListOfOne(Correct):
    """List sends a single response, and Record and Route use other names."""

    LIST_RESPONSES = 1
    RECORD_NAME = "recorded"
    ROUTE_NAME = ""


class ListOf500(Correct):
    """List sends 500 responses."""

    LIST_RESPONSES = 500


class NoPointIsEmpty(Correct):
    """A request without a point is treated as one with an empty point."""

    def point(self, _call: Call, request: StreamRequest) -> StreamPoint:
        """The point, or an empty one."""
        return request.pt


class Plain:
    """Only the core of the contract: every name is an ordinary one."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up from the request's value, seven times."""
        _need_point(request, context)
        for number in range(7):
            yield StreamResponse(pt=StreamPoint(name=request.pt.name, value=int32(request.pt.value + number)))

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read everything, then answer once."""
        for request in requests:
            _need_point(request, context)
        return StreamResponse(pt=StreamPoint(name="gRPC Stream Server: Record", value=1))

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer each request when it is read."""
        for number, request in enumerate(requests):
            _need_point(request, context)
            yield StreamResponse(pt=StreamPoint(name="gRPC Stream Server: Route", value=number))


class ListOfSixOrSeven(Plain):
    """Only the core, and a List that sends six or seven responses."""

    def __init__(self) -> None:
        self._lists = itertools.count()

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Count up from the request's value, six or seven times."""
        yield from itertools.islice(super().List(request, context), 6 + (next(self._lists) * 7 // 4) % 2)


def _need_point(request: StreamRequest, context: grpc.ServicerContext) -> None:
    if not request.HasField("pt"):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request has no pt")


class OtherReadings(Correct):
    """Chooses the other interpretation where the contract leaves one open.

    Route answers an echo with its TEXT only, Record's early end does not count as a request, every directive adds its
    TEXT even if it is empty, and Record's usual response is an empty point.
    """

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """Route's responses to one request."""
        if directive.word == "!echo":
            yield self.response(directive.text, point.value)
        else:
            yield from super().answer(call, point, directive, sent)

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """Read the requests and make the one response."""
        count = 0
        texts: list[str] = []
        echo = False
        for point in points:
            directive = self.directive(call, point)
            if directive.word == "!finish":
                break
            count += 1
            if directive.word == "!abort":
                self.abort(call, STATUS_CODES[point.value], directive.text)
            elif directive.word == "!sleep":
                self.sleep(call, directive.number)
            elif directive.word == "!watch":
                call.mark(directive.text)
            echo = echo or directive.word == "!echo"
            texts.append(directive.text if directive.word else point.name)
        return self.echoed(texts, count) if echo else self.response("", 0)


class AbortOnly(Correct):
    """Supports the core and ``!abort``, but no other directive; echoes no metadata."""

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive in a point, if it is the supported one."""
        if point.name.partition(" ")[0] != "!abort":
            return Directive("")
        return super().directive(call, point)

    def echo_metadata(self, call: Call) -> None:
        """Ignore metadata."""
