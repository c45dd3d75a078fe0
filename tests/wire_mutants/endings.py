"""Mutants that lose or delay messages or the status when a response ends while a window is exhausted."""

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
"""Seconds for which a response is held."""
_MANY: Final = 100
"""Maximum number of responses that are held."""


def shut(stream: Stream) -> bool:
    """Whether a window is exhausted."""
    return stream.connection.allowance(stream) <= 0


class StatusWaitsForWindow(Mutant, Stream):
    """Trailers wait until the windows are open, as if they were DATA."""

    killed_by = "FLOW-15"

    def send_end(self) -> None:
        """Send the trailers if DATA could be sent."""
        if not shut(self):
            super().send_end()


class StatusWaitsAfterHeaders(Mutant, Stream):
    """After headers that do not wait, trailers wait until the windows are open, as if they were DATA."""

    killed_by = "FLOW-15"
    warned = True  # Node's HTTP/2 does this

    def send_end(self) -> None:
        """Send the headers, and the trailers if DATA could be sent."""
        self.call.send_headers()
        if not shut(self):
            super().send_end()


class StatusLostWhenWindowShut(Mutant, Stream):
    """The status of an RPC that ends while its window is exhausted is lost: RST_STREAM(NO_ERROR) replaces it."""

    killed_by = "EOF-16"
    also = frozenset({"HALF-12", "PAIR-14"})  # the same on other methods
    loses = False

    def end(self, trailers: Fields) -> None:
        """Keep the trailers, or note that they are lost."""
        self.loses = bool(self.outbound) and shut(self)
        super().end(trailers)

    def send_end(self) -> None:
        """Send the trailers, or the reset that replaces them."""
        if self.loses and not self.local_ended:
            self.reset(ErrorCode.NO_ERROR)
        else:
            super().send_end()


class TailLostWhenWindowShut(Mutant, Stream):
    """The messages that wait for a window when the RPC ends are dropped, and the status is sent."""

    killed_by = "EOF-16"
    also = frozenset({"HALF-12", "PAIR-14"})  # the same on other methods

    def end(self, trailers: Fields) -> None:
        """End now if the rest would have to wait."""
        if self.outbound and shut(self):
            self.discard()
        super().end(trailers)


class TailLostAtEarlyEnd(Mutant, Stream):
    """A response that ends before the request is cut off: RST_STREAM(NO_ERROR) overtakes its unsent messages."""

    killed_by = "HALF-12"
    also = frozenset({"PAIR-14"})  # the same on Record

    def end(self, trailers: Fields) -> None:
        """End, and reset if the end cannot be sent at once."""
        super().end(trailers)
        if not self.remote_ended and self.outbound and shut(self):
            self.reset(ErrorCode.NO_ERROR)


class _WaitsAfterHalfClose(Connection):
    """Mistreats a Route that waits for its window after the client half-closed."""

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver, and mistreat a stream that waits already."""
        super().deliver(stream, frame, content)
        self.due(stream)

    def send_some(self, stream: Stream) -> bool:
        """Send a frame, and mistreat the stream if the next one waits."""
        more = super().send_some(stream)
        if stream.outbound and stream.remote_ended and shut(stream) and stream.call.request.path.endswith(b"Route"):
            self.give_up(stream)
        return more

    def give_up(self, stream: Stream) -> None:
        """Mistreat the stream."""
        raise NotImplementedError


class TailLostAfterHalfClose(Mutant, _WaitsAfterHalfClose):
    """What waits for the window of a Route after its half-close is dropped."""

    killed_by = "HALF-11"
    also = frozenset({"HALF-12"})  # some of its RPCs half-close

    def give_up(self, stream: Stream) -> None:
        """Drop what waits."""
        stream.discard()


class HalfCloseEndsWaiting(Mutant, _WaitsAfterHalfClose):
    """A Route that waits for its window after its half-close ends with INTERNAL."""

    killed_by = "HALF-11"
    also = frozenset({"HALF-12"})  # some of its RPCs half-close

    def give_up(self, stream: Stream) -> None:
        """Treat the client as gone."""
        stream.call.stop()
        stream.discard()
        stream.call.finish(INTERNAL, "the client has gone away")


class OkWithoutMessageWhenWindowShut(Mutant, Stream):
    """A Record whose window is exhausted ends with OK and no message."""

    killed_by = "PAIR-14"

    def write(self, data: bytes) -> None:
        """Send unless it is the only message of a Record."""
        if not shut(self) or not self.call.request.path.endswith(b"Record"):
            super().write(data)


class HoldsWhileWorking(Mutant, Call):
    """Responses are sent a moment later; if the handler sleeps by then, only after its sleep."""

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
        """Sleep; held messages stay held."""
        self.sleeps = True
        await super().sleep(seconds)
        self.sleeps = False

    def release_and_settle(self) -> None:
        """Send held messages unless the handler sleeps."""
        if not self.sleeps:
            self.release()
            self.stream.connection.settle()

    def release(self) -> None:
        """Send held messages."""
        while self.held:
            self.stream.write(self.held.pop(0))

    def finish(self, code: int, message: str = "") -> None:
        """Send held messages, and the end."""
        self.release()
        super().finish(code, message)
