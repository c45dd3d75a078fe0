"""The bytes of a connection in both directions, as far as they are kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

KEPT: Final = 1 << 20
"""Bytes of each direction that a tape keeps unless it is told another number."""


class Chunk(NamedTuple):
    """Bytes that were sent or received in one go.

    Attributes:
        at: when, in seconds of `time.monotonic`.
        sent: whether this client sent them.
        offset: the place of the first byte in its direction, from 0.
        data: the bytes, without TLS.
    """

    at: float
    sent: bool
    offset: int
    data: bytes


OnBytes: TypeAlias = Callable[[Chunk], None]
"""Called with every chunk as it is sent or received, in the thread that did it: it must return quickly."""


class ByteLog:
    """The newest chunks of both directions, whole chunks only, and how many bytes there were in all.

    Arguments:
        kept: bytes of each direction to keep; 0 keeps none.
        on_bytes: called with every chunk, kept or not.
    """

    def __init__(self, kept: int = KEPT, on_bytes: OnBytes | None = None) -> None:
        self._limit = kept
        self._on_bytes = on_bytes
        self._chunks: dict[bool, deque[Chunk]] = {True: deque(), False: deque()}
        self._held = {True: 0, False: 0}
        self._total = {True: 0, False: 0}

    def add(self, sent: bool, data: bytes, at: float | None = None) -> None:
        """Keep bytes that were sent or received now, or at the time ``at``."""
        chunk = Chunk(time.monotonic() if at is None else at, sent, self._total[sent], data)
        self._total[sent] += len(data)
        if self._on_bytes is not None:
            self._on_bytes(chunk)
        chunks = self._chunks[sent]
        chunks.append(chunk)
        self._held[sent] += len(data)
        while chunks and self._held[sent] > self._limit:
            self._held[sent] -= len(chunks.popleft().data)

    @property
    def bytes_sent(self) -> int:
        """How many bytes were sent in all."""
        return self._total[True]

    @property
    def bytes_received(self) -> int:
        """How many bytes were received in all."""
        return self._total[False]

    def chunks(self) -> list[Chunk]:
        """What is kept of both directions, in the order of time."""
        return sorted([*list(self._chunks[True]), *list(self._chunks[False])], key=lambda chunk: chunk.at)

    def sent(self) -> bytes:
        """What is kept of the bytes that were sent, in one piece."""
        return b"".join(chunk.data for chunk in list(self._chunks[True]))

    def received(self) -> bytes:
        """What is kept of the bytes that were received, in one piece."""
        return b"".join(chunk.data for chunk in list(self._chunks[False]))
