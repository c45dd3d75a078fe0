"""Mutants that send a response with the wrong number, order or type of frames."""

from __future__ import annotations

import socket
import struct

from wire_mutants.base import AskedEnd, Mutant
from wire_servers.connection import Connection
from wire_servers.frames import END_HEADERS, END_STREAM, ErrorCode, Frame, Kind
from wire_servers.headers import Fields
from wire_servers.loop import Loop
from wire_servers.parts import Parts
from wire_servers.service import Service
from wire_servers.stream import Stream


class TrailersWithoutEndStream(Mutant, AskedEnd):
    """Trailers have no END_STREAM."""

    killed_by = "EOF-7"

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """The trailers without END_STREAM."""
        self.send_block(stream, fields, end_stream=False)


class EndStreamOnData(Mutant, AskedEnd):
    """A response with messages ends with END_STREAM on an empty DATA frame instead of trailers."""

    killed_by = "EOF-7"

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """An empty DATA frame, unless the response is trailers-only."""
        if fields[0][0] == b":status":
            self.send_block(stream, fields, end_stream=True)
        else:
            self.emit(Frame(Kind.DATA, END_STREAM, stream.id))


class ResetInsteadOfTrailers(Mutant, Stream):
    """A response that ends with an error ends with RST_STREAM(INTERNAL_ERROR) instead of trailers."""

    killed_by = "STAT-8"

    def end(self, trailers: Fields) -> None:
        """The trailers if the status is OK, otherwise a reset."""
        if (b"grpc-status", b"0") in trailers:
            super().end(trailers)
        else:
            self.reset(ErrorCode.INTERNAL_ERROR)


class DataBeforeHeaders(Mutant, Connection):
    """The first message is sent before the response headers."""

    killed_by = "EOF-15"

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        self.held: dict[int, Fields] = {}
        super().__init__(loop, sock, parts, service)

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """Delay the headers if a message follows."""
        if stream.call.initial:
            self.held[stream.id] = fields
        else:
            super().send_headers(stream, fields)

    def data_frame(self, stream: Stream, limit: int) -> Frame:
        """The frame, before headers that are still to be sent."""
        frame = super().data_frame(stream, limit)
        fields = self.held.pop(stream.id, None)
        if fields is None:
            return frame
        self.emit(frame)
        super().send_headers(stream, fields)
        return Frame(Kind.DATA, 0, stream.id)

    def send_trailers(self, stream: Stream, fields: Fields) -> None:
        """The trailers, after headers if no message preceded."""
        late = self.held.pop(stream.id, None)
        if late is not None:
            super().send_headers(stream, late)
        super().send_trailers(stream, fields)


class DataAfterTrailers(Mutant, AskedEnd):
    """A message follows the trailers."""

    killed_by = "EOF-6"

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """The trailers and an empty message."""
        self.send_block(stream, fields, end_stream=True)
        self.emit(Frame(Kind.DATA, 0, stream.id, bytes(5)))


class SecondTrailers(Mutant, AskedEnd):
    """The trailers come twice."""

    killed_by = "EOF-6"

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """The trailers, twice."""
        self.send_block(stream, fields, end_stream=True)
        self.send_block(stream, fields, end_stream=True)


class SecondHeaders(Mutant, Connection):
    """The response headers come twice."""

    killed_by = "EOF-15"

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """The headers, twice."""
        super().send_headers(stream, fields)
        if stream.call.initial:
            super().send_headers(stream, fields)


class MessagesAfterTrailersOnly(Mutant, Connection):
    """The response headers have END_STREAM, and messages follow them."""

    killed_by = "EOF-6"

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """The headers with END_STREAM."""
        self.send_block(stream, fields, end_stream=bool(stream.call.initial))


class ResetWithErrorAfterEarlyEnd(Mutant, Stream):
    """An early end is followed by RST_STREAM(CANCEL) instead of NO_ERROR."""

    killed_by = "PAIR-13"

    def reset(self, code: ErrorCode) -> None:
        """Reset with an error."""
        super().reset(ErrorCode.CANCEL if code is ErrorCode.NO_ERROR else code)


class HeadersWithoutEnd(Mutant, AskedEnd):
    """Trailers are split into HEADERS and CONTINUATION, none of which has END_HEADERS."""

    killed_by = "EOF-7"

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """The trailers without END_HEADERS."""
        self.emit(Frame(Kind.HEADERS, END_STREAM, stream.id, self.encoder.encode(fields)))


class Promises(Mutant, Connection):
    """A List sends PUSH_PROMISE, although gRPC clients disable push."""

    killed_by = "H2-21"
    also = frozenset({"EOF-1", "META-9", "ORD-1"})  # Lists end the wire client's connection

    def send_headers(self, stream: Stream, fields: Fields) -> None:
        """The headers, after a promise of another response."""
        if not stream.call.request.path.endswith(b"List"):
            super().send_headers(stream, fields)
            return
        request = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/")]
        payload = struct.pack(">I", 2 * stream.id) + self.encoder.encode(request)
        self.emit(Frame(Kind.PUSH_PROMISE, END_HEADERS, stream.id, payload))
        super().send_headers(stream, fields)


class EarlyEndWaitsForHalfClose(Mutant, Stream):
    """The trailers of OK wait for the half-close."""

    killed_by = "PAIR-9"

    def must_wait(self, trailers: Fields) -> bool:
        """Whether these trailers wait."""
        return (b"grpc-status", b"0") in trailers

    def end(self, trailers: Fields) -> None:
        """The trailers, now or after the half-close."""
        if self.remote_ended or not self.must_wait(trailers):
            super().end(trailers)
        else:
            self._held = trailers

    def half_close(self) -> None:
        """Send the held trailers."""
        super().half_close()
        if "_held" in vars(self):
            super().end(self._held)


class AbortWaitsForHalfClose(EarlyEndWaitsForHalfClose):
    """The trailers of an error wait for the half-close."""

    killed_by = "ABORT-6"

    def must_wait(self, trailers: Fields) -> bool:
        """Whether these trailers wait."""
        return (b"grpc-status", b"0") not in trailers
