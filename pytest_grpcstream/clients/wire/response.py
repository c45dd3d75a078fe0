"""The receiving half of a stream: headers, messages and the end, checked against HTTP/2 and gRPC as they arrive.

A fault of one stream is recorded and reading goes on as long as the server's intent is clear: a client that stopped at
the first fault would hide the next one. If a message is broken, the RPC ends with INTERNAL whatever status comes with
it, because a lost message must never look like a success.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pytest_grpcstream.clients.wire.ends import Origin, WireEnded, status_of_http, status_of_reset
from pytest_grpcstream.escape import printable
from pytest_grpcstream.values import Code, Metadata, Received, Status
from pytest_grpcstream.wire.fields import check_fields, decode_message, decode_metadata, decode_status
from pytest_grpcstream.wire.frames import FrameType
from pytest_grpcstream.wire.length_prefixed import PREFIX, Assembler, MessageTooLargeError, decompress
from pytest_grpcstream.wire.records import Fields, Part
from pytest_grpcstream.wire.rules import Rule

INFORMATIONAL_KEPT: Final = 10
BODY_KEPT: Final = 1024
OVERHEAD: Final = 128
"""Bytes of memory that an unread message takes in addition to its own, roughly."""

Report: TypeAlias = Callable[[Rule, str], None]


@dataclass
class Response:
    """What the server sent on one stream, as it came.

    Attributes:
        informational: the header blocks of 1xx responses, the first few.
        headers: the response headers; of a trailers-only response the same block as ``trailers``.
        trailers: the header block with END_STREAM.
        data_frames: how many DATA frames came, empty ones included.
        data_bytes: the bytes in them without padding.
        flow_bytes: the bytes in them that flow control counts.
        messages: how many complete messages came.
        body: the first bytes of a response that is not gRPC.
        ended_on: the type of the frame that had END_STREAM, HEADERS or DATA.
        reset_code: the error code of the server's RST_STREAM, also of one after the end.
    """

    informational: list[Fields] = field(default_factory=list)
    headers: Fields | None = None
    trailers: Fields | None = None
    data_frames: int = 0
    data_bytes: int = 0
    flow_bytes: int = 0
    messages: int = 0
    body: bytes = b""
    ended_on: FrameType | None = None
    reset_code: int | None = None

    @property
    def http_status(self) -> int | None:
        """The ``:status`` of the response, None if there is none or it is not a number."""
        values = self.values(b":status")
        return int(values[0]) if values and values[0].isdigit() and len(values[0]) == 3 else None

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field of the response headers, in order."""
        return [value for key, value in self.headers or () if key == name]


class ResponseState:
    """The receiving half of one stream.

    Arguments:
        report: called with each rule that the server breaks.
        offered: the message encodings that the request offered.
        limit: the largest message that is accepted, in bytes.

    Attributes:
        raw: what came, as it came.
        arrived: bytes of memory that all messages took up to now.
        taken: bytes of memory of the messages that were read; only the reading thread changes it.
        ended: how the RPC ended, as soon as it has.
    """

    def __init__(self, report: Report, offered: frozenset[bytes], limit: int) -> None:
        self._report = report
        self._offered = offered
        self._limit = limit
        self._at = 0.0
        self._taking = False
        self._encoding = b"identity"
        self._metadata = Metadata()
        self.raw = Response()
        self._assembler = Assembler(self._deliver, limit)
        self._unread: deque[tuple[Received, int]] = deque()
        self.arrived = 0
        self.taken = 0
        self._early = 0
        self.ended: WireEnded | None = None

    @property
    def initial_metadata(self) -> Metadata | None:
        """The initial metadata, None while the response headers are not there."""
        return None if self.raw.headers is None and self.ended is None else self._metadata

    @property
    def has_unread(self) -> bool:
        """Whether a complete message is unread."""
        return bool(self._unread)

    def take_message(self) -> tuple[Received, int] | None:
        """The next unread message and the bytes that reading it gives back to flow control; None if there is none.

        Needs no lock, but only one thread may read.
        """
        try:
            taken = self._unread.popleft()
        except IndexError:
            return None
        self.taken += len(taken[0].message) + OVERHEAD
        return taken

    def take_unfinished(self) -> int:
        """The bytes of the unfinished message that flow control has not been given back yet; they are from now on."""
        credit = max(0, self._assembler.have - self._early)
        self._early += credit
        return credit

    def drop_unread(self) -> None:
        """Drop every unread message."""
        self._unread.clear()

    # DATA -------------------------------------------------------------------------------------------------------

    def take_data(self, data: bytes, start: int, stop: int, end_stream: bool, at: float) -> Part | None:
        """Take the payload of a DATA frame without its padding and return which messages it carried."""
        raw = self.raw
        raw.data_frames += 1
        raw.data_bytes += stop - start
        part = None
        if self._taking:
            self._at = at
            try:
                part = self._assembler.feed(data, start, stop)
            except MessageTooLargeError as error:
                self._report(Rule.MESSAGE_SIZE, str(error))
                self._refuse(Code.RESOURCE_EXHAUSTED, f"the server sent {error}; the limit is {self._limit}")
        else:
            self._unusual(data[start:stop])
        if end_stream:
            self._end_on_data(at)
        return part

    def _unusual(self, payload: bytes) -> None:
        raw = self.raw
        if raw.ended_on is not None:
            self._report(Rule.AFTER_END_STREAM, f"DATA of {len(payload)} bytes")
        elif raw.reset_code is not None:
            self._report(Rule.AFTER_RST_STREAM, f"DATA of {len(payload)} bytes")
        elif self.ended is not None:
            return  # this client has ended the RPC
        elif raw.headers is None:
            self._report(Rule.DATA_BEFORE_HEADERS, f"{len(payload)} bytes")
        elif len(raw.body) < BODY_KEPT:
            raw.body += payload[: BODY_KEPT - len(raw.body)]

    def _deliver(self, flag: int, message: bytes) -> None:
        size = PREFIX + len(message)
        self.raw.messages += 1
        if flag:
            plain = self._plain(flag, message)
            if plain is None:
                return
            message = plain
        if self.ended is None:
            self.arrived += len(message) + OVERHEAD
            self._unread.append((Received(message, self._at), size - self._early))
        self._early = 0

    def _plain(self, flag: int, message: bytes) -> bytes | None:
        if flag != 1:
            self._report(Rule.COMPRESSED_FLAG, f"{flag} before a message of {len(message)} bytes")
            self._refuse(Code.INTERNAL, f"a message has the compressed flag {flag}")
            return None
        if self._encoding == b"identity":
            self._report(Rule.COMPRESSED_WITHOUT_ENCODING, f"a message of {len(message)} bytes")
            self._refuse(Code.INTERNAL, "a message is compressed, but the response has no grpc-encoding")
            return None
        if self._encoding not in self._offered:
            self._report(Rule.ENCODING_NOT_OFFERED, printable(self._encoding))
        try:
            plain = decompress(self._encoding, message, self._limit)
        except MessageTooLargeError as error:
            self._report(Rule.MESSAGE_SIZE, str(error))
            self._refuse(Code.RESOURCE_EXHAUSTED, f"the server sent {error}")
            return None
        if plain is None:
            self._report(Rule.BAD_COMPRESSION, f"{len(message)} bytes in {printable(self._encoding)}")
            self._refuse(Code.INTERNAL, f"a message does not decompress as {printable(self._encoding)}")
            return None
        return plain

    def _end_on_data(self, at: float) -> None:
        raw = self.raw
        if raw.ended_on is not None:
            return
        raw.ended_on = FrameType.DATA
        self._taking = False
        if self.is_grpc:
            self._report(Rule.END_STREAM_ON_DATA, "the response has no trailers")
            # Trailers that came without END_STREAM still hold the server's status.
            self._finish(raw.trailers or (), Origin.TRAILERS, at)
        else:
            # An HTTP error with a body has its grpc-status, if any, among the headers.
            self._finish(raw.trailers or raw.headers or (), Origin.TRAILERS_ONLY, at)

    # HEADERS ----------------------------------------------------------------------------------------------------

    @property
    def is_grpc(self) -> bool:
        """Whether the response headers are those of gRPC: HTTP status 200 and a content-type of application/grpc."""
        types = self.raw.values(b"content-type")
        return self.raw.http_status == 200 and bool(types) and types[0].startswith(b"application/grpc")

    def take_headers(self, fields: Fields, end_stream: bool, at: float) -> None:
        """Take the fields of a complete header block."""
        raw = self.raw
        if raw.ended_on is not None:
            self._report(Rule.AFTER_END_STREAM, "HEADERS")
            return
        if raw.reset_code is not None:
            self._report(Rule.AFTER_RST_STREAM, "HEADERS")
            return
        trailers = raw.headers is not None
        for rule, detail in check_fields(fields, trailers=trailers):
            self._report(rule, detail)
        if trailers:
            raw.trailers = fields
            if end_stream:
                raw.ended_on = FrameType.HEADERS
                self._finish(fields, Origin.TRAILERS, at)
            else:
                self._report(Rule.SECOND_HEADERS, f"{len(fields)} fields")
        else:
            self._first_headers(fields, end_stream, at)

    def _first_headers(self, fields: Fields, end_stream: bool, at: float) -> None:
        raw = self.raw
        statuses = [value for name, value in fields if name == b":status"]
        if len(statuses) != 1 or not (statuses[0].isdigit() and len(statuses[0]) == 3):
            shown = ", ".join(printable(value, 20) for value in statuses[:3])
            self._report(Rule.NO_HTTP_STATUS, shown or "there is none")
        if statuses and statuses[0].startswith(b"1") and len(statuses[0]) == 3:
            if end_stream:
                self._report(Rule.INFORMATIONAL_END, printable(statuses[0]))
            elif len(raw.informational) < INFORMATIONAL_KEPT:
                raw.informational.append(fields)
            if not end_stream:
                return
        raw.headers = fields
        if raw.http_status == 200 and not self.is_grpc:
            types = ", ".join(printable(value, 60) for value in raw.values(b"content-type"))
            self._report(Rule.CONTENT_TYPE, types or "there is none")
        self._encoding = (raw.values(b"grpc-encoding") or [b"identity"])[0]
        if end_stream:
            raw.trailers = fields
            raw.ended_on = FrameType.HEADERS
            self._finish(fields, Origin.TRAILERS_ONLY, at)
            return
        if self.is_grpc and raw.values(b"grpc-status"):
            self._report(Rule.STATUS_BEFORE_END, printable(raw.values(b"grpc-status")[0], 20))
        self._metadata = self._decode_metadata(fields)
        self._taking = self.is_grpc and self.ended is None

    def _decode_metadata(self, fields: Fields) -> Metadata:
        metadata, broken = decode_metadata(fields)
        for detail in broken:
            self._report(Rule.BINARY_METADATA, detail)
        return metadata

    # The end ----------------------------------------------------------------------------------------------------

    def _finish(self, fields: Fields, origin: Origin, at: float) -> None:
        self._taking = False
        raw = self.raw
        self._check_content_length()
        status = self._status(fields)
        trailing = self._decode_metadata(fields)
        if status is None:
            self._report_missing_status()
            body = f" and the body {printable(raw.body)}" if raw.body else ""
            types = ", ".join(printable(value, 60) for value in raw.values(b"content-type"))
            made_up = status_of_http(raw.http_status, f", content-type {types or '(none)'}{body}")
            self.end(WireEnded(made_up, self._metadata, trailing, at, Origin.HTTP_STATUS))
        elif status.ok and self._assembler.have:
            detail = f"{self._assembler.have} of {self._assembler.need or 'unknown'} bytes"
            self._report(Rule.TRUNCATED_MESSAGE, detail)
            wrong = Status(Code.INTERNAL, f"the response ended in the middle of a message: {detail}")
            self.end(WireEnded(wrong, self._metadata, trailing, at, Origin.CLIENT_REFUSED, status))
        else:
            self.end(WireEnded(status, self._metadata, trailing, at, origin, status))

    def _report_missing_status(self) -> None:
        # A response that is not gRPC, such as a proxy's 404, does not need a grpc-status.
        if self.is_grpc and self.raw.ended_on is FrameType.HEADERS:
            self._report(Rule.NO_STATUS, "trailers without it")

    def _status(self, fields: Fields) -> Status | None:
        values = [value for name, value in fields if name == b"grpc-status"]
        if not values:
            return None
        if len(values) > 1:
            self._report(Rule.STATUS_TWICE, ", ".join(printable(value, 20) for value in values[:5]))
        code, well_written = decode_status(values[0])
        if not well_written:
            self._report(Rule.STATUS_NOT_DECIMAL, printable(values[0], 20))
        if code is None:  # gRPC's statuscodes.md: a status that does not parse is UNKNOWN
            return Status(Code.UNKNOWN, f"the grpc-status is {printable(values[0], 20)}")
        message = next((value for name, value in fields if name == b"grpc-message"), b"")
        text, encoded = decode_message(message)
        if not encoded:
            self._report(Rule.MESSAGE_ENCODING, printable(message))
        return Status(code, text)

    def _check_content_length(self) -> None:
        for value in self.raw.values(b"content-length"):
            if value != str(self.raw.data_bytes).encode():
                self._report(Rule.CONTENT_LENGTH, f"{printable(value, 20)} for {self.raw.data_bytes} bytes")

    def take_reset(self, code: int, at: float, *, deadline_passed: bool) -> None:
        """Take the server's RST_STREAM."""
        raw = self.raw
        if raw.reset_code is None:
            raw.reset_code = code
        if raw.ended_on is not None or self.ended is not None:
            return
        self._taking = False
        status = status_of_reset(code)
        if deadline_passed and status.code == Code.CANCELLED:
            # gRPC over HTTP2, Client Cancellation: the client is encouraged to look at its deadline.
            status = Status(Code.DEADLINE_EXCEEDED, f"{status.message} after the deadline")
        self.end(WireEnded(status, self._metadata, at=at, origin=Origin.RST_STREAM, reset_code=code))

    def end(self, ended: WireEnded) -> None:
        """End the RPC, unless it has ended before."""
        self._taking = False
        if self.ended is None:
            self.ended = WireEnded(
                ended.status,
                ended.initial_metadata,
                ended.trailing_metadata,
                ended.at,
                ended.origin,
                ended.server_status,
                ended.reset_code,
                self.raw.http_status,
            )

    def stop(self, status: Status, origin: Origin, at: float) -> None:
        """End the RPC for a reason that is not on this stream."""
        self.end(WireEnded(status, self._metadata, at=at, origin=origin))

    def _refuse(self, code: Code, why: str) -> None:
        self.stop(Status(code, why), Origin.CLIENT_REFUSED, self._at)
