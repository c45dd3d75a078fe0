"""Mutants that misread the compression of request messages."""

from __future__ import annotations

import gzip
import os
import struct
import threading
import zlib

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.envelopes import (
    INTERNAL,
    RECEIVE_LIMIT,
    RESOURCE_EXHAUSTED,
    TRUNCATED_GZIP,
    UNIMPLEMENTED,
    Envelopes,
    StatusFault,
    inflated,
)
from wire_servers.headers import Fields, Request
from wire_servers.stream import Stream


class _PlainWithoutEncoding(Envelopes):
    """Ignores a compressed flag without an encoding."""

    def next(self) -> bytes | None:
        if self._received and self._received[0] == 1 and self.encoding == b"identity":
            self._received[0] = 0
        return super().next()


class FlagWithoutEncodingIsPlain(Mutant, Call):
    """A compressed flag without grpc-encoding is ignored."""

    killed_by = "COMP-2"
    ENVELOPES = _PlainWithoutEncoding


class _InternalForEncoding(Envelopes):
    """Uses the wrong status code for an unknown encoding."""

    def check(self, flag: int, length: int) -> None:
        if flag and self.encoding not in (b"gzip", b"identity"):
            raise StatusFault(INTERNAL, "unknown encoding")
        super().check(flag, length)


class UnknownEncodingIsInternal(Mutant, Call):
    """A message in an unknown encoding ends the RPC with INTERNAL."""

    killed_by = "COMP-4"
    warned = True
    ENVELOPES = _InternalForEncoding


class _AnyEncodingIsPlain(Envelopes):
    """Passes on messages that it cannot decompress."""

    def next(self) -> bytes | None:
        if self._received and self._received[0] == 1 and self.encoding not in (b"gzip", b"identity"):
            self._received[0] = 0
        return super().next()


class UnknownEncodingIsPlain(Mutant, Call):
    """A message in an unknown encoding is read as if it were uncompressed."""

    killed_by = "COMP-4"
    warned = True
    ENVELOPES = _AnyEncodingIsPlain


class NoAcceptEncoding(Mutant, Call):
    """Responses lack grpc-accept-encoding."""

    killed_by = "COMP-4"
    warned = True

    def headers(self) -> Fields:
        """The headers without grpc-accept-encoding."""
        return [(name, value) for name, value in super().headers() if name != b"grpc-accept-encoding"]


class _NoGzip(Envelopes):
    """Accepts gzip but cannot decompress it."""

    def check(self, flag: int, length: int) -> None:
        if flag:
            raise StatusFault(2, "this is not implemented")
        super().check(flag, length)


class GzipFailsUnknown(Mutant, Call):
    """A compressed request ends the RPC with UNKNOWN, although gzip is announced as accepted."""

    killed_by = "COMP-1"
    ENVELOPES = _NoGzip


class _FlagOfTheFirst(Envelopes):
    """Treats every message after a compressed one as compressed."""

    compressed = False

    def next(self) -> bytes | None:
        if len(self._received) >= 5:
            self.compressed = self.compressed or self._received[0] == 1
            self._received[0] = self.compressed
        return super().next()


class PlainAfterCompressedMisread(Mutant, Call):
    """An uncompressed message after a compressed one is read as compressed."""

    killed_by = "COMP-1"
    ENVELOPES = _FlagOfTheFirst


class _Inflates(Envelopes):
    """Decompresses gzip messages in its own way."""

    def next(self) -> bytes | None:
        if len(self._received) >= 5 and self._received[0] == 1 and self.encoding == b"gzip":
            length = int(struct.unpack_from(">I", self._received, 1)[0])
            if len(self._received) >= 5 + length:
                body = bytes(self._received[5 : 5 + length])
                del self._received[: 5 + length]
                return self.inflate(body)
        return super().next()

    def inflate(self, body: bytes) -> bytes | None:
        """The content of a gzip message."""
        return inflated(body)


class _NoBomb(_Inflates):
    """Limits the compressed size but not the decompressed size."""

    def inflate(self, body: bytes) -> bytes | None:
        return gzip.decompress(body)


class UnlimitedInflation(Mutant, Call):
    """The decompressed size of a message is not limited; a corrupt message crashes the server."""

    killed_by = "COMP-7"
    also = frozenset({"COMP-6", "ROBUST-5"})  # a corrupt message raises an uncaught exception
    ENVELOPES = _NoBomb


class CompressedIdentityIsPlain(Mutant, Call):
    """A compressed flag with grpc-encoding identity is ignored."""

    killed_by = "COMP-3"

    def __init__(self, stream: Stream, request: Request) -> None:
        super().__init__(stream, request)
        if request.first(b"grpc-encoding") == b"identity":
            self.envelopes = _PlainWithoutEncoding(b"identity")


class RefusesIdentity(Mutant, Call):
    """A request with grpc-encoding identity is refused as if the encoding were unknown."""

    killed_by = "COMP-9"
    also = frozenset({"COMP-3"})  # UNIMPLEMENTED instead of the expected INTERNAL

    def validate(self) -> None:
        """Check the request, and refuse identity."""
        super().validate()
        if self.request.first(b"grpc-encoding") == b"identity":
            raise StatusFault(UNIMPLEMENTED, "grpc-encoding identity is not supported")


class _OneInflater(_Inflates):
    """Uses one decompressor for all messages."""

    def __init__(self, encoding: bytes) -> None:
        super().__init__(encoding)
        self._inflater = zlib.decompressobj(wbits=31)

    def inflate(self, body: bytes) -> bytes | None:
        try:
            return self._inflater.decompress(body)
        except zlib.error as error:
            raise StatusFault(INTERNAL, f"gzip: {error}") from error


class InflaterIsKept(Mutant, Call):
    """Every gzip message is read as a continuation of the first, and is empty."""

    killed_by = "COMP-10"
    also = frozenset({"COMP-1", "COMP-6", "COMP-7"})  # it has two such messages; corruption and size go unnoticed too
    ENVELOPES = _OneInflater


class _JoinsInARow(_Inflates):
    """Reads consecutive gzip messages as one."""

    def inflate(self, body: bytes) -> bytes | None:
        message = inflated(body)
        while self._received[:1] == b"\1" and (more := super().next()) is not None:
            message += more
        return message


class GzippedMessagesInARowAreOne(Mutant, Call):
    """Consecutive gzip messages are read as pieces of one message."""

    killed_by = "COMP-10"
    ENVELOPES = _JoinsInARow


class _SkipsBroken(_Inflates):
    """Skips a message that cannot be decompressed."""

    def inflate(self, body: bytes) -> bytes | None:
        try:
            return inflated(body)
        except StatusFault as fault:
            if fault.code != INTERNAL:
                raise
            return self.next()


class BrokenGzipIsSkipped(Mutant, Call):
    """A message that cannot be decompressed is skipped, and the RPC ends with OK."""

    killed_by = "COMP-6"
    ENVELOPES = _SkipsBroken


class BrokenGzipHangs(Mutant, Call):
    """An RPC with a message that cannot be decompressed is never answered."""

    killed_by = "COMP-6"

    async def receive(self) -> bytes | None:
        """The next message; hang if it cannot be decompressed."""
        try:
            return await super().receive()
        except StatusFault as fault:
            if fault.message.startswith("gzip"):
                await self.forever()
            raise


class _NoChecksum(_Inflates):
    """Reads the deflate data of gzip and ignores its checksum."""

    def inflate(self, body: bytes) -> bytes | None:
        inflater = zlib.decompressobj(wbits=-15)
        message = inflater.decompress(body[10:], RECEIVE_LIMIT + 1) if body.startswith(b"\x1f\x8b") else b""
        if len(message) > RECEIVE_LIMIT:
            raise StatusFault(RESOURCE_EXHAUSTED, "the message is too large")
        if not inflater.eof:
            raise StatusFault(INTERNAL, "gzip: the message is truncated or not gzip")
        return message


class ChecksumIgnored(Mutant, Call):
    """A gzip message with a wrong or missing checksum is accepted."""

    killed_by = "COMP-6"
    warned = True
    ENVELOPES = _NoChecksum


class _ExitsOnBroken(_Inflates):
    """Does not handle messages that cannot be decompressed."""

    def inflate(self, body: bytes) -> bytes | None:
        try:
            return inflated(body)
        except StatusFault as fault:
            if fault.code == INTERNAL:
                os._exit(134)
            raise


class ExitsOnBrokenGzip(Mutant, Call):
    """The process exits on a message that cannot be decompressed."""

    killed_by = "ROBUST-5"
    also = frozenset({"COMP-6", "COMP-12"})  # the same messages, and one of zero bytes
    ENVELOPES = _ExitsOnBroken


class _WaitsForTheRest(_Inflates):
    """Blocks the only thread until a message is complete."""

    def inflate(self, body: bytes) -> bytes | None:
        try:
            return inflated(body)
        except StatusFault as fault:
            if fault.message == TRUNCATED_GZIP:
                threading.Event().wait()
            raise


class CutOffGzipHoldsUpAll(Mutant, Call):
    """The whole server waits for the rest of a truncated gzip message."""

    killed_by = "ROBUST-5"
    also = frozenset({"COMP-6", "COMP-12"})  # the same message, and one of zero bytes
    ENVELOPES = _WaitsForTheRest
