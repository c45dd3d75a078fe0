"""Mutants that get a field of their responses wrong."""

from __future__ import annotations

from wire_mutants.base import AskedFields, Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import OK
from wire_servers.frames import ConnectionFault, ErrorCode, Setting
from wire_servers.headers import Fields, size_of


def replaced(fields: Fields, name: bytes, value: bytes) -> Fields:
    """The fields, one with another value."""
    return [(key, value if key == name else old) for key, old in fields]


class NoStatus(Mutant, AskedFields):
    """Trailers have no grpc-status."""

    killed_by = "EOF-7"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers without grpc-status."""
        return [(name, value) for name, value in fields if name != b"grpc-status"]


class StatusTwice(Mutant, AskedFields):
    """Trailers have two grpc-status fields."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with a second grpc-status."""
        return [*fields, fields[0]]


class StatusWithLeadingZero(Mutant, AskedFields):
    """grpc-status always has two digits."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with a leading zero."""
        return replaced(fields, b"grpc-status", fields[0][1].rjust(2, b"0"))


class StatusInWords(Mutant, AskedFields):
    """grpc-status of an error is the name of the code."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with the name of the code, except for OK."""
        code = fields[0][1]
        return fields if code == b"0" else replaced(fields, b"grpc-status", b"CODE_" + code)


class StatusInHeaders(Mutant, AskedFields):
    """Response headers have a grpc-status, which the trailers repeat."""

    killed_by = "STAT-7"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with grpc-status 0."""
        return [*fields, (b"grpc-status", b"0")]


class MessageNotEncoded(Mutant, Call):
    """grpc-message is not percent-encoded UTF-8."""

    killed_by = "STAT-2"

    def message(self, text: str) -> bytes:
        """The text, unencoded except for line breaks, which no field can contain."""
        return text.encode().replace(b"\r", b" ").replace(b"\n", b" ").strip()


class MessageInLatin1(Mutant, Call):
    """grpc-message is percent-encoded Latin-1."""

    killed_by = "STAT-2"

    def message(self, text: str) -> bytes:
        """The text, percent-encoded with one byte for each character."""
        return b"".join(b"%%%02X" % byte for byte in text.encode("latin-1", "replace"))


class UpperCaseName(Mutant, AskedFields):
    """Response headers have an upper-case name."""

    killed_by = "META-14"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with a name that HTTP/1 would allow."""
        return [*fields, (b"X-Served-By", b"wire")]


class SpaceAroundValue(Mutant, AskedFields):
    """Trailers have a value with leading and trailing spaces."""

    killed_by = "META-14"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with a value that HTTP/1 would trim."""
        return [*fields, (b"x-served-by", b" wire ")]


class PseudoHeaderInTrailers(Mutant, AskedFields):
    """Trailers begin with :status."""

    killed_by = "STAT-6"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with :status."""
        return [(b":status", b"200"), *fields]


class ConnectionField(Mutant, AskedFields):
    """Response headers have a connection-specific field."""

    killed_by = "META-15"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with a field of HTTP/1."""
        return [*fields, (b"connection", b"keep-alive")]


class NoHttpStatus(Mutant, AskedFields):
    """Response headers have no :status."""

    killed_by = "EOF-15"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers without :status."""
        return fields[1:]


class Http500WithError(Mutant, Call):
    """An error before any message has HTTP status 500."""

    killed_by = "STAT-3"
    http_status_of_response = b"200"

    def finish(self, code: int, message: str = "") -> None:
        """End as usual; with HTTP status 500 if headers are still to be sent."""
        if code != OK:
            self.http_status_of_response = b"500"
        super().finish(code, message)

    def headers(self) -> Fields:
        """The headers with HTTP status 500."""
        return replaced(super().headers(), b":status", self.http_status_of_response)


class Http204WithoutMessages(Mutant, Call):
    """OK without any message has HTTP status 204."""

    killed_by = "STAT-3"
    also = frozenset({"EOF-13"})  # grpcio accepts only 200
    ends_with_ok = False

    def finish(self, code: int, message: str = "") -> None:
        """End as usual."""
        self.ends_with_ok = code == OK
        super().finish(code, message)

    def headers(self) -> Fields:
        """The headers; with 204 if the response has ended."""
        fields = super().headers()
        return replaced(fields, b":status", b"204") if self.ends_with_ok else fields


class TextContentType(Mutant, AskedFields):
    """The content-type of responses is text/plain."""

    killed_by = "STAT-4"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with the wrong type."""
        return replaced(fields, b"content-type", b"text/plain")


class NoContentType(Mutant, AskedFields):
    """Responses have no content-type."""

    killed_by = "STAT-4"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers without content-type."""
        return [(name, value) for name, value in fields if name != b"content-type"]


class WrongContentLength(Mutant, AskedFields):
    """Response headers have a content-length of 0."""

    killed_by = "WIRE-19"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with a content-length."""
        return [*fields, (b"content-length", b"0")]


class BinaryNotEncoded(Mutant, AskedFields):
    """The values of -bin trailers are sent without base64 encoding."""

    killed_by = "META-21"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with raw bytes, as far as a field allows."""
        return [(name, b"\x01\xfe" if name.endswith(b"-bin") else value) for name, value in fields]


class TableSizeIgnored(Mutant, Connection):
    """Header blocks use the dynamic table even if the client sets its size to 0."""

    killed_by = "META-19"

    def apply_setting(self, key: int, value: int) -> None:
        """Apply a setting, except the table size."""
        if key != Setting.HEADER_TABLE_SIZE:
            super().apply_setting(key, value)


class LongTrailersKillTheConnection(Mutant, Connection):
    """Trailers that exceed the client's limit end the connection."""

    killed_by = "META-20"

    def fitting(self, fields: Fields) -> Fields:
        """The trailers, or the end of the connection."""
        most = self.client.get(Setting.MAX_HEADER_LIST_SIZE)
        if most is not None and size_of(fields) > most:
            self.fail(ConnectionFault(ErrorCode.INTERNAL_ERROR, "the trailers are too long"))
        return fields
