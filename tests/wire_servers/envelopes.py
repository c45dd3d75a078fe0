"""Length-prefixed messages: gRPC's PROTOCOL-HTTP2.md, and compression.md."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Final

RECEIVE_LIMIT: Final = 4 * 1024 * 1024
"""Maximum bytes of a request message."""

TRUNCATED_GZIP: Final = "gzip: the message is truncated or has trailing bytes"
"""The status message for a gzip message whose end is not the end of its data."""

OK: Final = 0
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13


class StatusFault(Exception):
    """Raised when an RPC ends with a status other than OK."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def envelope(message: bytes, *, compressed: bool = False) -> bytes:
    """A message with its prefix: flag and length."""
    body = gzip.compress(message, mtime=0) if compressed else message
    return struct.pack(">BI", compressed, len(body)) + body


class Envelopes:
    """Splits the request bytes of one RPC into messages.

    Attributes:
        encoding: the value of grpc-encoding, b"identity" if absent.
    """

    def __init__(self, encoding: bytes) -> None:
        self.encoding = encoding
        self._received = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._received += data

    def next(self) -> bytes | None:
        """Return the next message, or None until more is received.

        Raises:
            StatusFault: the message is too large, or does not match its flag.
        """
        if len(self._received) < 5:
            return None
        flag, length = struct.unpack_from(">BI", self._received)
        self.check(flag, length)
        if len(self._received) < 5 + length:
            return None
        body = bytes(self._received[5 : 5 + length])
        del self._received[: 5 + length]
        return inflated(body) if flag else body

    def check(self, flag: int, length: int) -> None:
        """Check a prefix.

        Raises:
            StatusFault: no message can begin with it.
        """
        if flag > 1:
            raise StatusFault(INTERNAL, f"compressed flag {flag}")
        if flag and self.encoding == b"identity":
            raise StatusFault(INTERNAL, "compressed flag without grpc-encoding")
        if flag and self.encoding != b"gzip":
            raise StatusFault(UNIMPLEMENTED, f"grpc-encoding {self.encoding[:40]!r} is not supported")
        if length > RECEIVE_LIMIT:
            raise StatusFault(RESOURCE_EXHAUSTED, f"a message of {length} bytes is larger than {RECEIVE_LIMIT}")

    def within(self) -> bool:
        """Whether the bytes end within a message or its prefix."""
        return bool(self._received)


def inflated(body: bytes) -> bytes:
    """Decompress a gzip message, with never more than the limit in memory.

    Raises:
        StatusFault: it is not gzip, is truncated, or is too large.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        message = inflater.decompress(body, RECEIVE_LIMIT + 1)
    except zlib.error as error:
        raise StatusFault(INTERNAL, f"gzip: {error}") from error
    if len(message) > RECEIVE_LIMIT:
        raise StatusFault(RESOURCE_EXHAUSTED, f"a message is larger than {RECEIVE_LIMIT} bytes")
    if not inflater.eof or inflater.unused_data:
        raise StatusFault(INTERNAL, TRUNCATED_GZIP)
    return message
