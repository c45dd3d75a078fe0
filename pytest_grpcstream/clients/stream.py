"""The stream interface: the same operations on a gRPC stream for every client.

The method names are those of gRPC's Go API: `Stream.send`, `Stream.recv`, `Stream.close_send`, `Stream.close_and_recv`.
Every operation has a time limit, so no test hangs, and every event is recorded in `Stream.timeline`.
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
"""Default number of responses after which `Stream.collect` treats an RPC as endless."""
_KEPT: Final = 1024
"""Largest message in bytes that a timeline stores and formats only when it is shown."""
_AHEAD: Final = 64
"""Responses to prefetch if all of them will be read."""
BULK: Final = 12
"""The default time limit of a whole `Stream.collect`, as a multiple of the limit of one operation."""


def _describe(what: Point | bytes | None, size: int) -> str | Callable[[], str]:
    """The timeline's text for a message; large messages are formatted at once, so that they can be freed."""

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
        received: number of responses that were read.
        sent: number of requests that the client accepted for sending.
        over: when this side read the end of the RPC or abandoned it, by `time.monotonic`; None before that.
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
        """Queue or send a request: True when done, False if the RPC has ended, None if ``timeout`` passed first."""

    @abc.abstractmethod
    def _half_close(self) -> None:
        """Send the half-close after all written requests."""

    @abc.abstractmethod
    def _read(self, timeout: float) -> Received | Ended | None:
        """Return the next response or the end of the RPC; None if ``timeout`` passed first."""

    @abc.abstractmethod
    def _await_headers(self, timeout: float) -> Metadata | None:
        """Return the initial metadata when headers or the end have arrived; None if ``timeout`` passed first."""

    @abc.abstractmethod
    def _cancel(self) -> None:
        """Cancel the RPC; do nothing if it has ended."""

    @abc.abstractmethod
    def _release(self) -> None:
        """Release the threads and buffers of a stream that has ended or was cancelled."""

    def _prefetch(self, count: int) -> None:  # noqa: B027 - optional on purpose
        """Prepare for the next ``count`` responses, all of which will be read."""

    # Sending ----------------------------------------------------------------------------------------------------

    def send(self, name: str | Point | None, value: int = 0) -> bool:
        """Send a request: a name and a value, a `Point`, or None for a request without ``pt``.

        Returns False, and sends nothing, when the server has already ended the RPC: `recv` then says how.

        Raises:
            OperationTimeout: the server does not accept requests (its flow-control window stayed exhausted).
            ValueError: this side is half-closed.
        """
        point = Point(name, value) if isinstance(name, str) else name
        return self._send(STREAM_SERVICE.encode(point), point)

    def send_bytes(self, message: bytes) -> bool:
        """Send a request whose serialized bytes are given; otherwise like `send`."""
        return self._send(message, message)

    def send_all(self, points: Iterable[Point]) -> bool:
        """Send many requests as fast as the server accepts them; several of them may share a DATA frame.

        Returns False if the server ended the RPC before all were sent. Otherwise like `send`.
        """
        return all(self.send(point) for point in points)

    def _send(self, message: bytes, what: Point | bytes | None) -> bool:
        if self._half_closed:
            raise ValueError("send() after close_send(): this side of the stream is half-closed")
        accepted = self._write(message, self.timeout)
        if accepted is None:
            self.timeline.add("local", "timeout", f"a request was not accepted within {self.timeout:g} s")
            raise OperationTimeout(
                f"the server accepts a request within {self.timeout:g} s",
                f"after {self.sent} requests it stopped taking them (flow control)",
                self,
            )
        if accepted:
            self.sent += 1
            self.timeline.add("client", "message", _describe(what, len(message)))
        else:
            self.timeline.add("local", "not sent", "a request, because the RPC has ended")
        return accepted

    def close_send(self) -> None:
        """Half-close: no more requests follow. A second call does nothing."""
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
            StatusError: the RPC ended with a status other than OK.
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
            self.timeline.add("server", "message", _describe(got.message, len(got.message)), at=got.at)
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
        """Read every response up to the end of the RPC; `status` then has its status, which need not be OK.

        Arguments:
            limit: the number of responses after which the RPC counts as endless.
            timeout: seconds for the whole; each single response has the stream's own time limit.

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
            StatusError: the RPC ended too early with a status other than OK.
            CardinalityError: the RPC ended too early with OK.
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
        """Read to the end of the RPC and return its status; the responses are counted but not decoded.

        Raises:
            OperationTimeout: a response did not come in time, or the end did not.
        """
        ended = self._read_on(None, ENDLESS, timeout)
        return ended.status

    def close_and_recv(self) -> Point | None:
        """Half-close, then return the only response of an RPC that ends with OK.

        Raises:
            CardinalityError: the RPC ended with OK and no response, or with more than one.
            StatusError: the RPC ended with a status other than OK.
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
        """Cancel the RPC; unread responses are lost."""
        if self._ended is None:
            self.timeline.add("client", "cancel")
            self._note_end()
            self._cancel()

    @property
    def status(self) -> Status | None:
        """How the RPC ended, or None until its end is read."""
        return None if self._ended is None else self._ended.status

    @property
    def not_processed(self) -> str | None:
        """The reason if a server did not process this RPC because it shut down gracefully, otherwise None.

        Ordinary clients retry such an RPC on another connection, which would hide it from the test.
        """
        return None

    @property
    def initial_metadata(self) -> Metadata:
        """The initial metadata; waits for it like `headers` unless the RPC has ended."""
        if self._ended is not None:
            return self._ended.initial_metadata
        return self.headers()

    @property
    def trailing_metadata(self) -> Metadata | None:
        """The trailing metadata, or None until the end of the RPC is read."""
        return None if self._ended is None else self._ended.trailing_metadata

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the RPC unless it has ended, and release its resources. A second call does nothing."""
        if self._ended is None:
            self._note_end()
            self._cancel()
        self._release()

    def __repr__(self) -> str:
        state = "open" if self._ended is None else code_name(self._ended.status.code)
        return f"<{type(self).__name__} {self.method} {state}, {self.sent} sent, {self.received} received>"
