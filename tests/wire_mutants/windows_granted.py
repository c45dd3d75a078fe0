"""Mutants that do not replenish the client's windows."""

from __future__ import annotations

from wire_mutants.base import Mutant
from wire_servers.connection import Connection
from wire_servers.frames import Frame
from wire_servers.stream import Stream


class StreamWindowNeverGranted(Mutant, Stream):
    """The window of a stream is never replenished."""

    killed_by = "FLOW-7"

    def consumed(self, count: int) -> None:
        """Grant nothing."""


class ConnectionWindowNeverGranted(Mutant, Connection):
    """The window of the connection is never replenished."""

    killed_by = "FLOW-7"

    def consumed(self, count: int) -> None:
        """Grant nothing."""


class CancelledBytesNotGranted(Mutant, Connection):
    """Bytes of a stream that the client cancels are not returned to the connection window."""

    killed_by = "CANCEL-14"

    def on_reset(self, frame: Frame) -> None:
        """Withhold the bytes of the stream."""
        stream = self.streams.get(frame.stream_id)
        if stream is not None:
            self.consumed(-stream.received)
        super().on_reset(frame)


class AbortedBytesNotGranted(Mutant, Connection):
    """Bytes of a stream that the server ended early are not returned to the connection window."""

    killed_by = "FLOW-8"

    def forget_reset(self, stream: Stream) -> None:
        """Withhold the bytes of the stream."""
        self.consumed(-stream.received)
        super().forget_reset(stream)


class LateBytesNotGranted(Mutant, Connection):
    """Bytes that arrive after the server ended their stream are not returned to the connection window."""

    killed_by = "FLOW-8"

    def on_late_data(self, frame: Frame) -> None:
        """Withhold the bytes."""
        self.consumed(-len(frame.payload))
        super().on_late_data(frame)


class LateBytesKillTheConnection(Mutant, Connection):
    """DATA that arrives after the server ended its stream ends the connection."""

    killed_by = "PAIR-10"

    def on_late_data(self, frame: Frame) -> None:
        """End the connection, without GOAWAY."""
        self.lost()
        self.close()


class PaddingNotGranted(Mutant, Connection):
    """Padding is not returned to the connection window."""

    killed_by = "FLOW-9"

    def on_data(self, frame: Frame) -> None:
        """Withhold the padding."""
        super().on_data(frame)
        self.consumed(len(frame.content()) - len(frame.payload))


class PaddingNotGrantedOnStreams(Mutant, Stream):
    """Padding is not returned to the stream window."""

    killed_by = "FLOW-9"

    def receive(self, data: bytes, overhead: int) -> None:
        """Withhold the padding."""
        super().receive(data, overhead)
        if not self.remote_ended:
            self.consumed(-overhead)
