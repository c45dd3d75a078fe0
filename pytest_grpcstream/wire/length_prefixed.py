"""Length-prefixed messages: encoded for DATA, decoded from it, and decompressed (gRPC over HTTP2, Requests)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

from pytest_grpcstream.wire.records import Part

PREFIX: Final = 5

Deliver: TypeAlias = Callable[[int, bytes], None]
"""Takes the compressed flag and the bytes of a message."""


class MessageTooLargeError(Exception):
    """Raised when a prefix announces a message that is larger than the limit."""


def add_prefix(message: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message with its prefix.

    Arguments:
        compressed: the compressed flag, 0 to 255.
        length: the length in the prefix, None for the true one.
    """
    return bytes([compressed]) + (len(message) if length is None else length).to_bytes(4, "big") + message


class Assembler:
    """Assembles messages from bytes that are split anywhere, and reports which messages each piece belongs to.

    Arguments:
        deliver: called for each message as soon as it is complete.
        limit: the largest message that is accepted, in bytes.

    Attributes:
        count: how many messages are complete.
        have: bytes of the message that is not complete, with its prefix; 0 between messages.
        need: the size of that message with its prefix, None while the prefix is not complete.
    """

    __slots__ = ("_buffer", "_deliver", "_last_size", "_limit", "count", "have", "need")

    def __init__(self, deliver: Deliver, limit: int) -> None:
        self._deliver = deliver
        self._limit = limit
        self._buffer = bytearray()
        self._last_size = 0
        self.count = 0
        self.have = 0
        self.need: int | None = None

    def feed(self, data: bytes, start: int, stop: int) -> Part | None:
        """Take the bytes from ``start`` to ``stop`` and return which part of which messages they are.

        Raises:
            MessageTooLargeError: a prefix announces more than the limit.
        """
        if not self.have:
            # Nearly every DATA frame of nearly every peer is exactly one message.
            body = start + PREFIX
            if body <= stop and body + int.from_bytes(data[start + 1 : body], "big") == stop:
                size = stop - start
                if size - PREFIX > self._limit:
                    raise MessageTooLargeError(f"a message of {size - PREFIX} bytes")
                number = self.count
                self.count = number + 1
                self._last_size = size
                self._deliver(data[start], data[body:stop])
                return Part(number, 0, number, size, size)
        if start == stop:
            return None
        first, offset = self.count, self.have
        while start < stop:
            start = self._take(data, start, stop)
        if self.have:
            return Part(first, offset, self.count, self.have, self.need)
        return Part(first, offset, self.count - 1, self._last_size, self._last_size)

    def _take(self, data: bytes, start: int, stop: int) -> int:
        goal = PREFIX if self.need is None else self.need
        taken = min(goal - self.have, stop - start)
        self._buffer += data[start : start + taken]
        self.have += taken
        if self.need is None and self.have == PREFIX:
            length = int.from_bytes(self._buffer[1:], "big")
            if length > self._limit:
                raise MessageTooLargeError(f"a message of {length} bytes")
            self.need = PREFIX + length
        if self.have == self.need:
            flag, message = self._buffer[0], bytes(self._buffer[PREFIX:])
            self._buffer = bytearray()
            self._last_size, self.have, self.need = self.need, 0, None
            self.count += 1
            self._deliver(flag, message)
        return start + taken


def decompress(encoding: bytes, message: bytes, limit: int) -> bytes | None:
    """A message decompressed from ``gzip`` or ``deflate``; None if it is in another encoding or does not decompress.

    Raises:
        MessageTooLargeError: it would be larger than ``limit`` bytes.
    """
    if encoding not in (b"gzip", b"deflate"):
        return None
    if not message:  # not a gzip member, but some servers send it for an empty message
        return b""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | (16 if encoding == b"gzip" else 0))
    try:
        plain = inflater.decompress(message, limit + 1)
    except zlib.error:
        return None
    if len(plain) > limit:
        raise MessageTooLargeError(f"a message of more than {limit} bytes, {len(message)} compressed")
    return plain if inflater.eof else None
