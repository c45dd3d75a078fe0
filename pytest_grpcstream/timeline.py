"""The timeline of a stream: what happened, in which direction, and when."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

HEAD: Final = 40
TAIL: Final = 160
"""Events that a timeline keeps from its beginning and its end; a stream of a million messages stays small."""

Side: TypeAlias = Literal["client", "server", "local"]
_ARROWS: Final[dict[str, str]] = {"client": "->", "server": "<-", "local": "--"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a stream.

    Attributes:
        number: its place in the timeline, from 1.
        at: seconds since the timeline began.
        side: who caused it: the client or the server sent it, or it happened on this side only.
        what: the kind of event in gRPC's terms: message, half-close, headers, status, cancel, timeout ...
        about: more about it: an escaped text, or a function that creates one when it is shown.
    """

    number: int
    at: float
    side: Side
    what: str
    about: str | Callable[[], str] = ""

    @property
    def detail(self) -> str:
        """More about the event, escaped."""
        return self.about if isinstance(self.about, str) else self.about()

    def __str__(self) -> str:
        return f"{self.at * 1000:9.1f} ms {_ARROWS[self.side]} {self.what} {self.detail}".rstrip()


class Timeline:
    """The events of one stream in order; the first `HEAD` and the last `TAIL` are kept, all are counted.

    Attributes:
        began: when the stream began, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._head: list[Event] = []
        self._tail: deque[Event] = deque(maxlen=TAIL)
        self._count = 0

    def add(self, side: Side, what: str, about: str | Callable[[], str] = "", *, at: float | None = None) -> Event:
        """Record an event now, or at the time ``at`` of `time.monotonic`."""
        self._count += 1
        event = Event(self._count, (time.monotonic() if at is None else at) - self.began, side, what, about)
        if self._count <= HEAD:
            self._head.append(event)
        else:
            self._tail.append(event)
        return event

    def __iter__(self) -> Iterator[Event]:
        return iter([*self._head, *self._tail])

    def __len__(self) -> int:
        """How many events happened, kept or not."""
        return self._count

    @property
    def last(self) -> Event | None:
        """The newest event."""
        return next(reversed(list(self)), None)

    @property
    def elapsed(self) -> float:
        """Seconds since the timeline began."""
        return time.monotonic() - self.began

    def render(self, deciding: Event | None = None, around: int = 12) -> str:
        """The timeline as text: at most ``around`` events on each side of the deciding one, which is marked.

        ``deciding`` defaults to the last event.
        """
        events = list(self)
        if not events:
            return "  (nothing happened)"
        mark = deciding or events[-1]
        place = next((index for index, event in enumerate(events) if event.number >= mark.number), len(events) - 1)
        shown = events[max(0, place - around) : place + around + 1]
        if events[0] not in shown:
            shown.insert(0, events[0])
        lines: list[str] = []
        previous = 0
        for event in shown:
            if event.number > previous + 1:
                lines.append(f"  {'':12} ({event.number - previous - 1} more events)")
            lines.append(f"{'>' if event.number == mark.number else ' '} {event}")
            previous = event.number
        if self._count > previous:
            lines.append(f"  {'':12} ({self._count - previous} more events)")
        return "\n".join(lines)
