"""Frames of HTTP/2 as bytes: RFC 9113, sections 4.1 and 6."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_SIZE: Final = 16_384
LARGEST_WINDOW: Final = 2**31 - 1
LARGEST_FRAME_SIZE: Final = 2**24 - 1
LARGEST_STREAM_ID: Final = 2**31 - 1


class Kind(IntEnum):
    """The types of frames."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9


END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20


class ErrorCode(IntEnum):
    """The error codes of RST_STREAM and GOAWAY: RFC 9113, section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB


class Setting(IntEnum):
    """The identifiers in SETTINGS: RFC 9113, section 6.5.2."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6


class ConnectionFault(Exception):
    """Raised when the peer violates the protocol and the connection must end: RFC 9113, section 5.4.1."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):
    """Raised when the peer violates the protocol and one stream must end: RFC 9113, section 5.4.2."""

    def __init__(self, stream_id: int, code: ErrorCode) -> None:
        super().__init__(stream_id, code)
        self.stream_id = stream_id
        self.code = code


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes = b""

    def encoded(self) -> bytes:
        """The frame as bytes."""
        length = len(self.payload)
        head = struct.pack(">BHBBI", length >> 16, length & 0xFFFF, self.kind, self.flags, self.stream_id)
        return head + self.payload

    def has(self, flag: int) -> bool:
        """Whether a flag is set."""
        return bool(self.flags & flag)

    def content(self) -> bytes:
        """The payload of DATA or HEADERS without padding and priority.

        Raises:
            ConnectionFault: there is more padding than payload, or no space for what the flags announce.
        """
        start, end = 0, len(self.payload)
        if self.has(PADDED):
            if not self.payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without a pad length")
            start, end = 1, end - self.payload[0]
        if self.kind == Kind.HEADERS and self.has(PRIORITY):
            start += 5
        if start > end:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
        return self.payload[start:end]


class FrameReader:
    """Splits received bytes into frames.

    Attributes:
        largest: maximum payload size of a frame, in bytes.
    """

    def __init__(self, largest: int = DEFAULT_FRAME_SIZE) -> None:
        self.largest = largest
        self._received = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        del self._received[: self._at]
        self._at = 0
        self._received += data

    def take(self, count: int) -> bytes:
        """Remove and return up to a number of bytes."""
        taken = bytes(self._received[self._at : self._at + count])
        self._at += len(taken)
        return taken

    def next(self) -> Frame | None:
        """Return the next frame, or None until more is received.

        Raises:
            ConnectionFault: the frame is larger than this side allows.
        """
        if len(self._received) - self._at < 9:
            return None
        high, low, kind, flags, stream_id = struct.unpack_from(">BHBBI", self._received, self._at)
        length = high << 16 | low
        if length > self.largest:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
        if len(self._received) - self._at < 9 + length:
            return None
        self._at += 9
        return Frame(kind, flags, stream_id & LARGEST_STREAM_ID, self.take(length))


def settings_payload(settings: dict[int, int]) -> bytes:
    """The payload of SETTINGS."""
    return b"".join(struct.pack(">HI", key, value) for key, value in settings.items())


def settings_of(payload: bytes) -> list[tuple[int, int]]:
    """The settings in the payload of SETTINGS, in order.

    Raises:
        ConnectionFault: its length is not a multiple of six, or a value is invalid (RFC 9113, section 6.5.2).
    """
    if len(payload) % 6:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    settings = [(int(key), int(value)) for key, value in struct.iter_unpack(">HI", payload)]
    for key, value in settings:
        if key == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH {value}")
        if key == Setting.INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE {value}")
        if key == Setting.MAX_FRAME_SIZE and not DEFAULT_FRAME_SIZE <= value <= LARGEST_FRAME_SIZE:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE {value}")
    return settings
