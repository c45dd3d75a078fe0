"""The rules of HTTP/2 and gRPC that a connection checks, and the violations that it found."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.wire.codes import ErrorCode

KEPT: Final = 200
"""Violations that are kept; further ones are only counted."""


class Rule(enum.Enum):
    """A rule of HTTP/2 or gRPC that this side watches: what breaking it is called, and its source.

    Section numbers are those of RFC 9113. A rule without a source is a limit of this side.
    """

    # The connection
    PREFACE = "a client that does not begin with the connection preface", "RFC 9113, 3.4"
    FIRST_FRAME = "the first frame of the server is not SETTINGS", "RFC 9113, 3.4"
    FRAME_TOO_LARGE = "a frame larger than SETTINGS_MAX_FRAME_SIZE", "RFC 9113, 4.2"
    FRAME_SIZE = "a frame with a wrong length for its type", "RFC 9113, 4.2"
    STREAM_ZERO = "a frame of a stream without a stream identifier", "RFC 9113, 6"
    NOT_STREAM_ZERO = "a frame of the connection with a stream identifier", "RFC 9113, 6"
    BAD_PADDING = "padding that is not shorter than the payload", "RFC 9113, 6.1 and 6.2"
    HEADER_BLOCK = "a header block that does not decode", "RFC 9113, 4.3"
    HEADER_BLOCK_SIZE = "a header block larger than the limit of this library", ""
    INTERRUPTED_HEADERS = "a frame between HEADERS and its CONTINUATION", "RFC 9113, 6.2 and 6.10"
    LONE_CONTINUATION = "CONTINUATION without a header block to continue", "RFC 9113, 6.10"
    PUSH_PROMISE = "PUSH_PROMISE to a client that disabled push", "RFC 9113, 6.6"
    BAD_SETTING = "a setting with a value that is not allowed", "RFC 9113, 6.5.2"
    SETTINGS_ACK_PAYLOAD = "a SETTINGS acknowledgement with a payload", "RFC 9113, 6.5"
    CONNECTION_OVERRUN = "more DATA than the connection's flow-control window", "RFC 9113, 6.9.1"
    STREAM_OVERRUN = "more DATA than the stream's flow-control window", "RFC 9113, 6.9.1"
    ZERO_INCREMENT = "WINDOW_UPDATE with an increment of 0", "RFC 9113, 6.9"
    WINDOW_OVERFLOW = "a flow-control window opened beyond 2**31-1", "RFC 9113, 6.9.1"
    IDLE_STREAM = "a frame on an idle stream", "RFC 9113, 5.1"
    GOAWAY_INCREASED = "GOAWAY with a larger last stream identifier than the one before", "RFC 9113, 6.8"
    FLOOD = "a flood of frames beyond the limit of this library", ""

    # A stream
    DATA_BEFORE_HEADERS = "DATA before the response headers", "RFC 9113, 8.1"
    AFTER_END_STREAM = "a frame on a stream after its END_STREAM", "RFC 9113, 5.1"
    AFTER_RST_STREAM = "a frame on a stream after its RST_STREAM", "RFC 9113, 5.4.2"
    RST_ANSWERED = "RST_STREAM in response to RST_STREAM", "RFC 9113, 5.4.2"
    AFTER_RESET = "DATA or HEADERS on a stream whose reset the server has read", "RFC 9113, 5.1"
    SECOND_HEADERS = "HEADERS without END_STREAM after the response headers", "RFC 9113, 8.1"
    INFORMATIONAL_END = "END_STREAM on an informational response", "RFC 9113, 8.1"
    FIELD_NAME = "a field name with an upper-case letter or a forbidden character", "RFC 9113, 8.2.1"
    FIELD_VALUE = "a field value with a forbidden character, or white space around it", "RFC 9113, 8.2.1"
    CONNECTION_FIELD = "a connection-specific field", "RFC 9113, 8.2.2"
    PSEUDO_IN_TRAILERS = "a pseudo-header field in trailers", "RFC 9113, 8.1"
    PSEUDO_FIELD = "a pseudo-header field that responses do not have, twice, or after other fields", "RFC 9113, 8.3"
    NO_HTTP_STATUS = "response headers without one valid :status", "RFC 9113, 8.3.2"
    CONTENT_LENGTH = "a content-length that is not the length of the DATA", "RFC 9113, 8.1.1"

    # gRPC
    END_STREAM_ON_DATA = "END_STREAM on DATA instead of trailers", "gRPC over HTTP2, Responses"
    NO_STATUS = "the end of a response without grpc-status", "gRPC over HTTP2, Responses"
    STATUS_TWICE = "grpc-status more than once", "gRPC over HTTP2, Responses"
    STATUS_BEFORE_END = "grpc-status in headers that do not end the stream", "gRPC over HTTP2, Responses"
    STATUS_NOT_DECIMAL = "a grpc-status that is not a decimal number without leading zeros", "gRPC over HTTP2, Status"
    MESSAGE_ENCODING = "a grpc-message that is not correctly percent-encoded", "gRPC over HTTP2, Status-Message"
    CONTENT_TYPE = (
        "a response with :status 200 whose content-type is not application/grpc",
        "gRPC over HTTP2, Responses",
    )
    BINARY_METADATA = "a -bin value that is not base64", "gRPC over HTTP2, Binary-Header"
    COMPRESSED_FLAG = "a compressed flag other than 0 and 1", "gRPC over HTTP2, Compressed-Flag"
    COMPRESSED_WITHOUT_ENCODING = "a compressed message without grpc-encoding", "gRPC over HTTP2, Compressed-Flag"
    ENCODING_NOT_OFFERED = "a message in an encoding that the request did not offer", "gRPC Compression"
    BAD_COMPRESSION = "a compressed message that does not decompress", "gRPC Compression"
    TRUNCATED_MESSAGE = (
        "the end of a response with OK in the middle of a message",
        "gRPC over HTTP2, Length-Prefixed-Message",
    )
    MESSAGE_SIZE = "a message larger than the limit of this library", ""

    def __init__(self, words: str, source: str) -> None:
        self.words = words
        self.source = source

    def __str__(self) -> str:
        return f"{self.words} ({self.source})" if self.source else self.words


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that the peer broke.

    Attributes:
        rule: which one.
        detail: what exactly was seen, already escaped.
        stream_id: the stream, or 0 for the connection.
        at: when, in seconds of `time.monotonic`.
    """

    rule: Rule
    detail: str
    stream_id: int
    at: float

    def __str__(self) -> str:
        where = f"stream {self.stream_id}" if self.stream_id else "the connection"
        return f"{self.rule}: {self.detail or 'seen'} on {where}"


class Violations:
    """The violations of one connection or stream in their order: the first `KEPT` are kept, all are counted."""

    def __init__(self) -> None:
        self._kept: list[Violation] = []
        self.count = 0

    def add(self, violation: Violation) -> bool:
        """Record a violation and return whether it is kept or only counted."""
        self.count += 1
        if len(self._kept) >= KEPT:
            return False
        self._kept.append(violation)
        return True

    def of(self, *rules: Rule) -> tuple[Violation, ...]:
        """The violations of these rules."""
        return tuple(one for one in list(self._kept) if one.rule in rules)

    def __iter__(self) -> Iterator[Violation]:
        return iter(list(self._kept))

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<Violations: {self}>"

    def __str__(self) -> str:
        more = self.count - len(self._kept)
        return "; ".join(map(str, self._kept)) + (f"; and {more} more" if more else "") or "none"


class Fault(Exception):
    """Raised when the peer broke a rule after which the connection cannot go on (RFC 9113, section 5.4.1)."""

    def __init__(self, rule: Rule, code: ErrorCode, detail: str, stream_id: int = 0) -> None:
        super().__init__(f"{rule.words}: {detail}")
        self.rule = rule
        self.code = code
        self.detail = detail
        self.stream_id = stream_id
