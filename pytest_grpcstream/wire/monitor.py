"""A lock with a condition that a busy thread cannot keep from the others.

The thread of a connection takes its lock again and again while a server floods it. Python's locks are not fair, so with
a `threading.Condition` a test whose time limit has passed might wait for the end of the flood.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

_STEP = 0.0001
"""Seconds between two checks whether a thread waits for the lock."""


class Monitor:
    """A re-entrant lock that threads can wait in for a change, and that knows which threads want it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0  # how often the owner holds the lock
        self._claims: set[int] = set()
        self._sleepers: list[threading.Lock] = []

    def __enter__(self) -> Self:
        # A set of thread identifiers cannot miscount, whatever happens between its two operations.
        me = threading.get_ident()
        self._claims.add(me)
        self._lock.acquire()
        self._claims.discard(me)
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._lock.release()

    def notify_all(self) -> None:
        """Let every thread in `wait_for` check its predicate again. The lock must be held."""
        for sleeper in self._sleepers:
            sleeper.release()
        self._sleepers.clear()

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Release the lock until ``predicate`` is true or ``timeout`` seconds have passed; return whether it is true.

        The lock must be held, and is held again on return.
        """
        due = time.monotonic() + timeout
        while not (done := predicate()):
            rest = due - time.monotonic()
            if rest <= 0:
                break
            self._sleep(rest)
        return done

    def _sleep(self, seconds: float) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        self._sleepers.append(sleeper)
        depth = self._depth
        for _ in range(depth):
            self.__exit__()
        try:
            sleeper.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
        finally:
            for _ in range(depth):
                self.__enter__()
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def give_way(self, limit: float = 0.05) -> None:
        """Wait until no thread wants the lock, at most ``limit`` seconds. The lock must not be held."""
        due = time.monotonic() + limit
        while self._claims and time.monotonic() < due:
            time.sleep(_STEP)
