"""Mutants that do not notice a cancel, or react to it with too much."""

from __future__ import annotations

from typing import ClassVar

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.frames import ConnectionFault, ErrorCode, Frame, Setting


def code_of(frame: Frame) -> int:
    """The error code of RST_STREAM."""
    return int.from_bytes(frame.payload, "big")


class SendsAfterReset(Mutant, Connection):
    """The handler is notified of RST_STREAM but continues to send."""

    killed_by = "CANCEL-1"

    def on_reset(self, frame: Frame) -> None:
        """Notify the handler, but keep the stream open."""
        stream = self.stream(frame.stream_id)
        if stream is not None:
            stream.call.notify()


class WaitsForItsDeadlineOnly(Mutant, Call):
    """The handler of an RPC with a deadline is notified of nothing but that."""

    killed_by = "CANCEL-2"

    def gone(self) -> None:
        """Stop without notifying a handler that has a deadline."""
        if self.deadline is None:
            super().gone()
        else:
            self.stop()
            self.disarm()


class ResetAnsweredByReset(Mutant, Connection):
    """RST_STREAM is answered with RST_STREAM."""

    killed_by = "CANCEL-6"

    def on_reset(self, frame: Frame) -> None:
        """End the stream, and reset it too."""
        super().on_reset(frame)
        self.send_reset(frame.stream_id, ErrorCode.CANCEL)


class CancelKillsSiblings(Mutant, Connection):
    """RST_STREAM ends all streams of its connection."""

    killed_by = "CANCEL-9"

    def on_reset(self, frame: Frame) -> None:
        """End this stream and all others."""
        super().on_reset(frame)
        for stream in list(self.streams.values()):
            stream.call.gone()
            stream.reset(ErrorCode.CANCEL)


class CancelKillsConnection(Mutant, Connection):
    """RST_STREAM ends the connection."""

    killed_by = "CANCEL-3"
    also = frozenset({"ORD-12"})  # its connection begins with a cancelled Route

    def on_reset(self, frame: Frame) -> None:
        """End the connection."""
        super().on_reset(frame)
        raise ConnectionFault(ErrorCode.INTERNAL_ERROR, "a stream was reset")


class CancelUnnoticedWhileBlocked(Mutant, Connection):
    """RST_STREAM is not noticed while the stream waits for its window."""

    killed_by = "CANCEL-13"

    def on_reset(self, frame: Frame) -> None:
        """Do nothing if the handler is blocked."""
        stream = self.streams.get(frame.stream_id)
        if stream is None or not stream.outbound:
            super().on_reset(frame)


class OnlyCancelCounts(Mutant, Connection):
    """RST_STREAM with an error code other than CANCEL is ignored."""

    killed_by = "CANCEL-11"

    def on_reset(self, frame: Frame) -> None:
        """End the stream only if the code is CANCEL."""
        if code_of(frame) == ErrorCode.CANCEL:
            super().on_reset(frame)


class UnknownResetCodeKills(Mutant, Connection):
    """RST_STREAM with an unknown error code ends the connection."""

    killed_by = "CANCEL-11"

    def on_reset(self, frame: Frame) -> None:
        """End the connection if the code is unknown."""
        super().on_reset(frame)
        if code_of(frame) > max(ErrorCode):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "unknown error code")


class SlotsNotFreed(Mutant, Connection):
    """A cancelled stream counts as concurrent forever."""

    killed_by = "CANCEL-7"
    SETTINGS: ClassVar = {**Connection.SETTINGS, Setting.MAX_CONCURRENT_STREAMS: 100}
    cancelled = 0

    def on_reset(self, frame: Frame) -> None:
        """Count the stream as open, though it has ended."""
        self.cancelled += frame.stream_id in self.streams
        super().on_reset(frame)

    def too_many(self) -> bool:
        """Whether the limit is reached, cancelled streams included."""
        return len(self.streams) + self.cancelled >= self.SETTINGS[Setting.MAX_CONCURRENT_STREAMS]


class LateResetKills(Mutant, Connection):
    """RST_STREAM for a stream that has ended ends the connection."""

    killed_by = "CANCEL-12"

    def on_reset(self, frame: Frame) -> None:
        """Treat an ended stream as an error."""
        if self.stream(frame.stream_id) is None:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "RST_STREAM on a closed stream")
        super().on_reset(frame)


class LossUnnoticed(Mutant, Connection):
    """A lost connection ends none of its RPCs."""

    killed_by = "CANCEL-10"

    def lost(self) -> None:
        """Do nothing."""


class LossIsHalfClose(Mutant, Connection):
    """A connection closed by the client is treated as a half-close of its streams."""

    killed_by = "CANCEL-10"

    def lost(self) -> None:
        """Half-close all requests, and let the RPCs end."""
        for stream in list(self.streams.values()):
            stream.half_close()
            stream.call.resume()


class CancelOfUnreadRecordUnnoticed(Mutant, Connection):
    """RST_STREAM on a Record is not noticed while it waits for requests."""

    killed_by = "EOF-8"

    def on_reset(self, frame: Frame) -> None:
        """Remove the stream without notifying its handler."""
        stream = self.streams.get(frame.stream_id)
        if stream is not None and stream.call.request.path.endswith(b"Record"):
            stream.call.settled = True
        super().on_reset(frame)


class GoawayKillsCalls(Mutant, Connection):
    """A GOAWAY of the client ends its open RPCs."""

    killed_by = "CANCEL-15"

    def on_goaway(self, frame: Frame) -> None:
        """Close the connection."""
        super().on_goaway(frame)
        self.lost()
        self.close()
