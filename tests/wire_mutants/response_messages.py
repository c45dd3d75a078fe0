"""Mutants that get the prefix, the encoding or the size of response messages wrong."""

from __future__ import annotations

import gzip
import struct
import zlib

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.envelopes import INTERNAL, StatusFault, envelope
from wire_servers.headers import Fields
from wire_servers.service import Service

_LARGE = 900
"""Bytes from which a message counts as large; most messages are smaller, so the server remains usable."""
_MOST = 4 * 1024 * 1024
"""Maximum size of a usual message in bytes."""
LARGE_ECHOES = frozenset({"HALF-4"})
"""The requirement whose test asks for large echoes, which these mutants damage."""


class PrefixTooLong(Mutant, Call):
    """The prefix of a large message announces one byte too many."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        wrong = len(message) > _LARGE
        return struct.pack(">BI", 0, len(message) + wrong) + message


class PrefixTooShort(Mutant, Call):
    """The prefix of a large message announces one byte too few."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        wrong = len(message) > _LARGE
        return struct.pack(">BI", 0, len(message) - wrong) + message


class LittleEndianPrefix(Mutant, Call):
    """The length in the prefix of a large message is little-endian."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        return struct.pack("<BI" if len(message) > _LARGE else ">BI", 0, len(message)) + message


class CompressedFlagOnPlain(Mutant, Call):
    """Large messages have the compressed flag but are not compressed."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong flag, if it is large."""
        return struct.pack(">BI", len(message) > _LARGE, len(message)) + message


class UnknownFlag(Mutant, Call):
    """Large messages have the flag 2."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong flag, if it is large."""
        return struct.pack(">BI", 2 if len(message) > _LARGE else 0, len(message)) + message


class LastMessageCutOff(Mutant, Call):
    """The last byte of a large message is missing, but the status is unchanged."""

    killed_by = "WIRE-19"
    also = LARGE_ECHOES

    def enveloped(self, message: bytes) -> bytes:
        """The message, truncated if it is large."""
        return envelope(message)[:-1] if len(message) > _LARGE else envelope(message)


class CompressesUnasked(Mutant, Call):
    """Large messages are compressed even if the client does not accept it."""

    killed_by = "COMP-8"

    def headers(self) -> Fields:
        """The headers with an encoding."""
        return [*super().headers(), (b"grpc-encoding", b"gzip")]

    def enveloped(self, message: bytes) -> bytes:
        """The message, compressed if it is large."""
        return envelope(message, compressed=len(message) > _LARGE)


class _Compresses(Call):
    """Compresses large messages for clients that accept it."""

    COMPRESS = True

    def enveloped(self, message: bytes) -> bytes:
        """The message, compressed if it is large."""
        large = self.compresses() and len(message) > _LARGE
        return self.compressed(message) if large else envelope(message)

    def compressed(self, message: bytes) -> bytes:
        """The message in gzip."""
        return envelope(message, compressed=True)


class EncodingNotNamed(Mutant, _Compresses):
    """Compressed responses come without grpc-encoding."""

    killed_by = "COMP-11"

    def headers(self) -> Fields:
        """The headers without grpc-encoding."""
        return [(name, value) for name, value in super().headers() if name != b"grpc-encoding"]


class CompressedResponseCutOff(Mutant, _Compresses):
    """Compressed responses are truncated within their gzip data."""

    killed_by = "COMP-11"

    def compressed(self, message: bytes) -> bytes:
        """The first half."""
        body = gzip.compress(message, mtime=0)
        body = body[: len(body) // 2]
        return struct.pack(">BI", 1, len(body)) + body


class DeflateForGzip(Mutant, _Compresses):
    """Compressed responses are declared and sent in deflate, although the client only accepts gzip."""

    killed_by = "COMP-11"

    def headers(self) -> Fields:
        """The headers with the other encoding."""
        fields = super().headers()
        return [(name, b"deflate" if name == b"grpc-encoding" else value) for name, value in fields]

    def compressed(self, message: bytes) -> bytes:
        """The message in deflate."""
        body = zlib.compress(message)
        return struct.pack(">BI", 1, len(body)) + body


class CompressedResponseRepeated(Mutant, _Compresses):
    """Every compressed response after the first repeats the first."""

    killed_by = "COMP-11"
    first = b""

    def compressed(self, message: bytes) -> bytes:
        """The first compressed message."""
        self.first = self.first or message
        return super().compressed(self.first)


class LargeResponseIsCut(Mutant, Service):
    """A name in a response is cut at four mebibytes, and the RPC ends with OK."""

    killed_by = "SIZE-8"

    async def respond(self, call: Call, name: str, value: int) -> None:
        """Send a response with a truncated name."""
        await super().respond(call, name[:_MOST], value)


class LargeResponseIsLost(Mutant, Call):
    """A response of more than four mebibytes is not sent, but the RPC ends with OK."""

    killed_by = "SIZE-8"

    async def send(self, message: bytes) -> None:
        """Send it if it is small."""
        if len(message) <= _MOST:
            await super().send(message)


class LargeResponseHangs(Mutant, Call):
    """An RPC with a response of more than four mebibytes hangs."""

    killed_by = "SIZE-8"

    async def send(self, message: bytes) -> None:
        """Send it if it is small."""
        if len(message) > _MOST:
            await self.forever()
        await super().send(message)


class LargeResponseIsInternal(Mutant, Call):
    """An RPC with a response of more than four mebibytes ends with INTERNAL."""

    killed_by = "SIZE-8"

    async def send(self, message: bytes) -> None:
        """Send it if it is small."""
        if len(message) > _MOST:
            raise StatusFault(INTERNAL, "the response is too large")
        await super().send(message)
