"""Remembers which marked RPCs ended because the client cancelled or disconnected.

To a handler, grpcio's refusal of a request above its size limit looks like a cancelled RPC, so it counts too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

TOKENS_PER_RPC = 100
"""The number of tokens, the newest, that a server remembers for one open RPC; a client may send any number."""


class Watches:
    """The newest ``capacity`` tokens of marked RPCs whose client cancelled or disconnected; thread-safe."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._cancelled: dict[str, None] = {}  # a dict for its order: the oldest is first
        self._lock = threading.Lock()

    def record(self, tokens: Iterable[str]) -> None:
        """Remember that the client of an RPC marked with these tokens cancelled or disconnected."""
        with self._lock:
            for token in tokens:
                self._cancelled.pop(token, None)
                self._cancelled[token] = None
            while len(self._cancelled) > self._capacity:
                del self._cancelled[next(iter(self._cancelled))]

    def saw(self, token: str) -> bool:
        """Return whether the client of an RPC marked with this token cancelled or disconnected."""
        with self._lock:
            return token in self._cancelled
