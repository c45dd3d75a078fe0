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
    """List sends its usual responses in the reverse order."""

    killed_by = "ORD-1"
    also = USES_LIST | {"CANCEL-5"}  # every List shows it

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, the last one first."""
        yield from reversed(list(super().usual_series(name, base)))


class StripsByteOrderMarks(Mutant):
    """A byte order mark at the beginning of a name is taken for one."""

    killed_by = "ORD-6"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points of requests, without marks."""
        for point in super().points(call, requests):
            yield StreamPoint(name=self.unmarked(point.name), value=point.value)

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses to a name without its mark."""
        yield from super().list_responses(call, StreamPoint(name=self.unmarked(point.name), value=point.value))

    def unmarked(self, name: str) -> str:
        """A name without its mark, also where that stands behind a directive."""
        return name.removeprefix("\ufeff").replace("!echo \ufeff", "!echo ")


class ListLosesItsLastUnderLoad(Mutant):
    """While eight Lists are open a List of more than one response loses its last one."""

    killed_by = "ORD-7"
    also = frozenset({"LOAD-1", "LOAD-4", "LOAD-8", "LOAD-11"})  # which have many Lists open too

    def __init__(self) -> None:
        super().__init__()
        self._open = 0

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, but for one."""
        self._open += 1
        try:
            responses = list(super().list_responses(call, point))
            time.sleep(0.2)
            yield from responses[:-1] if self._open >= 8 and len(responses) > 1 else responses
        finally:
            self._open -= 1


class LongListsSwapTwo(Mutant):
    """In a List of more than 100 responses two neighbours change places."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "FLOW-13"})  # long Lists are compared there too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, with number 100 after number 101."""
        responses = super().list_responses(call, point)
        for number, response in enumerate(responses):
            if number == 100:
                yield from itertools.islice(responses, 1)
            yield response


class ListLosesTheThousandth(Mutant):
    """List loses every thousandth response."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "HALF-11", "FLOW-13"})  # long Lists are counted there too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses without every thousandth."""
        for number, response in enumerate(super().list_responses(call, point), 1):
            if number % 1000:
                yield response


class ListSortsAsText(Mutant):
    """List sends its usual responses in the order of their values as text."""

    killed_by = "ORD-1"
    also = frozenset({"CANCEL-5", "ORD-11", "ORD-6", "WIRE-16", "WIRE-18"})  # wherever values reach ten

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, sorted."""
        yield from sorted(super().usual_series(name, base), key=lambda response: str(response.pt.value))


class LongListsSendOneTwice(Mutant):
    """In a List of more than 100 responses one is sent twice."""

    killed_by = "ORD-4"
    also = frozenset({"ORD-13", "FLOW-13"})  # long Lists are counted there too

    def list_responses(self, call: Call, point: StreamPoint) -> Iterator[StreamResponse]:
        """The responses, and number 100 once more."""
        for number, response in enumerate(super().list_responses(call, point)):
            yield response
            if number == 100:
                yield response


class ListTakesZeroForUnset(Mutant):
    """List begins with one where the request's value is zero."""

    killed_by = "ORD-1"
    also = frozenset({"CANCEL-5", "ORD-7"})  # where a List begins with zero as well

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, never from zero on."""
        yield from super().usual_series(name, base or 1)


class RepeatOfNoneIsOne(Mutant):
    """What is to be sent no times at all is sent once."""

    killed_by = "ORD-13"
    also = frozenset({"ORD-12", "ABORT-5"})  # on Route, and before an error

    def series(self, name: str, base: int, count: int) -> Iterator[StreamResponse]:
        """At least one response."""
        return super().series(name, base, max(1, count))


class RepeatIsOneTooMany(Mutant):
    """A response is sent once more than it was asked for, if that is more than nine hundred times."""

    killed_by = "ORD-13"
    also = frozenset({"ORD-4", "HALF-11"})  # long series are counted there too

    def series(self, name: str, base: int, count: int) -> Iterator[StreamResponse]:
        """The responses, and one more of many."""
        return super().series(name, base, count + (count > 900))


class RouteDoesNotCountDirectives(Mutant):
    """Route's counter leaves out responses to directives."""

    killed_by = "ORD-12"

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, usual ones counted by themselves."""
        usual = 0
        for response in super().route_responses(call, points):
            if response.pt.name == self.ROUTE_NAME:
                response.pt.value = usual
                usual += 1
            yield response


class RecordSortsTexts(Mutant):
    """Record's handler sees the requests in another order than that in which they were sent."""

    killed_by = "ORD-2"
    also = JOINS_TEXTS  # wherever texts are joined

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts in reverse order."""
        return super().echoed(texts[::-1], count)


class RecordSwapsLate(Mutant):
    """Record swaps two requests, and only beyond the hundredth."""

    killed_by = "ORD-2"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts with numbers 100 and 101 in each other's place."""
        if len(texts) > 101:
            texts[100], texts[101] = texts[101], texts[100]
        return super().echoed(texts, count)


class RecordDropsRepetitions(Mutant):
    """Record takes two requests of the same text for one that was sent twice."""

    killed_by = "ORD-2"
    also = frozenset({"ORD-4", "PAIR-7"})  # the response must reflect every request

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, each once."""
        once = list(dict.fromkeys(texts))
        return super().echoed(once, count - (len(texts) - len(once)))


class RecordLosesTheTail(Mutant):
    """Record forgets what comes after its five-hundredth request."""

    killed_by = "ORD-4"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts of the first 500 requests."""
        return super().echoed(texts[:500], min(count, 500))


class RouteSkipsTheThousandth(Mutant):
    """Route does not answer every thousandth request."""

    killed_by = "ORD-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route without every thousandth."""
        for number, point in enumerate(super().points(call, requests), 1):
            if call.method != "Route" or number % 1000:
                yield point


class RouteAnswersTwice(Mutant):
    """Route answers the sixtieth request of a stream twice."""

    killed_by = "ORD-4"
    also = frozenset({"ABORT-5", "HALF-1", "ORD-3"})  # every Route of more than sixty messages has one more

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, and the sixtieth once more."""
        for number, response in enumerate(super().route_responses(call, points), 1):
            yield response
            if number == 60:
                yield response


class RouteAnswersAhead(Mutant):
    """Route answers the next request before it comes, if the client waits for 0.1 seconds."""

    killed_by = "ORD-8"
    also = frozenset({"EOF-5"})  # whose client waits as well

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route one of them sometimes too early."""
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
    """Route's counter begins again after 255."""

    killed_by = "ORD-4"

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer with a counter of one byte."""
        yield from super().answer(call, point, directive, sent % 256)


class RouteCountsForTheConnection(Mutant):
    """One counter serves all Routes of a connection."""

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
    """Route answers the newest of the requests that wait, so that a burst comes back in the reverse order."""

    killed_by = "ORD-3"
    also = frozenset({"ABORT-5", "HALF-5", "ORD-4", "ORD-6"})  # a burst comes back in a wrong order, or does not

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route those that wait in reverse order."""
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
    """Route's echo answers with the point of the echo before."""

    killed_by = "ORD-3"
    also = frozenset({"ORD-6", "ORD-7", "ORD-8"})  # what was sent does not come back

    def route_responses(self, call: Call, points: Iterator[StreamPoint]) -> Iterator[StreamResponse]:
        """The responses, echoes one behind."""
        last: StreamResponse | None = None
        for response in super().route_responses(call, points):
            if response.pt.name.startswith("!echo"):
                yield last or response
                last = response
            else:
                yield response
