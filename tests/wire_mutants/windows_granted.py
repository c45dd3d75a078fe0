"""Mutants that do not grant the client its windows again."""

from __future__ import annotations

from wire_mutants.base import Mutant
from wire_servers.connection import Connection
from wire_servers.frames import Frame
from wire_servers.stream import Stream


class StreamWindowNeverGranted(Mutant, Stream):
    """The window of a stream is never granted again."""

    killed_by = "FLOW-7"

    def consumed(self, count: int) -> None:
        """Grant nothing."""


class ConnectionWindowNeverGranted(Mutant, Connection):
    """The window of the connection is never granted again."""

    killed_by = "FLOW-7"

    def consumed(self, count: int) -> None:
        """Grant nothing."""


class CancelledBytesNotGranted(Mutant, Connection):
    """What came on a stream that the client cancels is not granted again on the connection."""

    killed_by = "CANCEL-14"

    def on_reset(self, frame: Frame) -> None:
        """Withhold what came on the stream."""
        stream = self.streams.get(frame.stream_id)
        if stream is not None:
            self.consumed(-stream.received)
        super().on_reset(frame)


class AbortedBytesNotGranted(Mutant, Connection):
    """What came on a stream that the server ended early is not granted again on the connection."""

    killed_by = "FLOW-8"

    def forget_reset(self, stream: Stream) -> None:
        """Withhold what came on the stream."""
        self.consumed(-stream.received)
        super().forget_reset(stream)


class LateBytesNotGranted(Mutant, Connection):
    """What comes on a stream that the server has ended is not granted again on the connection."""

    killed_by = "FLOW-8"

    def on_late_data(self, frame: Frame) -> None:
        """Withhold it."""
        self.consumed(-len(frame.payload))
        super().on_late_data(frame)


class LateBytesKillTheConnection(Mutant, Connection):
    """What comes on a stream that the server has ended ends the connection."""

    killed_by = "PAIR-10"

    def on_late_data(self, frame: Frame) -> None:
        """The connection ends, without GOAWAY."""
        self.lost()
        self.close()


class PaddingNotGranted(Mutant, Connection):
    """Padding is not granted again on the connection."""

    killed_by = "FLOW-9"

    def on_data(self, frame: Frame) -> None:
        """Withhold it."""
        super().on_data(frame)
        self.consumed(len(frame.content()) - len(frame.payload))


class PaddingNotGrantedOnStreams(Mutant, Stream):
    """Padding is not granted again on its stream."""

    killed_by = "FLOW-9"

    def receive(self, data: bytes, overhead: int) -> None:
        """Withhold it."""
        super().receive(data, overhead)
        if not self.remote_ended:
            self.consumed(-overhead)
