"""Mutants that break the pairing of SendAndClose and CloseAndRecv: one response for all the requests of a Record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import grpc

from mutants.base import JOINS_TEXTS, USES_RECORD, Mutant, NoticesDisconnect
from mutants.registration import StreamServiceServicer
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.correct import ECHO_INITIAL


class RecordEndsAfterTwoHundred(Mutant):
    """Record answers and ends once it has read two hundred requests, without a half-close."""

    killed_by = "PAIR-2"
    also = USES_RECORD  # a client that sends that many gets an answer for the first of them

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """The response to at most two hundred requests."""
        return super().record_response(call, itertools.islice(points, 200))


class RecordAnswersEarly(StreamServiceServicer):
    """Record answers the first request, if it is an ordinary one, and then waits for the half-close."""

    killed_by = "PAIR-2"
    also = frozenset({"PAIR-7"})  # its tests send an echo after an ordinary request

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """The response; too early where it does not depend on the requests."""
        first = list(itertools.islice(requests, 1))
        plain = all(request.HasField("pt") and not request.pt.name.startswith("!") for request in first)
        early = bool(first) and plain and ECHO_INITIAL not in dict(context.invocation_metadata())
        if early:
            yield self.response(self.RECORD_NAME, 1)
        response = self.Record(itertools.chain(first, requests), context)
        if not early:
            yield response


class RecordEndsEarly(Mutant):
    """Record answers and ends as soon as it has read two requests."""

    killed_by = "PAIR-2"
    also = JOINS_TEXTS | {"CANCEL-2"}  # later requests are not read at all

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, at most two."""
        points = super().points(call, requests)
        yield from itertools.islice(points, 2) if call.method == "Record" else points


class RecordAnswersTwice(StreamServiceServicer):
    """Record sends its response twice."""

    killed_by = "PAIR-1"
    also = USES_RECORD  # every Record shows it

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """The response, and once more."""
        response = self.Record(requests, context)
        yield response
        yield response


class EmptyRecordIsAnsweredTwice(StreamServiceServicer):
    """Record sends a second response if there was no request."""

    killed_by = "EOF-14"
    also = frozenset({"PAIR-1"})  # more than one response

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """The response, twice if there was no request."""
        first = list(itertools.islice(requests, 1))
        response = self.Record(itertools.chain(first, requests), context)
        yield response
        if not first:
            yield response


class RecordDoesNotAnswer(StreamServiceServicer):
    """Record ends with OK and no response."""

    killed_by = "PAIR-1"
    also = USES_RECORD  # every Record shows it

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """No response."""
        self.Record(requests, context)
        yield from ()


class EmptyRecordIsNotAnswered(StreamServiceServicer):
    """Record ends with OK and no response if there was no request."""

    killed_by = "EOF-14"

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """The response, if there was a request."""
        first = list(itertools.islice(requests, 1))
        response = self.Record(itertools.chain(first, requests), context)
        if first:
            yield response


class FinishedRecordIsNotAnswered(StreamServiceServicer):
    """Record ends with OK and no response if it ends before the half-close."""

    killed_by = "PAIR-9"

    def record_responses(
        self, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """The response, if the client half-closed."""
        half_closed = False

        def watched() -> Iterator[StreamRequest]:
            nonlocal half_closed
            yield from requests
            half_closed = True

        response = self.Record(watched(), context)
        if half_closed:
            yield response


class RecordAnswersWithoutPoint(Mutant):
    """Record's usual response has no point."""

    killed_by = "PAIR-1"
    also = USES_RECORD  # every Record shows it

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """The response, empty unless it is an echo."""
        response = super().record_response(call, points)
        return StreamResponse() if response.pt.name == self.RECORD_NAME else response


class RecordRemembersRecords(Mutant):
    """Record's echo includes the texts of earlier Records."""

    killed_by = "PAIR-11"
    also = JOINS_TEXTS  # every echo contains texts of other Records

    def __init__(self) -> None:
        super().__init__()
        self._texts: list[str] = []

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts of this and up to ten earlier requests."""
        earlier = self._texts[-10:]
        self._texts += texts
        return super().echoed([*earlier, *texts], count + len(earlier))


class RecordRemembersCancelledRecords(NoticesDisconnect):
    """Record's echo begins with the texts of a cancelled Record."""

    killed_by = "PAIR-11"
    also = frozenset({"ORD-7"})  # its Records may follow a cancelled one

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[Call, list[str]] = {}
        self._left: list[str] = []

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; what a Record has read is kept until it ends with OK."""
        read = self._read[call] = []
        for point in super().points(call, requests):
            read.append(point.name.removeprefix("!echo "))
            yield point
        if not call.over.is_set():
            del self._read[call]

    def client_left(self, call: Call) -> None:
        """Called when a client went away."""
        if call.method == "Record":
            self._left = self._read.pop(call, [])

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, preceded by those left behind."""
        left, self._left = self._left, []
        return super().echoed([*left, *texts], count + len(left))


class RecordForgetsTheLast(Mutant):
    """Record's echo lacks the last request before the half-close."""

    killed_by = "PAIR-7"
    also = JOINS_TEXTS  # the last text is always lost

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts except the last."""
        return super().echoed(texts[:-1], count - 1) if count > 1 else super().echoed(texts, count)


class RecordCountsEchoesOnly(Mutant):
    """Record's echo leaves out requests that are not directives."""

    killed_by = "PAIR-7"

    def record_response(self, call: Call, points: Iterator[StreamPoint]) -> StreamResponse:
        """The response to the requests that are directives."""
        return super().record_response(call, (point for point in points if point.name.startswith("!")))


class RecordFinishWaits(Mutant):
    """Record's early end waits for the half-close."""

    killed_by = "PAIR-9"

    def finish(self, call: Call, points: Iterator[StreamPoint]) -> None:
        """Read up to the half-close before Record ends."""
        if call.method == "Record":
            for _ in points:
                continue


class RecordCutsSlowSenders(Mutant):
    """Record answers the first request that arrives half a second or more after its start, and reads no further."""

    killed_by = "DEADL-5"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, those of the first half second."""
        began = time.monotonic()
        for point in super().points(call, requests):
            if call.method == "Record" and time.monotonic() - began > 0.5:
                return
            yield point
