"""Does something again and again in a thread of its own, as long as there is a reason to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

INTERVAL: Final = 0.5
"""Seconds after which a change has been written at the latest, unless writing itself takes long."""
SHARE: Final = 20
"""Writing takes at most one part in so many of the time, however long a report gets."""


class Periodic:
    """Calls ``work`` soon after `due` was called, and not more often than the interval and its own duration allow.

    Arguments:
        work: what to do.
        interval: seconds between two calls at least.

    Attributes:
        error: what went wrong the last time, if that was an error of the system, such as a full disk.
    """

    def __init__(self, work: Callable[[], None], interval: float = INTERVAL) -> None:
        self._work = work
        self._interval = interval
        self._due = threading.Event()
        self._stopping = threading.Event()
        self.error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="grpcstream-report", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def due(self) -> None:
        """There is something to do."""
        self._due.set()

    def stop(self) -> None:
        """End the thread and wait for it; what is due is left undone."""
        self._stopping.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._due.wait()
            if self._stopping.is_set():
                return
            self._due.clear()
            began = time.monotonic()
            try:
                self._work()
                self.error = None
            except OSError as error:
                self.error = error  # the next time it may go well, and if not, the end of the run tells it
            self._stopping.wait(max(self._interval, SHARE * (time.monotonic() - began)))
