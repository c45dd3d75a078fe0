"""Mutants that do not notice a cancel, take something else for one, or do not survive it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import grpc

from mutants.base import Mutant, NoticesLeaving, OpenRoutes
from pytest_grpcstream.messages import StreamPoint, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class NeverNoticesCancel(Mutant):
    """No handler ever learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of a deadline, nor while it waits for flow control

    class CALL(Call):
        """An RPC that nobody leaves."""

        def went_away(self) -> bool:
            """Whether the client's going away ended it: never."""
            return False


class ListDoesNotNoticeCancel(Mutant):
    """The handler of List never learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of a deadline, nor while it waits for flow control

    class CALL(Call):
        """An RPC; nobody leaves a List."""

        def went_away(self) -> bool:
            """Whether the client's going away ended it: never for List."""
            return self.method != "List" and super().went_away()


class RouteDoesNotNoticeCancel(Mutant):
    """The handler of Route never learns that its client went away."""

    killed_by = "CANCEL-2"
    also = frozenset({"CANCEL-13", "CANCEL-16", "DEADL-12"})  # nor of a deadline, nor while it waits for flow control

    class CALL(Call):
        """An RPC; nobody leaves a Route."""

        def went_away(self) -> bool:
            """Whether the client's going away ended it: never for Route."""
            return self.method != "Route" and super().went_away()


class BusyRouteDoesNotNoticeCancel(Mutant):
    """The handler of Route learns nothing of a cancel while it sends a number of responses."""

    killed_by = "CANCEL-13"

    class CALL(Call):
        """An RPC that can be too busy to notice."""

        busy = False

        def went_away(self) -> bool:
            """Whether the client's going away ended it, and somebody looked."""
            return not self.busy and super().went_away()

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer; nobody looks for a cancel before it is given."""
        assert isinstance(call, BusyRouteDoesNotNoticeCancel.CALL)
        call.busy = directive.word == "!repeat"
        yield from super().answer(call, point, directive, sent)
        call.busy = False


class CountsNormalEnds(Mutant):
    """An RPC that ended with OK counts as cancelled."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC that never ends well, as far as it knows."""

        def settle(self) -> None:
            """The server ends this RPC, which is not noted."""

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, which is noted."""
        Call.settle(call)
        super().abort(call, code, text)


class CountsAborts(Mutant):
    """An RPC that the server ended with an error counts as cancelled."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC whose error is not noted.

        Attributes:
            aborting: whether it is ended with an error.
        """

        aborting = False

        def settle(self) -> None:
            """The server ends this RPC, which is noted only if it ends well."""
            if not self.aborting:
                super().settle()

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, which is not noted."""
        assert isinstance(call, CountsAborts.CALL)
        call.aborting = True
        super().abort(call, code, text)


class CountsOpenCalls(Mutant):
    """An RPC counts as cancelled from the moment it is marked."""

    killed_by = "CANCEL-16"

    class CALL(Call):
        """An RPC that is lost from the beginning."""

        def mark(self, token: str) -> None:
            """Remember ``token`` at once."""
            self.gone.add(token)


class CountsEveryToken(Mutant):
    """Once a marked RPC was cancelled, every token counts as cancelled."""

    killed_by = "CANCEL-16"

    def was_cancelled(self, token: str) -> bool:
        """Whether any marked RPC was cancelled."""
        return super().was_cancelled(token) or len(self.gone) > 0


class LeaksAThreadPerCancel(NoticesLeaving):
    """The handler of a cancelled RPC never ends; after a hundred of them new RPCs are refused."""

    killed_by = "LOAD-8"

    def __init__(self) -> None:
        super().__init__()
        self._leaks = itertools.count(1)
        self._full = False

    def left(self, _call: Call) -> None:
        """A client went away, and a thread with it."""
        self._full = next(self._leaks) >= 100

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if there is a thread for it."""
        call = super().begin(context, method)
        if self._full:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no thread is free")
        return call


class SleepHoldsItsThread(Mutant):
    """A handler that waits goes on waiting when its RPC is over; while a hundred do, new RPCs are refused."""

    killed_by = "LOAD-8"

    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.BoundedSemaphore(100)

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if there is a thread for it."""
        call = super().begin(context, method)
        if not self._threads.acquire(blocking=False):
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no thread is free")
        self._threads.release()
        return call

    def sleep(self, _call: Call, milliseconds: int) -> None:
        """Wait, however long the RPC lasts."""
        with self._threads:
            time.sleep(milliseconds / 1000)


class CancelSpoilsRoute(NoticesLeaving):
    """After an RPC was cancelled the next Route begins to count at one."""

    killed_by = "ORD-12"

    def __init__(self) -> None:
        super().__init__()
        self._spoilt = False

    def left(self, _call: Call) -> None:
        """A client went away."""
        self._spoilt = True

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, counted on from what was left over."""
        offset, self._spoilt = int(self._spoilt), False
        for response in super().route_responses(call, points):
            if response.pt.name == self.ROUTE_NAME:
                response.pt.value += offset
            yield response


class CancelEndsSiblings(NoticesLeaving):
    """When an RPC is cancelled every Route that is open is cancelled too."""

    killed_by = "CANCEL-9"
    also = frozenset({"CANCEL-16", "DEADL-13"})  # where a Route is open beside those that end

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; a Route can be ended by others."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def left(self, call: Call) -> None:
        """A client went away."""
        self._routes.cancel_all_but(call)


class EarlyCancelsBreakRoute(NoticesLeaving):
    """After fifteen Routes in a row that were cancelled before their first request the next one is not answered."""

    killed_by = "CANCEL-3"
    also = frozenset({"DEADL-13"})  # whose deadlines pass before any request

    class CALL(NoticesLeaving.CALL):
        """An RPC that knows whether a request was read.

        Attributes:
            begun: whether a request was read.
        """

        begun = False

    def __init__(self) -> None:
        super().__init__()
        self._early = 0

    def left(self, call: Call) -> None:
        """A client went away."""
        assert isinstance(call, EarlyCancelsBreakRoute.CALL)
        self._early += call.method == "Route" and not call.begun

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, if none too many went away."""
        assert isinstance(call, EarlyCancelsBreakRoute.CALL)
        first = list(itertools.islice(points, 1))
        if not first and call.over.is_set():
            return
        call.begun = True
        broken, self._early = self._early >= 15, 0
        if broken:
            call.over.wait()
        yield from super().route_responses(call, itertools.chain(first, points))


class LateCancelsBreakRoute(NoticesLeaving):
    """After five Routes in a row that were cancelled in the middle the next one is not answered."""

    killed_by = "CANCEL-5"
    also = frozenset({"LOAD-8", "ORD-12", "ROBUST-14"})  # where more Routes are cancelled

    def __init__(self) -> None:
        super().__init__()
        self._late = 0

    def left(self, call: Call) -> None:
        """A client went away."""
        self._late += call.method == "Route"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, if none too many went away."""
        if self._late >= 5:
            self._late = 0
            call.over.wait()
        yield from super().route_responses(call, points)
        if not call.over.is_set():
            self._late = 0


class CancelledSleepKeepsLock(Mutant):
    """An RPC that is cancelled while it waits keeps the lock that List needs."""

    killed_by = "CANCEL-4"
    also = frozenset({"DEADL-1", "DEADL-13", "LOAD-8"})  # a deadline during a wait does the same

    def __init__(self) -> None:
        super().__init__()
        self._kept = False

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Wait, and leave everything in order if the RPC still goes on."""
        super().sleep(call, milliseconds)
        self._kept = self._kept or call.over.is_set()

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, if nobody has the lock."""
        if self._kept:
            call.over.wait()
        yield from super().list_responses(call, point)
