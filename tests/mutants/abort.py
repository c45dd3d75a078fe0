"""Mutants that lose or change the status of an RPC which its handler ends with an error."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from typing import Final, NoReturn

import grpc

from mutants.base import Mutant, OpenRoutes, ReadAhead
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.correct import ECHO_INITIAL, ECHO_TRAILING, STATUS_CODES
from servers.directives import Directive

ABORTS: Final = frozenset({"ABORT-3", "ABORT-5", "ABORT-7", "ABORT-13", "ABORT-16", "CANCEL-16", "META-16"})
"""Requirements whose tests end calls of several methods with an error, and check the code first."""


class ListNotFoundIsUnknown(Mutant):
    """List ends with UNKNOWN instead of NOT_FOUND."""

    killed_by = "ABORT-1"
    also = frozenset({"ABORT-15"})  # its test aborts with NOT_FOUND

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; for List, replace NOT_FOUND."""
        if call.method == "List" and code is grpc.StatusCode.NOT_FOUND:
            code = grpc.StatusCode.UNKNOWN
        super().abort(call, code, text)


class RecordUnavailableIsCancelled(Mutant):
    """Record ends with CANCELLED instead of UNAVAILABLE."""

    killed_by = "ABORT-1"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; for Record, replace UNAVAILABLE."""
        if call.method == "Record" and code is grpc.StatusCode.UNAVAILABLE:
            code = grpc.StatusCode.CANCELLED
        super().abort(call, code, text)


class RouteDataLossIsInternal(Mutant):
    """Route ends with INTERNAL instead of DATA_LOSS."""

    killed_by = "ABORT-1"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; for Route, replace DATA_LOSS."""
        if call.method == "Route" and code is grpc.StatusCode.DATA_LOSS:
            code = grpc.StatusCode.INTERNAL
        super().abort(call, code, text)


class UnauthenticatedIsUnknown(Mutant):
    """A table of status codes that ends at 15 turns UNAUTHENTICATED into UNKNOWN."""

    killed_by = "ABORT-1"
    also = frozenset({"ABORT-16"})  # its test aborts with UNAUTHENTICATED

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; replace UNAUTHENTICATED."""
        super().abort(call, grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.UNAUTHENTICATED else code, text)


class ErrorsBecomeUnknown(Mutant):
    """After twenty errors, every further error is UNKNOWN."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "ABORT-15", "ABORT-17", "LOAD-11", "ROBUST-4"}  # which one is the 21st is chance

    def __init__(self) -> None:
        super().__init__()
        self._aborts = itertools.count(1)

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, with UNKNOWN from the twenty-first time on."""
        super().abort(call, code if next(self._aborts) <= 20 else grpc.StatusCode.UNKNOWN, text)


class AbortedListIsOk(Mutant):
    """List ends with OK instead of the requested error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-15"}  # no error of List arrives

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, without the error."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number)
        else:
            yield from super().list_responses(call, point)


class AbortedRecordAnswers(Mutant):
    """Record sends its usual response and OK instead of the requested error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "LOAD-11"}  # no error of Record arrives

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; for Record, every abort becomes an early end."""
        directive = super().directive(call, point)
        return Directive("!finish") if call.method == "Record" and directive.word == "!abort" else directive


class AbortedRouteIsOk(Mutant):
    """Route ends with OK instead of the requested error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "LOAD-11"}  # no error of Route arrives

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; for Route, every abort becomes an early end."""
        directive = super().directive(call, point)
        return Directive("!finish") if call.method == "Route" and directive.word == "!abort" else directive


class ListLosesResponsesBeforeAbort(Mutant):
    """List drops its responses when it ends with an error."""

    killed_by = "ABORT-5"
    also = frozenset({"ABORT-13"})  # its test counts the responses before the error as well

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; an error comes before any of them."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class ListSendsOneMoreBeforeAbort(Mutant):
    """List sends one response too many before an error."""

    killed_by = "ABORT-5"
    also = frozenset({"ABORT-13"})  # its test counts the responses before the error as well

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, and one more before an error."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number + 1)
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class ListLosesTheLastBeforeAbort(Mutant):
    """List drops the last response before an error if there are fifty or more."""

    killed_by = "ABORT-5"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; before an error, one fewer if there are fifty or more."""
        directive = self.directive(call, point)
        if directive.word == "!abort" and directive.number >= 50:
            yield from self.series(point.name, 0, directive.number - 1)
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class RouteAbortIsAnswered(Mutant):
    """Before an error, Route sends the number of responses in the directive, as only List should."""

    killed_by = "ABORT-5"

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer, preceded by responses if the directive is an abort."""
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number)
        yield from super().answer(call, point, directive, sent)


class RouteAbortOvertakes(Mutant):
    """Route's error discards the answers to requests that were read just before it."""

    killed_by = "ABORT-5"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, an abort overtakes the points before it."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        yield from ReadAhead(call, requests, self.point).overtaking("!abort")


class RecordAbortWaits(Mutant):
    """Record's error waits for the half-close, unless it is the first request."""

    killed_by = "ABORT-6"
    also = frozenset({"CANCEL-16"})  # its test aborts after a mark

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, an abort after the first request only once the client has half-closed."""
        points = super().points(call, requests)
        for number, point in enumerate(points):
            if number and call.method == "Record" and point.name.startswith("!abort"):
                collections.deque(points, maxlen=0)
            yield point


class RouteAbortWaits(Mutant):
    """Route's error waits for the half-close, unless it is the first request."""

    killed_by = "ABORT-6"
    also = frozenset({"ABORT-5", "CANCEL-16"})  # their tests abort after other requests

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, an abort after the first request only once the client has half-closed."""
        points = super().points(call, requests)
        for number, point in enumerate(points):
            if number and call.method == "Route" and point.name.startswith("!abort"):
                collections.deque(points, maxlen=0)
            yield point


class AbortEndsSiblings(Mutant):
    """An error of one RPC cancels every other open Route."""

    killed_by = "ABORT-7"

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; remember a Route so that others can cancel it."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC and cancel all other Routes."""
        self._routes.cancel_all_but(call)
        super().abort(call, code, text)


class TrailingMetadataLostOnAbort(Mutant):
    """An error arrives without the trailing metadata that was set before."""

    killed_by = "ABORT-13"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC without trailing metadata."""
        call.context.set_trailing_metadata(())
        super().abort(call, code, text)


class TrailingMetadataLostAfterResponses(Mutant):
    """List's error arrives without the trailing metadata if responses precede it."""

    killed_by = "ABORT-13"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; the first one discards the trailing metadata if an error follows."""
        aborting = self.directive(call, point).word == "!abort"
        for response in super().list_responses(call, point):
            yield response
            if aborting:
                call.context.set_trailing_metadata(())


class InitialMetadataLostOnAbort(Mutant):
    """Initial metadata waits for the first response, and is lost if an error comes first."""

    killed_by = "META-16"

    def echo_metadata(self, call: Call) -> None:
        """Echo the trailing metadata only."""
        trailing = tuple((key, value) for key, value in call.context.invocation_metadata() if key == ECHO_TRAILING)
        call.context.set_trailing_metadata(trailing)

    def _send_initial(self, call: Call) -> None:
        initial = tuple((key, value) for key, value in call.context.invocation_metadata() if key == ECHO_INITIAL)
        if initial:
            call.context.send_initial_metadata(initial)

    def _late(self, call: Call, responses: Iterator[StreamResponse]) -> Iterator[StreamResponse]:
        first = list(itertools.islice(responses, 1))
        self._send_initial(call)
        yield from first
        yield from responses

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses after the initial metadata."""
        return self._late(call, super().list_responses(call, point))

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """The response after the initial metadata."""
        response = super().record_response(call, points)
        self._send_initial(call)
        return response

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses after the initial metadata."""
        return self._late(call, super().route_responses(call, points))


class CodeSeventeenIsOk(Mutant):
    """An error with a status code that gRPC does not define ends the RPC with OK."""

    killed_by = "ABORT-17"

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; a code beyond 16 becomes an early end."""
        if point.name.startswith("!abort ") and point.value > 16:
            return Directive("!finish")
        return super().directive(call, point)
