"""Mutants that miss a half-close, or see one where there is none."""

from __future__ import annotations

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.frames import END_STREAM, Frame
from wire_servers.headers import Fields
from wire_servers.stream import Stream

_EMPTY_MESSAGE = bytes(5)


def talkative(stream: Stream) -> bool:
    """Whether this is a Route with several DATA frames; baseline exchanges, which have one, must work."""
    return stream.call.request.path.endswith(b"Route") and stream.frames > 1


class BuffersMediumResponses(Mutant, Stream):
    """A response of 1,000 to 4,000 bytes stays in a buffer until more follows or the response ends."""

    killed_by = "HALF-4"
    kept = b""

    def write(self, data: bytes) -> None:
        """Send a small or large response, after what was buffered."""
        kept, self.kept = self.kept, b""
        if kept:
            super().write(kept)
        if 1000 <= len(data) <= 4000 and self.call.request.path.endswith(b"Route"):
            self.kept = data
        else:
            super().write(data)

    def end(self, trailers: Fields) -> None:
        """Send what was buffered, then the end."""
        if self.kept:
            super().write(self.kept)
        super().end(trailers)


class MissesEmptyDataWithEndStream(Mutant, Connection):
    """END_STREAM on an empty DATA frame is ignored on a Route with several messages."""

    killed_by = "HALF-1"
    also = frozenset({"HALF-4", "ORD-12"})  # Routes with several messages

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver a frame that is not empty."""
        if content or not frame.has(END_STREAM) or not talkative(stream):
            super().deliver(stream, frame, content)


class MissesEndStreamOnLastMessage(Mutant, Connection):
    """END_STREAM on a non-empty DATA frame is ignored on a Record."""

    killed_by = "EOF-2"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the content, and the half-close only if there is no content."""
        record = stream.call.request.path.endswith(b"Record")
        missed = content and record
        super().deliver(stream, frame._replace(flags=frame.flags & ~END_STREAM) if missed else frame, content)


class DropsLastMessage(Mutant, Connection):
    """The content of a DATA frame with END_STREAM is dropped on a Record."""

    killed_by = "EOF-2"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver either the content or the half-close."""
        record = stream.call.request.path.endswith(b"Record")
        super().deliver(stream, frame, b"" if frame.has(END_STREAM) and record else content)


class MissesEndStreamOnHeaders(Mutant, Connection):
    """END_STREAM on the HEADERS of a request is ignored."""

    killed_by = "EOF-4"

    def on_request_without_data(self, stream: Stream) -> None:
        """Ignore it, and wait for DATA."""


class MissesRequestTrailers(Mutant, Connection):
    """Request trailers are ignored, and with them the half-close."""

    killed_by = "EOF-10"

    def on_request_trailers(self, stream: Stream, fields: Fields, *, end_stream: bool) -> None:
        """Ignore them, and wait for DATA."""


class EmptyDataIsHalfClose(Mutant, Connection):
    """An empty DATA frame is treated as the half-close."""

    killed_by = "EOF-11"
    warned = True

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver an empty frame with END_STREAM."""
        super().deliver(stream, frame if content else frame._replace(flags=frame.flags | END_STREAM), content)


class EmptyDataIsMessage(Mutant, Connection):
    """An empty DATA frame is treated as an empty message."""

    killed_by = "EOF-11"
    warned = True

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver an empty message for an empty frame without END_STREAM."""
        super().deliver(stream, frame, content if content or frame.has(END_STREAM) else _EMPTY_MESSAGE)


class EmptyDataWithEndStreamIsMessage(Mutant, Connection):
    """An empty DATA frame with END_STREAM is treated as an empty message on a Route with several messages."""

    killed_by = "HALF-1"
    also = frozenset({"HALF-4", "ORD-12"})  # Routes with several messages

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver an empty message for an empty frame with END_STREAM."""
        taken = frame.has(END_STREAM) and not content and talkative(stream)
        super().deliver(stream, frame, _EMPTY_MESSAGE if taken else content)


class EmptyDataWithEndStreamAnsweredAgain(Mutant, Connection):
    """At an empty DATA frame with END_STREAM, the second of two short messages of a Route is delivered again."""

    killed_by = "EOF-3"
    also = frozenset({"CANCEL-15", "DEADL-13", "EOF-5", "ROBUST-18"})  # their Routes end in that way as well
    last = (0, b"")

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the previous content instead of an empty frame."""
        if content:
            self.last = (stream.id, content)
        number, last = self.last
        short = talkative(stream) and stream.frames == 2 and stream.received < 100
        again = short and frame.has(END_STREAM) and not content and number == stream.id
        super().deliver(stream, frame, last if again else content)


class EveryFrameIsTheLast(Mutant, Connection):
    """A Record ends with its first non-empty DATA frame."""

    killed_by = "EOF-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the first content of a Record with END_STREAM, and drop the rest."""
        record = stream.call.request.path.endswith(b"Record")
        super().deliver(
            stream, frame._replace(flags=frame.flags | END_STREAM) if record and content else frame, content
        )

    def check_open(self, stream: Stream) -> None:
        """DATA after the end is not an error."""


class DeliversAfterHalfClose(Mutant, Connection):
    """A message after the half-close is delivered."""

    killed_by = "HALF-6"

    def check_open(self, stream: Stream) -> None:
        """DATA after the end is not an error."""


class TruncationIsHalfClose(Mutant, Call):
    """A request stream that ends within a message is treated as ending before that message."""

    killed_by = "EOF-9"

    def check_end(self) -> None:
        """A truncated message is not an error."""


class ResetIsHalfClose(Mutant, Connection):
    """RST_STREAM is treated as a half-close."""

    killed_by = "EOF-8"
    also = frozenset({"CANCEL-2", "CANCEL-11"})  # the handler never learns of a cancel

    def on_reset(self, frame: Frame) -> None:
        """Half-close the requests, and send nothing more."""
        stream = self.stream(frame.stream_id)
        if stream is not None and not stream.local_ended:
            stream.half_close()
            stream.local_ended = True
            stream.discard()
