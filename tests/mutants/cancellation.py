"""Mutants that do not notice a cancel, mistake something else for one, or do not survive it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import grpc

from mutants.base import Mutant, NoticesDisconnect, OpenRoutes
from pytest_grpcstream.messages import StreamPoint, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class NeverNoticesCancel(Mutant):
    """No handler ever learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of deadlines, nor while blocked

    class CALL(Call):
        """An RPC whose client never goes away, as far as it knows."""

        def went_away(self) -> bool:
            """Whether the client ended the RPC: never."""
            return False


class ListDoesNotNoticeCancel(Mutant):
    """The handler of List never learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of deadlines, nor while blocked

    class CALL(Call):
        """An RPC whose client never goes away, as far as a List knows."""

        def went_away(self) -> bool:
            """Whether the client ended the RPC: never for List."""
            return self.method != "List" and super().went_away()


class RouteDoesNotNoticeCancel(Mutant):
    """The handler of Route never learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of deadlines, nor while blocked

    class CALL(Call):
        """An RPC whose client never goes away, as far as a Route knows."""

        def went_away(self) -> bool:
            """Whether the client ended the RPC: never for Route."""
            return self.method != "Route" and super().went_away()


class BusyRouteDoesNotNoticeCancel(Mutant):
    """The handler of Route does not notice a cancel while it sends a series of responses."""

    killed_by = "CANCEL-13"

    class CALL(Call):
        """An RPC that can be too busy to notice a cancel."""

        busy = False

        def went_away(self) -> bool:
            """Whether the client ended the RPC, unless the handler was busy."""
            return not self.busy and super().went_away()

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer; a cancel before its end goes unnoticed."""
        assert isinstance(call, BusyRouteDoesNotNoticeCancel.CALL)
        call.busy = directive.word == "!repeat"
        yield from super().answer(call, point, directive, sent)
        call.busy = False


class CountsNormalEnds(Mutant):
    """An RPC that ended with OK is recorded as cancelled."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC that records only errors as ends of its own."""

        def settle(self) -> None:
            """The server ends this RPC, which is not recorded."""

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, which is recorded."""
        Call.settle(call)
        super().abort(call, code, text)


class CountsAborts(Mutant):
    """An RPC that the server ended with an error is recorded as cancelled."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC whose error is not recorded.

        Attributes:
            aborting: whether the server is ending it with an error.
        """

        aborting = False

        def settle(self) -> None:
            """The server ends this RPC, which is recorded only if it ends with OK."""
            if not self.aborting:
                super().settle()

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, which is not recorded."""
        assert isinstance(call, CountsAborts.CALL)
        call.aborting = True
        super().abort(call, code, text)


class CountsOpenCalls(Mutant):
    """An RPC is recorded as cancelled as soon as it is marked."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC that is recorded as cancelled when it is marked."""

        def mark(self, token: str) -> None:
            """Record ``token`` at once."""
            self.gone.add(token)


class CountsEveryToken(Mutant):
    """Once a marked RPC was cancelled, every token is reported as cancelled."""

    killed_by = "CANCEL-16"

    def was_cancelled(self, token: str) -> bool:
        """Whether any marked RPC was cancelled."""
        return super().was_cancelled(token) or len(self.gone) > 0


class LeaksAThreadPerCancel(NoticesDisconnect):
    """The handler of a cancelled RPC never ends; after a hundred of them, new RPCs are refused."""

    killed_by = "LOAD-8"

    def __init__(self) -> None:
        super().__init__()
        self._leaks = itertools.count(1)
        self._full = False

    def client_left(self, _call: Call) -> None:
        """Called when a client went away: one thread is lost."""
        self._full = next(self._leaks) >= 100

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if a thread is left for it."""
        call = super().begin(context, method)
        if self._full:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no thread is free")
        return call


class SleepHoldsItsThread(Mutant):
    """A sleeping handler does not stop when its RPC is over; while a hundred of them sleep, new RPCs are refused."""

    killed_by = "LOAD-8"

    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.BoundedSemaphore(100)

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if a thread is left for it."""
        call = super().begin(context, method)
        if not self._threads.acquire(blocking=False):
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no thread is free")
        self._threads.release()
        return call

    def sleep(self, _call: Call, milliseconds: int) -> None:
        """Wait for the whole time, even if the RPC is over."""
        with self._threads:
            time.sleep(milliseconds / 1000)


class CancelSpoilsRoute(NoticesDisconnect):
    """After a cancel, the next Route starts counting at one."""

    killed_by = "ORD-12"

    def __init__(self) -> None:
        super().__init__()
        self._spoilt = False

    def client_left(self, _call: Call) -> None:
        """Called when a client went away."""
        self._spoilt = True

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, starting at what the cancelled RPC left behind."""
        offset, self._spoilt = int(self._spoilt), False
        for response in super().route_responses(call, points):
            if response.pt.name == self.ROUTE_NAME:
                response.pt.value += offset
            yield response


class CancelEndsSiblings(NoticesDisconnect):
    """A cancel of one RPC cancels every other open Route."""

    killed_by = "CANCEL-9"
    also = frozenset({"CANCEL-16", "DEADL-13"})  # their tests keep a Route open beside the RPCs that end

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; remember a Route so that others can cancel it."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def client_left(self, call: Call) -> None:
        """Called when a client went away: cancel the other Routes."""
        self._routes.cancel_all_but(call)


class EarlyCancelsBreakRoute(NoticesDisconnect):
    """After fifteen consecutive Routes that were cancelled before their first request, the next is not answered."""

    killed_by = "CANCEL-3"
    also = frozenset({"DEADL-13"})  # its deadlines pass before any request

    class CALL(NoticesDisconnect.CALL):
        """An RPC that knows whether a request was read.

        Attributes:
            begun: whether a request was read.
        """

        begun = False

    def __init__(self) -> None:
        super().__init__()
        self._early = 0

    def client_left(self, call: Call) -> None:
        """Called when a client went away."""
        assert isinstance(call, EarlyCancelsBreakRoute.CALL)
        self._early += call.method == "Route" and not call.begun

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, unless too many clients went away."""
        assert isinstance(call, EarlyCancelsBreakRoute.CALL)
        first = list(itertools.islice(points, 1))
        if not first and call.over.is_set():
            return
        call.begun = True
        broken, self._early = self._early >= 15, 0
        if broken:
            call.over.wait()
        yield from super().route_responses(call, itertools.chain(first, points))


class LateCancelsBreakRoute(NoticesDisconnect):
    """After five consecutive Routes that were cancelled midway, the next is not answered."""

    killed_by = "CANCEL-5"
    also = frozenset({"LOAD-8", "ORD-12", "ROBUST-14"})  # their tests cancel more Routes

    def __init__(self) -> None:
        super().__init__()
        self._late = 0

    def client_left(self, call: Call) -> None:
        """Called when a client went away."""
        self._late += call.method == "Route"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, unless too many clients went away."""
        if self._late >= 5:
            self._late = 0
            call.over.wait()
        yield from super().route_responses(call, points)
        if not call.over.is_set():
            self._late = 0


class CancelledSleepKeepsLock(Mutant):
    """An RPC that is cancelled while it sleeps keeps the lock that List needs."""

    killed_by = "CANCEL-4"
    also = frozenset({"DEADL-1", "DEADL-13", "LOAD-8"})  # a deadline during a sleep does the same

    def __init__(self) -> None:
        super().__init__()
        self._kept = False

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep, and release the lock only if the RPC is still open."""
        super().sleep(call, milliseconds)
        self._kept = self._kept or call.over.is_set()

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, once the lock is free."""
        if self._kept:
            call.over.wait()
        yield from super().list_responses(call, point)
