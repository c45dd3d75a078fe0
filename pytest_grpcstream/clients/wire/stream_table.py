"""The streams of a connection and the identifiers that were used on it (RFC 9113, section 5.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.wire.frames import ID_MASK

_LATE: Final = 256
"""Streams that were forgotten and still take frames that arrive late."""


class StreamTable:
    """Finds the state of a stream by its identifier and allots the identifiers of a client."""

    def __init__(self) -> None:
        self._streams: dict[int, StreamState] = {}
        self._late: OrderedDict[int, StreamState] = OrderedDict()
        self._raw: set[int] = set()
        self._highest = 0
        self._next = 1
        # Used for every DATA frame, so it is the method of the dictionary itself; it does not find forgotten streams.
        self.get = self._streams.get

    def __iter__(self) -> Iterator[StreamState]:
        """The streams that are not forgotten, safe against changes meanwhile."""
        return iter(list(self._streams.values()))

    @property
    def ids(self) -> tuple[int, ...]:
        """The identifiers of the streams that are not forgotten."""
        return tuple(self._streams)

    @property
    def open_count(self) -> int:
        """How many streams count as concurrent (RFC 9113, section 5.1.2)."""
        return sum(not stream.over for stream in self._streams.values())

    @property
    def used_up(self) -> bool:
        """Whether no identifier is left."""
        return self._next > ID_MASK

    def take_id(self, stream_id: int | None = None) -> int:
        """Use an identifier: the next odd one, or the one that is given."""
        taken = self._next if stream_id is None else stream_id
        self._highest = max(self._highest, taken)
        if taken % 2:
            self._next = max(self._next, taken + 2)
        return taken

    def note_raw(self, stream_id: int) -> None:
        """Note that a test used an identifier in a frame of its own."""
        self._raw.add(stream_id)

    def is_idle(self, stream_id: int) -> bool:
        """Whether the stream was not opened (RFC 9113, section 5.1)."""
        return stream_id not in self._raw and (stream_id > self._highest or stream_id % 2 == 0)

    def add(self, stream: StreamState) -> None:
        """Remember a stream that is opened."""
        self._streams[stream.id] = stream

    def find(self, stream_id: int) -> StreamState | None:
        """The stream with this identifier, including the newest ones that were forgotten."""
        return self._streams.get(stream_id) or self._late.get(stream_id)

    def forget(self, stream: StreamState) -> None:
        """Drop a stream that the test has left; frames that arrive late are still recorded on the newest ones."""
        if self._streams.pop(stream.id, None) is not None:
            self._late[stream.id] = stream
            while len(self._late) > _LATE:
                self._late.popitem(last=False)
