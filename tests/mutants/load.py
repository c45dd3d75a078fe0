"""Mutants that fail under load: many streams, many calls, long streams, slow clients."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Final, NoReturn

import grpc

from mutants.base import Mutant, NoticesDisconnect
from pytest_grpcstream.messages import StreamPoint, StreamResponse
from servers.calls import Call
from servers.directives import Directive

_BESIDE: Final = frozenset(
    {
        *("ABORT-7", "CANCEL-5", "CANCEL-9", "CANCEL-13", "CANCEL-16", "DEADL-1", "DEADL-12", "DEADL-13", "HALF-8"),
        *("LOAD-1", "LOAD-2", "LOAD-4", "META-18", "ORD-7", "ROBUST-14"),
    }
)
"""Requirements whose tests have more than one call open."""


class _Counts(Mutant):
    """Knows how many RPCs are open."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: set[Call] = set()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC and count it."""
        call = super().begin(context, method)
        with self._lock:
            self._open.add(call)
        if not context.add_callback(lambda: self._remove(call)):
            self._remove(call)
        return call

    def _remove(self, call: Call) -> None:
        with self._lock:
            self._open.discard(call)

    def open(self, method: str = "") -> int:
        """The number of open RPCs, of one method or of all."""
        with self._lock:
            return sum(not method or call.method == method for call in self._open)


class OneCallAtATime(Mutant):
    """A lock allows one RPC at a time, so a stalled stream blocks all others."""

    killed_by = "FLOW-6"
    also = _BESIDE  # one RPC waits for the end of another

    def __init__(self) -> None:
        super().__init__()
        self._running = threading.Lock()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC when no other is running."""
        call = super().begin(context, method)
        while not self._running.acquire(timeout=0.05):
            if call.over.is_set():
                return call
        if not context.add_callback(self._running.release):
            self._running.release()
        return call


class OneListAtATime(Mutant):
    """A lock allows one List at a time, so a client that does not read blocks all other Lists."""

    killed_by = "FLOW-6"

    def __init__(self) -> None:
        super().__init__()
        self._running = threading.Lock()

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, once no other List is sending."""
        if self.directive(call, point).word in ("!watch", "!sleep", "!cancelled"):
            yield from super().list_responses(call, point)
            return
        while not self._running.acquire(timeout=0.05):
            if call.over.is_set():
                return
        try:
            yield from super().list_responses(call, point)
        finally:
            self._running.release()


class TenStreams(_Counts):
    """The eleventh stream waits until another one ends."""

    killed_by = "LOAD-1"
    also = frozenset({"LOAD-2", "LOAD-4", "ORD-7", "FLOW-6"})  # their tests open more than ten

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC when fewer than ten are open."""
        call = super().begin(context, method)
        while self.open() > 10 and self._place(call) >= 10 and not call.over.wait(0.02):
            continue
        return call

    def _place(self, call: Call) -> int:
        with self._lock:
            return sorted(self._open, key=id).index(call) if call in self._open else 0


class RefusesTheFiftieth(_Counts):
    """More than forty-nine concurrent streams are refused with RESOURCE_EXHAUSTED."""

    killed_by = "LOAD-1"
    also = frozenset({"DEADL-13", "LOAD-4", "ORD-7"})  # their tests open more than forty-nine

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if fewer than fifty are open."""
        call = super().begin(context, method)
        if self.open() > 49:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams")
        return call


class IdleRoutesStarveList(_Counts):
    """List waits while thirty or more Routes are open."""

    killed_by = "LOAD-4"

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, once fewer Routes are open."""
        while self.open("Route") >= 30 and not call.over.wait(0.05):
            continue
        yield from super().list_responses(call, point)


class ListSwapsUnderLoad(_Counts):
    """List swaps its first two responses while five or more RPCs are open."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "LOAD-2", "LOAD-4"})  # many calls at once show it

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, the first two swapped while the server is busy."""
        responses = super().list_responses(call, point)
        if self.open() >= 5:
            yield from reversed(list(itertools.islice(responses, 2)))
        yield from responses


class ListTakesTheNewestName(Mutant):
    """List reads its name from the servicer, where another RPC may have stored its own."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "LOAD-2", "FLOW-6"})  # Lists that run concurrently

    def __init__(self) -> None:
        super().__init__()
        self._name = ""

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, each with the name stored when it is made."""
        self._name = name
        for number in range(self.LIST_RESPONSES):
            yield self.response(self._name, base + number)
            time.sleep(0.001)


class RouteEchoesAnotherStream(_Counts):
    """Route's echo answers with the newest echo of any stream."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "HALF-8", "ORD-3"})  # Routes that run concurrently

    def __init__(self) -> None:
        super().__init__()
        self._newest = StreamPoint()

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer; to an echo, possibly that of another stream."""
        if directive.word == "!echo":
            self._newest = point
            time.sleep(0.001)
            yield self.response(self._newest.name, self._newest.value)
        else:
            yield from super().answer(call, point, directive, sent)


class RoutesShareACounter(_Counts):
    """Concurrent Routes share one counter, which restarts when none is left."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "LOAD-2", "LOAD-4"})  # Routes that run concurrently

    def __init__(self) -> None:
        super().__init__()
        self._counter = itertools.count()

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, numbered across all open Routes."""
        if self.open("Route") == 1:
            self._counter = itertools.count()
        for response in super().route_responses(call, points):
            number = next(self._counter)
            if response.pt.name == self.ROUTE_NAME:
                response.pt.value = number
            yield response


class ConnectionsAreNumbered(Mutant):
    """At most ten connections are served."""

    killed_by = "LOAD-2"

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if its connection is one of at most ten with open RPCs."""
        call = super().begin(context, method)
        peer = context.peer()
        with self._lock:
            self._open[peer] = self._open.get(peer, 0) + 1
            many = len(self._open) > 10
        if not context.add_callback(lambda: self._ended(peer)):
            self._ended(peer)
        if many:
            self.abort(call, grpc.StatusCode.UNAVAILABLE, "too many connections")
        return call

    def _ended(self, peer: str) -> None:
        with self._lock:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]


class GivesUpAfterErrors(Mutant):
    """After 150 errors, every RPC ends with UNAVAILABLE."""

    killed_by = "LOAD-11"

    def __init__(self) -> None:
        super().__init__()
        self._errors = itertools.count(1)
        self._broken = False

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC while the error limit is not reached."""
        call = super().begin(context, method)
        if self._broken:
            call.settle()
            context.abort(grpc.StatusCode.UNAVAILABLE, "too many errors")
        return call

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, which is counted."""
        self._broken = self._broken or next(self._errors) > 150
        super().abort(call, code, text)


class VanishedClientsStay(NoticesDisconnect):
    """After sixty RPCs whose clients vanished, with no List between them, the next List is not answered."""

    killed_by = "ROBUST-14"
    also = frozenset({"CANCEL-3", "CANCEL-9", "LOAD-8"})  # their tests cancel as many

    def __init__(self) -> None:
        super().__init__()
        self._left = 0

    def client_left(self, _call: Call) -> None:
        """Called when a client went away."""
        self._left += 1

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, unless too many clients went away."""
        full, self._left = self._left >= 60, 0
        if full:
            call.over.wait()
        yield from super().list_responses(call, point)


class ListDropsWhileClientIsSlow(Mutant):
    """List drops every response that follows one which took more than 0.1 seconds to send."""

    killed_by = "FLOW-13"
    also = frozenset({"FLOW-6", "HALF-11", "ORD-13"})  # whenever the client pauses reading

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses; after each that was slow to send, one is dropped."""
        slow = False
        for response in super().list_responses(call, point):
            if not slow:
                began = time.monotonic()
                yield response
                slow = time.monotonic() - began > 0.1
            else:
                slow = False


class RouteDropsWhileClientIsSlow(Mutant):
    """Route drops every response that follows one which took more than 0.1 seconds to send."""

    killed_by = "HALF-11"
    also = frozenset({"FLOW-13", "FLOW-6"})  # whenever the client pauses reading

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses; after each that was slow to send, one is dropped."""
        slow = False
        for response in super().route_responses(call, points):
            repeated = response.pt.name.startswith("!repeat")
            if not (slow and repeated):
                began = time.monotonic()
                yield response
                slow = time.monotonic() - began > 0.1
            else:
                slow = False


class RouteStopsAfterFiveThousand(Mutant):
    """Route stops answering after five thousand responses."""

    killed_by = "ORD-4"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The first five thousand responses."""
        responses = super().route_responses(call, points)
        yield from itertools.islice(responses, 5000)
        for _ in responses:
            continue
