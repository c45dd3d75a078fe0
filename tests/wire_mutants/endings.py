"""Mutants that lose messages or the status when a response ends while a window is shut, or hold them up."""

from __future__ import annotations

from typing import Final

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import INTERNAL
from wire_servers.frames import ErrorCode, Frame
from wire_servers.headers import Fields, Request
from wire_servers.stream import Stream

_MOMENT: Final = 0.05
"""Seconds after which a response is sent that was held."""
_MANY: Final = 100
"""Responses that are held at most."""


def shut(stream: Stream) -> bool:
    """Whether the windows let nothing through."""
    return stream.connection.allowance(stream) <= 0


class StatusWaitsForWindow(Mutant, Stream):
    """Trailers wait until the windows are open, as if they were DATA."""

    killed_by = "FLOW-15"

    def send_end(self) -> None:
        """Send the trailers if DATA could be sent."""
        if not shut(self):
            super().send_end()


class StatusWaitsBehindHeaders(Mutant, Stream):
    """Trailers wait until the windows are open, as if they were DATA, behind headers that do not."""

    killed_by = "FLOW-15"
    warned = True  # as Node's HTTP/2 does it

    def send_end(self) -> None:
        """Send the headers, and the trailers if DATA could be sent."""
        self.call.send_headers()
        if not shut(self):
            super().send_end()


class StatusLostWhenWindowShut(Mutant, Stream):
    """The status of an RPC that ended while its window was shut is lost: RST_STREAM(NO_ERROR) comes in its place."""

    killed_by = "EOF-16"
    also = frozenset({"HALF-12", "PAIR-14"})  # the same on the other methods
    loses = False

    def end(self, trailers: Fields) -> None:
        """Keep the trailers in mind, or that they are lost."""
        self.loses = bool(self.outbound) and shut(self)
        super().end(trailers)

    def send_end(self) -> None:
        """Send the trailers, or their replacement."""
        if self.loses and not self.local_ended:
            self.reset(ErrorCode.NO_ERROR)
        else:
            super().send_end()


class TailLostWhenWindowShut(Mutant, Stream):
    """The messages that wait for a window when the RPC ends are dropped, and the status is sent."""

    killed_by = "EOF-16"
    also = frozenset({"HALF-12", "PAIR-14"})  # the same on the other methods

    def end(self, trailers: Fields) -> None:
        """End now if the rest would have to wait."""
        if self.outbound and shut(self):
            self.discard()
        super().end(trailers)


class TailLostAtEarlyEnd(Mutant, Stream):
    """A response that ends before the request is cut off: RST_STREAM(NO_ERROR) does not wait for what is to be sent."""

    killed_by = "HALF-12"
    also = frozenset({"PAIR-14"})  # the same on Record

    def end(self, trailers: Fields) -> None:
        """End, and reset if the end cannot be sent at once."""
        super().end(trailers)
        if not self.remote_ended and self.outbound and shut(self):
            self.reset(ErrorCode.NO_ERROR)


class _WaitsAfterHalfClose(Connection):
    """Does something wrong when a Route that the client has half-closed waits for its window."""

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver, and look at a stream that waits already."""
        super().deliver(stream, frame, content)
        self.due(stream)

    def send_some(self, stream: Stream) -> bool:
        """Send a frame, and look whether the next one waits."""
        more = super().send_some(stream)
        if stream.outbound and stream.remote_ended and shut(stream) and stream.call.request.path.endswith(b"Route"):
            self.give_up(stream)
        return more

    def give_up(self, stream: Stream) -> None:
        """Do what is wrong."""
        raise NotImplementedError


class TailLostAfterHalfClose(Mutant, _WaitsAfterHalfClose):
    """What waits for the window of a Route that the client has half-closed is dropped."""

    killed_by = "HALF-11"
    also = frozenset({"HALF-12"})  # some of its endings have a half-close

    def give_up(self, stream: Stream) -> None:
        """Drop what waits."""
        stream.discard()


class HalfCloseEndsWaiting(Mutant, _WaitsAfterHalfClose):
    """A Route that waits for its window ends with INTERNAL when the client has half-closed."""

    killed_by = "HALF-11"
    also = frozenset({"HALF-12"})  # some of its endings have a half-close

    def give_up(self, stream: Stream) -> None:
        """Take the client for gone."""
        stream.call.stop()
        stream.discard()
        stream.call.finish(INTERNAL, "the client has gone away")


class OkWithoutMessageWhenWindowShut(Mutant, Stream):
    """A Record whose window is shut ends with OK and no message."""

    killed_by = "PAIR-14"

    def write(self, data: bytes) -> None:
        """Wait with a message only where it is not the only one."""
        if not shut(self) or not self.call.request.path.endswith(b"Record"):
            super().write(data)


class HoldsWhileWorking(Mutant, Call):
    """What was written is sent a moment later, unless the handler sleeps by then: after that."""

    killed_by = "FLOW-18"

    def __init__(self, stream: Stream, request: Request) -> None:
        super().__init__(stream, request)
        self.held: list[bytes] = []
        self.sleeps = False

    async def send(self, message: bytes) -> None:
        """Hold the message."""
        self.send_headers()
        self.held.append(self.enveloped(message))
        if len(self.held) > _MANY:
            self.release()
        self.stream.connection.loop.after(_MOMENT, self.release_and_settle)
        await self.room()

    async def sleep(self, seconds: float) -> None:
        """Sleep, and hold what is held."""
        self.sleeps = True
        await super().sleep(seconds)
        self.sleeps = False

    def release_and_settle(self) -> None:
        """Send what was held, if the handler does not sleep."""
        if not self.sleeps:
            self.release()
            self.stream.connection.settle()

    def release(self) -> None:
        """Send what was held."""
        while self.held:
            self.stream.write(self.held.pop(0))

    def finish(self, code: int, message: str = "") -> None:
        """Send what was held, and the end."""
        self.release()
        super().finish(code, message)
