"""Reads frames from the bytes of a peer, and assembles and decodes header blocks, all within bounds."""

from __future__ import annotations

from typing import Final, Protocol

from hpack import Decoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from pytest_grpcstream.escape import one_line, printable
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frames import (
    HEADER,
    HEADER_SIZE,
    ID_MASK,
    Flag,
    FrameType,
    PaddingError,
    fragment_of,
    type_name,
)
from pytest_grpcstream.wire.records import Fields
from pytest_grpcstream.wire.rules import Fault, Rule
from pytest_grpcstream.wire.settings import OwnSettings

HEADER_LIST_LIMIT: Final = 1 << 20
"""Bytes of a header block, and of the field lines in it as SETTINGS_MAX_HEADER_LIST_SIZE counts them."""
CONTINUATIONS: Final = 1000
"""CONTINUATION frames that one header block may have."""

_DATA: Final = int(FrameType.DATA)
_FIXED: Final[dict[int, int]] = {
    FrameType.PRIORITY: 5,
    FrameType.RST_STREAM: 4,
    FrameType.PING: 8,
    FrameType.WINDOW_UPDATE: 4,
}
_OF_A_STREAM: Final[dict[int, str]] = {
    FrameType.DATA: "6.1",
    FrameType.HEADERS: "6.2",
    FrameType.PRIORITY: "6.3",
    FrameType.RST_STREAM: "6.4",
    FrameType.PUSH_PROMISE: "6.6",
    FrameType.CONTINUATION: "6.10",
}
_OF_THE_CONNECTION: Final[dict[int, str]] = {FrameType.SETTINGS: "6.5", FrameType.PING: "6.7", FrameType.GOAWAY: "6.8"}


class Handler(Protocol):
    """What a `FrameReader` calls for the frames that it finds, in their order."""

    def on_data(self, stream_id: int, flags: int, data: bytes, start: int, stop: int, at: float) -> None:
        """Take a DATA frame whose payload, padding included, is ``data[start:stop]``."""

    def on_block(
        self, kind: int, flags: int, stream_id: int, length: int, fields: Fields | None, end_stream: bool, at: float
    ) -> None:
        """Take a HEADERS or CONTINUATION frame; the last one of a header block brings the fields."""

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        """Take any other frame, of a length that its type allows."""


class FrameReader:
    """Splits the bytes of a peer into frames.

    Arguments:
        handler: takes the frames.
        own: this side's settings, which limit the size of the frames and of the HPACK table.
        preface: the bytes that come before the first frame: `PREFACE` if the peer is a client.
    """

    def __init__(self, handler: Handler, own: OwnSettings, preface: bytes = b"") -> None:
        self._handler = handler
        self._own = own
        self._preface = preface
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = HEADER_SIZE
        self._started = False
        self._block = bytearray()
        self._block_stream = 0
        self._block_ends = False
        self._continuations = 0
        self._decoder = Decoder(max_header_list_size=HEADER_LIST_LIMIT)

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that is not complete."""
        return self._held

    def feed(self, chunk: bytes, at: float) -> None:
        """Take the next bytes, which arrived at the time ``at``.

        Raises:
            Fault: the connection cannot go on.
        """
        if self._preface:
            chunk = self._read_preface(chunk)
        if self._held:
            self._pieces.append(chunk)
            self._held += len(chunk)
            if self._held < self._wanted:
                return
            chunk = b"".join(self._pieces)
            self._pieces = []
        position, end = 0, len(chunk)
        unpack = HEADER.unpack_from
        on_data = self._handler.on_data
        own = self._own
        wanted = HEADER_SIZE
        while end - position >= HEADER_SIZE:
            high, low, kind, flags, stream_id = unpack(chunk, position)
            length = high << 8 | low
            start = position + HEADER_SIZE
            if not self._started or length > own.max_frame:
                self._check_start(chunk, kind, flags, stream_id, length)
            if start + length > end:
                wanted = HEADER_SIZE + length
                break
            position = start + length
            if kind == _DATA and stream_id and not self._block_stream:
                on_data(stream_id & ID_MASK, flags, chunk, start, position, at)
            else:
                self._other(kind, flags, stream_id & ID_MASK, chunk[start:position], at)
        self._held = end - position
        self._wanted = wanted
        if self._held:
            self._pieces = [chunk[position:]]

    def _read_preface(self, chunk: bytes) -> bytes:
        """Take the bytes of the preface off and return the rest."""
        expected, self._preface = self._preface[: len(chunk)], self._preface[len(chunk) :]
        if not chunk.startswith(expected):
            raise Fault(Rule.PREFACE, ErrorCode.PROTOCOL_ERROR, f"{printable(chunk[:24])}")
        return chunk[len(expected) :]

    def _check_start(self, chunk: bytes, kind: int, flags: int, stream_id: int, length: int) -> None:
        if not self._started:
            if kind != FrameType.SETTINGS or flags & Flag.ACK or stream_id & ID_MASK:
                seen = printable(chunk[:24]) if kind > FrameType.CONTINUATION or stream_id else type_name(kind)
                raise Fault(Rule.FIRST_FRAME, ErrorCode.PROTOCOL_ERROR, f"it is {seen}")
            self._started = True
        if length > self._own.max_frame:
            detail = f"{type_name(kind)} of {length} bytes where {self._own.max_frame} are allowed"
            raise Fault(Rule.FRAME_TOO_LARGE, ErrorCode.FRAME_SIZE_ERROR, detail, stream_id & ID_MASK)

    def _other(self, kind: int, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        if self._block_stream and (kind != FrameType.CONTINUATION or stream_id != self._block_stream):
            detail = f"{type_name(kind)} on stream {stream_id} inside the header block of stream {self._block_stream}"
            raise Fault(Rule.INTERRUPTED_HEADERS, ErrorCode.PROTOCOL_ERROR, detail, self._block_stream)
        if kind in _OF_A_STREAM and not stream_id:
            detail = f"{type_name(kind)} (section {_OF_A_STREAM[kind]})"
            raise Fault(Rule.STREAM_ZERO, ErrorCode.PROTOCOL_ERROR, detail)
        if kind in _OF_THE_CONNECTION and stream_id:
            detail = f"{type_name(kind)} (section {_OF_THE_CONNECTION[kind]})"
            raise Fault(Rule.NOT_STREAM_ZERO, ErrorCode.PROTOCOL_ERROR, detail, stream_id)
        self._check_length(kind, stream_id, len(payload))
        if kind == FrameType.HEADERS:
            self._begin_block(flags, stream_id, payload, at)
        elif kind == FrameType.CONTINUATION:
            self._continue_block(flags, stream_id, payload, at)
        elif kind == FrameType.PUSH_PROMISE:
            raise Fault(Rule.PUSH_PROMISE, ErrorCode.PROTOCOL_ERROR, f"{len(payload)} bytes", stream_id)
        else:
            self._handler.on_frame(kind, flags, stream_id, payload, at)

    @staticmethod
    def _check_length(kind: int, stream_id: int, length: int) -> None:
        if kind == FrameType.SETTINGS:
            fits = length % 6 == 0
        elif kind == FrameType.GOAWAY:
            fits = length >= 8
        else:
            fits = length == _FIXED.get(kind, length)
        if not fits:
            raise Fault(Rule.FRAME_SIZE, ErrorCode.FRAME_SIZE_ERROR, f"{type_name(kind)} of {length} bytes", stream_id)

    def _begin_block(self, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        try:
            fragment = fragment_of(flags, payload)
        except PaddingError as error:
            raise Fault(Rule.BAD_PADDING, ErrorCode.PROTOCOL_ERROR, f"HEADERS: {error}", stream_id) from None
        self._block_stream = stream_id
        self._block_ends = bool(flags & Flag.END_STREAM)
        self._continuations = 0
        self._extend_block(FrameType.HEADERS, flags, len(payload), fragment, at)

    def _continue_block(self, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        if not self._block_stream:
            detail = f"on stream {stream_id}"
            raise Fault(Rule.LONE_CONTINUATION, ErrorCode.PROTOCOL_ERROR, detail, stream_id)
        self._continuations += 1
        if self._continuations > CONTINUATIONS:
            detail = f"more than {CONTINUATIONS} CONTINUATION frames in one header block"
            raise Fault(Rule.FLOOD, ErrorCode.ENHANCE_YOUR_CALM, detail, stream_id)
        self._extend_block(FrameType.CONTINUATION, flags, len(payload), payload, at)

    def _extend_block(self, kind: int, flags: int, length: int, fragment: bytes, at: float) -> None:
        stream_id = self._block_stream
        self._block += fragment
        if len(self._block) > HEADER_LIST_LIMIT:
            detail = f"more than {HEADER_LIST_LIMIT} bytes"
            raise Fault(Rule.HEADER_BLOCK_SIZE, ErrorCode.ENHANCE_YOUR_CALM, detail, stream_id)
        fields = None
        if flags & Flag.END_HEADERS:
            fields = self._decode(bytes(self._block), stream_id)
            self._block.clear()
            self._block_stream = 0
        self._handler.on_block(kind, flags, stream_id, length, fields, self._block_ends, at)

    def _decode(self, block: bytes, stream_id: int) -> Fields:
        self._decoder.max_allowed_table_size = self._own.table
        try:
            return tuple((bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True))
        except OversizedHeaderListError:
            detail = f"field lines of more than {HEADER_LIST_LIMIT} bytes"
            raise Fault(Rule.HEADER_BLOCK_SIZE, ErrorCode.ENHANCE_YOUR_CALM, detail, stream_id) from None
        except (HPACKError, IndexError, ValueError) as error:
            detail = one_line(str(error), 200)
            raise Fault(Rule.HEADER_BLOCK, ErrorCode.COMPRESSION_ERROR, detail, stream_id) from None
