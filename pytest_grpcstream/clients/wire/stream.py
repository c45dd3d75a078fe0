"""A stream over the wire client: the common stream interface, and control over every frame of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.clients.wire.connection import Connection
from pytest_grpcstream.clients.wire.ends import Origin, WireEnded
from pytest_grpcstream.clients.wire.outbound import PLAIN, Shape
from pytest_grpcstream.clients.wire.response import OVERHEAD, Response
from pytest_grpcstream.clients.wire.stream_state import Piece
from pytest_grpcstream.errors import OperationTimeout
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import Code, Ended, Metadata, Point, Received, Status
from pytest_grpcstream.wire.chunking import Cut, joined, one_each
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import FrameType, error_name
from pytest_grpcstream.wire.length_prefixed import framed
from pytest_grpcstream.wire.records import FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Violations

_PACK: Final = 64
"""Requests that `WireStream.send_all` puts into one frame."""
_BY_SERVER: Final = (Origin.GOAWAY, Origin.RST_STREAM, Origin.CONNECTION_CLOSED)
"""Ends of an RPC that a server gives it which has not taken it."""


class WireStream(Stream):
    """An RPC on a `Connection`. One thread may send on it while another one receives.

    Arguments:
        connection: the connection to open it on.
        path: the path of the RPC, for the timeline; what is sent is in ``headers``.
        headers: the request headers, legal or not.
        timeout: seconds that one operation may take.
        deadline: seconds after which this client ends the RPC.
        cut: how the messages that are sent are cut into DATA frames.
        padding: bytes of padding in every DATA frame, None for no PADDED flag.
        anyway: whether a connection that takes no more streams will do, too.

    Attributes:
        connection: the connection.
        cut: as above; a test may change it at any time.
        padding: likewise.
    """

    timeline: WireTimeline

    def __init__(
        self,
        connection: Connection,
        path: str,
        headers: Headers,
        *,
        timeout: float,
        deadline: float | None = None,
        cut: Cut = one_each,
        padding: int | None = None,
        stream_id: int | None = None,
        end_stream: bool = False,
        hold_window: bool | None = None,
        shape: Shape = PLAIN,
        anyway: bool = True,
    ) -> None:
        super().__init__(path, timeout=timeout)
        self.timeline = WireTimeline(connection.options.hidden)
        self.connection = connection
        self.cut = cut
        self.padding = padding
        self._exchange = connection.open(
            headers,
            self.timeline,
            deadline=deadline,
            stream_id=stream_id,
            end_stream=end_stream,
            hold_window=hold_window,
            shape=shape,
            anyway=anyway,
        )
        self._reception = self._exchange.reception
        self._core = connection.core
        self._outbound = connection.outbound
        self._half_closed = end_stream

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def stream_id(self) -> int:
        """The stream identifier."""
        return self._exchange.id

    @property
    def ended(self) -> WireEnded | None:
        """How the RPC ended on the wire, as soon as that is known: responses before it may be unread."""
        return self._reception.ended

    @property
    def origin(self) -> Origin | None:
        """Where the status comes from, None while the RPC has not ended."""
        return None if self._reception.ended is None else self._reception.ended.origin

    @property
    def not_processed(self) -> str | None:
        """How a server that ended its connection in peace has not taken this RPC, in words, or None.

        That is a stream above the last one of a GOAWAY with NO_ERROR, or refused after it, on which nothing came (RFC
        9113, sections 6.8 and 8.7). A connection on which no stream at all was taken is none that ended in peace.
        """
        ended = self.ended
        peaceful = [one for one in self.connection.goaways if one.code == ErrorCode.NO_ERROR]
        if ended is None or ended.origin not in _BY_SERVER or self.response.headers is not None or not peaceful:
            return None
        goaway = peaceful[-1]
        above = self.stream_id > goaway.last_stream_id >= 1
        return str(goaway) if above or ended.reset_code == ErrorCode.REFUSED_STREAM else None

    @property
    def response(self) -> Response:
        """What the server has sent on the stream up to now, as it came."""
        return self._reception.response

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """The frames of the timeline, the first and the newest ones."""
        return self.timeline.frames

    @property
    def violations(self) -> Violations:
        """The rules that the server broke on this stream."""
        return self._exchange.violations

    @property
    def window(self) -> int:
        """Bytes of DATA that the server may still send on the stream."""
        return self._exchange.window

    @property
    def send_window(self) -> int:
        """Bytes of DATA that this client may still send on the stream."""
        return self._exchange.send_window

    # The stream interface ---------------------------------------------------------------------------------------

    def _write(self, message: bytes, timeout: float) -> bool | None:
        return self._put([framed(message)], self.cut, end_stream=False, timeout=timeout)

    def _put(self, messages: Sequence[bytes], cut: Cut, *, end_stream: bool, timeout: float) -> bool | None:
        pieces = [Piece(payload, self.padding) for payload in cut(messages)]
        if end_stream:
            pieces = pieces or [Piece(padding=self.padding)]
            pieces[-1].end_stream = True
        return self._send_pieces(pieces, timeout)

    def _send_pieces(self, pieces: Sequence[Piece], timeout: float) -> bool | None:
        core, exchange = self._core, self._exchange
        with core.changed:
            if self._reception.ended is not None:
                return False
            self._outbound.queue(exchange, pieces)
            # The end of the RPC clears what waits; a time limit leaves it in its place, to go as the windows open.
            if not core.changed.wait_for(lambda: not exchange.outgoing, timeout):
                return None
        return all(piece.sent == len(piece.payload) for piece in pieces)

    def _half_close(self) -> None:
        core, exchange = self._core, self._exchange
        with core.changed:
            if core.closed is None and not exchange.over and not exchange.end_sent:
                self._outbound.queue(exchange, [Piece(padding=self.padding, end_stream=True)])

    def _read(self, timeout: float) -> Received | Ended | None:
        reception = self._reception
        if not reception.unread and not self._wait_for_message(timeout):
            return None
        try:
            received, credit = reception.unread.popleft()
        except IndexError:
            self._give_back()
            return reception.ended
        reception.taken += len(received.message) + OVERHEAD
        exchange = self._exchange
        exchange.read += credit
        if exchange.read >= exchange.threshold:
            self._give_back()
        return received

    def _wait_for_message(self, timeout: float) -> bool:
        core, exchange, reception = self._core, self._exchange, self._reception
        with core.changed:
            if reception.unread or reception.ended is not None:
                return True
            # Whoever waits wants all of the next message, even if it is larger than the window.
            exchange.waiting = True
            exchange.give_early()
            self._give_back()
            try:
                return core.changed.wait_for(lambda: bool(reception.unread) or reception.ended is not None, timeout)
            finally:
                exchange.waiting = False

    def _give_back(self) -> None:
        exchange = self._exchange
        with self._core.changed:
            exchange.owed += exchange.read
            exchange.read = 0
            self._core.give_back(exchange)

    def _finish(self, ended: Ended) -> None:
        self._ended = ended
        made_up = isinstance(ended, WireEnded) and ended.made_up
        self.timeline.add("local" if made_up else "server", "end", str(ended), at=ended.at)

    def _await_headers(self, timeout: float) -> Metadata | None:
        core, reception = self._core, self._reception
        with core.changed:
            core.changed.wait_for(lambda: reception.initial_metadata is not None, timeout)
            return reception.initial_metadata

    def _cancel(self) -> None:
        core, exchange = self._core, self._exchange
        with core.changed:
            if core.closed is None and not exchange.over and not exchange.server_done:
                core.reset(exchange, ErrorCode.CANCEL)
            self._stop("cancelled by this client")

    def _stop(self, why: str) -> None:
        core = self._core
        with core.changed:
            self._reception.stop(Status(Code.CANCELLED, why), Origin.CLIENT_CANCEL, time.monotonic())
            if self.origin is Origin.CLIENT_CANCEL:
                self._reception.unread.clear()
            core.changed.notify_all()

    def _release(self) -> None:
        core, exchange = self._core, self._exchange
        with core.changed:
            if core.closed is None and not exchange.over:
                # gRPC over HTTP2, Early Server Closure: what the server ended before the half-close is reset.
                core.reset(exchange, ErrorCode.NO_ERROR)
            self._reception.unread.clear()
            core.forget(exchange)
            core.changed.notify_all()

    # Sending ----------------------------------------------------------------------------------------------------

    def send_all(self, points: Iterable[Point]) -> bool:
        """Send many requests, packed into DATA frames as a library's buffer does whose writes outrun the socket.

        A server may take thousands of small frames that nobody has read yet for an attack (RFC 9113, section 10.5).
        """
        rest = iter(points)
        packs = iter(lambda: list(islice(rest, _PACK)), [])
        return all(self.send_together(pack, joined) for pack in packs)

    def send_last(self, name: str | Point | None, value: int = 0) -> bool:
        """Send a request whose last DATA frame has END_STREAM: it is the half-close too. Otherwise like `send`."""
        point = Point(name, value) if isinstance(name, str) and not isinstance(name, Point) else name
        return self.send_together([point], end_stream=True)

    def send_together(
        self, messages: Iterable[Point | bytes | None], cut: Cut | None = None, *, end_stream: bool = False
    ) -> bool:
        """Send several requests that are cut into DATA frames as if they were one.

        Arguments:
            messages: points, None for requests without ``pt``, or serialized bytes.
            cut: how, None for the stream's own cut.
            end_stream: whether the last frame has END_STREAM.

        Returns False, and sends nothing, when the RPC has ended.

        Raises:
            OperationTimeout: the server does not take them; the rest goes when its window opens.
            ValueError: this side was half-closed before.
        """
        plain = [one if isinstance(one, bytes) else STREAM_SERVICE.encode(one) for one in messages]
        prefixed = [framed(one) for one in plain]
        sent = self._checked(prefixed, cut or self.cut, end_stream, f"{len(plain)} messages")
        if sent:
            self.sent += len(plain)
        return sent

    def write(self, data: bytes, cut: Cut | None = None, *, end_stream: bool = False) -> bool:
        """Send bytes of the message stream as they are, prefixes included: a part of a message, or nonsense.

        Otherwise like `send_together`; `framed` makes the prefixes.
        """
        return self._checked([data] if data else [], cut or self.cut, end_stream, f"{len(data)} bytes")

    def _checked(self, messages: Sequence[bytes], cut: Cut, end_stream: bool, what: str) -> bool:
        if self._half_closed:
            raise ValueError("this side of the stream is half-closed; data() sends a frame all the same")
        taken = self._put(messages, cut, end_stream=end_stream, timeout=self.timeout)
        self._half_closed = end_stream or self._half_closed
        if taken is None:
            self.timeline.add("local", "timeout", f"{what} were not taken within {self.timeout:g} s")
            raise OperationTimeout(
                f"the server takes {what} within {self.timeout:g} s",
                f"its windows are {self.send_window} bytes for the stream and {self.connection.send_window} in all",
                self,
            )
        if not taken:
            self.timeline.add("local", "not sent", f"{what}: the RPC has ended")
        elif end_stream:
            self.timeline.add("client", "half-close", f"with {what}")
        return taken

    def data(self, payload: bytes = b"", *, end_stream: bool = False, padding: int | None = None) -> None:
        """Send one DATA frame now, exactly as given: no prefix, no window, no state of the stream is looked at."""
        with self._core.changed:
            self._outbound.send_data(self._exchange, payload, padding, end_stream=end_stream)

    def send_headers(self, fields: Headers, *, end_stream: bool = False, shape: Shape = PLAIN) -> None:
        """Send one more header block on the stream now, exactly as given."""
        with self._core.changed:
            self._outbound.send_headers(self._exchange, fields, end_stream=end_stream, shape=shape)

    def close_send_by_trailers(self, fields: Headers) -> None:
        """Half-close by trailers, which gRPC clients never do but HTTP/2 allows (RFC 9113, section 8.1)."""
        if not self._half_closed:
            self._half_closed = True
            with self._core.changed:
                self._outbound.queue(self._exchange, [Piece(headers=fields)])
            self.timeline.add("client", "half-close", "by trailers")

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Send RST_STREAM with any code now; for this client the RPC is cancelled unless it has ended."""
        self.timeline.add("client", "reset", error_name(code))
        with self._core.changed:
            self._core.reset(self._exchange, code)
            self._stop(f"reset by this client with {error_name(code)}")

    # Windows ----------------------------------------------------------------------------------------------------

    def hold_window(self) -> None:
        """Give nothing back of the stream's window from now on, whatever is read; what has been given stays."""
        with self._core.changed:
            self._exchange.holding = True

    def open_window(self, count: int) -> None:
        """Open the stream's window by ``count`` bytes, whether it is held or not."""
        core, exchange = self._core, self._exchange
        with core.changed:
            exchange.window += count
            exchange.given += count
            core.emit(FrameType.WINDOW_UPDATE, 0, exchange.id, count.to_bytes(4, "big"), count)

    def release_window(self) -> None:
        """Give back what is read again, also what was read while the window was held."""
        with self._core.changed:
            self._exchange.holding = False
            self._give_back()

    # Waiting ----------------------------------------------------------------------------------------------------

    def await_end(self, timeout: float | None = None) -> WireEnded:
        """Wait until the RPC has ended on the wire, without reading its responses; its windows stay as they are.

        Raises:
            OperationTimeout: it did not end in time.
        """
        reception = self._reception
        self.connection.wait(lambda: reception.ended is not None, self._limit(timeout))
        if reception.ended is None:
            limit = self._limit(timeout)
            self.timeline.add("local", "timeout", f"no end within {limit:g} s")
            raise OperationTimeout(f"the end of the stream within {limit:g} s", "the stream is still open", self)
        return reception.ended

    def await_reset(self, timeout: float | None = None) -> int | None:
        """The error code of the server's RST_STREAM, also of one after the end; None when none came in time."""
        response = self.response
        self.connection.wait(lambda: response.reset_code is not None, self._limit(timeout))
        return response.reset_code

    def await_bytes(self, count: int, timeout: float | None = None) -> int:
        """Wait until flow control has counted ``count`` bytes of DATA in all, or the end; return how many it has."""
        response = self.response
        done = self._exchange
        self.connection.wait(lambda: response.flow_bytes >= count or done.server_done, self._limit(timeout))
        return response.flow_bytes

    def await_frame(self, kind: int, timeout: float | None = None) -> FrameRecord | None:
        """The newest frame of a type that the server sent on the stream; waits for the first, None if none came."""

        def newest() -> FrameRecord | None:
            return next((one for one in reversed(self.frames) if one.kind == kind and not one.sent), None)

        self.connection.wait(newest, self._limit(timeout))
        return newest()

    def watch(self, seconds: float) -> tuple[FrameRecord, ...]:
        """Let time pass and return the frames that the server sent on the stream in it."""
        return tuple(one for one in self.connection.watch(seconds) if one.stream_id == self.stream_id)

    def _limit(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout
