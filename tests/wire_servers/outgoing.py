"""The sending half of a connection: frames, header blocks, and the windows that the client grants."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

import hpack

from wire_servers.frames import (
    ACK,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    LARGEST_WINDOW,
    ConnectionFault,
    ErrorCode,
    Frame,
    Kind,
    Setting,
    StreamFault,
    settings_payload,
)
from wire_servers.headers import Fields, shortened, size_of
from wire_servers.link import Link
from wire_servers.loop import Loop

if TYPE_CHECKING:
    import socket

    from wire_servers.stream import Stream

_ENOUGH: Final = 262_144
"""Bytes that may wait for the socket before no more DATA is produced."""


class Outgoing(Link):
    """Sends frames.

    Attributes:
        streams: the streams that are not closed, by id.
        send_window: bytes of DATA that the client still accepts on this connection.
        client: the client's settings.
    """

    TABLE_SIZE: ClassVar = 4096
    """Maximum bytes of the HPACK dynamic table, whatever the client allows."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self.streams: dict[int, Stream] = {}
        self.send_window = DEFAULT_WINDOW
        self.client = {Setting.INITIAL_WINDOW_SIZE: DEFAULT_WINDOW, Setting.MAX_FRAME_SIZE: DEFAULT_FRAME_SIZE}
        self.encoder = hpack.Encoder()
        self._due: deque[Stream] = deque()

    # Frames -----------------------------------------------------------------------------------------------------

    def emit(self, frame: Frame) -> None:
        """Send a frame."""
        self.buffer += frame.encoded()

    def send_settings(self, settings: dict[int, int]) -> None:
        """Send SETTINGS."""
        self.emit(Frame(Kind.SETTINGS, 0, 0, settings_payload(settings)))

    def send_settings_ack(self) -> None:
        """Acknowledge the client's SETTINGS."""
        self.emit(Frame(Kind.SETTINGS, ACK, 0))

    def send_ping(self, payload: bytes, *, ack: bool) -> None:
        """Send PING, or answer one."""
        self.emit(Frame(Kind.PING, ACK if ack else 0, 0, payload))

    def send_reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM."""
        self.emit(Frame(Kind.RST_STREAM, 0, stream_id, struct.pack(">I", code)))

    def send_goaway(self, last: int, code: int, reason: str = "") -> None:
        """Send GOAWAY."""
        self.emit(Frame(Kind.GOAWAY, 0, 0, struct.pack(">II", last, code) + reason.encode()))

    def send_window_update(self, stream_id: int, increment: int) -> None:
        """Replenish the client's window."""
        self.emit(Frame(Kind.WINDOW_UPDATE, 0, stream_id, struct.pack(">I", increment)))

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """Send the headers of a response."""
        self.send_block(stream, fields, end_stream=False)

    def send_trailers(self, stream: Stream, fields: Fields) -> None:
        """Send the trailers of a response; with ":status" among the fields it is trailers-only."""
        self.send_block(stream, fields, end_stream=True)

    def send_block(self, stream: Stream, fields: Fields, *, end_stream: bool) -> None:
        """Send a header block as HEADERS and, if it is larger than a frame, CONTINUATION."""
        block = self.encoder.encode(fields)
        pieces = self.pieces(block)
        for index, piece in enumerate(pieces):
            flags = (END_STREAM if end_stream and not index else 0) | (END_HEADERS if index == len(pieces) - 1 else 0)
            self.emit(Frame(Kind.CONTINUATION if index else Kind.HEADERS, flags, stream.id, piece))

    def pieces(self, block: bytes) -> list[bytes]:
        """A header block, split for its frames."""
        size = self.client[Setting.MAX_FRAME_SIZE]
        return [block[start : start + size] for start in range(0, len(block), size)] or [b""]

    def fitting(self, fields: Fields) -> Fields:
        """Trailers with grpc-message shortened so that the client accepts them, if that is enough.

        MAX_HEADER_LIST_SIZE is advisory (RFC 9113, section 6.5.2): what cannot be made to fit is sent unchanged.
        """
        most = self.client.get(Setting.MAX_HEADER_LIST_SIZE)
        if most is None or size_of(fields) <= most:
            return fields
        excess = size_of(fields) - most
        short = []
        for name, value in fields:
            left = shortened(value, len(value) - excess) if name == b"grpc-message" else value
            if left or name != b"grpc-message":
                short.append((name, left))
        return short

    # DATA and windows -------------------------------------------------------------------------------------------

    def due(self, stream: Stream) -> None:
        """Note that a stream may have something to send."""
        if not stream.queued:
            stream.queued = True
            self._due.append(stream)

    def all_due(self) -> None:
        """Note that every stream may have something to send."""
        for stream in self.streams.values():
            self.due(stream)

    def busy(self) -> bool:
        """Whether a stream still has to be visited."""
        return bool(self._due)

    def pump(self) -> None:
        """Send what the streams have and the windows allow, one frame of each in turn."""
        while self._due and len(self.buffer) < _ENOUGH:
            stream = self._due.popleft()
            stream.queued = False
            if self.send_some(stream):
                self.due(stream)

    def send_some(self, stream: Stream) -> bool:
        """Send a frame of a stream, and return whether it may have another."""
        if not stream.outbound:
            stream.send_end()
            return False
        limit = self.allowance(stream)
        if limit <= 0:
            return False
        frame = self.data_frame(stream, limit)
        size = self.length_on_window(frame)
        stream.send_window -= size
        self.send_window -= size
        self.emit(frame)
        stream.sent()
        return True

    def allowance(self, stream: Stream) -> int:
        """Bytes of DATA that may be sent on a stream at once."""
        return min(stream.send_window, self.send_window, self.client[Setting.MAX_FRAME_SIZE])

    def data_frame(self, stream: Stream, limit: int) -> Frame:
        """The next DATA frame of a stream, with at most ``limit`` bytes."""
        return Frame(Kind.DATA, 0, stream.id, stream.cut(limit))

    def length_on_window(self, frame: Frame) -> int:
        """What a DATA frame takes from the windows: its whole payload, padding included."""
        return len(frame.payload)

    # What the client grants ---------------------------------------------------------------------------------------

    def widen(self, increment: int) -> None:
        """The client enlarges the connection window.

        Raises:
            ConnectionFault: the window exceeds its maximum.
        """
        self.send_window += increment
        if self.send_window > LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
        self.all_due()

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """The client enlarges the window of a stream.

        Raises:
            StreamFault: the window exceeds its maximum.
        """
        stream.send_window += increment
        if stream.send_window > LARGEST_WINDOW:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR)
        self.due(stream)

    def apply_setting(self, key: int, value: int) -> None:
        """Apply a setting of the client; ignore an unknown one.

        Raises:
            ConnectionFault: a stream's window overflows.
        """
        if key == Setting.INITIAL_WINDOW_SIZE:
            self.move_windows(value - self.client[Setting.INITIAL_WINDOW_SIZE])
        elif key == Setting.HEADER_TABLE_SIZE:
            size = min(value, self.TABLE_SIZE)
            # If the same size is set twice, hpack forgets to announce the first change.
            if size != self.encoder.header_table_size:
                self.encoder.header_table_size = size
        if key in set(Setting):
            self.client[Setting(key)] = value

    def move_windows(self, change: int) -> None:
        """Adjust the windows of all streams: RFC 9113, section 6.9.2.

        Raises:
            ConnectionFault: one of them overflows.
        """
        for stream in self.streams.values():
            stream.send_window += change
            if stream.send_window > LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window overflows")
        self.all_due()
