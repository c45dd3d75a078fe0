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
    survives = "no test sends a window full of DATA on a stream that has ended"

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
    survives = "the suite has no FLOW-9"

    def on_data(self, frame: Frame) -> None:
        """Withhold it."""
        super().on_data(frame)
        self.consumed(len(frame.content()) - len(frame.payload))


class PaddingNotGrantedOnStreams(Mutant, Stream):
    """Padding is not granted again on its stream."""

    killed_by = "FLOW-9"
    survives = "the suite has no FLOW-9"

    def receive(self, data: bytes, overhead: int) -> None:
        """Withhold it."""
        super().receive(data, overhead)
        if not self.remote_ended:
            self.consumed(-overhead)


class OverrunTolerated(Mutant, Stream):
    """A client that sends more than the window of its stream is served."""

    killed_by = "FLOW-14"
    survives = "the suite has no FLOW-14"

    def receive(self, data: bytes, overhead: int) -> None:
        """Take whatever comes."""
        self.receive_window = max(self.receive_window, len(data) + overhead)
        super().receive(data, overhead)


class GrantsWithoutReading(Mutant, Stream):
    """The window of a stream is granted again whether the handler reads or not."""

    killed_by = "FLOW-11"
    survives = "the suite has no FLOW-11"

    def receive(self, data: bytes, overhead: int) -> None:
        """Grant it as soon as it comes."""
        super().receive(data, overhead)
        self.consumed(len(data))

    def take(self) -> bytes:
        """What waits, granted before."""
        data = bytes(self.inbound)
        self.inbound.clear()
        return data
