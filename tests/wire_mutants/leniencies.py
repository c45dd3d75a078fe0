"""Mutants that accept what RFC 9113 makes an error, or report the wrong error."""

from __future__ import annotations

from wire_mutants.base import Mutant
from wire_servers.connection import NOT_HTTP2, Connection
from wire_servers.frames import (
    LARGEST_FRAME_SIZE,
    ConnectionFault,
    Frame,
    Kind,
    StreamFault,
)
from wire_servers.headers import Fields
from wire_servers.stream import Stream


class WaitsForThePreface(Mutant, Connection):
    """A connection that does not begin with the preface stays open and is never answered."""

    killed_by = "H2-2"

    def fail(self, fault: ConnectionFault) -> None:
        """Fail, except for a wrong preface."""
        if fault.reason != NOT_HTTP2:
            super().fail(fault)


class AcceptsAnyFirstFrame(Mutant, Connection):
    """The first frame of the client may be any frame, not only SETTINGS."""

    killed_by = "H2-3"

    def on_frame(self, frame: Frame) -> None:
        """Handle it like any frame."""
        self.settings_seen = True
        super().on_frame(frame)


class SecondHeadersIgnored(Mutant, Connection):
    """A second block of request headers without END_STREAM is ignored."""

    killed_by = "H2-10"

    def on_request_trailers(self, stream: Stream, fields: Fields, *, end_stream: bool) -> None:
        """Accept trailers, and ignore other blocks."""
        if end_stream:
            super().on_request_trailers(stream, fields, end_stream=end_stream)


class EvenStreamsServed(Mutant, Connection):
    """A request on a stream with an even identifier is served."""

    killed_by = "H2-11"

    def check_id(self, stream_id: int) -> None:
        """Accept any identifier."""

    def stream(self, stream_id: int) -> Stream | None:
        """Return the stream, whatever its identifier."""
        return self.streams.get(stream_id)


class LowerStreamsServed(Mutant, Connection):
    """A request on a stream identifier lower than a previous one is served."""

    killed_by = "H2-12"

    def on_headers(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Open the stream if it does not exist."""
        if stream_id in self.streams:
            super().on_headers(stream_id, fields, end_stream=end_stream)
        else:
            self.highest = max(self.highest, stream_id)
            self.on_request(stream_id, fields, end_stream=end_stream)


class IdleStreamsIgnored(Mutant, Connection):
    """Frames on idle streams are ignored."""

    killed_by = "H2-13"

    def stream(self, stream_id: int) -> Stream | None:
        """Return the stream if it exists."""
        return self.streams.get(stream_id)

    def on_late_data(self, frame: Frame) -> None:
        """Ignore DATA on idle streams too."""


class DataOnStreamZeroIgnored(Mutant, Connection):
    """DATA on stream 0 is ignored."""

    killed_by = "H2-14"

    def on_data(self, frame: Frame) -> None:
        """Ignore stream 0."""
        if frame.stream_id:
            super().on_data(frame)


class LargeFramesAccepted(Mutant, Connection):
    """Frames of any size are accepted."""

    killed_by = "H2-15"
    warned = True

    def received(self, data: bytes) -> None:
        """Read frames of any size."""
        self.reader.largest = LARGEST_FRAME_SIZE
        super().received(data)


class FullFramesRefused(Mutant, Connection):
    """A frame of exactly 16,384 bytes ends the connection."""

    killed_by = "H2-15"

    def received(self, data: bytes) -> None:
        """Read frames smaller than the limit."""
        self.reader.largest = 16_383
        super().received(data)


class ZeroIncrementIgnored(Mutant, Connection):
    """WINDOW_UPDATE with an increment of 0 is ignored."""

    killed_by = "H2-16"

    def on_window_update(self, frame: Frame) -> None:
        """Ignore an increment of 0."""
        if any(frame.payload):
            super().on_window_update(frame)


class WindowOverflowIgnored(Mutant, Connection):
    """A window above 2^31-1 is clamped to that value."""

    killed_by = "H2-17"

    def widen(self, increment: int) -> None:
        """Grant as much as fits."""
        super().widen(min(increment, 2**31 - 1 - self.send_window))

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """Grant as much as fits."""
        super().widen_stream(stream, min(increment, 2**31 - 1 - stream.send_window))


class BadSettingsAccepted(Mutant, Connection):
    """Settings with invalid values are ignored."""

    killed_by = "H2-18"

    def on_settings(self, frame: Frame) -> None:
        """Apply the valid ones."""
        try:
            super().on_settings(frame)
        except ConnectionFault:
            self.send_settings_ack()


class BrokenBlockEndsTheStreamOnly(Mutant, Connection):
    """A header block that cannot be decoded is treated as empty, and the connection continues."""

    killed_by = "H2-19"

    def decoded(self, block: bytes) -> Fields:
        """The fields, or none."""
        try:
            return super().decoded(block)
        except ConnectionFault:
            return []


class InterruptedBlocksAccepted(Mutant, Connection):
    """Frames between HEADERS and CONTINUATION are accepted."""

    killed_by = "H2-20"

    def check_order(self, frame: Frame) -> None:
        """Accept any order, but match a CONTINUATION to its HEADERS."""
        if frame.kind in (Kind.HEADERS, Kind.CONTINUATION):
            super().check_order(frame)


class PromisesIgnored(Mutant, Connection):
    """PUSH_PROMISE from a client is ignored."""

    killed_by = "H2-21"
    warned = True

    def dispatch(self, frame: Frame) -> None:
        """Ignore it."""
        if frame.kind != Kind.PUSH_PROMISE:
            super().dispatch(frame)


class StreamErrorsKill(Mutant, Connection):
    """A stream error ends the connection."""

    killed_by = "ROBUST-18"
    warned = True

    def refuse(self, fault: StreamFault) -> None:
        """End the connection."""
        raise ConnectionFault(fault.code, f"an error on stream {fault.stream_id}")
