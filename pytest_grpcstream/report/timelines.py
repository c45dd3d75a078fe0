"""The timelines of a test as lines of JSON: one object for each event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_grpcstream.escape import one_line

if TYPE_CHECKING:
    from pytest_grpcstream.report.subject import Subject
    from pytest_grpcstream.timeline import Event, Timeline

TEXT_LIMIT: Final = 1000
"""Characters of one text of an event at most."""
_LAST_LINE_RESERVE: Final = 100
"""Bytes reserved for the line that says what was left out."""


def render_timelines(subject: Subject, redact: Callable[[str], str], limit: int) -> str:
    """The events of a test, stream by stream and then connection by connection, in at most ``limit`` bytes of ASCII.

    Times are relative to the beginning of the first stream or connection. If the events do not fit, the newest streams
    have precedence, because they show most about a failure, and connections come last, because they repeat what their
    streams say; a last line then says how many events were left out.
    """
    timelines = list(_timelines(subject))
    ages = [timeline.elapsed for _, timeline in timelines]
    streams = len(subject.streams)
    kept: dict[int, list[str]] = {}
    room = limit - _LAST_LINE_RESERVE
    lost = 0
    for index in [*reversed(range(streams)), *range(streams, len(timelines))]:
        place, timeline = timelines[index]
        lines = kept[index] = []
        for event in timeline:
            line = _line(place, event, max(ages) - ages[index], event is subject.deciding, redact)
            room -= len(line)
            if room < 0:
                lost += 1
            else:
                lines.append(line)
    last = json.dumps({"left_out": lost}) + "\n" if lost else ""
    return "".join([*(line for index in range(len(timelines)) for line in kept[index]), last])


def _timelines(subject: Subject) -> Iterator[tuple[Mapping[str, Any], Timeline]]:
    """Every timeline, with what each of its lines says about where it belongs."""
    numbers = {id(connection): number for number, connection in enumerate(subject.connections, 1)}
    for number, stream in enumerate(subject.streams, 1):
        connection = numbers.get(id(getattr(stream, "connection", None)))
        stream_id = getattr(stream, "stream_id", None)
        yield (
            {"stream": number, "method": stream.method, "connection": connection, "stream_id": stream_id},
            stream.timeline,
        )
    for number, one in enumerate(subject.connections, 1):
        yield {"stream": 0, "method": "", "connection": number, "stream_id": None}, one.timeline


def _line(place: Mapping[str, Any], event: Event, later: float, deciding: bool, redact: Callable[[str], str]) -> str:
    line = {
        **place,
        "method": one_line(redact(place["method"]), TEXT_LIMIT),
        "n": event.number,
        "at": round(later + event.at, 6),
        "side": event.side,
        "what": one_line(redact(event.what), TEXT_LIMIT),
        "detail": one_line(redact(event.detail), TEXT_LIMIT),
    }
    return json.dumps({**line, "deciding": True} if deciding else line) + "\n"
