"""Field lines of gRPC: request headers, metadata, deadlines, statuses, and the rules of RFC 9113, section 8."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Final, Self
from urllib.parse import unquote_to_bytes

from pytest_grpcstream.escape import printable
from pytest_grpcstream.values import Metadata, MetadataValue
from pytest_grpcstream.wire.records import Field
from pytest_grpcstream.wire.rules import Rule

USER_AGENT: Final = "grpc-python-grpcstream/1"

_RESERVED: Final = frozenset(
    (b"content-type", b"te", b"grpc-status", b"grpc-message", b"grpc-encoding", b"grpc-accept-encoding")
)
"""Fields of a response that belong to the protocol; every other field is metadata."""

_UNITS: Final = (("n", 1), ("u", 10**3), ("m", 10**6), ("S", 10**9), ("M", 60 * 10**9), ("H", 3600 * 10**9))
_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_FORBIDDEN_IN_NAME: Final = re.compile(rb"[\x00-\x20\x41-\x5a\x7f-\xff]")
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00\n\r]")
_PERCENT_ENCODED: Final = re.compile(rb"(?:[\x20-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")
_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*")


def octets(text: str | bytes) -> bytes:
    """A name or value as bytes: text in UTF-8, bytes unchanged."""
    return text.encode() if isinstance(text, str) else text


class Headers(tuple[Field, ...]):
    """Request headers in their order on the wire, legal or not: a tuple of names and values in bytes.

    Each method returns new headers: ``headers.without("te").replaced("content-type", "text/html")``.
    """

    __slots__ = ()

    def __new__(cls, pairs: Iterable[tuple[str | bytes, str | bytes]] = ()) -> Self:
        """Create headers from pairs of name and value."""
        return super().__new__(cls, ((octets(name), octets(value)) for name, value in pairs))

    def without(self, *names: str | bytes) -> Headers:
        """A copy without the fields of these names."""
        unwanted = {octets(name) for name in names}
        return Headers(pair for pair in self if pair[0] not in unwanted)

    def replaced(self, name: str | bytes, value: str | bytes) -> Headers:
        """A copy with another value for a name: at the first place of the name, or at the end if the name is new."""
        key = octets(name)
        place = next((index for index, pair in enumerate(self) if pair[0] == key), len(self))
        kept = [pair for pair in self if pair[0] != key]
        return Headers([*kept[:place], (key, octets(value)), *kept[place:]])

    def added(self, name: str | bytes, value: str | bytes, at: int | None = None) -> Headers:
        """A copy with one more field: at the end, or before the field with index ``at``."""
        place = len(self) if at is None else at
        return Headers([*self[:place], (octets(name), octets(value)), *self[place:]])

    def all(self, name: str | bytes) -> list[bytes]:
        """Every value of a name, in order."""
        key = octets(name)
        return [value for one, value in self if one == key]


def request_headers(
    path: str,
    *,
    authority: str,
    scheme: str = "http",
    timeout: str | None = None,
    metadata: Iterable[tuple[str, MetadataValue]] = (),
) -> Headers:
    """The headers of a gRPC request in the order that gRPC over HTTP2, Requests, recommends.

    Arguments:
        timeout: the text of ``grpc-timeout``, None for no deadline.
    """
    pairs: list[tuple[str | bytes, str | bytes]] = [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
    ]
    if timeout is not None:
        pairs.append(("grpc-timeout", timeout))
    pairs += [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", USER_AGENT)]
    return Headers([*pairs, *encode_metadata(metadata)])


def timeout_text(seconds: float) -> str:
    """Seconds as the text of ``grpc-timeout``: in the finest unit that needs at most 8 digits, rounded up.

    Zero and negative times become ``1n``, times beyond 8 digits of hours ``99999999H``.
    """
    nanoseconds = max(1, round(seconds * 10**9)) if seconds < 10**18 else 10**27
    for unit, size in _UNITS:
        count = -(-nanoseconds // size)
        if count < 10**8:
            return f"{count}{unit}"
    return "99999999H"


# Metadata ---------------------------------------------------------------------------------------------------------


def encode_metadata(metadata: Iterable[tuple[str, MetadataValue]]) -> Iterator[Field]:
    """Metadata as field lines: keys in lower case, ``-bin`` values as base64 without padding.

    Raises:
        ValueError: a key or value is not legal metadata; `Headers` accepts anything.
    """
    for name, value in metadata:
        key = name.lower()
        if not _KEY.fullmatch(key):
            raise ValueError(f"{printable(name)} is not a metadata key: use letters, digits, '_', '-' and '.'")
        if key.endswith("-bin"):
            if isinstance(value, str):
                raise ValueError(f"the value of {key} is text; a -bin key takes bytes")
            yield key.encode(), base64.b64encode(value).rstrip(b"=")
        else:
            text = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
            if any(byte < 0x20 or byte > 0x7E for byte in text):
                raise ValueError(f"the value of {key} is not printable ASCII; use a -bin key for other bytes")
            yield key.encode(), text


def decode_metadata(fields: Iterable[Field]) -> tuple[Metadata, list[str]]:
    """The metadata among the field lines of a response, and the ``-bin`` keys whose value is not base64.

    A value that does not decode is kept unchanged. Values that were joined with ``,`` are split.
    """
    pairs: list[tuple[str, MetadataValue]] = []
    broken: list[str] = []
    for name, value in fields:
        if name.startswith(b":") or name in _RESERVED:
            continue
        key = name.decode("latin-1")
        if not key.endswith("-bin"):
            pairs.append((key, value.decode("latin-1")))
            continue
        for one in value.split(b","):
            decoded = decode_binary(one.strip(b" \t"))
            if decoded is None:
                broken.append(f"{printable(name)}: {printable(value, 60)}")
            pairs.append((key, one if decoded is None else decoded))
    return Metadata(pairs), broken


def decode_binary(value: bytes) -> bytes | None:
    """A base64 value with or without padding; None if it is not base64."""
    bare = value.rstrip(b"=")
    if len(value) - len(bare) > 2 or len(bare) % 4 == 1 or not _BASE64.fullmatch(bare):
        return None
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4))
    except binascii.Error:
        return None


# Status -----------------------------------------------------------------------------------------------------------


def decode_status(value: bytes) -> tuple[int | None, bool]:
    """The number in a grpc-status, None if there is none, and whether its syntax is correct."""
    if not value.isdigit() or len(value) > 9:
        return None, False
    return int(value), value == b"0" or not value.startswith(b"0")


def decode_message(value: bytes) -> tuple[str, bool]:
    """A grpc-message, percent-decoded, and whether its encoding is correct; incorrect parts stay unchanged."""
    raw = unquote_to_bytes(value)
    try:
        return raw.decode(), _PERCENT_ENCODED.fullmatch(value) is not None
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


# What RFC 9113 says about the fields of a response ------------------------------------------------------------------


def check_fields(fields: Iterable[Field], *, trailers: bool) -> Iterator[tuple[Rule, str]]:
    """The rules that the field lines of one header block of a response break, each with what was seen."""
    seen: set[bytes] = set()
    ordinary = False
    for name, value in fields:
        if name.startswith(b":"):
            if trailers:
                yield Rule.PSEUDO_IN_TRAILERS, printable(name)
            elif name != b":status" or name in seen or ordinary:
                yield Rule.PSEUDO_FIELD, f"{printable(name)}{' twice' if name in seen else ''}"
            seen.add(name)
        else:
            ordinary = True
        if not name or _FORBIDDEN_IN_NAME.search(name) or b":" in name[1:]:
            yield Rule.FIELD_NAME, printable(name)
        if _FORBIDDEN_IN_VALUE.search(value) or value != value.strip(b" \t"):
            yield Rule.FIELD_VALUE, f"{printable(name)}: {printable(value, 60)}"
        if name.lower() in _CONNECTION_FIELDS or name.lower() == b"te":
            yield Rule.CONNECTION_FIELD, f"{printable(name)}: {printable(value, 60)}"
