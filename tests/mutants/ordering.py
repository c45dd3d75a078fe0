"""Mutants that break the order, the number or the content of messages."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterator

from mutants.base import JOINS_TEXTS, USES_LIST, USES_ROUTE, Mutant, ReadAhead
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class ListBackwards(Mutant):
    """List sends its usual responses in reverse order."""

    killed_by = "ORD-1"
    also = USES_LIST | {"CANCEL-5"}  # every List shows it

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, the last one first."""
        yield from reversed(list(super().usual_series(name, base)))


class StripsByteOrderMarks(Mutant):
    """A byte order mark at the beginning of a name is stripped."""

    killed_by = "ORD-6"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points of requests, without byte order marks."""
        for point in super().points(call, requests):
            yield StreamPoint(name=self.unmarked(point.name), value=point.value)

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses to a name without its byte order mark."""
        yield from super().list_responses(call, StreamPoint(name=self.unmarked(point.name), value=point.value))

    def unmarked(self, name: str) -> str:
        """A name without its byte order mark, even where that follows a directive."""
        return name.removeprefix("\ufeff").replace("!echo \ufeff", "!echo ")


class ListLosesItsLastUnderLoad(Mutant):
    """While eight Lists are open, a List of more than one response loses its last one."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "LOAD-4", "LOAD-8", "LOAD-11"})  # their tests have many Lists open too

    def __init__(self) -> None:
        super().__init__()
        self._open = 0

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, except one."""
        self._open += 1
        try:
            responses = list(super().list_responses(call, point))
            time.sleep(0.2)
            yield from responses[:-1] if self._open >= 8 and len(responses) > 1 else responses
        finally:
            self._open -= 1


class LongListsSwapTwo(Mutant):
    """In a List of more than 100 responses, two neighbours are swapped."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "FLOW-13"})  # their tests compare long Lists too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, number 100 after number 101."""
        responses = super().list_responses(call, point)
        for number, response in enumerate(responses):
            if number == 100:
                yield from itertools.islice(responses, 1)
            yield response


class ListLosesTheThousandth(Mutant):
    """List loses every thousandth response."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "HALF-11", "FLOW-13"})  # their tests count long Lists too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses without every thousandth."""
        for number, response in enumerate(super().list_responses(call, point), 1):
            if number % 1000:
                yield response


class ListSortsAsText(Mutant):
    """List sends its usual responses sorted by their values as text."""

    killed_by = "ORD-1"
    also = frozenset({"CANCEL-5", "ORD-11", "ORD-6", "WIRE-16", "WIRE-18"})  # values that reach ten show it

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, sorted."""
        yield from sorted(super().usual_series(name, base), key=lambda response: str(response.pt.value))


class LongListsSendOneTwice(Mutant):
    """In a List of more than 100 responses, one is sent twice."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "FLOW-13"})  # their tests count long Lists too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, and number 100 once more."""
        for number, response in enumerate(super().list_responses(call, point)):
            yield response
            if number == 100:
                yield response


class ListTakesZeroForUnset(Mutant):
    """List starts at one if the request's value is zero."""

    killed_by = "ORD-1"
    also = frozenset({"CANCEL-5", "ORD-7"})  # their Lists start at zero as well

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, never starting at zero."""
        yield from super().usual_series(name, base or 1)


class RepeatOfNoneIsOne(Mutant):
    """A response that should be repeated zero times is sent once."""

    killed_by = "ORD-13"
    also = frozenset({"ORD-12", "ABORT-5"})  # on Route, and before an error

    def series(self, name: str, base: int, count: int) -> Iterator[StreamResponse]:
        """At least one response."""
        return super().series(name, base, max(1, count))


class RepeatIsOneTooMany(Mutant):
    """A series of more than nine hundred responses has one too many."""

    killed_by = "ORD-13"
    also = frozenset({"ORD-4", "HALF-11"})  # their tests count long series too

    def series(self, name: str, base: int, count: int) -> Iterator[StreamResponse]:
        """The responses, and one more if there are many."""
        return super().series(name, base, count + (count > 900))


class RouteDoesNotCountDirectives(Mutant):
    """Route's counter leaves out responses to directives."""

    killed_by = "ORD-12"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, with usual ones counted separately."""
        usual = 0
        for response in super().route_responses(call, points):
            if response.pt.name == self.ROUTE_NAME:
                response.pt.value = usual
                usual += 1
            yield response


class RecordSortsTexts(Mutant):
    """Record's handler reads the requests in an order other than that in which they were sent."""

    killed_by = "ORD-2"
    also = JOINS_TEXTS  # whose tests compare joined texts

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts in reverse order."""
        return super().echoed(texts[::-1], count)


class RecordSwapsLate(Mutant):
    """Record swaps two requests, and only beyond the hundredth."""

    killed_by = "ORD-2"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, numbers 100 and 101 swapped."""
        if len(texts) > 101:
            texts[100], texts[101] = texts[101], texts[100]
        return super().echoed(texts, count)


class RecordDropsRepetitions(Mutant):
    """Record treats two requests with the same text as a duplicate."""

    killed_by = "ORD-2"
    also = frozenset({"ORD-4", "PAIR-7"})  # the response must reflect every request

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, each only once."""
        once = list(dict.fromkeys(texts))
        return super().echoed(once, count - (len(texts) - len(once)))


class RecordLosesTheTail(Mutant):
    """Record forgets everything after its five-hundredth request."""

    killed_by = "ORD-4"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts of the first 500 requests."""
        return super().echoed(texts[:500], min(count, 500))


class RouteSkipsTheThousandth(Mutant):
    """Route does not answer every thousandth request."""

    killed_by = "ORD-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, every thousandth is missing."""
        for number, point in enumerate(super().points(call, requests), 1):
            if call.method != "Route" or number % 1000:
                yield point


class RouteAnswersTwice(Mutant):
    """Route answers the sixtieth request of a stream twice."""

    killed_by = "ORD-4"
    also = frozenset({"ABORT-5", "HALF-1", "ORD-3"})  # every Route of more than sixty messages has one more

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, the sixtieth twice."""
        for number, response in enumerate(super().route_responses(call, points), 1):
            yield response
            if number == 60:
                yield response


class RouteAnswersAhead(Mutant):
    """Route answers the next request before it arrives if the client waits for 0.1 seconds."""

    killed_by = "ORD-8"
    also = frozenset({"EOF-5"})  # its client waits as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, one may come too early."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        last, early = StreamPoint(name="!"), StreamPoint(name="!")
        while True:
            plain = not last.name.startswith("!")
            try:
                point = ahead.get(timeout=0.1 if plain else None)
            except queue.Empty:
                point = early
            if point is None:
                return
            if last is not early or point.name.startswith("!"):
                yield point
            last = point


class RouteCountsBytes(Mutant):
    """Route's counter wraps around after 255."""

    killed_by = "ORD-4"

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer with a one-byte counter."""
        yield from super().answer(call, point, directive, sent % 256)


class RouteCountsForTheConnection(Mutant):
    """All Routes of a connection share one counter."""

    killed_by = "ORD-12"
    also = USES_ROUTE  # wherever a connection has more than one Route

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[str, Iterator[int]] = {}

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer with the next number of the connection."""
        if directive.word:
            yield from super().answer(call, point, directive, sent)
        else:
            counter = self._counters.setdefault(call.context.peer(), itertools.count())
            yield self.response(self.ROUTE_NAME, next(counter))


class RouteNewestFirst(Mutant):
    """Route answers the most recent waiting request first, so a burst is answered in reverse order."""

    killed_by = "ORD-3"
    also = frozenset({"ABORT-5", "HALF-5", "ORD-4", "ORD-6"})  # a burst is answered in the wrong order, or not at all

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, waiting ones in reverse order."""
        if call.method != "Route":
            yield from super().points(call, requests)
            return
        ahead = ReadAhead(call, requests, self.point)
        while (point := ahead.get()) is not None:
            burst = [point]
            ended = False
            while ahead.waiting() and not ended:
                following = ahead.get()
                if following is None:
                    ended = True
                else:
                    burst.append(following)
            yield from reversed(burst)
            if ended:
                return


class EchoesOneBehind(Mutant):
    """Route's echo answers with the point of the previous echo."""

    killed_by = "ORD-3"
    also = frozenset({"ORD-6", "ORD-7", "ORD-8"})  # the echo is not what was sent

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, each echo one behind."""
        last: StreamResponse | None = None
        for response in super().route_responses(call, points):
            if response.pt.name.startswith("!echo"):
                yield last or response
                last = response
            else:
                yield response
