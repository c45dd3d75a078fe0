"""Mutants that do not respect the windows and the frame size of the client."""

from __future__ import annotations

from wire_mutants.base import Mutant
from wire_servers.connection import Connection
from wire_servers.frames import DEFAULT_WINDOW, Setting
from wire_servers.headers import Request
from wire_servers.stream import Stream


class OverrunsStreamWindow(Mutant, Connection):
    """The window of a stream is not respected."""

    killed_by = "FLOW-1"

    def allowance(self, stream: Stream) -> int:
        """What the connection allows."""
        return min(self.send_window, self.client[Setting.MAX_FRAME_SIZE])


class OverrunsConnectionWindow(Mutant, Connection):
    """The window of the connection is not respected."""

    killed_by = "FLOW-3"

    def allowance(self, stream: Stream) -> int:
        """What the stream allows."""
        return min(stream.send_window, self.client[Setting.MAX_FRAME_SIZE])


class OverrunsByOneByte(Mutant, Connection):
    """An open window is treated as one byte larger than it is."""

    killed_by = "FLOW-2"

    def allowance(self, stream: Stream) -> int:
        """One byte more than allowed, except for a whole frame."""
        allowed = min(stream.send_window, self.send_window)
        return min(allowed + 1 if allowed > 0 else 0, self.client[Setting.MAX_FRAME_SIZE])


class IgnoresInitialWindowSize(Mutant, Stream):
    """Every stream begins with a window of 65,535 bytes, whatever the client's SETTINGS say."""

    killed_by = "FLOW-1"

    def __init__(self, connection: Connection, stream_id: int, request: Request) -> None:
        super().__init__(connection, stream_id, request)
        self.send_window = DEFAULT_WINDOW


class IgnoresSmallerInitialWindow(Mutant, Connection):
    """A smaller INITIAL_WINDOW_SIZE is not applied to open streams."""

    killed_by = "FLOW-4"

    def move_windows(self, change: int) -> None:
        """Only increase windows."""
        super().move_windows(max(0, change))


class IgnoresLargerInitialWindow(Mutant, Connection):
    """A larger INITIAL_WINDOW_SIZE is not applied to open streams."""

    killed_by = "FLOW-5"

    def move_windows(self, change: int) -> None:
        """Only decrease windows."""
        super().move_windows(min(0, change))


class NegativeWindowIsZero(Mutant, Connection):
    """A window that SETTINGS made negative is treated as 0."""

    killed_by = "FLOW-4"

    def move_windows(self, change: int) -> None:
        """Adjust windows, but not below 0."""
        super().move_windows(change)
        for stream in self.streams.values():
            stream.send_window = max(0, stream.send_window)


class SmallWindowIsShut(Mutant, Connection):
    """Nothing is sent while a window has fewer than sixteen bytes."""

    killed_by = "FLOW-2"
    warned = True

    def allowance(self, stream: Stream) -> int:
        """What is allowed, if it is at least sixteen bytes."""
        allowed = super().allowance(stream)
        return allowed if allowed >= 16 else 0


class WaitsForSpaceForAll(Mutant, Connection):
    """A message is sent only once the windows have space for all of it."""

    killed_by = "EOF-16"

    def allowance(self, stream: Stream) -> int:
        """What is allowed, if the whole message fits."""
        left = len(stream.outbound[0]) - stream.offset if stream.outbound else 0
        return super().allowance(stream) if left <= min(stream.send_window, self.send_window) else 0


class LargestWindowOverflows(Mutant, Connection):
    """A window of 2^31-1 bytes is treated as negative."""

    killed_by = "FLOW-17"

    def allowance(self, stream: Stream) -> int:
        """What is allowed, with an overflow at the maximum."""
        return 0 if max(stream.send_window, self.send_window) > 2**30 else super().allowance(stream)


class StalledStreamStallsOthers(Mutant, Connection):
    """While one stream waits for its window, no other sends messages."""

    killed_by = "FLOW-6"

    def allowance(self, stream: Stream) -> int:
        """What is allowed, unless another stream waits."""
        others = (one for one in self.streams.values() if one is not stream)
        return 0 if any(one.outbound and one.send_window <= 0 for one in others) else super().allowance(stream)

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """End the wait, and let the others continue."""
        super().widen_stream(stream, increment)
        self.all_due()


class StreamUpdateLost(Mutant, Connection):
    """WINDOW_UPDATE for a stream that is already waiting is not noticed."""

    killed_by = "FLOW-1"

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """Update the window, but do not resume."""
        stream.send_window += increment


class ConnectionUpdateLost(Mutant, Connection):
    """WINDOW_UPDATE for the connection does not wake the streams that wait for it."""

    killed_by = "FLOW-3"

    def widen(self, increment: int) -> None:
        """Update the window, but do not resume."""
        self.send_window += increment


class FramesTooLarge(Mutant, Connection):
    """DATA frames are one byte larger than the client accepts, where windows allow."""

    killed_by = "H2-23"

    def allowance(self, stream: Stream) -> int:
        """What the windows allow, up to one byte more than a frame."""
        return min(stream.send_window, self.send_window, self.client[Setting.MAX_FRAME_SIZE] + 1)


class HeaderFramesTooLarge(Mutant, Connection):
    """HEADERS are never split, however large the block is."""

    killed_by = "H2-23"

    def pieces(self, block: bytes) -> list[bytes]:
        """The whole block in one frame."""
        return [block]
