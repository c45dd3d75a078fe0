"""Mutants that do not survive what a client may send."""

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
        """The point of a request, which must be there."""
        if call.method == "Record" and not request.HasField("pt"):
            os._exit(2)
        return super().point(call, request)


class HangsOnRouteWithoutPoint(Mutant):
    """A Route that gets a request without a point is stuck."""

    killed_by = "ROBUST-4"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request, if it ever comes."""
        if call.method == "Route" and not request.HasField("pt"):
            call.over.wait()
        return super().point(call, request)


class WedgesWithoutPoint(Mutant):
    """After a List without a point no List is answered any more."""

    killed_by = "ROBUST-4"

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request; List takes a lock to look at it."""
        if call.method != "List":
            return super().point(call, request)
        while not self._lock.acquire(timeout=0.05):
            if call.over.is_set():
                return request.pt
        point = super().point(call, request)
        self._lock.release()
        return point


class NoPointIsUnknown(Mutant):
    """A request without a point ends with UNKNOWN, as an exception in the handler does."""

    killed_by = "ROBUST-4"
    warned = True

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request, which must be there."""
        if not request.HasField("pt"):
            self.abort(call, grpc.StatusCode.UNKNOWN, "'NoneType' object has no attribute 'name'")
        return super().point(call, request)


class NoPointEndsWell(Mutant):
    """A Route that gets a request without a point ends with OK and does not answer it."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route up to a request without one."""
        for request in requests:
            if call.method == "Route" and not request.HasField("pt"):
                return
            yield self.point(call, request)
        call.requests_ended()


class ExitsOnGarbage(StreamServiceServicer):
    """The process exits on a request that does not parse."""

    killed_by = "WIRE-15"
    also = frozenset({"WIRE-17"})  # nor does a name that is no UTF-8

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes, which must parse."""
        try:
            return super().parse(message)
        except DecodeError:
            os._exit(2)


class ExitsOnBadUtf8(StreamServiceServicer):
    """The process exits on a name that is no UTF-8."""

    killed_by = "WIRE-17"

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes; a name of other bytes than text is fatal."""
        try:
            return super().parse(message)
        except DecodeError:
            if b"\xff\xfe" in message:
                os._exit(2)
            raise


class GarbageIsEmpty(StreamServiceServicer):
    """A request that does not parse is taken for one with an empty point."""

    killed_by = "WIRE-15"

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes, or an empty one."""
        try:
            return super().parse(message)
        except DecodeError:
            return StreamRequest(pt=StreamPoint())


class GarbageIsInvalidArgument(StreamServiceServicer):
    """A request that does not parse is taken for one without a point."""

    killed_by = "WIRE-15"
    warned = True

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes, or one without a point."""
        try:
            return super().parse(message)
        except DecodeError:
            return StreamRequest()


class RefusesUnknownFields(Mutant):
    """A request with a field that the server does not know ends with INVALID_ARGUMENT."""

    killed_by = "WIRE-16"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request that has nothing else."""
        if len(UnknownFieldSet(request)) or len(UnknownFieldSet(request.pt)):
            self.refuse(call, "the request has an unknown field")
        return super().point(call, request)


class ExitsOnUnknownFields(Mutant):
    """The process exits on a point with a field that it does not know."""

    killed_by = "WIRE-16"

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request, which must have the known fields only."""
        if len(UnknownFieldSet(request.pt)):
            os._exit(2)
        return super().point(call, request)


class FirstFieldWins(StreamServiceServicer):
    """Of a point that is sent in two pieces only the first piece is read."""

    killed_by = "WIRE-18"

    def parse(self, message: bytes) -> StreamRequest:
        """A request by its bytes up to the second point."""
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
    """A bad directive ends with UNKNOWN."""

    killed_by = "ABORT-17"
    warned = True

    def refuse(self, call: Call, reason: str) -> NoReturn:
        """End the RPC with INVALID_ARGUMENT, if it is for a missing point."""
        code = grpc.StatusCode.INVALID_ARGUMENT if reason.endswith("no pt") else grpc.StatusCode.UNKNOWN
        self.abort(call, code, reason)


class AbortedRecordLeavesTexts(Mutant):
    """After a Record that ended with an error the next echo begins with its texts."""

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
        """End the RPC with an error, and leave what it has read."""
        if call.method == "Record":
            self._left = self._read.get(call, [])[:-1]
        super().abort(call, code, text)

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts after what was left."""
        left, self._left = self._left, []
        return super().echoed([*left, *texts], count + len(left))
