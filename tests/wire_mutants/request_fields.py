"""Mutants that handle other request headers wrongly: they refuse legal ones, or serve illegal ones."""

from __future__ import annotations

import copy
import os

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import StatusFault
from wire_servers.frames import ErrorCode, Frame, StreamFault
from wire_servers.headers import Fields, MalformedError
from wire_servers.service import Service


class _Lenient(Connection):
    """Corrects requests before they are checked."""

    def corrected(self, fields: Fields) -> Fields:
        """The corrected fields."""
        raise NotImplementedError

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        super().on_request(stream_id, self.corrected(fields), end_stream=end_stream)


class ServesUpperCaseNames(Mutant, _Lenient):
    """A request with an upper-case name is served."""

    killed_by = "META-13"

    def corrected(self, fields: Fields) -> Fields:
        """The fields in lower case."""
        return [(name.lower(), value) for name, value in fields]


class ServesConnectionFields(Mutant, _Lenient):
    """A request with a connection-specific field is served."""

    killed_by = "WIRE-22"

    def corrected(self, fields: Fields) -> Fields:
        """The fields without connection-specific ones."""
        return [(name, value) for name, value in fields if name not in (b"connection", b"keep-alive", b"upgrade")]


class ServesDisorderedPseudoFields(Mutant, _Lenient):
    """A request with late, repeated or unknown pseudo-header fields is served."""

    killed_by = "WIRE-23"

    def corrected(self, fields: Fields) -> Fields:
        """The known fields, once each, pseudo-header fields first."""
        known = (b":method", b":scheme", b":authority", b":path")
        pseudo = {name: value for name, value in reversed(fields) if name in known}
        return [*pseudo.items(), *((name, value) for name, value in fields if not name.startswith(b":"))]


class MissingPathHangs(Mutant, Connection):
    """A request without :path or :method is never answered."""

    killed_by = "WIRE-23"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept a complete request."""
        if {b":path", b":method"} <= {name for name, _ in fields}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # DATA that follows is ignored too


class ServesWrongContentLength(Mutant, _Lenient):
    """A content-length that contradicts the DATA is ignored."""

    killed_by = "WIRE-24"

    def corrected(self, fields: Fields) -> Fields:
        """The fields without content-length."""
        return [(name, value) for name, value in fields if name != b"content-length"]


class ServesPathWithoutSlash(Mutant, _Lenient):
    """A :path without a leading slash is served."""

    killed_by = "WIRE-4"

    def corrected(self, fields: Fields) -> Fields:
        """The fields, with a slash before the path."""
        return [(name, b"/" + value.lstrip(b"/") if name == b":path" else value) for name, value in fields]


class PathCaseInsensitive(Mutant, Service):
    """The path of a method is matched without regard to case."""

    killed_by = "WIRE-3"

    def knows(self, path: bytes) -> bool:
        """Whether the method exists, ignoring case."""
        return path.lower() in {known.lower() for known in self.methods()}

    async def serve(self, call: Call) -> None:
        """Serve the method in its right spelling."""
        methods = {known.lower(): method for known, method in self.methods().items()}
        await methods[call.request.path.lower()](call)


class UnknownMethodIsUnknown(Mutant, Call):
    """An unknown method of the service ends with UNKNOWN."""

    killed_by = "WIRE-1"
    warned = True

    def validate(self) -> None:
        """Check the request, with another status code."""
        known = self.stream.connection.service.knows(self.request.path)
        if not known and self.request.path.startswith(b"/proto.StreamService/"):
            raise StatusFault(2, "unknown method")
        super().validate()


class UnknownServiceHangs(Mutant, Call):
    """An RPC of an unknown service is never answered."""

    killed_by = "WIRE-2"

    def begin(self) -> None:
        """Begin if the service is known."""
        if self.request.path.startswith(b"/proto.StreamService/"):
            super().begin()


class ServesAnyContentType(Mutant, Call):
    """The content-type of a request is not checked."""

    killed_by = "WIRE-5"
    also = frozenset({"WIRE-6"})  # a missing one is one of any

    def http_status(self) -> bytes | None:
        """Check nothing but the method."""
        return None if self.request.method == b"POST" else b"405"


class ServesMissingContentType(Mutant, Call):
    """A request without a content-type is served."""

    killed_by = "WIRE-6"

    def http_status(self) -> bytes | None:
        """Check the method, and the content-type if there is one."""
        has = self.request.first(b"content-type") is not None
        return super().http_status() if has or self.request.method != b"POST" else None


class RefusesSubtype(Mutant, Call):
    """The content-type application/grpc+proto is refused."""

    killed_by = "WIRE-7"

    def http_status(self) -> bytes | None:
        """Accept only application/grpc."""
        return super().http_status() if self.request.first(b"content-type") == b"application/grpc" else b"415"


class ServesGet(Mutant, Call):
    """The HTTP method is not checked."""

    killed_by = "WIRE-12"

    def http_status(self) -> bytes | None:
        """Check nothing but the content-type."""
        self.request = self.request._replace(method=b"POST")
        return super().http_status()


class NeedsUserAgent(Mutant, Call):
    """A request without a user-agent is refused."""

    killed_by = "WIRE-20"

    def validate(self) -> None:
        """Check the request, and require a user-agent."""
        super().validate()
        if self.request.first(b"user-agent") is None:
            raise MalformedError("no user-agent")


class MissingTeHangs(Mutant, Call):
    """An RPC without te is never answered."""

    killed_by = "WIRE-11"

    def begin(self) -> None:
        """Begin if te is trailers."""
        if self.request.first(b"te") is not None:
            super().begin()


class ChangedTeHangs(Mutant, Connection):
    """A request with a te other than trailers is never answered."""

    killed_by = "WIRE-11"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept a request without such a te."""
        if {value for name, value in fields if name == b"te"} <= {b"trailers"}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # DATA that follows is ignored too


class ExitsWithoutTe(Mutant, Call):
    """The process exits on an RPC without te."""

    killed_by = "WIRE-11"

    def begin(self) -> None:
        """Begin if te is present; otherwise exit."""
        if self.request.first(b"te") is None:
            os._exit(134)
        super().begin()


class NeedsAuthority(Mutant, Connection):
    """A request with host instead of :authority is refused."""

    killed_by = "WIRE-21"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept the request if it has :authority."""
        if b":authority" not in dict(fields):
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR)
        super().on_request(stream_id, fields, end_stream=end_stream)


class MissingAuthorityHangs(Mutant, Connection):
    """A request with neither :authority nor host is never answered."""

    killed_by = "WIRE-21"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept the request if it has one of them."""
        if {b":authority", b"host"} & {name for name, _ in fields}:
            super().on_request(stream_id, fields, end_stream=end_stream)
        else:
            self.note_reset(stream_id)  # DATA that follows is ignored too


class ServesTwoAuthorities(Mutant, _Lenient):
    """Of two :authority or host fields, the first is used, and the request is served."""

    killed_by = "WIRE-21"

    def corrected(self, fields: Fields) -> Fields:
        """The fields without the second one."""
        names = [name for name, _ in fields]
        once = (b":authority", b"host")
        return [one for at, one in enumerate(fields) if one[0] not in once or one[0] not in names[:at]]


class ForgetsMalformedBlocks(Mutant, Connection):
    """The header block of a malformed or refused request does not update the HPACK dynamic table."""

    killed_by = "H2-24"

    def on_header_block(self, frame: Frame) -> None:
        """Restore the table when the request is refused."""
        before = copy.deepcopy(self.decoder)
        try:
            super().on_header_block(frame)
        except StreamFault:
            self.decoder = before
            raise


class IndexedFieldsForgotten(Mutant, Connection):
    """Indexed request fields are decoded with an empty dynamic table."""

    killed_by = "META-19"
    also = frozenset({"ORD-12"})  # several RPCs on one connection

    def decoded(self, block: bytes) -> Fields:
        """Decode, then clear the table."""
        fields = super().decoded(block)
        self.decoder = type(self.decoder)()
        return fields
