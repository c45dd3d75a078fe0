"""Opens streams and sends on them: within what the server allows, or regardless of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.clients.wire.state import ConnectionState
from pytest_grpcstream.clients.wire.stream_state import Piece, StreamState
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import HEADER_SIZE, Flag, FrameType, Priority, frame, header_frames, pad
from pytest_grpcstream.wire.records import Fields, FrameRecord, WireTimeline, shorten
from pytest_grpcstream.wire.windows import ReceiveWindow, SendWindow

_DATA: Final = int(FrameType.DATA)


@dataclass(frozen=True)
class Shape:
    """How a header block goes on the wire.

    Attributes:
        split: bytes of the block in HEADERS and each CONTINUATION; the last number counts for all that follow. Without
            it every frame is as large as the server allows.
        padding: bytes of padding in HEADERS, None for no PADDED flag.
        priority: the priority fields in HEADERS, None for no PRIORITY flag.
        block: the bytes of the header block instead of the encoded headers; they do not change the HPACK table.
    """

    split: Sequence[int] = ()
    padding: int | None = None
    priority: Priority | None = None
    block: bytes | None = None


PLAIN: Final = Shape()


class Outbound:
    """Sends for the streams of a connection. The lock of the connection must be held, except for `send`."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state

    def open(
        self,
        headers: Headers,
        timeline: WireTimeline,
        *,
        stream_id: int | None = None,
        end_stream: bool = False,
        hold_window: bool | None = None,
        shape: Shape = PLAIN,
    ) -> StreamState:
        """Open a stream by its HEADERS frame, see `Connection.open`."""
        state = self._state
        own = state.own_settings
        hold = state.options.hold_windows if hold_window is None else hold_window
        stream = StreamState(
            state.streams.take_id(stream_id),
            timeline,
            settings_number=own.newest,
            window=ReceiveWindow(own.window(own.newest), held=hold),
            send_window=SendWindow(state.server_settings.window),
            offered=_offered_encodings(headers),
            limit=state.options.buffer,
            report=state.report,
        )
        state.streams.add(stream)
        self.send_headers(stream, headers, end_stream=end_stream, shape=shape)
        return stream

    def send_headers(self, stream: StreamState, headers: Headers, *, end_stream: bool, shape: Shape = PLAIN) -> None:
        """Send a header block on a stream now: the request headers, or trailers."""
        state = self._state
        block = state.encode_headers(headers) if shape.block is None else shape.block
        frames = header_frames(
            block,
            stream.id,
            end_stream=end_stream,
            split=shape.split,
            largest=state.server_settings.max_frame,
            padding=shape.padding,
            priority=shape.priority,
        )
        state.send_buffer.cork()
        for index, one in enumerate(frames):
            fields = shorten(headers) if index == len(frames) - 1 else None
            if state.send_buffer.put(one):
                state.record(_record_of(one, fields), stream)
        state.send_buffer.uncork()
        stream.note_end(end_stream)

    # DATA -------------------------------------------------------------------------------------------------------

    def send(self, stream: StreamState, pieces: Sequence[Piece], timeout: float) -> bool | None:
        """Queue pieces and wait until they were sent; needs no lock.

        Returns whether they were, which the end of the RPC prevents; None if ``timeout`` seconds were not enough, after
        which the rest goes as the windows open.
        """
        changed = self._state.changed
        with changed:
            if stream.response.ended is not None:
                return False
            self.queue(stream, pieces)
            if not changed.wait_for(lambda: not stream.outgoing, timeout):
                return None
        return all(piece.sent == len(piece.payload) for piece in pieces)

    def queue(self, stream: StreamState, pieces: Sequence[Piece]) -> None:
        """Add to what is to be sent on a stream and send as much as the windows allow."""
        stream.queue(pieces)
        self.pump(stream)

    def pump_all(self) -> None:
        """Send on every stream what the windows allow."""
        for stream in self._state.streams:
            if stream.outgoing:
                self.pump(stream)

    def pump(self, stream: StreamState) -> None:
        """Send what waits on a stream, as far as the windows, the server's frame size and the send buffer allow."""
        state = self._state
        waiting = stream.outgoing
        while waiting and state.send_buffer.has_room:
            piece = waiting[0]
            if piece.headers is not None:
                self.send_headers(stream, piece.headers, end_stream=True)
                stream.finish_piece()
                continue
            taken = self._allowed(stream, piece)
            if taken is None:
                return
            chunk = piece.payload[piece.sent : piece.sent + taken]
            piece.sent += taken
            last = piece.sent == len(piece.payload)
            self.send_data(stream, chunk, piece.padding, end_stream=piece.end_stream and last)
            if last:
                stream.finish_piece()

    def _allowed(self, stream: StreamState, piece: Piece) -> int | None:
        """How many bytes of a piece may be sent now; None if not even an empty frame may."""
        state = self._state
        left = len(piece.payload) - piece.sent
        extra = 0 if piece.padding is None else piece.padding + 1
        if not left and not extra:
            return 0  # RFC 9113, section 6.9.1: an empty frame needs no window
        room = min(stream.send_window.remaining, state.send_window.remaining, state.server_settings.max_frame) - extra
        if room < 0 or (left and not room):
            return None
        return min(left, room)

    def send_data(self, stream: StreamState, chunk: bytes, padding: int | None, *, end_stream: bool) -> None:
        """Send one DATA frame now, regardless of the windows."""
        state = self._state
        flags, payload = pad(chunk, padding)
        flags |= Flag.END_STREAM if end_stream else 0
        if not state.send_buffer.put(frame(_DATA, flags, stream.id, payload)):
            return
        length = len(payload)
        state.send_window.consume(length)
        part = stream.note_data(chunk, length, end_stream=end_stream)
        left = stream.send_window.remaining, state.send_window.remaining
        state.record(FrameRecord(time.monotonic(), True, _DATA, flags, stream.id, length, *left, part), stream)


@dataclass(frozen=True)
class OpenStream:
    """A stream that was opened, and the parts of its connection that work on it."""

    connection: ConnectionState
    outbound: Outbound
    state: StreamState


def _offered_encodings(headers: Headers) -> frozenset[bytes]:
    values = headers.all("grpc-accept-encoding")
    return frozenset(one.strip() for value in values for one in value.split(b","))


def _record_of(data: bytes, fields: Fields | None) -> FrameRecord:
    kind, flags = data[3], data[4]
    stream_id = int.from_bytes(data[5:HEADER_SIZE], "big")
    return FrameRecord(time.monotonic(), True, kind, flags, stream_id, len(data) - HEADER_SIZE, content=fields)
