"""Header blocks of the client: assembled from HEADERS and CONTINUATION, and decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import hpack

from wire_servers.frames import END_HEADERS, END_STREAM, ConnectionFault, ErrorCode, Frame, Kind
from wire_servers.headers import Field, Fields
from wire_servers.loop import Loop
from wire_servers.outgoing import Outgoing

if TYPE_CHECKING:
    import socket

_LARGEST_BLOCK: Final = 262_144
"""Maximum bytes of one header block; more ends the connection."""
_MOST_CONTINUATIONS: Final = 256
"""Maximum CONTINUATION frames of one header block; more ends the connection."""
_LARGEST_LIST: Final = 524_288
"""Maximum bytes of uncompressed header fields; more ends the connection."""


class HeaderBlocks(Outgoing):
    """Reads header blocks.

    Attributes:
        decoder: the HPACK decoder, which remembers the fields of earlier blocks.
    """

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self.decoder = hpack.Decoder(max_header_list_size=_LARGEST_LIST)
        self._block: list[Frame] = []

    def on_headers(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Handle a complete header block."""
        raise NotImplementedError

    def check_order(self, frame: Frame) -> None:
        """Check whether a frame may come now: no other frame may interrupt a header block (RFC 9113, section 6.10).

        Raises:
            ConnectionFault: it may not.
        """
        if self._block and (frame.kind != Kind.CONTINUATION or frame.stream_id != self._block[0].stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame within a header block")

    def on_header_block(self, frame: Frame) -> None:
        """HEADERS and CONTINUATION: decode the block when it is complete."""
        if frame.kind == Kind.CONTINUATION and not self._block:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self.check_id(frame.stream_id)
        self._block.append(frame)
        size = sum(len(one.payload) for one in self._block)
        if size > _LARGEST_BLOCK or len(self._block) > _MOST_CONTINUATIONS:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if not frame.has(END_HEADERS):
            return
        frames, self._block = self._block, []
        fields = self.decoded(frames[0].content() + b"".join(one.payload for one in frames[1:]))
        self.on_headers(frames[0].stream_id, fields, end_stream=frames[0].has(END_STREAM))

    def check_id(self, stream_id: int) -> None:
        """Check whether the client may open a stream: RFC 9113, section 5.1.1.

        Raises:
            ConnectionFault: it may not.
        """
        if stream_id % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}")

    def decoded(self, block: bytes) -> Fields:
        """Decode a header block; none may be skipped, because later blocks refer to earlier ones."""
        try:
            return [_pair(field) for field in self.decoder.decode(block, raw=True)]
        except hpack.HPACKError as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"header block: {error}") from error


def _pair(field: tuple[bytes | str, bytes | str]) -> Field:
    name, value = field[0], field[1]
    assert isinstance(name, bytes), "fields were asked for raw"
    assert isinstance(value, bytes), "fields were asked for raw"
    return name, value
