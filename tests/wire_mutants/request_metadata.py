"""Mutants that handle request metadata wrongly: they refuse legal values, or mishandle illegal ones."""

from __future__ import annotations

from typing import Any

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import StatusFault
from wire_servers.frames import ConnectionFault, ErrorCode, StreamFault
from wire_servers.headers import Fields, MalformedError, binary_values


class RefusesPaddedBase64(Mutant, Call):
    """A -bin value with padding is refused."""

    killed_by = "META-3"

    def binary(self, value: bytes) -> list[bytes]:
        """Decode values without padding only."""
        if b"=" in value:
            raise MalformedError("padding")
        return super().binary(value)


class RefusesUnpaddedBase64(Mutant, Call):
    """A -bin value without padding is refused."""

    killed_by = "META-3"

    def binary(self, value: bytes) -> list[bytes]:
        """Decode values with correct padding only."""
        if len(value) % 4:
            raise MalformedError("no padding")
        return super().binary(value)


class RefusesJoinedBinaryValues(Mutant, Call):
    """A -bin value with a comma is refused."""

    killed_by = "META-4"

    def validate(self) -> None:
        """Check the request, and refuse commas."""
        super().validate()
        if any(name.endswith(b"-bin") and b"," in value for name, value in self.request.fields):
            raise MalformedError("a comma")


class BrokenBinaryHangs(Mutant, Call):
    """An RPC with a -bin value that is not base64 is never answered."""

    killed_by = "META-5"

    def begin(self) -> None:
        """Begin if all values can be decoded."""
        try:
            for name, value in self.request.fields:
                if name.endswith(b"-bin"):
                    binary_values(value)
        except MalformedError:
            return
        super().begin()


class BrokenBinarySpoilsItsKey(Mutant, Connection):
    """After a -bin value that is not base64, every RPC with that key is reset on the connection."""

    killed_by = "META-5"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.spoiled: set[bytes] = set()

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Remember the keys of bad values."""
        for name, value in fields:
            if name in self.spoiled:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR)
            if name.endswith(b"-bin"):
                try:
                    binary_values(value)
                except MalformedError:
                    self.spoiled.add(name)
        super().on_request(stream_id, fields, end_stream=end_stream)


class NoAsciiKills(Mutant, Connection):
    """A non-ASCII value ends the connection."""

    killed_by = "META-7"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Decode the request as ASCII."""
        if not all(value.isascii() for _, value in fields):
            raise ConnectionFault(ErrorCode.INTERNAL_ERROR, "not ASCII")
        super().on_request(stream_id, fields, end_stream=end_stream)


class RefusesTabs(Mutant, Call):
    """A value with a tab is refused."""

    killed_by = "META-7"

    def validate(self) -> None:
        """Check the request, and refuse tabs."""
        super().validate()
        if any(b"\t" in value for _, value in self.request.fields):
            raise MalformedError("a tab")


class RefusesEmptyValues(Mutant, Call):
    """An empty value is refused."""

    killed_by = "META-10"
    also = frozenset({"META-9"})  # some unknown fields are empty

    def validate(self) -> None:
        """Check the request, and refuse empty values."""
        super().validate()
        if not all(value for _, value in self.request.fields):
            raise MalformedError("an empty value")


class RefusesMuchMetadata(Mutant, Call):
    """Metadata of more than 4 KiB is refused."""

    killed_by = "META-11"

    def validate(self) -> None:
        """Check the request with a lower limit."""
        super().validate()
        if sum(len(value) for _, value in self.request.fields) > 4096:
            raise StatusFault(8, "too much metadata")


class MuchMetadataKills(Mutant, Connection):
    """Metadata of more than 6 KiB ends the connection."""

    killed_by = "META-11"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept the request if it is small."""
        if sum(len(value) for _, value in fields) > 6144:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too much metadata")
        super().on_request(stream_id, fields, end_stream=end_stream)
