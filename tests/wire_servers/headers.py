"""Header fields of requests and responses: RFC 9113, sections 8.2 and 8.3, and gRPC's PROTOCOL-HTTP2.md."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]
Fields: TypeAlias = list[Field]

_REQUEST_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
_CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
_NAME: Final = re.compile(rb"[!-9;-@\[-~]+")  # from 0x21 to 0x7e, no upper case, no colon
_VALUE: Final = re.compile(rb"[^\x00\r\n]*")
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class MalformedError(Exception):
    """Raised when RFC 9113 or gRPC does not allow fields."""


class Request(NamedTuple):
    """A request: its pseudo-header fields and the others, in order."""

    method: bytes
    path: bytes
    fields: Fields

    def first(self, name: bytes) -> bytes | None:
        """The first value of a field, or None."""
        return next((value for key, value in self.fields if key == name), None)


def request_of(fields: Iterable[Field]) -> Request:
    """Parse a request's fields.

    Raises:
        MalformedError: the request is malformed as defined by RFC 9113, section 8.1.1.
    """
    pseudo: dict[bytes, bytes] = {}
    regular: Fields = []
    for name, value in fields:
        if not name.startswith(b":"):
            regular.append((name, regular_value(name, value)))
        elif regular or name not in _REQUEST_PSEUDO or name in pseudo:
            raise MalformedError(f"{name!r} is unknown, repeated or late")
        else:
            pseudo[name] = value
    missing = _REQUEST_PSEUDO - {b":authority"} - set(pseudo)
    if missing:
        raise MalformedError(f"{missing} missing")
    if not pseudo[b":path"].startswith(b"/"):
        raise MalformedError(f"path {pseudo[b':path']!r}")
    hosts = [value for name, value in regular if name == b"host"]
    if len(hosts) > 1:
        raise MalformedError("several hosts")
    return Request(pseudo[b":method"], pseudo[b":path"], regular)


def regular_value(name: bytes, value: bytes) -> bytes:
    """The value of a regular field, with surrounding whitespace stripped, as gRPC allows.

    Raises:
        MalformedError: the field makes its message malformed.
    """
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise MalformedError(f"field {name!r}")
    if name in _CONNECTION_SPECIFIC or (name == b"te" and value != b"trailers"):
        raise MalformedError(f"connection-specific field {name!r}")
    return value.strip(b" \t")


def size_of(fields: Iterable[Field]) -> int:
    """The size of fields as MAX_HEADER_LIST_SIZE counts it: RFC 9113, section 6.5.2."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def seconds_of(timeout: bytes) -> float:
    """The seconds that a grpc-timeout stands for.

    Raises:
        MalformedError: it is malformed.
    """
    found = _TIMEOUT.fullmatch(timeout)
    if found is None:
        raise MalformedError(f"grpc-timeout {timeout[:20]!r}")
    return int(found[1]) * _SECONDS[found[2]]


def percent_encoded(text: str) -> bytes:
    """A status message in grpc-message encoding, with leading and trailing spaces escaped, which no field can have."""
    encoded = bytearray()
    raw = text.encode("utf-8", "replace")
    for index, byte in enumerate(raw):
        at_an_end = index in (0, len(raw) - 1)
        plain = 0x20 <= byte <= 0x7E and byte != 0x25 and not (byte == 0x20 and at_an_end)
        encoded += bytes((byte,)) if plain else b"%%%02X" % byte
    return bytes(encoded)


def shortened(encoded: bytes, length: int) -> bytes:
    """A percent-encoded text cut to a length in bytes, but not within an escape or a character."""
    cut = encoded[: max(0, length)]
    cut = cut[: len(cut) - 2] + cut[len(cut) - 2 :].split(b"%")[0]
    text = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes((int(found[1], 16),)), cut)
    return percent_encoded(text.decode("utf-8", "ignore"))


def binary_values(value: bytes) -> list[bytes]:
    """The values of a -bin field, comma-joined or not, padded or not.

    Raises:
        MalformedError: it is not base64.
    """
    try:
        return [base64.b64decode(one + b"=" * (-len(one) % 4), validate=True) for one in _split(value)]
    except binascii.Error as error:
        raise MalformedError(f"base64 {value[:20]!r}") from error


def _split(value: bytes) -> list[bytes]:
    return [one.strip(b" \t") for one in value.split(b",")]


def binary_field(name: bytes, value: bytes) -> Field:
    """A -bin field without padding, as PROTOCOL-HTTP2.md asks."""
    return name, base64.b64encode(value).rstrip(b"=")
