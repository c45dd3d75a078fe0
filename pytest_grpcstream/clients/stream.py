"""The stream interface: one language for what happens on a gRPC stream, whichever client is beneath.

The words are those of gRPC's Go API: `Stream.send`, `Stream.recv`, `Stream.close_send`, `Stream.close_and_recv`.
Every operation has a time limit, so nothing hangs, and every event is recorded in `Stream.timeline`.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from pytest_grpcstream.errors import CardinalityError, MessageError, OperationTimeout, StatusError
from pytest_grpcstream.escape import printable
from pytest_grpcstream.service import STREAM_SERVICE, DecodeError
from pytest_grpcstream.timeline import Timeline
from pytest_grpcstream.values import EOF, Ended, Eof, Metadata, Point, Received, Status, code_name

ENDLESS: Final = 100_000
"""Responses after which `Stream.collect` calls an RPC endless, unless it is given another number."""
_KEPT: Final = 1024
"""Bytes up to which a timeline keeps a whole message until it is shown."""
_AHEAD: Final = 64
"""Responses that are asked for ahead of their reading, where all of them will be read."""
BULK: Final = 12
"""The time limit of a whole `Stream.collect`, in time limits of one operation."""


def _about(what: Point | bytes | None, size: int) -> str | Callable[[], str]:
    """What a timeline says about a message; formatted only when it is shown, unless that would keep a large message."""

    def text() -> str:
        point: Point | None
        if isinstance(what, bytes):
            try:
                point = STREAM_SERVICE.decode(what)
            except DecodeError:
                return f"{printable(what, 60)} [{size} bytes]"
        else:
            point = what
        return f"{point or '(no pt)'} [{size} bytes]"

    return text if size <= _KEPT else text()


class Stream(abc.ABC):
    """One RPC, used as a context manager: leaving it cancels the RPC unless it has ended.

    Attributes:
        method: the path of the RPC, such as ``/proto.StreamService/Route``.
        timeout: seconds that one operation may take.
        timeline: what happened so far.
        received: how many responses were read.
        sent: how many requests were handed over.
        over: when this side read the end of the RPC or gave it up, by `time.monotonic`; None before that.
    """

    def __init__(self, method: str, *, timeout: float) -> None:
        self.method = method
        self.timeout = timeout
        self.timeline = Timeline()
        self.received = 0
        self.sent = 0
        self.over: float | None = None
        self._ended: Ended | None = None
        self._half_closed = False
        self._headers: Metadata | None = None

    # What a client implements -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def _write(self, message: bytes, timeout: float) -> bool | None:
        """Hand a request over: True when done, False when the RPC has ended, None when ``timeout`` passed first."""

    @abc.abstractmethod
    def _half_close(self) -> None:
        """Send the half-close after everything that was written."""

    @abc.abstractmethod
    def _read(self, timeout: float) -> Received | Ended | None:
        """The next response or the end of the RPC; None when ``timeout`` passed first."""

    @abc.abstractmethod
    def _await_headers(self, timeout: float) -> Metadata | None:
        """The initial metadata, once the server's headers or the end arrived; None when ``timeout`` passed first."""

    @abc.abstractmethod
    def _cancel(self) -> None:
        """Cancel the RPC; nothing happens when it has ended."""

    @abc.abstractmethod
    def _release(self) -> None:
        """Give back every thread and buffer of a stream that is over or cancelled."""

    def _prefetch(self, count: int) -> None:  # noqa: B027 - optional on purpose
        """A hint that the next ``count`` responses will be read."""

    # Sending ----------------------------------------------------------------------------------------------------

    def send(self, name: str | Point | None, value: int = 0) -> bool:
        """Send a request: a name and a value, a `Point`, or None for a request without ``pt``.

        Returns False, and sends nothing, when the server has already ended the RPC: `recv` then says how.

        Raises:
            OperationTimeout: the server does not take requests (its flow-control window stayed shut).
            ValueError: this side was half-closed before.
        """
        point = Point(name, value) if isinstance(name, str) else name
        return self._send(STREAM_SERVICE.encode(point), point)

    def send_bytes(self, message: bytes) -> bool:
        """Send a request whose serialized bytes are given; otherwise like `send`."""
        return self._send(message, message)

    def send_all(self, points: Iterable[Point]) -> bool:
        """Send many requests as fast as the server takes them; several of them may share a DATA frame.

        Returns False when the server has ended the RPC before it took them all. Otherwise like `send`.
        """
        return all(self.send(point) for point in points)

    def _send(self, message: bytes, what: Point | bytes | None) -> bool:
        if self._half_closed:
            raise ValueError("send() after close_send(): this side of the stream is half-closed")
        taken = self._write(message, self.timeout)
        if taken is None:
            self.timeline.add("local", "timeout", f"a request was not taken within {self.timeout:g} s")
            raise OperationTimeout(
                f"the server takes a request within {self.timeout:g} s",
                f"after {self.sent} requests it stopped taking them (flow control)",
                self,
            )
        if taken:
            self.sent += 1
            self.timeline.add("client", "message", _about(what, len(message)))
        else:
            self.timeline.add("local", "not sent", "a request: the RPC has ended")
        return taken

    def close_send(self) -> None:
        """Half-close: tell the server that no more requests come. A second call does nothing."""
        if not self._half_closed:
            self._half_closed = True
            self._half_close()
            self.timeline.add("client", "half-close")

    # Receiving --------------------------------------------------------------------------------------------------

    def recv_bytes(self, timeout: float | None = None) -> bytes | Eof:
        """The serialized bytes of the next response; otherwise like `recv`."""
        got = self._next(self.timeout if timeout is None else timeout)
        if isinstance(got, Received):
            return got.message
        if got.status.ok:
            return EOF
        raise StatusError("another response, or the end of the stream with OK", got.status, self)

    def recv(self, timeout: float | None = None) -> Point | Eof | None:
        """Wait for the next response: a `Point`, None for a response without ``pt``, or `EOF`.

        `EOF` means that the server ended the RPC with OK and all its responses were read.

        Arguments:
            timeout: seconds to wait instead of the stream's own time limit.

        Raises:
            OperationTimeout: nothing arrived in time; the stream stays usable.
            StatusError: the RPC ended with another status than OK.
            MessageError: the bytes of the response are not a ``StreamResponse``.
        """
        message = self.recv_bytes(timeout)
        return EOF if message is EOF else self._decode(message)

    def _decode(self, message: bytes) -> Point | None:
        try:
            return STREAM_SERVICE.decode(message)
        except DecodeError as error:
            shown = printable(message, 60)
            raise MessageError("a StreamResponse", f"bytes that do not parse: {shown}", self) from error

    def _next(self, timeout: float) -> Received | Ended:
        if self._ended is not None:
            return self._ended
        got = self._read(timeout)
        if got is None:
            self.timeline.add("local", "timeout", f"nothing arrived within {timeout:g} s")
            raise OperationTimeout(
                f"a response or the end of the stream within {timeout:g} s",
                f"nothing arrived after {self.received} response(s)",
                self,
            )
        if isinstance(got, Ended):
            self._finish(got)
        else:
            self.received += 1
            self.timeline.add("server", "message", _about(got.message, len(got.message)), at=got.at)
        return got

    def _finish(self, ended: Ended) -> None:
        self._ended = ended
        self._note_end()
        trailing = f"; trailing metadata {ended.trailing_metadata}" if ended.trailing_metadata else ""
        self.timeline.add("server", "end", f"{ended.status}{trailing}", at=ended.at or None)

    def _note_end(self) -> None:
        self.over = time.monotonic() if self.over is None else self.over

    def headers(self, timeout: float | None = None) -> Metadata:
        """Wait for the server's headers and return the initial metadata.

        Raises:
            OperationTimeout: no headers arrived in time.
        """
        if self._headers is None:
            limit = self.timeout if timeout is None else timeout
            got = self._await_headers(limit)
            if got is None:
                self.timeline.add("local", "timeout", f"no headers within {limit:g} s")
                raise OperationTimeout(f"the server's headers within {limit:g} s", "no headers arrived", self)
            self._headers = got
            self.timeline.add("server", "headers", str(got))
        return self._headers

    def collect(self, limit: int = ENDLESS, timeout: float | None = None) -> list[Point | None]:
        """Read every response up to the end of the RPC, whatever its status; `status` has it afterwards.

        Arguments:
            limit: the number of responses after which the RPC counts as endless.
            timeout: seconds that the whole may take; each single response has the stream's own time limit.

        Raises:
            OperationTimeout: a response did not come in time, or the end did not.
            MessageError: a response is not a ``StreamResponse``.
        """
        points: list[Point | None] = []
        self._read_on(points, limit, timeout)
        return points

    def _read_on(self, points: list[Point | None] | None, limit: int, timeout: float | None) -> Ended:
        due = time.monotonic() + (self.timeout * BULK if timeout is None else timeout)
        count = 0
        while True:
            self._prefetch(_AHEAD)
            got = self._next(self.timeout)
            if isinstance(got, Ended):
                return got
            count += 1
            if points is not None:
                points.append(self._decode(got.message))
            if count > limit or time.monotonic() > due:
                self.timeline.add("local", "timeout", f"no end after {count} responses")
                raise OperationTimeout("the end of the stream", f"no end after {count} responses", self)

    def take(self, count: int) -> list[Point | None]:
        """Read exactly ``count`` responses.

        Raises:
            OperationTimeout: a response did not come in time.
            StatusError: the RPC ended before with a status other than OK.
            CardinalityError: the RPC ended before with OK.
            MessageError: a response is not a ``StreamResponse``.
        """
        points: list[Point | None] = []
        while len(points) < count:
            self._prefetch(min(_AHEAD, count - len(points)))
            point = self.recv()
            if point is EOF:
                raise CardinalityError(f"{count} responses", f"the RPC ended with OK after {len(points)}", self)
            points.append(point)
        return points

    def end(self, timeout: float | None = None) -> Status:
        """Read to the end of the RPC and return its status; responses on the way are counted, not looked at.

        Raises:
            OperationTimeout: a response did not come in time, or the end did not.
        """
        ended = self._read_on(None, ENDLESS, timeout)
        return ended.status

    def close_and_recv(self) -> Point | None:
        """Half-close, then return the only response of an RPC that ends with OK.

        Raises:
            CardinalityError: the RPC ended with OK and no response, or with more than one.
            StatusError: the RPC ended with another status than OK.
            OperationTimeout: the response or the end did not come in time.
        """
        self.close_send()
        point = self.recv()
        if point is EOF:
            raise CardinalityError("exactly one response before the status OK", "OK without a response", self)
        second = self.recv()
        if second is not EOF:
            raise CardinalityError("exactly one response before the status OK", "a second response", self)
        return point

    def __iter__(self) -> Iterator[Point | None]:
        while (point := self.recv()) is not EOF:
            yield point

    # The end ----------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Cancel the RPC: the server learns to stop, and responses that were not read are lost."""
        if self._ended is None:
            self.timeline.add("client", "cancel")
            self._note_end()
            self._cancel()

    @property
    def status(self) -> Status | None:
        """How the RPC ended, or None while its end was not read."""
        return None if self._ended is None else self._ended.status

    @property
    def not_processed(self) -> str | None:
        """How a server that shut down gracefully did not process this RPC, in words, or None.

        An application's client sends such an RPC again on another connection, which would show less here.
        """
        return None

    @property
    def initial_metadata(self) -> Metadata:
        """The initial metadata: known after `headers` or the end; waits for the headers like `headers`."""
        if self._ended is not None:
            return self._ended.initial_metadata
        return self.headers()

    @property
    def trailing_metadata(self) -> Metadata | None:
        """The trailing metadata, or None while the end of the RPC was not read."""
        return None if self._ended is None else self._ended.trailing_metadata

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the RPC unless it has ended, and give back what it holds. Calling it twice is fine."""
        if self._ended is None:
            self._note_end()
            self._cancel()
        self._release()

    def __repr__(self) -> str:
        state = "open" if self._ended is None else code_name(self._ended.status.code)
        return f"<{type(self).__name__} {self.method} {state}, {self.sent} sent, {self.received} received>"
