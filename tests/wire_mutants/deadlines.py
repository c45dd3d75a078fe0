"""Mutants that misread grpc-timeout, or do not keep deadlines everywhere."""

from __future__ import annotations

from typing import ClassVar

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.envelopes import DEADLINE_EXCEEDED, OK
from wire_servers.frames import ErrorCode
from wire_servers.headers import MalformedError


class DeadlinesIgnored(Mutant, Call):
    """grpc-timeout is ignored."""

    killed_by = "DEADL-14"

    def arm(self) -> None:
        """Set no timer."""


class _Unit(Call):
    """Misreads one unit."""

    UNIT = b""
    SECONDS = 0.0

    def seconds(self, timeout: bytes) -> float:
        """The seconds, wrong for one unit."""
        right = super().seconds(timeout)
        return int(timeout[:-1]) * self.SECONDS if timeout.endswith(self.UNIT) else right


class HoursAreMilliseconds(Mutant, _Unit):
    """The unit H is read as milliseconds."""

    killed_by = "DEADL-6"
    UNIT = b"H"
    SECONDS = 1e-3


class MinutesAreMilliseconds(Mutant, _Unit):
    """The unit M is read as milliseconds, like m."""

    killed_by = "DEADL-6"
    UNIT = b"M"
    SECONDS = 1e-3


class SecondsAreMilliseconds(Mutant, _Unit):
    """The unit S is read as milliseconds."""

    killed_by = "DEADL-6"
    UNIT = b"S"
    SECONDS = 1e-3


class MillisecondsAreMinutes(Mutant, _Unit):
    """The unit m is read as minutes, like M."""

    killed_by = "DEADL-6"
    UNIT = b"m"
    SECONDS = 60.0


class MicrosecondsAreMilliseconds(Mutant, _Unit):
    """The unit u is read as milliseconds."""

    killed_by = "DEADL-6"
    UNIT = b"u"
    SECONDS = 1e-3


class NanosecondsAreMicroseconds(Mutant, _Unit):
    """The unit n is read as microseconds."""

    killed_by = "DEADL-6"
    UNIT = b"n"
    SECONDS = 1e-6


class LargeTimeoutsExpireAtOnce(Mutant, Call):
    """A timeout of more milliseconds than an int32 holds has expired on arrival."""

    killed_by = "DEADL-7"

    def seconds(self, timeout: bytes) -> float:
        """The seconds; zero if there are too many."""
        right = super().seconds(timeout)
        return right if right * 1000 < 2**31 else 0.0


class DeadlineNotKeptWhileIdle(Mutant, Call):
    """A deadline does not end an RPC that waits for requests."""

    killed_by = "DEADL-2"
    also = frozenset({"DEADL-3", "DEADL-16"})  # on Route too, and the hundred RPCs wait for requests
    waits = False

    async def receive(self) -> bytes | None:
        """Wait for a request, without a deadline."""
        self.waits = True
        message = await super().receive()
        self.waits = False
        return message

    def expire(self) -> None:
        """End the RPC unless it waits for requests."""
        if not self.waits:
            super().expire()


class DeadlineNotKeptOnIdleRoute(DeadlineNotKeptWhileIdle):
    """A deadline does not end a Route that waits for requests."""

    killed_by = "DEADL-3"
    also = frozenset()

    def expire(self) -> None:
        """End the RPC unless it is a Route that waits."""
        self.waits = self.waits and self.request.path.endswith(b"Route")
        super().expire()


class DeadlineNotKeptWhileBlocked(Mutant, Call):
    """A deadline does not end an RPC that waits for its window."""

    killed_by = "DEADL-4"

    def expire(self) -> None:
        """End the RPC if nothing waits to be sent."""
        if not self.stream.outbound:
            super().expire()


class DeadlineUntilHeadersOnly(Mutant, Call):
    """A deadline is dropped once the response headers are sent."""

    killed_by = "DEADL-11"
    also = frozenset({"DEADL-3", "DEADL-4"})  # their RPCs have sent a response too

    def send_headers(self) -> None:
        """Send the headers, and drop the deadline."""
        super().send_headers()
        self.disarm()


class DeadlineIsCancelled(Mutant, Call):
    """An RPC whose deadline passes ends with CANCELLED."""

    killed_by = "DEADL-14"
    warned = True

    def finish(self, code: int, message: str = "") -> None:
        """End with CANCELLED."""
        super().finish(1 if code == DEADLINE_EXCEEDED else code, message)


class DeadlineIsOk(Mutant, Call):
    """An RPC whose deadline passes ends with OK."""

    killed_by = "DEADL-14"

    def expire(self) -> None:
        """End with OK."""
        self.notify()
        self.stop()
        self.stream.discard()
        self.finish(OK)


class DeadlineIsReset(Mutant, Call):
    """An RPC whose deadline passes ends with RST_STREAM(INTERNAL_ERROR)."""

    killed_by = "DEADL-14"

    def expire(self) -> None:
        """Reset the stream."""
        self.notify()
        self.stop()
        self.stream.reset(ErrorCode.INTERNAL_ERROR)


class DeadlineNotReported(Mutant, Call):
    """The handler does not learn that the deadline passed."""

    killed_by = "DEADL-12"

    def expire(self) -> None:
        """End as if the server had ended the RPC."""
        self.settled = True
        super().expire()


class DeadlineKillsTheConnection(Mutant, Call):
    """An RPC whose deadline passes takes its connection down."""

    killed_by = "DEADL-13"

    def expire(self) -> None:
        """End the connection."""
        super().expire()
        self.stream.connection.settle()
        self.stream.connection.lost()
        self.stream.connection.close()


class FewDeadlines(Mutant, Call):
    """The server keeps fifty deadlines at a time; RPCs beyond them have none."""

    killed_by = "DEADL-16"
    kept: ClassVar[set[Call]] = set()

    def arm(self) -> None:
        """Set a timer if one is left."""
        if len(self.kept) < 50:
            super().arm()
            if self.deadline is not None:
                self.kept.add(self)

    def disarm(self) -> None:
        """Return the timer."""
        super().disarm()
        self.kept.discard(self)


class DeadlinesShareATimer(Mutant, Call):
    """Of the deadlines that pass within the same tenth of a second, only the first is kept."""

    killed_by = "DEADL-16"
    also = frozenset({"DEADL-6"})  # two of its timeouts are the same time in different units
    taken: ClassVar[set[int]] = set()

    def arm(self) -> None:
        """Set a timer unless one exists for that time."""
        super().arm()
        if self.deadline is not None:
            tenth = int(self.deadline.due * 10)
            if tenth in self.taken:
                self.deadline.cancel()
            self.taken.add(tenth)


class MalformedTimeoutHangs(Mutant, Call):
    """An RPC with a malformed grpc-timeout is never answered."""

    killed_by = "DEADL-10"

    def begin(self) -> None:
        """Begin if the timeout is well-formed."""
        try:
            self.seconds(self.request.first(b"grpc-timeout") or b"1S")
        except MalformedError:
            return
        super().begin()


class ZeroTimeoutHangs(Mutant, Call):
    """An RPC with a timeout of 0 is never answered."""

    killed_by = "DEADL-9"

    def begin(self) -> None:
        """Begin if the timeout is not 0."""
        if self.request.first(b"grpc-timeout") not in (b"0n", b"0S"):
            super().begin()
