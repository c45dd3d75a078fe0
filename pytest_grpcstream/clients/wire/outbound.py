"""Opens streams and sends on them, within what the server allows or as a test wants it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.clients.wire.state import ConnectionState
from pytest_grpcstream.clients.wire.stream_state import Piece, StreamState
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import HEADER_SIZE, Flag, FrameType, Priority, frame, header_frames, padded
from pytest_grpcstream.wire.records import Fields, FrameRecord, WireTimeline, shortened

_DATA: Final = int(FrameType.DATA)


@dataclass(frozen=True)
class Shape:
    """How a header block goes on the wire.

    Attributes:
        split: bytes of the block in HEADERS and each CONTINUATION; the last number counts for all that follow. Without
            it every frame is as large as the server allows.
        padding: bytes of padding in HEADERS, None for no PADDED flag.
        priority: the priority fields in HEADERS, None for none.
        block: the bytes of the header block in place of the encoded headers; the HPACK state does not know them.
    """

    split: Sequence[int] = ()
    padding: int | None = None
    priority: Priority | None = None
    block: bytes | None = None


PLAIN: Final = Shape()


class Outbound:
    """Sends for the streams of a connection; every method is called under the lock of the connection."""

    def __init__(self, core: ConnectionState) -> None:
        self._core = core

    def open(
        self,
        headers: Headers,
        timeline: WireTimeline,
        *,
        stream_id: int | None = None,
        end_stream: bool = False,
        shape: Shape = PLAIN,
    ) -> StreamState:
        """Open a stream by its HEADERS frame."""
        core = self._core
        number = core.next_id if stream_id is None else stream_id
        core.highest = max(core.highest, number)
        if number % 2:
            core.next_id = max(core.next_id, number + 2)
        epoch = core.own.sent
        exchange = StreamState(
            number,
            timeline,
            base=core.own.window(epoch),
            epoch=epoch,
            send_window=core.server.window,
            offered=_offered(headers),
            limit=core.options.buffer,
            report=core.report,
        )
        exchange.holding = core.options.hold_windows
        core.exchanges[number] = exchange
        self.send_headers(exchange, headers, end_stream=end_stream, shape=shape)
        return exchange

    def send_headers(self, exchange: StreamState, headers: Headers, *, end_stream: bool, shape: Shape = PLAIN) -> None:
        """Send a header block on a stream now: the request headers, or trailers."""
        core = self._core
        block = self._encode(headers) if shape.block is None else shape.block
        frames = header_frames(
            block,
            exchange.id,
            end_stream=end_stream,
            split=shape.split,
            largest=core.server.max_frame,
            padding=shape.padding,
            priority=shape.priority,
        )
        core.outlet.cork()
        for index, one in enumerate(frames):
            fields = shortened(headers) if index == len(frames) - 1 else None
            if core.outlet.put(one):
                core.record(_sent(one, fields), exchange)
        core.outlet.uncork()
        exchange.end_sent = exchange.end_sent or end_stream

    def _encode(self, headers: Headers) -> bytes:
        hidden = self._core.options.hidden
        return self._core.encoder.encode([(name, value, name in hidden) for name, value in headers])

    # DATA -------------------------------------------------------------------------------------------------------

    def queue(self, exchange: StreamState, pieces: Sequence[Piece]) -> None:
        """Add to what is to be sent on a stream and send as much as the windows allow."""
        exchange.outgoing.extend(pieces)
        self.pump(exchange)

    def pump_all(self) -> None:
        """Send on every stream what the windows allow by now."""
        for exchange in self._core.exchanges.values():
            if exchange.outgoing:
                self.pump(exchange)

    def pump(self, exchange: StreamState) -> None:
        """Send what waits on a stream, as far as the windows, the server's frame size and the buffer allow."""
        core = self._core
        waiting = exchange.outgoing
        while waiting and core.outlet.room:
            piece = waiting[0]
            if piece.headers is not None:
                self.send_headers(exchange, piece.headers, end_stream=True)
                waiting.popleft()
                continue
            taken = self._allowed(exchange, piece)
            if taken is None:
                return
            chunk = piece.payload[piece.sent : piece.sent + taken]
            piece.sent += taken
            last = piece.sent == len(piece.payload)
            self.send_data(exchange, chunk, piece.padding, end_stream=piece.end_stream and last)
            if last:
                waiting.popleft()

    def _allowed(self, exchange: StreamState, piece: Piece) -> int | None:
        """How many bytes of a piece may go now, None if nothing may, not even an empty frame."""
        core = self._core
        left = len(piece.payload) - piece.sent
        extra = 0 if piece.padding is None else piece.padding + 1
        if not left and not extra:
            return 0  # RFC 9113, section 6.9.1: an empty frame needs no window
        room = min(exchange.send_window, core.send_window, core.server.max_frame) - extra
        if room < 0 or (left and not room):
            return None
        return min(left, room)

    def send_data(self, exchange: StreamState, chunk: bytes, padding: int | None, *, end_stream: bool) -> None:
        """Send one DATA frame now, whatever the windows say."""
        core = self._core
        flags, payload = padded(chunk, padding)
        flags |= Flag.END_STREAM if end_stream else 0
        if not core.outlet.put(frame(_DATA, flags, exchange.id, payload)):
            return
        length = len(payload)
        exchange.send_window -= length
        core.send_window -= length
        part = exchange.cursor.feed(chunk, 0, len(chunk))
        at = time.monotonic()
        entry = FrameRecord(at, True, _DATA, flags, exchange.id, length, exchange.send_window, core.send_window, part)
        core.record(entry, exchange)
        exchange.end_sent = exchange.end_sent or end_stream


def _offered(headers: Headers) -> frozenset[bytes]:
    values = headers.all("grpc-accept-encoding")
    return frozenset(one.strip() for value in values for one in value.split(b","))


def _sent(data: bytes, fields: Fields | None) -> FrameRecord:
    kind, flags = data[3], data[4]
    stream_id = int.from_bytes(data[5:HEADER_SIZE], "big")
    return FrameRecord(time.monotonic(), True, kind, flags, stream_id, len(data) - HEADER_SIZE, content=fields)
