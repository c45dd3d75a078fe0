"""The whole StreamService contract on plain grpcio, divided into small methods that a mutant overrides one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar, Final, NoReturn

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call, Tokens
from servers.directives import BadDirectiveError, Directive, parse

STATUS_CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
ECHO_INITIAL: Final = "x-grpc-test-echo-initial"
ECHO_TRAILING: Final = "x-grpc-test-echo-trailing-bin"


def int32(number: int) -> int:
    """The int32 that ``number`` wraps around to."""
    return (number + 2**31) % 2**32 - 2**31


class Correct:
    """A StreamService with the classic names and numbers and every directive."""

    CALL: ClassVar = Call
    LIST_RESPONSES: ClassVar = 7
    RECORD_NAME: ClassVar = "gRPC Stream Server: Record"
    ROUTE_NAME: ClassVar = "gRPC Stream Server: Route"

    def __init__(self) -> None:
        self.gone = Tokens()

    # The three RPCs ---------------------------------------------------------------------------------------------

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Server streaming."""
        call = self.begin(context, "List")
        yield from self.list_responses(call, self.point(call, request))
        call.settle()

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Client streaming."""
        call = self.begin(context, "Record")
        response = self.record_response(call, self.points(call, requests))
        call.settle()
        return response

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Bidirectional streaming."""
        call = self.begin(context, "Route")
        yield from self.route_responses(call, self.points(call, requests))
        call.settle()

    # Their parts ------------------------------------------------------------------------------------------------

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC, as every method does first."""
        call = self.CALL(context, method, self.gone)
        self.echo_metadata(call)
        return call

    def echo_metadata(self, call: Call) -> None:
        """Echo the metadata that asks for it."""
        metadata = call.context.invocation_metadata()
        initial = tuple((key, value) for key, value in metadata if key == ECHO_INITIAL)
        trailing = tuple((key, value) for key, value in metadata if key == ECHO_TRAILING)
        if initial:
            call.context.send_initial_metadata(initial)
        if trailing:
            call.context.set_trailing_metadata(trailing)

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The point of each request as it is read, up to the half-close."""
        for request in requests:
            yield self.point(call, request)
        call.requests_ended()

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; end the RPC if it has none."""
        if not request.HasField("pt"):
            self.refuse(call, "the request has no pt")
        return request.pt

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive in a point; end the RPC if it is malformed."""
        try:
            return parse(point.name, point.value)
        except BadDirectiveError as error:
            self.refuse(call, str(error))

    def response(self, name: str, value: int) -> StreamResponse:
        """A response."""
        return StreamResponse(pt=StreamPoint(name=name, value=int32(value)))

    # List -------------------------------------------------------------------------------------------------------

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """Everything that List sends for its request."""
        directive = self.directive(call, point)
        match directive.word:
            case "!abort":
                yield from self.series(point.name, 0, directive.number)
                self.abort(call, STATUS_CODES[point.value], directive.text)
            case "!finish":
                return
            case "!repeat":
                yield from self.series(point.name, point.value, directive.number)
            case "!watch":
                self.watch(call, directive.text)
            case "!cancelled":
                yield self.response(point.name, int(self.was_cancelled(directive.text)))
            case word:
                if word == "!sleep":
                    self.sleep(call, directive.number)
                yield from self.usual_series(point.name, point.value)

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """What List sends if its request has no directive."""
        yield from self.series(name, base, self.LIST_RESPONSES)

    def series(self, name: str, base: int, count: int) -> Iterator[StreamResponse]:
        """``count`` responses that count up from ``base``."""
        for number in range(count):
            yield self.response(name, base + number)

    # Record -----------------------------------------------------------------------------------------------------

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """Read the requests and make the one response."""
        count = 0
        texts: list[str] = []
        echo = False
        for point in points:
            count += 1
            directive = self.directive(call, point)
            match directive.word:
                case "!abort":
                    self.abort(call, STATUS_CODES[point.value], directive.text)
                case "!finish":
                    self.finish(call, points)
                    break
                case "!echo":
                    echo = True
                    texts.append(directive.text)
                case "!sleep":
                    self.sleep(call, directive.number)
                case "!watch":
                    call.mark(directive.text)
                case _:
                    texts.append(point.name)
        return self.echoed(texts, count) if echo else self.response(self.RECORD_NAME, 1)

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """Record's response if a request was an echo."""
        return self.response(",".join(texts), count)

    # Route ------------------------------------------------------------------------------------------------------

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """Everything that Route sends for the requests, as they arrive."""
        sent = 0
        for point in points:
            directive = self.directive(call, point)
            if directive.word == "!finish":
                self.finish(call, points)
                return
            for response in self.answer(call, point, directive, sent):
                yield response
                sent += 1

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """Route's responses to one request, after ``sent`` earlier ones."""
        match directive.word:
            case "!abort":
                self.abort(call, STATUS_CODES[point.value], directive.text)
            case "!repeat":
                yield from self.series(point.name, point.value, directive.number)
            case "!echo":
                yield self.response(point.name, point.value)
            case word:
                if word == "!sleep":
                    self.sleep(call, directive.number)
                elif word == "!watch":
                    call.mark(directive.text)
                yield self.response(self.ROUTE_NAME, sent)

    # What directives do -----------------------------------------------------------------------------------------

    def refuse(self, call: Call, reason: str) -> NoReturn:
        """End the RPC with INVALID_ARGUMENT."""
        self.abort(call, grpc.StatusCode.INVALID_ARGUMENT, reason)

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a status code and a message."""
        call.settle()
        call.context.abort(code, text)

    def finish(self, call: Call, points: Iterator[StreamPoint]) -> None:
        """Run before an early end; does nothing here."""

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep, but not longer than the RPC lasts."""
        call.over.wait(min(milliseconds / 1000, threading.TIMEOUT_MAX))

    def watch(self, call: Call, token: str) -> None:
        """Mark the List, send its headers and stay open until the RPC is over."""
        call.mark(token)
        if not any(key == ECHO_INITIAL for key, _ in call.context.invocation_metadata()):
            call.context.send_initial_metadata(())
        call.over.wait()

    def was_cancelled(self, token: str) -> bool:
        """Whether an RPC marked with ``token`` ended because the client went away."""
        return token in self.gone
