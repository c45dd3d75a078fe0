"""Mutants that break Route as a conversation, before and after the client's half-close."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc

from mutants.base import USES_ROUTE, Mutant, ReadAhead
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class BuffersUntilHalfClose(Mutant):
    """Route sends nothing before the half-close."""

    killed_by = "HALF-4"
    also = frozenset({"ABORT-17", "ORD-8"})  # no answer comes while the client waits for one

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, held until the half-close, unless one of them ends the RPC."""
        kept: list[StreamPoint] = []
        for point in super().points(call, requests):
            kept.append(point)
            if call.method != "Route" or point.name.startswith(("!abort", "!finish")):
                yield from kept
                kept.clear()
        yield from kept


class AnswersInPairs(Mutant):
    """Route answers two requests at a time: every other answer waits for the next request or the half-close."""

    killed_by = "HALF-4"
    also = frozenset({"ABORT-17", "ORD-8"})  # the first answer needs a second request

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, two at a time, unless one of them ends the RPC."""
        kept: list[StreamPoint] = []
        for point in super().points(call, requests):
            kept.append(point)
            if len(kept) == 2 or call.method != "Route" or point.name.startswith(("!abort", "!finish")):
                yield from kept
                kept.clear()
        yield from kept


class DropsAnswersAfterHalfClose(Mutant):
    """Route sends no more answers once it has read the half-close."""

    killed_by = "HALF-1"
    also = USES_ROUTE | {"DEADL-1"}  # wherever the half-close follows a request at once

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, only until the half-close is read, even if more wait, except those that end the RPC."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        for point in ahead:
            known = ahead.half_closed.is_set() if ahead.waiting() else ahead.half_closed.wait(0.01)
            if not known or point.name.startswith(("!abort", "!finish")):
                yield point


class HalfCloseStopsWork(Mutant):
    """Route abandons the answer in progress when the client half-closes."""

    killed_by = "HALF-3"
    also = frozenset({"DEADL-1"})  # its handlers sleep after the half-close

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[Call, ReadAhead] = {}

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, a reader also watches for the half-close."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = self._readers[call] = ReadAhead(call, requests, self.point)
        try:
            yield from ahead
        finally:
            del self._readers[call]

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer, unless the half-close comes while it is being prepared."""
        if directive.word == "!sleep" and self._readers[call].half_closed.wait(directive.number / 1000):
            return
        waited = Directive("") if directive.word == "!sleep" else directive
        yield from super().answer(call, point, waited, sent)


class RouteFinishWaits(Mutant):
    """Route's early end waits for the half-close."""

    killed_by = "HALF-5"

    def finish(self, call: Call, points: Iterator[StreamPoint]) -> None:
        """Read to the half-close before Route ends."""
        if call.method == "Route":
            for _ in points:
                continue


class RouteFinishOvertakes(Mutant):
    """Route's early end discards the answers to requests that were read just before it."""

    killed_by = "HALF-5"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, an early end overtakes the points before it."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        yield from ReadAhead(call, requests, self.point).overtaking("!finish")


class RouteFinishIsAnswered(Mutant):
    """Route sends a response before its early end."""

    killed_by = "HALF-5"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, and one more for the early end."""
        finished = False

        def watched() -> Iterator[StreamPoint]:
            nonlocal finished
            for point in points:
                finished = point.name.startswith("!finish")
                yield point

        sent = 0
        for response in super().route_responses(call, watched()):
            yield response
            sent += 1
        if finished:
            yield self.response(self.ROUTE_NAME, sent)


class StallsAfterAMebibyte(Mutant):
    """Route stops reading after one mebibyte of requests on a stream."""

    killed_by = "HALF-8"
    also = frozenset({"SIZE-5", "SIZE-7"})  # large messages stall as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, up to one mebibyte."""
        read = 0
        for point in super().points(call, requests):
            read += len(point.name)
            if call.method == "Route" and read > 1 << 20:
                call.over.wait()
            yield point


class RouteDropsIdleStreams(Mutant):
    """Route ends with UNAVAILABLE when no request arrives for 0.15 seconds."""

    killed_by = "EOF-5"
    also = frozenset({"DEADL-12", "DEADL-13", "ORD-7", "ORD-8"})  # their clients pause as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, up to the first pause."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        try:
            yield from ahead.until_silence(0.15)
        except queue.Empty:
            self.abort(call, grpc.StatusCode.UNAVAILABLE, "idle for too long")
