"""Mutants that do not notice a deadline, see one where there is none, or do not survive it."""

from __future__ import annotations

import itertools
from typing import Final

import grpc

from mutants.base import Mutant, NoticesLeaving, OpenRoutes
from servers.calls import Call

_FAR: Final = 1e8
"""Seconds further away than any client's deadline: grpcio has a number for none, too."""


def seconds_left(call: Call) -> float | None:
    """Seconds until the deadline, or None without one."""
    left = call.context.time_remaining()
    return None if left > _FAR else left


class DeadlineIsNotNoticed(Mutant):
    """No handler ever learns that a deadline passed."""

    killed_by = "DEADL-12"

    class CALL(Call):
        """An RPC without a deadline, as far as it knows."""

        def went_away(self) -> bool:
            """Whether the client ended it, and not the deadline."""
            return super().went_away() and seconds_left(self) != 0


class DeadlineKillsShortCalls(Mutant):
    """An RPC whose deadline is less than a minute away is ended at once with DEADLINE_EXCEEDED."""

    killed_by = "DEADL-5"
    also = frozenset({"DEADL-12", "DEADL-13"})  # whose calls end before they are marked, or disturbed

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if it has time enough."""
        call = super().begin(context, method)
        left = seconds_left(call)
        if left is not None and left < 60:
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "too little time is left")
        return call


class DeadlineIsTakenForMilliseconds(Mutant):
    """The seconds up to a deadline are taken for milliseconds."""

    killed_by = "DEADL-5"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Wait, but no longer than the deadline was misread to allow."""
        left = seconds_left(call)
        if left is not None and left < milliseconds:
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
        super().sleep(call, milliseconds)


class DeadlinesComeEarly(Mutant):
    """An RPC that waits ends with DEADLINE_EXCEEDED after half of the time that it has."""

    killed_by = "DEADL-1"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Wait, for half of the time that is left at most."""
        left = seconds_left(call)
        if left is not None and left / 2 < milliseconds / 1000:
            super().sleep(call, int(left * 500))
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
        super().sleep(call, milliseconds)


class DeadlineIsUnknown(Mutant):
    """An RPC that waits ends with UNKNOWN just before its deadline."""

    killed_by = "DEADL-1"
    also = frozenset({"DEADL-13"})  # every deadline ends so

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Wait until the deadline is near."""
        left = seconds_left(call)
        if left is not None and left < milliseconds / 1000:
            super().sleep(call, max(0, int(left * 1000) - 50))
            self.abort(call, grpc.StatusCode.UNKNOWN, "context deadline exceeded")
        super().sleep(call, milliseconds)


class EverybodyHasADeadline(Mutant):
    """An RPC without a deadline gets one of 0.4 seconds."""

    killed_by = "DEADL-5"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Wait, not longer than the server allows."""
        if seconds_left(call) is None and milliseconds > 400:
            super().sleep(call, 400)
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "the server's own deadline")
        super().sleep(call, milliseconds)


class DeadlineEndsSiblings(NoticesLeaving):
    """When the deadline of an RPC passes every Route that is open is cancelled too."""

    killed_by = "DEADL-13"

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; a Route can be ended by others."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def left(self, call: Call) -> None:
        """A client went away, or its time was over."""
        if seconds_left(call) == 0:
            self._routes.cancel_all_but(call)


class DeadlineLeaksASlot(NoticesLeaving):
    """The handler of an RPC whose deadline passed never ends; after fifteen of them new RPCs are refused."""

    killed_by = "DEADL-13"

    def __init__(self) -> None:
        super().__init__()
        self._leaks = itertools.count(1)
        self._full = False

    def left(self, call: Call) -> None:
        """A client went away, or its time was over."""
        if seconds_left(call) == 0:
            self._full = next(self._leaks) >= 15

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if there is a slot for it."""
        call = super().begin(context, method)
        if self._full:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no slot is free")
        return call
