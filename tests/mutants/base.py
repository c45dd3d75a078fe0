"""The base of every mutant: the correct servicer, one fault, and the requirement that must notice it."""

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
"""Requirements that fail if every List is wrong. Those that only check whether the server survives stay open."""
USES_RECORD: Final = frozenset({"DEADL-5", "EOF-14", "FLOW-7", "META-9", "PAIR-1", "PAIR-2", "SIZE-5", "SIZE-7"})
"""Requirements that fail if every Record is wrong."""
USES_ROUTE: Final = frozenset(
    {"CANCEL-16", "EOF-13", "HALF-1", "HALF-4", "META-1", "META-2", "META-9", "META-17", "META-18", "ORD-12"}
)
"""Requirements that fail if every Route is wrong."""
JOINS_TEXTS: Final = frozenset({"EOF-5", "ORD-2", "ORD-4", "ORD-6", "ORD-7", "PAIR-7", "PAIR-11"})
"""Requirements whose tests check what a Record echoes."""


class Mutant(Correct):
    """A servicer that is correct except for the one fault that its class is named for.

    Attributes:
        killed_by: the id of the requirement that must fail.
        also: ids of requirements that the same fault may break too; a comment beside it says why.
        warned: whether the fault only causes a warning, because the requirement allows other outcomes.
    """

    killed_by: ClassVar[str]
    also: ClassVar[frozenset[str]] = frozenset()
    warned: ClassVar[bool] = False

    @classmethod
    def target(cls) -> str:
        """The target text that points a run at this mutant."""
        return f"{cls.__module__}:{cls.__qualname__}"


class NoticesDisconnect(Mutant):
    """A servicer that acts when a client goes away."""

    class CALL(Call):
        """An RPC that always learns whether its client went away, whether or not it carries a token."""

        def requests_ended(self) -> None:
            """The request iterator has ended; a cancel would be reported in a moment."""
            self.over.wait(0.05)

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC, as every method does first."""
        call = super().begin(context, method)
        context.add_callback(lambda: None if call.settled else self.client_left(call))
        return call

    def client_left(self, call: Call) -> None:
        """Called when a client went away."""
        raise NotImplementedError


class OpenRoutes:
    """The open Routes, so that one RPC can cancel others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[Call, grpc.ServicerContext] = {}

    def add(self, call: Call) -> None:
        """Remember a Route until it is over; ignore other RPCs."""
        if call.method == "Route":
            with self._lock:
                self._routes[call] = call.context
            call.context.add_callback(lambda: self._remove(call))

    def _remove(self, call: Call) -> None:
        with self._lock:
            self._routes.pop(call, None)

    def cancel_all_but(self, call: Call) -> None:
        """Cancel every Route except this one."""
        with self._lock:
            contexts = [context for other, context in self._routes.items() if other is not call]
        for context in contexts:
            context.cancel()


class _HalfClose:
    """The type of the value that stands for the half-close in a queue of points."""


HALF_CLOSE: Final = _HalfClose()


class ReadAhead:
    """Points of a stream that a separate thread reads before the handler asks for them.

    Attributes:
        half_closed: set once the half-close was read; points may still be waiting.
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
        """Return the next point, or None for the half-close.

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
        """Yield the points up to the half-close.

        Raises:
            queue.Empty: nothing came for ``seconds`` seconds.
        """
        while (point := self.get(seconds)) is not None:
            yield point

    def overtaking(self, word: str) -> Iterator[StreamPoint]:
        """Yield the points up to the half-close; a directive discards the points read just before it."""
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
        """Whether a point or the half-close is available at once."""
        return not self._waiting.empty()
