"""What was on the wire: one record for each frame, and a timeline that holds records beside other events.

Records are plain tuples and become text only when they are shown, because a stream may have millions of them.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from pytest_grpcstream.escape import printable
from pytest_grpcstream.timeline import HEAD, TAIL, Event, Side, Timeline
from pytest_grpcstream.wire.frames import Flag, FrameType, error_name, flag_names, setting_name, type_name

Field: TypeAlias = tuple[bytes, bytes]
"""A field line: name and value as they were on the wire."""
Fields: TypeAlias = tuple[Field, ...]

FIELDS_KEPT: Final = 64
FIELD_BYTES_KEPT: Final = 4096
"""How much of a header block a record keeps; the response itself keeps all of it."""


class Part(NamedTuple):
    """The part of the message stream that a DATA frame carried; messages are counted from 0, prefixes included.

    Attributes:
        first: the message that the frame's first byte belongs to.
        start: the offset of that byte in the message.
        last: the message that the frame's last byte belongs to.
        stop: the offset after that byte in the message.
        size: the size of the last message with its prefix of 5 bytes, None while that is not known.
    """

    first: int
    start: int
    last: int
    stop: int
    size: int | None

    @property
    def whole(self) -> bool:
        """Whether the frame began and ended with a message."""
        return self.start == 0 and self.stop == self.size

    def __str__(self) -> str:
        size = "?" if self.size is None else str(self.size)
        if self.first == self.last:
            if self.whole:
                return f"message {self.first} ({size} bytes)"
            return f"message {self.first}, bytes {self.start} to {self.stop} of {size}"
        begin = f"messages {self.first}" + (f" (from byte {self.start})" if self.start else "")
        return f"{begin} to {self.last}" + ("" if self.stop == self.size else f" (up to byte {self.stop} of {size})")


Content: TypeAlias = Part | Fields | int | bytes | tuple[tuple[int, int], ...] | tuple[int, int, bytes] | None
"""What a frame carried; which of these it is depends on its type, see `FrameRecord`."""


class FrameRecord(NamedTuple):
    """A frame that was sent or received.

    Attributes:
        at: when, in seconds of `time.monotonic`; frames that were read in one go have the same time.
        sent: whether this side sent it.
        kind: the number of its type, see `FrameType`.
        flags: its flags as on the wire.
        stream_id: its stream identifier without the reserved bit.
        length: the length of its payload in bytes.
        stream_window: for DATA, bytes left in the stream's window after it: the sender's window.
        connection_window: for DATA, likewise for the connection.
        content: for DATA a `Part` or None, for the last frame of a header block its fields, for RST_STREAM the error
            code, for WINDOW_UPDATE the increment, for SETTINGS the pairs, for PING and unknown types the payload, for
            GOAWAY last stream identifier, error code and debug data.
    """

    at: float
    sent: bool
    kind: int
    flags: int
    stream_id: int
    length: int
    stream_window: int = 0
    connection_window: int = 0
    content: Content = None

    @property
    def end_stream(self) -> bool:
        """Whether it is a DATA or HEADERS frame with END_STREAM."""
        return self.kind in (FrameType.DATA, FrameType.HEADERS) and bool(self.flags & Flag.END_STREAM)

    @property
    def name(self) -> str:
        """The name of its type."""
        return type_name(self.kind)

    @property
    def fields(self) -> Fields:
        """The field lines of a header block that ended here, none for other frames; long blocks are shortened."""
        if self.kind not in (FrameType.HEADERS, FrameType.CONTINUATION) or self.content is None:
            return ()
        return cast("Fields", self.content)

    def describe(self, hidden: Collection[bytes] = ()) -> str:
        """The frame in one line, everything from outside escaped; values of ``hidden`` field names are not shown."""
        words = [f"stream {self.stream_id}", f"{self.length} bytes"] if self.stream_id else [f"{self.length} bytes"]
        words += flag_names(self.kind, self.flags)
        text = ", ".join(words)
        if self.kind == FrameType.DATA:
            part = str(self.content) if self.content is not None else "no part of a message"
            return f"{text}; {part}; windows: stream {self.stream_window}, connection {self.connection_window}"
        shown = self._content(hidden)
        return f"{text}; {shown}" if shown else text

    def _content(self, hidden: Collection[bytes]) -> str:
        if self.content is None:
            return ""
        if self.kind in (FrameType.HEADERS, FrameType.CONTINUATION):
            return show_fields(self.fields, hidden)
        if self.kind == FrameType.RST_STREAM:
            return error_name(cast("int", self.content))
        if self.kind == FrameType.WINDOW_UPDATE:
            return f"increment {self.content!r}"
        if self.kind == FrameType.SETTINGS:
            pairs = cast("tuple[tuple[int, int], ...]", self.content)
            return ", ".join(f"{setting_name(code)} {value}" for code, value in pairs)
        if self.kind == FrameType.GOAWAY:
            last, code, debug = cast("tuple[int, int, bytes]", self.content)
            return f"last stream {last}, {error_name(code)}{f', {printable(debug)}' if debug else ''}"
        return printable(cast("bytes", self.content), 60)


def show_fields(fields: Sequence[Field], hidden: Collection[bytes] = ()) -> str:
    """Field lines in one line, escaped; the values of ``hidden`` names are not shown."""

    def show(name: bytes, value: bytes) -> str:
        return f"{printable(name, 60)[1:]}: {'(not shown)' if name in hidden else printable(value)[1:]}"

    return "{" + ", ".join(show(name, value) for name, value in fields) + "}"


def shorten(fields: Sequence[Field]) -> Fields:
    """The first field lines of a header block, as many as a record keeps."""
    kept: list[Field] = []
    room = FIELD_BYTES_KEPT
    for name, value in fields[:FIELDS_KEPT]:
        kept.append((name[:room], value[: max(0, room - len(name))]))
        room -= len(name) + len(value)
        if room <= 0:
            break
    return tuple(kept)


class WireTimeline(Timeline):
    """A timeline whose events may also be frames; two threads may add to it.

    Arguments:
        own: the side that sends the frames which are `FrameRecord.sent`.
        hidden: field names whose values are never shown, because they are secret.
        head: events kept from the beginning.
        tail: events kept from the end.
    """

    def __init__(self, own: Side, hidden: Collection[bytes] = (), *, head: int = HEAD, tail: int = TAIL) -> None:
        super().__init__()
        self._own: Side = own
        self._peer: Side = "server" if own == "client" else "client"
        self._hidden = frozenset(hidden)
        self._numbers = itertools.count(1)
        self._room = head
        self._first: list[tuple[int, FrameRecord | Event]] = []
        self._last: deque[tuple[int, FrameRecord | Event]] = deque(maxlen=tail)

    def add(self, side: Side, what: str, about: str | Callable[[], str] = "", *, at: float | None = None) -> Event:
        """Record an event now, or at the time ``at`` of `time.monotonic`."""
        number = next(self._numbers)
        event = Event(number, (time.monotonic() if at is None else at) - self.began, side, what, about)
        self._count = number
        (self._first if number <= self._room else self._last).append((number, event))
        return event

    def record(self, frame: FrameRecord) -> None:
        """Record a frame."""
        # The counter, the list and the deque are each safe between threads; a lock would cost more than all three.
        number = next(self._numbers)
        self._count = number
        (self._first if number <= self._room else self._last).append((number, frame))

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """The frames that are kept, in their order."""
        return tuple(entry for _, entry in self._entries() if isinstance(entry, FrameRecord))

    def _entries(self) -> list[tuple[int, FrameRecord | Event]]:
        return [*self._first, *list(self._last)]

    def __iter__(self) -> Iterator[Event]:
        for number, entry in self._entries():
            yield entry if isinstance(entry, Event) else self._event(number, entry)

    def _event(self, number: int, frame: FrameRecord) -> Event:
        side = self._own if frame.sent else self._peer
        return Event(number, frame.at - self.began, side, frame.name, lambda: frame.describe(self._hidden))
