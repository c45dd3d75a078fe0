"""Mutants that get the prefix or the encoding of response messages wrong."""

from __future__ import annotations

import struct

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.envelopes import envelope
from wire_servers.headers import Fields

_LARGE = 900
"""Bytes from which a message is large here: most messages are not, so that the server can be used at all."""


class PrefixTooLong(Mutant, Call):
    """The prefix of a large message announces a byte more than there is."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        wrong = len(message) > _LARGE
        return struct.pack(">BI", 0, len(message) + wrong) + message


class PrefixTooShort(Mutant, Call):
    """The prefix of a large message announces a byte less than there is."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        wrong = len(message) > _LARGE
        return struct.pack(">BI", 0, len(message) - wrong) + message


class LittleEndianPrefix(Mutant, Call):
    """The length in the prefix of a large message is in little-endian order."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong prefix, if it is large."""
        return struct.pack("<BI" if len(message) > _LARGE else ">BI", 0, len(message)) + message


class CompressedFlagOnPlain(Mutant, Call):
    """Large messages have the compressed flag and are plain."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong flag, if it is large."""
        return struct.pack(">BI", len(message) > _LARGE, len(message)) + message


class UnknownFlag(Mutant, Call):
    """Large messages have the flag 2."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message with a wrong flag, if it is large."""
        return struct.pack(">BI", 2 if len(message) > _LARGE else 0, len(message)) + message


class LastMessageCutOff(Mutant, Call):
    """The last byte of a large message is missing, and the status is what it would be."""

    killed_by = "WIRE-19"

    def enveloped(self, message: bytes) -> bytes:
        """The message, or most of it."""
        return envelope(message)[:-1] if len(message) > _LARGE else envelope(message)


class CompressesUnasked(Mutant, Call):
    """Large messages are compressed whether the client accepts it or not."""

    killed_by = "COMP-8"

    def headers(self) -> Fields:
        """The headers with an encoding."""
        return [*super().headers(), (b"grpc-encoding", b"gzip")]

    def enveloped(self, message: bytes) -> bytes:
        """The message, compressed if it is large."""
        return envelope(message, compressed=len(message) > _LARGE)
