"""The same server with other choices that HTTP/2, gRPC and the contract leave open."""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import Any, ClassVar, Final

from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.frames import PADDED, ConnectionFault, ErrorCode, Frame, Kind, Setting
from wire_servers.headers import Fields
from wire_servers.parts import Parts
from wire_servers.service import Service
from wire_servers.stream import Stream

_SHREDDED: Final = 1024
"""Bytes of a message that are sent singly; more would show nothing new, and take minutes."""
_PADDING: Final = 7
_REQUESTS: Final = 50
"""Requests after which a connection ends, in variants that end it."""


class OneByteFrames(Stream):
    """The first bytes of each message are sent in DATA frames of one byte."""

    def cut(self, limit: int) -> bytes:
        """One byte; as much as fits after the first bytes of a message."""
        return super().cut(1 if self.offset < _SHREDDED else limit)


class JoinedResponses(Stream):
    """A DATA frame contains as many queued messages as fit."""

    def cut(self, limit: int) -> bytes:
        """The next bytes, of any number of messages."""
        pieces = bytearray()
        while self.outbound and len(pieces) < limit:
            pieces += super().cut(limit - len(pieces))
        return bytes(pieces)


class NoResetAfterEarlyEnd(Stream):
    """No RST_STREAM follows a response that ends before the request."""

    RESET_AFTER_EARLY_END = False


class PaddedData(Connection):
    """DATA is padded if the windows allow it."""

    def data_frame(self, stream: Stream, limit: int) -> Frame:
        """A padded frame, or one without padding if there is no space for it."""
        room = limit - 1 - _PADDING
        if room <= 0:
            return super().data_frame(stream, limit)
        content = stream.cut(room)
        return Frame(Kind.DATA, PADDED, stream.id, bytes((_PADDING,)) + content + bytes(_PADDING))


class EmptyFrames(Connection):
    """An empty DATA frame precedes every DATA frame."""

    def data_frame(self, stream: Stream, limit: int) -> Frame:
        """The frame, after an empty one."""
        self.emit(Frame(Kind.DATA, 0, stream.id))
        return super().data_frame(stream, limit)


class SmallWindows(Connection):
    """Streams begin with a window of 1000 bytes, which is replenished as soon as bytes are read."""

    SETTINGS: ClassVar = {**Connection.SETTINGS, Setting.INITIAL_WINDOW_SIZE: 1000}

    def worth_granting(self) -> int:
        """A single byte."""
        return 1


class WideWindows(Connection):
    """Streams and connections begin with windows of one mebibyte."""

    SETTINGS: ClassVar = {**Connection.SETTINGS, Setting.INITIAL_WINDOW_SIZE: 1 << 20}

    def on_settings(self, frame: Frame) -> None:
        """Enlarge the connection window with the first acknowledgement."""
        super().on_settings(frame)
        if self.receive_window < 1 << 20:
            self.consumed(1 << 20)


class OneStream(Connection):
    """A connection allows one concurrent call."""

    SETTINGS: ClassVar = {**Connection.SETTINGS, Setting.MAX_CONCURRENT_STREAMS: 1}


class ThreeStreams(Connection):
    """A connection allows three concurrent calls."""

    SETTINGS: ClassVar = {**Connection.SETTINGS, Setting.MAX_CONCURRENT_STREAMS: 3}


class ShutsDownGracefully(Connection):
    """A connection shuts down gracefully after fifty requests, as RFC 9113, section 6.8, recommends."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.taken = 0

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept a request; begin the shutdown with the fiftieth."""
        super().on_request(stream_id, fields, end_stream=end_stream)
        self.taken += 1
        if self.taken >= _REQUESTS:
            self.leave()

    def leave(self) -> None:
        """Announce the shutdown, and the last stream once the client has received the announcement."""
        self.drain()


class ShutsDownAbruptly(ShutsDownGracefully):
    """A connection shuts down after fifty requests with one GOAWAY; streams after the last one it names are ignored."""

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept a request, or ignore it."""
        if stream_id > self.last_taken:
            self.note_reset(stream_id)
        else:
            super().on_request(stream_id, fields, end_stream=end_stream)

    def leave(self) -> None:
        """Announce the last stream."""
        self.retire()


class ThrottlesManyResets(Connection):
    """A connection whose client has reset many streams ends: RFC 9113, section 10.5; common since CVE-2023-44487."""

    MOST: ClassVar = 100
    WITHIN: ClassVar = 30.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.resets: deque[float] = deque()

    def on_reset(self, frame: Frame) -> None:
        """Count the reset, and end the connection after many in a short time."""
        super().on_reset(frame)
        now = time.monotonic()
        self.resets.append(now)
        while self.resets[0] < now - self.WITHIN:
            self.resets.popleft()
        if len(self.resets) > self.MOST:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many resets")


class ThrottlesABurst(ThrottlesManyResets):
    """A connection whose client resets a few streams in a very short time ends."""

    MOST: ClassVar = 20
    WITHIN: ClassVar = 0.05


class ManyContinuations(Connection):
    """Header blocks are split into pieces of twenty bytes."""

    def pieces(self, block: bytes) -> list[bytes]:
        """The block in small pieces."""
        return [block[start : start + 20] for start in range(0, len(block), 20)]


class NoTable(Connection):
    """Responses never use the HPACK dynamic table."""

    TABLE_SIZE = 0

    def apply_setting(self, key: int, value: int) -> None:
        """Shrink the table when the first setting comes."""
        super().apply_setting(key, value)
        if self.encoder.header_table_size:
            self.encoder.header_table_size = 0


class Noisy(Connection):
    """Frames that a client must ignore or answer accompany every response: unknown types, SETTINGS, PING, PRIORITY."""

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """The headers, surrounded by other frames."""
        self.emit(Frame(0xB0, 0x55, 0, b"unknown, on the connection"))
        super().send_headers(stream, fields)
        self.emit(Frame(0xB1, 0xAA, stream.id, b"unknown, on the stream"))
        self.emit(Frame(Kind.PRIORITY, 0, stream.id, struct.pack(">IB", 0, 15)))
        self.send_settings({0x5A5A: 1})
        self.send_window_update(0, 1)
        self.receive_window += 1


class SubtypeProto(Call):
    """The content type is application/grpc+proto."""

    CONTENT_TYPE = b"application/grpc+proto"


class HeadersAtOnce(Call):
    """Response headers are sent before any request message is read."""

    HEADERS_AT_ONCE = True


class HeadersAndTrailers(Call):
    """An error before any message has headers and trailers, never trailers-only."""

    TRAILERS_ONLY = False


class GzipResponses(Call):
    """Responses are compressed if the client accepts it."""

    COMPRESS = True


class MuchMetadata(Call):
    """Fifty metadata fields in the headers and as many in the trailers, some binary, some repeated."""

    def headers(self) -> Fields:
        """The headers and fifty fields."""
        return [*super().headers(), (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), *self.more(b"initial")]

    def trailers(self, code: int, message: str) -> Fields:
        """The trailers and fifty fields."""
        return [*super().trailers(code, message), *self.more(b"trailing")]

    def more(self, name: bytes) -> Fields:
        """Fifty fields."""
        fields = [(b"x-%s-%d" % (name, number % 25), b"value %d" % number) for number in range(48)]
        return [*fields, (b"x-%s-bin" % name, b"AAEC/w"), (b"x-%s-empty" % name, b"")]


class EagerRoute(Service):
    """Route speaks first."""

    ROUTE_SPEAKS_FIRST = True


class ListAtOnce(Service):
    """List answers its request without waiting for the half-close, and ignores what follows."""

    LIST_AT_ONCE = True


VARIANTS: Final = {
    "one-byte-frames": Parts(stream=OneByteFrames),
    "joined-responses": Parts(stream=JoinedResponses),
    "no-reset-after-early-end": Parts(stream=NoResetAfterEarlyEnd),
    "padded-data": Parts(connection=PaddedData),
    "empty-frames": Parts(connection=EmptyFrames),
    "small-windows": Parts(connection=SmallWindows),
    "wide-windows": Parts(connection=WideWindows),
    "one-stream": Parts(connection=OneStream),
    "three-streams": Parts(connection=ThreeStreams),
    "graceful-shutdown": Parts(connection=ShutsDownGracefully),
    "abrupt-shutdown": Parts(connection=ShutsDownAbruptly),
    "throttles-many-resets": Parts(connection=ThrottlesManyResets),
    "throttles-a-burst": Parts(connection=ThrottlesABurst),
    "many-continuations": Parts(connection=ManyContinuations),
    "no-table": Parts(connection=NoTable),
    "noisy": Parts(connection=Noisy),
    "subtype-proto": Parts(call=SubtypeProto),
    "headers-at-once": Parts(call=HeadersAtOnce),
    "headers-and-trailers": Parts(call=HeadersAndTrailers),
    "gzip-responses": Parts(call=GzipResponses),
    "much-metadata": Parts(call=MuchMetadata),
    "eager-route": Parts(service=EagerRoute),
    "list-at-once": Parts(service=ListAtOnce),
}
"""The variants by name."""
