"""Mutants that take request headers wrongly: they refuse what is legal, or serve what is not."""

from __future__ import annotations

import copy
import os
from typing import Any

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import StatusFault
from wire_servers.frames import ConnectionFault, ErrorCode, Frame, StreamFault
from wire_servers.headers import Fields, MalformedError, binary_values
from wire_servers.service import Service


class RefusesPaddedBase64(Mutant, Call):
    """A -bin value with padding is refused."""

    killed_by = "META-3"

    def binary(self, value: bytes) -> list[bytes]:
        """The values, if there is no padding."""
        if b"=" in value:
            raise MalformedError("padding")
        return super().binary(value)


class RefusesUnpaddedBase64(Mutant, Call):
    """A -bin value without padding is refused."""

    killed_by = "META-3"

    def binary(self, value: bytes) -> list[bytes]:
        """The values, if there is padding where it belongs."""
        if len(value) % 4:
            raise MalformedError("no padding")
        return super().binary(value)


class RefusesJoinedBinaryValues(Mutant, Call):
    """A -bin value with a comma is refused."""

    killed_by = "META-4"

    def judge(self) -> None:
        """Judge, and object to commas."""
        super().judge()
        if any(name.endswith(b"-bin") and b"," in value for name, value in self.request.fields):
            raise MalformedError("a comma")


class BrokenBinaryHangs(Mutant, Call):
    """An RPC with a -bin value that is no base64 is never answered."""

    killed_by = "META-5"

    def begin(self) -> None:
        """Begin, if all can be read."""
        try:
            for name, value in self.request.fields:
                if name.endswith(b"-bin"):
                    binary_values(value)
        except MalformedError:
            return
        super().begin()


class BrokenBinarySpoilsItsKey(Mutant, Connection):
    """Behind a -bin value that is no base64, every RPC with that key is reset on the connection."""

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
    """A value that is no ASCII ends the connection."""

    killed_by = "META-7"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request as text."""
        if not all(value.isascii() for _, value in fields):
            raise ConnectionFault(ErrorCode.INTERNAL_ERROR, "no ASCII")
        super().on_request(stream_id, fields, end_stream=end_stream)


class RefusesTabs(Mutant, Call):
    """A value with a tab is refused."""

    killed_by = "META-7"

    def judge(self) -> None:
        """Judge, and object to tabs."""
        super().judge()
        if any(b"\t" in value for _, value in self.request.fields):
            raise MalformedError("a tab")


class RefusesEmptyValues(Mutant, Call):
    """An empty value is refused."""

    killed_by = "META-10"
    also = frozenset({"META-9"})  # some of what the server does not know is empty

    def judge(self) -> None:
        """Judge, and object to nothing."""
        super().judge()
        if not all(value for _, value in self.request.fields):
            raise MalformedError("an empty value")


class RefusesMuchMetadata(Mutant, Call):
    """Metadata of more than 4 KiB is refused."""

    killed_by = "META-11"

    def judge(self) -> None:
        """Judge, with a lower limit."""
        super().judge()
        if sum(len(value) for _, value in self.request.fields) > 4096:
            raise StatusFault(8, "too much metadata")


class MuchMetadataKills(Mutant, Connection):
    """Metadata of more than 6 KiB ends the connection."""

    killed_by = "META-11"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request if it is small."""
        if sum(len(value) for _, value in fields) > 6144:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too much metadata")
        super().on_request(stream_id, fields, end_stream=end_stream)


class _Lenient(Connection):
    """Mends requests before they are judged."""

    def mended(self, fields: Fields) -> Fields:
        """The fields as they should have been."""
        raise NotImplementedError

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        super().on_request(stream_id, self.mended(fields), end_stream=end_stream)


class ServesUpperCaseNames(Mutant, _Lenient):
    """A request with an upper-case name is served."""

    killed_by = "META-13"

    def mended(self, fields: Fields) -> Fields:
        """The fields in lower case."""
        return [(name.lower(), value) for name, value in fields]


class ServesConnectionFields(Mutant, _Lenient):
    """A request with a connection-specific field is served."""

    killed_by = "WIRE-22"

    def mended(self, fields: Fields) -> Fields:
        """The fields without it."""
        return [(name, value) for name, value in fields if name not in (b"connection", b"keep-alive", b"upgrade")]


class ServesDisorderedPseudoFields(Mutant, _Lenient):
    """A request whose pseudo-header fields stand late, twice, or are unknown is served."""

    killed_by = "WIRE-23"

    def mended(self, fields: Fields) -> Fields:
        """The fields that are known, once, and in order."""
        known = (b":method", b":scheme", b":authority", b":path")
        pseudo = {name: value for name, value in reversed(fields) if name in known}
        return [*pseudo.items(), *((name, value) for name, value in fields if not name.startswith(b":"))]


class MissingPathHangs(Mutant, Connection):
    """A request without :path or :method is never answered."""

    killed_by = "WIRE-23"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request if it can be."""
        if {b":path", b":method"} <= {name for name, _ in fields}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # so that DATA that follows is ignored too


class ServesWrongContentLength(Mutant, _Lenient):
    """A content-length that contradicts the DATA is ignored."""

    killed_by = "WIRE-24"

    def mended(self, fields: Fields) -> Fields:
        """The fields without it."""
        return [(name, value) for name, value in fields if name != b"content-length"]


class ServesPathWithoutSlash(Mutant, _Lenient):
    """A :path without its slash is served."""

    killed_by = "WIRE-4"

    def mended(self, fields: Fields) -> Fields:
        """The fields, the path with a slash."""
        return [(name, b"/" + value.lstrip(b"/") if name == b":path" else value) for name, value in fields]


class PathCaseInsensitive(Mutant, Service):
    """The path of a method may be in any case."""

    killed_by = "WIRE-3"

    def knows(self, path: bytes) -> bool:
        """Whether there is such a method, about."""
        return path.lower() in {known.lower() for known in self.methods()}

    async def serve(self, call: Call) -> None:
        """Serve it."""
        methods = {known.lower(): method for known, method in self.methods().items()}
        await methods[call.request.path.lower()](call)


class UnknownMethodIsUnknown(Mutant, Call):
    """An unknown method of the service ends with UNKNOWN."""

    killed_by = "WIRE-1"
    warned = True

    def judge(self) -> None:
        """Judge, with another code."""
        known = self.stream.connection.service.knows(self.request.path)
        if not known and self.request.path.startswith(b"/proto.StreamService/"):
            raise StatusFault(2, "this method is not known")
        super().judge()


class UnknownServiceHangs(Mutant, Call):
    """An RPC of an unknown service is never answered."""

    killed_by = "WIRE-2"

    def begin(self) -> None:
        """Begin, if the service is known."""
        if self.request.path.startswith(b"/proto.StreamService/"):
            super().begin()


class ServesAnyContentType(Mutant, Call):
    """The content-type of a request is not looked at."""

    killed_by = "WIRE-5"
    also = frozenset({"WIRE-6"})  # a missing one is one of any

    def http_status(self) -> bytes | None:
        """Nothing but the method counts."""
        return None if self.request.method == b"POST" else b"405"


class ServesMissingContentType(Mutant, Call):
    """A request without a content-type is served."""

    killed_by = "WIRE-6"

    def http_status(self) -> bytes | None:
        """The method counts, and a content-type that is there."""
        has = self.request.first(b"content-type") is not None
        return super().http_status() if has or self.request.method != b"POST" else None


class RefusesSubtype(Mutant, Call):
    """The content-type application/grpc+proto is refused."""

    killed_by = "WIRE-7"

    def http_status(self) -> bytes | None:
        """Only the plain one counts."""
        return super().http_status() if self.request.first(b"content-type") == b"application/grpc" else b"415"


class ServesGet(Mutant, Call):
    """The HTTP method is not looked at."""

    killed_by = "WIRE-12"

    def http_status(self) -> bytes | None:
        """Nothing but the content-type counts."""
        self.request = self.request._replace(method=b"POST")
        return super().http_status()


class NeedsUserAgent(Mutant, Call):
    """A request without a user-agent is refused."""

    killed_by = "WIRE-20"

    def judge(self) -> None:
        """Judge, and ask for one."""
        super().judge()
        if self.request.first(b"user-agent") is None:
            raise MalformedError("no user-agent")


class MissingTeHangs(Mutant, Call):
    """An RPC without te is never answered."""

    killed_by = "WIRE-11"

    def begin(self) -> None:
        """Begin, if the client says that it takes trailers."""
        if self.request.first(b"te") is not None:
            super().begin()


class ChangedTeHangs(Mutant, Connection):
    """A request whose te is something else than trailers is never answered."""

    killed_by = "WIRE-11"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request if there is no such field."""
        if {value for name, value in fields if name == b"te"} <= {b"trailers"}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # so that DATA that follows is ignored too


class ExitsWithoutTe(Mutant, Call):
    """The process exits on an RPC without te."""

    killed_by = "WIRE-11"

    def begin(self) -> None:
        """Begin, if the client says that it takes trailers."""
        if self.request.first(b"te") is None:
            os._exit(134)
        super().begin()


class NeedsAuthority(Mutant, Connection):
    """A request with host in place of :authority is refused."""

    killed_by = "WIRE-21"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request if it has one."""
        if b":authority" not in dict(fields):
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR)
        super().on_request(stream_id, fields, end_stream=end_stream)


class MissingAuthorityHangs(Mutant, Connection):
    """A request with neither :authority nor host is never answered."""

    killed_by = "WIRE-21"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take the request if it has one of them."""
        if {b":authority", b"host"} & {name for name, _ in fields}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # so that DATA that follows is ignored too


class ServesTwoAuthorities(Mutant, _Lenient):
    """Of two :authority or host fields the first counts, and the request is served."""

    killed_by = "WIRE-21"

    def mended(self, fields: Fields) -> Fields:
        """The fields without the second."""
        names = [name for name, _ in fields]
        once = (b":authority", b"host")
        return [one for at, one in enumerate(fields) if one[0] not in once or one[0] not in names[:at]]


class ForgetsMalformedBlocks(Mutant, Connection):
    """The header block of a malformed or refused request leaves no trace in the table of header compression."""

    killed_by = "H2-24"

    def on_header_block(self, frame: Frame) -> None:
        """Take it back when the request is refused."""
        before = copy.deepcopy(self.decoder)
        try:
            super().on_header_block(frame)
        except StreamFault:
            self.decoder = before
            raise


class IndexedFieldsForgotten(Mutant, Connection):
    """Request fields that were indexed before are decoded from an empty table."""

    killed_by = "META-19"
    also = frozenset({"ORD-12"})  # several RPCs on one connection

    def decoded(self, block: bytes) -> Fields:
        """Decode, and forget."""
        fields = super().decoded(block)
        self.decoder = type(self.decoder)()
        return fields
