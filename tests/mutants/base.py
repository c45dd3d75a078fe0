"""What every mutant is: the correct servicer, one thing wrong, and the requirement that must notice."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest
from servers.calls import Call
from servers.correct import Correct

USES_LIST: Final = frozenset(
    {"DEADL-5", "EOF-1", "META-1", "META-2", "META-6", "META-9", "META-11", "META-17", "META-18", "ORD-1"}
)
"""Requirements that a server fails whose every List is wrong; those that look only whether it goes on stay open."""
USES_RECORD: Final = frozenset({"DEADL-5", "EOF-14", "FLOW-7", "META-9", "PAIR-1", "PAIR-2", "SIZE-5", "SIZE-7"})
"""Requirements that a server fails whose every Record is wrong."""
USES_ROUTE: Final = frozenset(
    {"CANCEL-16", "EOF-13", "HALF-1", "HALF-4", "META-1", "META-2", "META-9", "META-17", "META-18", "ORD-12"}
)
"""Requirements that a server fails whose every Route is wrong."""
JOINS_TEXTS: Final = frozenset({"EOF-5", "ORD-2", "ORD-4", "ORD-6", "ORD-7", "PAIR-7", "PAIR-11"})
"""Requirements whose tests look at what a Record echoes."""


class Mutant(Correct):
    """A correct servicer but for the one thing that its class is named for.

    Attributes:
        killed_by: the id of the requirement that must fail.
        also: ids of requirements that the same fault may break as well; a comment beside it says why.
        warned: whether the fault is a warning only, because the requirement allows other ways out.
    """

    killed_by: ClassVar[str]
    also: ClassVar[frozenset[str]] = frozenset()
    warned: ClassVar[bool] = False

    @classmethod
    def target(cls) -> str:
        """How a run is pointed at this mutant."""
        return f"{cls.__module__}:{cls.__qualname__}"


class NoticesLeaving(Mutant):
    """A servicer that does something when a client goes away."""

    class CALL(Call):
        """An RPC of which it is always found out whether the client went away, marked or not."""

        def requests_ended(self) -> None:
            """The request iterator came to its end; the report of a cancel follows in a moment."""
            self.over.wait(0.02)

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """What every RPC starts with."""
        call = super().begin(context, method)
        context.add_callback(lambda: None if call.settled else self.left(call))
        return call

    def left(self, call: Call) -> None:
        """A client went away."""
        raise NotImplementedError


class OpenRoutes:
    """The Routes that are open, so that one RPC can end others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[Call, grpc.ServicerContext] = {}

    def add(self, call: Call) -> None:
        """Remember an RPC for as long as it lasts, if it is a Route."""
        if call.method == "Route":
            with self._lock:
                self._routes[call] = call.context
            call.context.add_callback(lambda: self._remove(call))

    def _remove(self, call: Call) -> None:
        with self._lock:
            self._routes.pop(call, None)

    def cancel_all_but(self, call: Call) -> None:
        """End every Route but this one."""
        with self._lock:
            contexts = [context for other, context in self._routes.items() if other is not call]
        for context in contexts:
            context.cancel()


class _HalfClose:
    """Stands in a queue of points for the half-close."""


HALF_CLOSE: Final = _HalfClose()


class ReadAhead:
    """Points of a stream that a thread of its own reads before anybody asks for them.

    Attributes:
        half_closed: set once the half-close was read; points may still be waiting then.
    """

    def __init__(self, call: Call, requests: Iterator[StreamRequest], point: Callable[..., StreamPoint]) -> None:
        self.half_closed = threading.Event()
        self._call = call
        self._requests = requests
        self._point = point
        self._waiting: queue.SimpleQueue[StreamPoint | _HalfClose | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for request in self._requests:
                self._waiting.put(self._point(self._call, request))
            self._call.requests_ended()
            self.half_closed.set()
            self._waiting.put(HALF_CLOSE)
        except Exception as error:  # noqa: BLE001 - raised again by get(), in the thread of the handler
            self._waiting.put(error)

    def get(self, timeout: float | None = None) -> StreamPoint | None:
        """The next point, or None for the half-close.

        Raises:
            queue.Empty: nothing came within ``timeout`` seconds.
        """
        got = self._waiting.get(timeout=timeout)
        if isinstance(got, Exception):
            raise got
        return None if isinstance(got, _HalfClose) else got

    def __iter__(self) -> Iterator[StreamPoint]:
        while (point := self.get()) is not None:
            yield point

    def until_silence(self, seconds: float) -> Iterator[StreamPoint]:
        """The points up to the half-close.

        Raises:
            queue.Empty: nothing came for that many seconds.
        """
        while (point := self.get(seconds)) is not None:
            yield point

    def overtaking(self, word: str) -> Iterator[StreamPoint]:
        """The points up to the half-close, but a directive drops those that were read a moment before it."""
        kept: list[StreamPoint] = []
        while True:
            try:
                point = self.get(timeout=0.05 if kept else None)
            except queue.Empty:
                yield from kept
                kept.clear()
                continue
            if point is None:
                yield from kept
                return
            if point.name.startswith(word):
                kept.clear()
            kept.append(point)

    def waiting(self) -> bool:
        """Whether a point or the half-close can be had at once."""
        return not self._waiting.empty()
