"""Which marked RPCs were seen to end by the client's going away.

To a handler, grpcio's refusal of a request above its size limit looks the same as a cancelled RPC, so it counts too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

TOKENS_PER_RPC = 100
"""How many tokens, the newest, a server remembers for one open RPC: the client decides how many it sends."""


class Watches:
    """The tokens of the marked RPCs whose client went away, the newest of them up to ``capacity``; safe for threads."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._gone: dict[str, None] = {}  # for its order: the oldest is the first
        self._lock = threading.Lock()

    def record(self, tokens: Iterable[str]) -> None:
        """Remember that an RPC marked with these tokens ended by the client's going away."""
        with self._lock:
            for token in tokens:
                self._gone.pop(token, None)
                self._gone[token] = None
            while len(self._gone) > self._capacity:
                del self._gone[next(iter(self._gone))]

    def saw(self, token: str) -> bool:
        """Tell whether an RPC marked with this token ended by the client's going away."""
        with self._lock:
            return token in self._gone
