"""Mutants that end a stream too early, too late, never, or with the wrong status."""

from __future__ import annotations

import contextlib
import itertools
import queue
from collections.abc import Iterator

import grpc

from mutants.base import USES_LIST, USES_ROUTE, Mutant, ReadAhead
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call


class ListNeverEnds(Mutant):
    """List stays open after the last of its usual responses."""

    killed_by = "EOF-1"
    also = USES_LIST  # every List shows it

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; after usual ones, silence."""
        yield from super().list_responses(call, point)
        if not point.name.startswith("!"):
            call.over.wait()


class NegativeListsAreLong(Mutant):
    """List reads a negative value as a very large number of responses."""

    killed_by = "ORD-1"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses; nearly endless for a negative value."""
        count = self.LIST_RESPONSES if base >= 0 else base % 2**32
        return self.series(name, max(base, 0), count)


class ListEndsWithError(Mutant):
    """List sends its usual responses and then ends with UNKNOWN."""

    killed_by = "EOF-1"
    also = USES_LIST  # every List shows it

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; after usual ones, an error."""
        yield from super().list_responses(call, point)
        if not point.name.startswith("!"):
            self.abort(call, grpc.StatusCode.UNKNOWN, "EOF")


class ListEndsWithEmptyResponse(Mutant):
    """List marks the end of its usual responses with a response without a point."""

    killed_by = "ORD-1"
    also = USES_LIST  # every List shows it

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; after usual ones, an empty response."""
        yield from super().list_responses(call, point)
        if not point.name.startswith("!"):
            yield StreamResponse()


class ListRepeatsTheLast(Mutant):
    """List sends its last response again before it ends."""

    killed_by = "ORD-1"
    also = USES_LIST  # every List shows it

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, the last one twice."""
        last = None
        for response in super().usual_series(name, base):
            yield response
            last = response
        if last is not None:
            yield last


class ListStopsAt256(Mutant):
    """List ends with OK after 256 responses, however many were requested."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "FLOW-13"})  # their tests count long Lists too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The first 256 responses."""
        yield from itertools.islice(super().list_responses(call, point), 256)


class RouteIgnoresHalfClose(Mutant):
    """Route stays open after the client's half-close."""

    killed_by = "HALF-1"
    also = USES_ROUTE  # every Route shows it

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses; the half-close does not end the RPC."""
        half_closed = False

        def watched() -> Iterator[StreamPoint]:
            nonlocal half_closed
            yield from points
            half_closed = True

        yield from super().route_responses(call, watched())
        if half_closed:
            call.over.wait()


class RouteEndsWithError(Mutant):
    """Route answers everything and then treats the half-close as a cancel."""

    killed_by = "HALF-1"
    also = USES_ROUTE  # every Route shows it

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, their end is an error."""
        yield from super().points(call, requests)
        if call.method == "Route":
            self.abort(call, grpc.StatusCode.CANCELLED, "the client closed the stream")


class RouteEndsLate(Mutant):
    """Route ends only seven seconds after the half-close."""

    killed_by = "HALF-1"
    also = USES_ROUTE  # every Route shows it

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, followed by a long pause."""
        yield from super().points(call, requests)
        if call.method == "Route":
            call.over.wait(7)


class EmptyRouteHangs(Mutant):
    """A Route without requests stays open after the half-close."""

    killed_by = "EOF-13"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, hang if there are none."""
        count = 0
        for point in super().points(call, requests):
            count += 1
            yield point
        if call.method == "Route" and not count:
            call.over.wait()


class EmptyRouteFails(Mutant):
    """A Route without requests ends with INTERNAL."""

    killed_by = "EOF-13"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, fail if there are none."""
        count = 0
        for point in super().points(call, requests):
            count += 1
            yield point
        if call.method == "Route" and not count:
            self.abort(call, grpc.StatusCode.INTERNAL, "no request")


class EmptyRouteIsAnswered(Mutant):
    """A Route without requests is answered, although the server does not speak first."""

    killed_by = "EOF-13"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, or one if there are none."""
        none = True
        for response in super().route_responses(call, points):
            none = False
            yield response
        if none:
            yield self.response(self.ROUTE_NAME, 0)


class RouteSaysGoodbye(Mutant):
    """Route sends one additional response after the half-close."""

    killed_by = "EOF-13"
    also = frozenset({"HALF-1", "HALF-4", "ORD-12"})  # every Route that ends shows it

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, followed by an invented one."""
        yield from super().points(call, requests)
        if call.method == "Route":
            yield StreamPoint(name="goodbye")


class RouteEndsAfterSixty(Mutant):
    """Route ends with OK after sixty responses, while the client is still sending."""

    killed_by = "HALF-1"
    also = frozenset({"ABORT-5", "ORD-3", "ORD-4"})  # every Route of more than sixty messages is cut

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The first sixty responses."""
        yield from itertools.islice(super().route_responses(call, points), 60)


class RouteTakesEmptyNameForTheEnd(Mutant):
    """Route treats a request with an empty name as the end of the requests."""

    killed_by = "ORD-6"
    also = frozenset({"HALF-1"})  # one of its requests has an empty name

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, up to one without a name."""
        for point in super().points(call, requests):
            if call.method == "Route" and not point.name:
                return
            yield point


class RecordTakesEmptyNameForTheEnd(Mutant):
    """Record treats a request with an empty name as the end of the requests."""

    killed_by = "PAIR-2"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, up to one without a name."""
        for point in super().points(call, requests):
            if call.method == "Record" and not point.name:
                return
            yield point


class FinishedListIsAnswered(Mutant):
    """List sends its usual responses instead of ending without any."""

    killed_by = "EOF-17"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; an early end is ignored."""
        if self.directive(call, point).word == "!finish":
            yield from self.usual_series(point.name, point.value)
        else:
            yield from super().list_responses(call, point)


class FinishedListFails(Mutant):
    """List treats a stream without responses as an error."""

    killed_by = "EOF-17"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, or an error if there are none."""
        count = 0
        for response in super().list_responses(call, point):
            yield response
            count += 1
        if not count and self.directive(call, point).word == "!finish":
            self.abort(call, grpc.StatusCode.INTERNAL, "no response was sent")


class RouteTakesSilenceForTheEnd(Mutant):
    """Route ends with OK when no request arrives for 0.15 seconds."""

    killed_by = "EOF-5"
    also = frozenset({"DEADL-12", "DEADL-13", "ORD-7", "ORD-8"})  # their clients pause as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, up to the first pause."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        with contextlib.suppress(queue.Empty):
            yield from ahead.until_silence(0.15)


class RecordTakesSilenceForTheEnd(Mutant):
    """Record answers when no request arrives for 0.15 seconds."""

    killed_by = "EOF-5"
    also = frozenset({"CANCEL-2", "ORD-7", "PAIR-2"})  # their clients pause as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, up to the first pause."""
        if call.method != "Record":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        with contextlib.suppress(queue.Empty):
            yield from ahead.until_silence(0.15)


class EmptyRecordHangs(Mutant):
    """A Record without requests is never answered."""

    killed_by = "EOF-14"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, hang if there are none."""
        count = 0
        for point in super().points(call, requests):
            count += 1
            yield point
        if call.method == "Record" and not count:
            call.over.wait()


class RecordTakesCancelForHalfClose(Mutant):
    """Record commits what it has read when the client goes away, as if it had half-closed."""

    killed_by = "CANCEL-2"

    class CALL(Call):
        """An RPC; a Record never learns that its client went away."""

        def went_away(self) -> bool:
            """Whether the client ended the RPC: never for Record."""
            return self.method != "Record" and super().went_away()
