"""Mutants that lose or forge the status of an RPC which its handler ends with an error."""

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
"""Requirements whose tests end calls with errors of several methods, and look at the code first."""


class ListNotFoundIsUnknown(Mutant):
    """List ends with UNKNOWN in place of NOT_FOUND."""

    killed_by = "ABORT-1"
    also = frozenset({"ABORT-15"})  # whose error is that one

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, List never with NOT_FOUND."""
        if call.method == "List" and code is grpc.StatusCode.NOT_FOUND:
            code = grpc.StatusCode.UNKNOWN
        super().abort(call, code, text)


class RecordUnavailableIsCancelled(Mutant):
    """Record ends with CANCELLED in place of UNAVAILABLE."""

    killed_by = "ABORT-1"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, Record never with UNAVAILABLE."""
        if call.method == "Record" and code is grpc.StatusCode.UNAVAILABLE:
            code = grpc.StatusCode.CANCELLED
        super().abort(call, code, text)


class RouteDataLossIsInternal(Mutant):
    """Route ends with INTERNAL in place of DATA_LOSS."""

    killed_by = "ABORT-1"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, Route never with DATA_LOSS."""
        if call.method == "Route" and code is grpc.StatusCode.DATA_LOSS:
            code = grpc.StatusCode.INTERNAL
        super().abort(call, code, text)


class UnauthenticatedIsUnknown(Mutant):
    """A table of codes that ends at fifteen makes UNKNOWN of UNAUTHENTICATED."""

    killed_by = "ABORT-1"
    also = frozenset({"ABORT-16"})  # whose error is that one

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, never with UNAUTHENTICATED."""
        super().abort(call, grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.UNAUTHENTICATED else code, text)


class CodesGetTired(Mutant):
    """After twenty errors every further one is UNKNOWN."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "ABORT-15", "ABORT-17", "LOAD-11", "ROBUST-4"}  # which error is the first is chance

    def __init__(self) -> None:
        super().__init__()
        self._aborts = itertools.count(1)

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC, from the twenty-first time on with UNKNOWN."""
        super().abort(call, code if next(self._aborts) <= 20 else grpc.StatusCode.UNKNOWN, text)


class AbortedListEndsWell(Mutant):
    """List ends with OK where it should end with an error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-15"}  # no error of List arrives

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, and no error."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number)
        else:
            yield from super().list_responses(call, point)


class AbortedRecordAnswers(Mutant):
    """Record sends its usual response and OK where it should end with an error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "LOAD-11"}  # no error of Record arrives

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; on Record an early end for every error."""
        directive = super().directive(call, point)
        return Directive("!finish") if call.method == "Record" and directive.word == "!abort" else directive


class AbortedRouteEndsWell(Mutant):
    """Route ends with OK where it should end with an error."""

    killed_by = "ABORT-1"
    also = ABORTS | {"ABORT-6", "LOAD-11"}  # no error of Route arrives

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; on Route an early end for every error."""
        directive = super().directive(call, point)
        return Directive("!finish") if call.method == "Route" and directive.word == "!abort" else directive


class ListLosesResponsesBeforeAbort(Mutant):
    """List drops its responses when it ends with an error."""

    killed_by = "ABORT-5"
    also = frozenset({"ABORT-13"})  # which counts the responses before the error as well

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, none before an error."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class ListSendsOneMoreBeforeAbort(Mutant):
    """List sends one response too many before an error."""

    killed_by = "ABORT-5"
    also = frozenset({"ABORT-13"})  # which counts the responses before the error as well

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, one more before an error."""
        directive = self.directive(call, point)
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number + 1)
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class ListLosesTheLastBeforeAbort(Mutant):
    """List drops the last of many responses before an error."""

    killed_by = "ABORT-5"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, one less than fifty or more before an error."""
        directive = self.directive(call, point)
        if directive.word == "!abort" and directive.number >= 50:
            yield from self.series(point.name, 0, directive.number - 1)
            self.abort(call, STATUS_CODES[point.value], directive.text)
        yield from super().list_responses(call, point)


class RouteAbortIsAnswered(Mutant):
    """Route sends as many responses before an error as its directive names, as only List should."""

    killed_by = "ABORT-5"

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer, also before an error."""
        if directive.word == "!abort":
            yield from self.series(point.name, 0, directive.number)
        yield from super().answer(call, point, directive, sent)


class RouteAbortOvertakes(Mutant):
    """Route's error drops the answers to requests that were read just before."""

    killed_by = "ABORT-5"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route an error goes first."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        yield from ReadAhead(call, requests, self.point).overtaking("!abort")


class RecordAbortWaits(Mutant):
    """Record's error waits for the half-close, unless it is asked for at once."""

    killed_by = "ABORT-6"
    also = frozenset({"CANCEL-16"})  # where an error follows a mark

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; Record's error after a request only when no more can come."""
        points = super().points(call, requests)
        for number, point in enumerate(points):
            if number and call.method == "Record" and point.name.startswith("!abort"):
                collections.deque(points, maxlen=0)
            yield point


class RouteAbortWaits(Mutant):
    """Route's error waits for the half-close, unless it is asked for at once."""

    killed_by = "ABORT-6"
    also = frozenset({"ABORT-5", "CANCEL-16"})  # where an error follows other requests

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; Route's error after a request only when no more can come."""
        points = super().points(call, requests)
        for number, point in enumerate(points):
            if number and call.method == "Route" and point.name.startswith("!abort"):
                collections.deque(points, maxlen=0)
            yield point


class AbortEndsSiblings(Mutant):
    """An error of one RPC ends every other Route that is open."""

    killed_by = "ABORT-7"

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; a Route can be ended by others."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC and all Routes."""
        self._routes.cancel_all_but(call)
        super().abort(call, code, text)


class TrailingMetadataLostOnAbort(Mutant):
    """An error comes without the trailing metadata that was set before."""

    killed_by = "ABORT-13"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC without trailing metadata."""
        call.context.set_trailing_metadata(())
        super().abort(call, code, text)


class TrailingMetadataLostAfterResponses(Mutant):
    """An error of List that comes after responses comes without the trailing metadata that was set before."""

    killed_by = "ABORT-13"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; after one there is no trailing metadata before an error."""
        aborting = self.directive(call, point).word == "!abort"
        for response in super().list_responses(call, point):
            yield response
            if aborting:
                call.context.set_trailing_metadata(())


class InitialMetadataLostOnAbort(Mutant):
    """Initial metadata waits for the first response, and is lost if an error comes first."""

    killed_by = "META-16"

    def echo_metadata(self, call: Call) -> None:
        """Give back the trailing metadata only."""
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
    """An error with a status code that gRPC does not define ends with OK."""

    killed_by = "ABORT-17"

    def directive(self, call: Call, point: StreamPoint) -> Directive:
        """The directive; an early end for a code beyond 16."""
        if point.name.startswith("!abort ") and point.value > 16:
            return Directive("!finish")
        return super().directive(call, point)
