"""Mutants that fail on large messages."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator

import grpc

from mutants.base import JOINS_TEXTS, Mutant
from mutants.registration import StreamServiceServicer
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call

_KIB = 1024
_MIB = 1024 * _KIB


class NamesEndAt64Kib(Mutant):
    """A name in a response is cut at 65535 characters."""

    killed_by = "SIZE-5"
    also = JOINS_TEXTS | {"HALF-8", "SIZE-2", "SIZE-9"}  # their responses have long names

    def response(self, name: str, value: int) -> StreamResponse:
        """A response whose name is cut."""
        return super().response(name[:65535], value)


class NamesEndAtAFrame(Mutant):
    """List cuts a name at 16384 bytes, the size of an HTTP/2 frame."""

    killed_by = "SIZE-9"
    also = frozenset({"SIZE-5", "SIZE-2", "ORD-6"})  # larger names are cut as well

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a name that fits in a frame."""
        yield from super().usual_series(name.encode()[:16384].decode("utf-8", "ignore"), base)


class LosesFrameSizedRequests(Mutant):
    """Record loses a request that is a few bytes larger than an HTTP/2 frame or its initial window."""

    killed_by = "SIZE-9"
    also = frozenset({"ORD-2", "PAIR-7"})  # one of their requests may have such a size

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, those of an unlucky size are missing."""
        for point in super().points(call, requests):
            size = point.ByteSize()
            if call.method != "Record" or not (16_384 <= size < 16_404 or 65_535 <= size < 65_555):
                yield point


class RefusesAMebibyte(Mutant):
    """A request of one mebibyte or more is refused with RESOURCE_EXHAUSTED."""

    killed_by = "SIZE-5"
    also = frozenset({"SIZE-7", "HALF-8", "FLOW-7"})  # their tests send such requests
    warned = True

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a small request."""
        if request.ByteSize() >= _MIB:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "the message is too large")
        return super().point(call, request)


class LargeResponsesAreCut(Mutant):
    """Record cuts the name in its response at a million characters."""

    killed_by = "SIZE-5"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, cut."""
        response = super().echoed(texts, count)
        response.pt.name = response.pt.name[:1_000_000]
        return response


class LimitIsPerStream(Mutant):
    """A Record whose requests total more than four mebibytes ends with RESOURCE_EXHAUSTED."""

    killed_by = "SIZE-7"
    also = frozenset({"FLOW-7"})  # a long upload exceeds it

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, up to four mebibytes."""
        read = 0
        for point in super().points(call, requests):
            read += point.ByteSize()
            if call.method == "Record" and read > 4 * _MIB:
                self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "the messages are too large")
            yield point


class UploadsStall(Mutant):
    """Record stops reading after a thousand kibibytes."""

    killed_by = "FLOW-7"
    also = frozenset({"SIZE-5", "SIZE-7"})  # large messages are uploads too

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, up to a thousand kibibytes."""
        read = 0
        for point in super().points(call, requests):
            read += point.ByteSize()
            if call.method == "Record" and read > 1000 * _KIB:
                call.over.wait()
            yield point


class ExitsOnLargeRequest(Mutant):
    """The process exits on a request of two mebibytes or more."""

    killed_by = "SIZE-7"
    also = frozenset({"SIZE-5", "HALF-8", "FLOW-7"})  # their tests send such requests

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request that fits in memory."""
        if request.ByteSize() >= 2 * _MIB:
            os._exit(137)
        return super().point(call, request)


class _Unlimited(StreamServiceServicer):
    """Accepts requests that exceed grpcio's default limit."""

    @classmethod
    def target(cls) -> str:
        """A command that serves it without the limit."""
        return f"exec:{shlex.quote(sys.executable)} -m mutants.unlimited {cls.__module__} {cls.__qualname__} {{port}}"


class OversizeIsCut(_Unlimited):
    """List sends at most four mebibytes of the name of a larger request, and ends with OK."""

    killed_by = "SIZE-2"

    def response(self, name: str, value: int) -> StreamResponse:
        """A response whose name is cut."""
        return super().response(name[: 4 * _MIB], value)


class OversizeIsNotAnswered(_Unlimited):
    """Route does not answer a request of more than four mebibytes, but ends with OK."""

    killed_by = "SIZE-2"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, large ones are missing."""
        for point in super().points(call, requests):
            if call.method != "Route" or point.ByteSize() <= 4 * _MIB:
                yield point


class OversizeIsForbidden(_Unlimited):
    """A request of more than four mebibytes ends with PERMISSION_DENIED."""

    killed_by = "SIZE-2"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request that is not too large."""
        if request.ByteSize() > 4 * _MIB:
            self.abort(call, grpc.StatusCode.PERMISSION_DENIED, "the message is too large")
        return super().point(call, request)


class ExitsOnOversize(_Unlimited):
    """The process exits on a request of more than four mebibytes."""

    killed_by = "SIZE-2"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request that fits in memory."""
        if request.ByteSize() > 4 * _MIB:
            os._exit(137)
        return super().point(call, request)
