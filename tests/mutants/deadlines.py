"""Mutants that do not notice a deadline, invent one, or do not survive one."""

from __future__ import annotations

import itertools
from typing import Final

import grpc

from mutants.base import Mutant, NoticesDisconnect, OpenRoutes
from servers.calls import Call

_FAR: Final = 1e8
"""Seconds that no client's deadline exceeds; grpcio reports a larger number for an RPC without a deadline."""


def seconds_left(call: Call) -> float | None:
    """Seconds until the deadline, or None without one."""
    left = call.context.time_remaining()
    return None if left > _FAR else left


class DeadlineIsNotNoticed(Mutant):
    """No handler ever learns that its deadline passed."""

    killed_by = "DEADL-12"

    class CALL(Call):
        """An RPC that does not know its deadline."""

        def went_away(self) -> bool:
            """Whether the client ended the RPC, deadlines excluded."""
            return super().went_away() and seconds_left(self) != 0


class DeadlineKillsShortCalls(Mutant):
    """An RPC with less than a minute until its deadline ends at once with DEADLINE_EXCEEDED."""

    killed_by = "DEADL-5"
    also = frozenset({"DEADL-12", "DEADL-13"})  # their calls end before they are marked or disturbed

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if its deadline is far enough away."""
        call = super().begin(context, method)
        left = seconds_left(call)
        if left is not None and left < 60:
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "too little time is left")
        return call


class DeadlineIsTakenForMilliseconds(Mutant):
    """The seconds until a deadline are read as milliseconds."""

    killed_by = "DEADL-5"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep, but not beyond the misread deadline."""
        left = seconds_left(call)
        if left is not None and left < milliseconds:
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
        super().sleep(call, milliseconds)


class DeadlinesComeEarly(Mutant):
    """A sleeping RPC ends with DEADLINE_EXCEEDED after half of its time."""

    killed_by = "DEADL-1"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep, but not longer than half of the time left."""
        left = seconds_left(call)
        if left is not None and left / 2 < milliseconds / 1000:
            super().sleep(call, int(left * 500))
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
        super().sleep(call, milliseconds)


class DeadlineIsUnknown(Mutant):
    """A sleeping RPC ends with UNKNOWN just before its deadline."""

    killed_by = "DEADL-1"
    also = frozenset({"DEADL-13"})  # every deadline ends this way

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep until the deadline is near."""
        left = seconds_left(call)
        if left is not None and left < milliseconds / 1000:
            super().sleep(call, max(0, int(left * 1000) - 50))
            self.abort(call, grpc.StatusCode.UNKNOWN, "context deadline exceeded")
        super().sleep(call, milliseconds)


class EveryCallHasADeadline(Mutant):
    """An RPC without a deadline gets one of 0.4 seconds."""

    killed_by = "DEADL-5"

    def sleep(self, call: Call, milliseconds: int) -> None:
        """Sleep, but not longer than the server allows."""
        if seconds_left(call) is None and milliseconds > 400:
            super().sleep(call, 400)
            self.abort(call, grpc.StatusCode.DEADLINE_EXCEEDED, "the server's own deadline")
        super().sleep(call, milliseconds)


class DeadlineEndsSiblings(NoticesDisconnect):
    """A passed deadline of one RPC cancels every other open Route."""

    killed_by = "DEADL-13"

    def __init__(self) -> None:
        super().__init__()
        self._routes = OpenRoutes()

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC; remember a Route so that others can cancel it."""
        call = super().begin(context, method)
        self._routes.add(call)
        return call

    def client_left(self, call: Call) -> None:
        """Called when a client went away or its deadline passed."""
        if seconds_left(call) == 0:
            self._routes.cancel_all_but(call)


class DeadlineLeaksASlot(NoticesDisconnect):
    """The handler of an RPC whose deadline passed never ends; after fifteen of them, new RPCs are refused."""

    killed_by = "DEADL-13"

    def __init__(self) -> None:
        super().__init__()
        self._leaks = itertools.count(1)
        self._full = False

    def client_left(self, call: Call) -> None:
        """Called when a client went away or its deadline passed."""
        if seconds_left(call) == 0:
            self._full = next(self._leaks) >= 15

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if a slot is free."""
        call = super().begin(context, method)
        if self._full:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "no slot is free")
        return call
