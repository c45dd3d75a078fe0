"""Mutants that do not survive requests that a client may send."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from mutants.base import Mutant
from mutants.registration import StreamServiceServicer
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call


class ExitsOnRecordWithoutPoint(Mutant):
    """The process exits when a Record gets a request without a point."""

    killed_by = "ROBUST-4"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; its absence is fatal."""
        if call.method == "Record" and not request.HasField("pt"):
            os._exit(2)
        return super().point(call, request)


class HangsOnRouteWithoutPoint(Mutant):
    """A Route hangs on a request without a point."""

    killed_by = "ROBUST-4"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; its absence hangs the handler."""
        if call.method == "Route" and not request.HasField("pt"):
            call.over.wait()
        return super().point(call, request)


class WedgesWithoutPoint(Mutant):
    """After a List without a point, no further List is answered."""

    killed_by = "ROBUST-4"

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; List takes a lock to read it."""
        if call.method != "List":
            return super().point(call, request)
        while not self._lock.acquire(timeout=0.05):
            if call.over.is_set():
                return request.pt
        point = super().point(call, request)
        self._lock.release()
        return point


class NoPointIsUnknown(Mutant):
    """A request without a point ends with UNKNOWN, as after an exception in the handler."""

    killed_by = "ROBUST-4"
    warned = True

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; its absence is UNKNOWN."""
        if not request.HasField("pt"):
            self.abort(call, grpc.StatusCode.UNKNOWN, "'NoneType' object has no attribute 'name'")
        return super().point(call, request)


class NoPointIsOk(Mutant):
    """A Route ends with OK on a request without a point and does not answer it."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, up to a request without one."""
        for request in requests:
            if call.method == "Route" and not request.HasField("pt"):
                return
            yield self.point(call, request)
        call.requests_ended()


class ExitsOnGarbage(StreamServiceServicer):
    """The process exits on a request that cannot be parsed."""

    killed_by = "WIRE-15"
    also = frozenset({"WIRE-17"})  # a name that is not UTF-8 cannot be parsed either

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request; a failure is fatal."""
        try:
            return super().parse(message)
        except DecodeError:
            os._exit(2)


class ExitsOnBadUtf8(StreamServiceServicer):
    """The process exits on a name that is not UTF-8."""

    killed_by = "WIRE-17"

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request; a name that is not UTF-8 is fatal."""
        try:
            return super().parse(message)
        except DecodeError:
            if b"\xff\xfe" in message:
                os._exit(2)
            raise


class GarbageIsEmpty(StreamServiceServicer):
    """A request that cannot be parsed is treated as one with an empty point."""

    killed_by = "WIRE-15"

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request, or return one with an empty point."""
        try:
            return super().parse(message)
        except DecodeError:
            return StreamRequest(pt=StreamPoint())


class GarbageIsInvalidArgument(StreamServiceServicer):
    """A request that cannot be parsed is treated as one without a point."""

    killed_by = "WIRE-15"
    warned = True

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request, or return one without a point."""
        try:
            return super().parse(message)
        except DecodeError:
            return StreamRequest()


class RefusesUnknownFields(Mutant):
    """A request with a field that the server does not know ends with INVALID_ARGUMENT."""

    killed_by = "WIRE-16"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request that has no unknown field."""
        if len(UnknownFieldSet(request)) or len(UnknownFieldSet(request.pt)):
            self.refuse(call, "the request has an unknown field")
        return super().point(call, request)


class ExitsOnUnknownFields(Mutant):
    """The process exits on a point with an unknown field."""

    killed_by = "WIRE-16"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; an unknown field is fatal."""
        if len(UnknownFieldSet(request.pt)):
            os._exit(2)
        return super().point(call, request)


class FirstFieldWins(StreamServiceServicer):
    """If a point is sent in two pieces, only the first is read."""

    killed_by = "WIRE-18"

    def parse(self, message: bytes) -> StreamRequest:
        """Parse a request up to its second point."""
        whole = super().parse(message)
        if message[:1] != b"\x0a" or not whole.HasField("pt"):
            return whole
        for size in range(len(message)):
            try:
                part = super().parse(message[: len(message) - size])
            except DecodeError:
                continue
            last = part
        return last


class BadDirectiveIsUnknown(Mutant):
    """A malformed directive ends with UNKNOWN."""

    killed_by = "ABORT-17"
    warned = True

    def refuse(self, call: Call, reason: str) -> NoReturn:
        """End the RPC; with INVALID_ARGUMENT only for a missing point."""
        code = grpc.StatusCode.INVALID_ARGUMENT if reason.endswith("no pt") else grpc.StatusCode.UNKNOWN
        self.abort(call, code, reason)


class AbortedRecordLeavesTexts(Mutant):
    """After a Record that ended with an error, the next echo begins with its texts."""

    killed_by = "PAIR-11"

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[Call, list[str]] = {}
        self._left: list[str] = []

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; what a Record has read is kept until it is over."""
        read = self._read[call] = []
        call.context.add_callback(lambda: self._forget(call))
        for point in super().points(call, requests):
            read.append(point.name.removeprefix("!echo "))
            yield point

    def _forget(self, call: Call) -> None:
        del self._read[call]

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an error, and keep what it has read."""
        if call.method == "Record":
            self._left = self._read.get(call, [])[:-1]
        super().abort(call, code, text)

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, preceded by those left behind."""
        left, self._left = self._left, []
        return super().echoed([*left, *texts], count + len(left))
