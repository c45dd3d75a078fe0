"""The newest bytes of a connection in both directions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

KEPT: Final = 1 << 20
"""Bytes of each direction that a `ByteLog` keeps by default."""


class Chunk(NamedTuple):
    """Bytes that were sent or received in one go.

    Attributes:
        at: when, in seconds of `time.monotonic`.
        sent: whether this side sent them.
        offset: how many bytes of its direction came before it.
        data: the bytes, without TLS.
    """

    at: float
    sent: bool
    offset: int
    data: bytes


OnBytes: TypeAlias = Callable[[Chunk], None]
"""Called with every chunk in the thread that sent or received it, so it must return quickly."""


class ByteLog:
    """Keeps the newest whole chunks of both directions and counts all bytes.

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
        """How many bytes were sent, kept or not."""
        return self._total[True]

    @property
    def bytes_received(self) -> int:
        """How many bytes were received, kept or not."""
        return self._total[False]

    def chunks(self) -> list[Chunk]:
        """The chunks of both directions that are kept, in the order of time."""
        return sorted([*list(self._chunks[True]), *list(self._chunks[False])], key=lambda chunk: chunk.at)

    def sent(self) -> bytes:
        """The sent bytes that are kept, joined."""
        return b"".join(chunk.data for chunk in list(self._chunks[True]))

    def received(self) -> bytes:
        """The received bytes that are kept, joined."""
        return b"".join(chunk.data for chunk in list(self._chunks[False]))
