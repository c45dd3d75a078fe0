"""One thread that waits for sockets and timers."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE


class Timer:
    """An action at a point in time, unless it is cancelled before."""

    def __init__(self, due: float, action: Callable[[], None]) -> None:
        self.due = due
        self._action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Cancel the action."""
        self._action = None

    def fire(self) -> None:
        """Run the action, once."""
        action, self._action = self._action, None
        if action is not None:
            action()


class Loop:
    """Runs callbacks when a socket is ready or a timer expires, all in the thread that runs the loop."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._number = itertools.count()
        self._running = True

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call ``ready`` with the events that a socket is ready for; no events stop watching it."""
        known = sock in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(sock)
        elif known:
            self._selector.modify(sock, events, ready)
        else:
            self._selector.register(sock, events, ready)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run an action after some seconds."""
        timer = Timer(time.monotonic() + seconds, action)
        heapq.heappush(self._timers, (timer.due, next(self._number), timer))
        return timer

    def stop(self) -> None:
        """Make `run` return."""
        self._running = False

    def run(self) -> None:
        """Wait and run callbacks until `stop`."""
        while self._running:
            for key, events in self._selector.select(self._patience()):
                key.data(events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2].fire()
        self._selector.close()

    def _patience(self) -> float | None:
        """Seconds until a timer expires; at most an hour, because more can overflow select."""
        return max(0.0, min(3600.0, self._timers[0][0] - time.monotonic())) if self._timers else None
