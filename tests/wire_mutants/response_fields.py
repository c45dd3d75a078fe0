"""Mutants that get a field of their responses wrong."""

from __future__ import annotations

from wire_mutants.base import AskedFields, Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import OK
from wire_servers.frames import ConnectionFault, ErrorCode, Setting
from wire_servers.headers import Fields, size_of


def replaced(fields: Fields, name: bytes, value: bytes) -> Fields:
    """The fields, one of them with another value."""
    return [(key, value if key == name else old) for key, old in fields]


class NoStatus(Mutant, AskedFields):
    """Trailers have no grpc-status."""

    killed_by = "EOF-7"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers without it."""
        return [(name, value) for name, value in fields if name != b"grpc-status"]


class StatusTwice(Mutant, AskedFields):
    """Trailers have grpc-status twice."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers and one more."""
        return [*fields, fields[0]]


class StatusWithLeadingZero(Mutant, AskedFields):
    """grpc-status has two digits always."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with a zero in front of a single digit."""
        return replaced(fields, b"grpc-status", fields[0][1].rjust(2, b"0"))


class StatusInWords(Mutant, AskedFields):
    """grpc-status of an error is the name of the code."""

    killed_by = "STAT-1"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers with a word, if it is no OK."""
        code = fields[0][1]
        return fields if code == b"0" else replaced(fields, b"grpc-status", b"CODE_" + code)


class StatusInHeaders(Mutant, AskedFields):
    """Response headers have a grpc-status, which the trailers repeat."""

    killed_by = "STAT-7"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers and OK."""
        return [*fields, (b"grpc-status", b"0")]


class MessageNotEncoded(Mutant, Call):
    """grpc-message is plain UTF-8."""

    killed_by = "STAT-2"

    def message(self, text: str) -> bytes:
        """The text as it is, but for the line breaks that no field can have."""
        return text.encode().replace(b"\r", b" ").replace(b"\n", b" ").strip()


class MessageInLatin1(Mutant, Call):
    """grpc-message is percent-encoded Latin-1."""

    killed_by = "STAT-2"

    def message(self, text: str) -> bytes:
        """The text, with one byte for each character."""
        return b"".join(b"%%%02X" % byte for byte in text.encode("latin-1", "replace"))


class UpperCaseName(Mutant, AskedFields):
    """Response headers have a name in upper case."""

    killed_by = "META-14"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers and one that HTTP/1 would allow."""
        return [*fields, (b"X-Served-By", b"wire")]


class SpaceAroundValue(Mutant, AskedFields):
    """Trailers have a value with spaces around it."""

    killed_by = "META-14"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers and one that HTTP/1 would trim."""
        return [*fields, (b"x-served-by", b" wire ")]


class PseudoHeaderInTrailers(Mutant, AskedFields):
    """Trailers begin with :status."""

    killed_by = "STAT-6"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers and :status."""
        return [(b":status", b"200"), *fields]


class ConnectionField(Mutant, AskedFields):
    """Response headers have a field of the connection."""

    killed_by = "META-15"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers and one that HTTP/1 would need."""
        return [*fields, (b"connection", b"keep-alive")]


class NoHttpStatus(Mutant, AskedFields):
    """Response headers have no :status."""

    killed_by = "EOF-15"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers without it."""
        return fields[1:]


class Http500WithError(Mutant, Call):
    """The HTTP status of an error before any message is 500."""

    killed_by = "STAT-3"
    http_status_of_response = b"200"

    def finish(self, code: int, message: str = "") -> None:
        """End as usual, with the other status if headers are still to be sent."""
        if code != OK:
            self.http_status_of_response = b"500"
        super().finish(code, message)

    def headers(self) -> Fields:
        """The headers with it."""
        return replaced(super().headers(), b":status", self.http_status_of_response)


class Http204WithoutMessages(Mutant, Call):
    """The HTTP status of OK without any message is 204."""

    killed_by = "STAT-3"
    also = frozenset({"EOF-13"})  # grpcio takes nothing but 200
    ends_with_ok = False

    def finish(self, code: int, message: str = "") -> None:
        """End as usual."""
        self.ends_with_ok = code == OK
        super().finish(code, message)

    def headers(self) -> Fields:
        """The headers, with 204 if the end is there already."""
        fields = super().headers()
        return replaced(fields, b":status", b"204") if self.ends_with_ok else fields


class TextContentType(Mutant, AskedFields):
    """The content-type of responses is text/plain."""

    killed_by = "STAT-4"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with the other type."""
        return replaced(fields, b"content-type", b"text/plain")


class NoContentType(Mutant, AskedFields):
    """Responses have no content-type."""

    killed_by = "STAT-4"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers without it."""
        return [(name, value) for name, value in fields if name != b"content-type"]


class WrongContentLength(Mutant, AskedFields):
    """Response headers announce a body of no bytes."""

    killed_by = "WIRE-19"

    def wrong_headers(self, fields: Fields) -> Fields:
        """The headers with a content-length."""
        return [*fields, (b"content-length", b"0")]


class BinaryNotEncoded(Mutant, AskedFields):
    """The values of -bin trailers are sent as they are."""

    killed_by = "META-21"

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers, as truly binary as a field can be."""
        return [(name, b"\x01\xfe" if name.endswith(b"-bin") else value) for name, value in fields]


class TableSizeIgnored(Mutant, Connection):
    """Header blocks use the dynamic table however small the client makes it."""

    killed_by = "META-19"

    def apply_setting(self, key: int, value: int) -> None:
        """Apply a setting, unless it is about the table."""
        if key != Setting.HEADER_TABLE_SIZE:
            super().apply_setting(key, value)


class LongTrailersKillTheConnection(Mutant, Connection):
    """Trailers that are larger than the client takes end the connection."""

    killed_by = "META-20"

    def fitting(self, fields: Fields) -> Fields:
        """The trailers, or the end."""
        most = self.client.get(Setting.MAX_HEADER_LIST_SIZE)
        if most is not None and size_of(fields) > most:
            self.fail(ConnectionFault(ErrorCode.INTERNAL_ERROR, "the trailers are too long"))
        return fields
