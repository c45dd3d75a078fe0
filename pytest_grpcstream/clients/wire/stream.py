"""A stream of the wire client: the common stream interface, and control over every frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.clients.wire.connection import Connection
from pytest_grpcstream.clients.wire.ends import Origin, WireEnded
from pytest_grpcstream.clients.wire.framing import framed
from pytest_grpcstream.clients.wire.outbound import PLAIN, Shape
from pytest_grpcstream.clients.wire.response import Response
from pytest_grpcstream.clients.wire.stream_state import Piece
from pytest_grpcstream.errors import OperationTimeout
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import Ended, Metadata, Point, Received
from pytest_grpcstream.wire.chunking import Chunking, joined, one_each
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import error_name
from pytest_grpcstream.wire.records import FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Violations

_PACK: Final = 64
"""Requests in one frame of `WireStream.send_all`."""
_BY_SERVER: Final = (Origin.GOAWAY, Origin.RST_STREAM, Origin.CONNECTION_CLOSED)
"""How a server may end an RPC that it has not processed."""


class WireStream(Stream):
    """An RPC on a `Connection`. One thread may send on it while another one receives.

    Arguments:
        connection: the connection to open it on.
        path: the path of the RPC, for the timeline; the path that is sent is in ``headers``.
        headers: the request headers, legal or not.
        timeout: seconds that one operation may take.
        deadline: seconds after which this client ends the RPC.
        chunking: how messages are split into DATA frames.
        padding: bytes of padding in every DATA frame, None for no PADDED flag.
        anyway: whether a connection that accepts no more streams is used, too.

    Attributes:
        connection: the connection.
        chunking: as above; a test may change it at any time.
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
        chunking: Chunking = one_each,
        padding: int | None = None,
        stream_id: int | None = None,
        end_stream: bool = False,
        hold_window: bool | None = None,
        shape: Shape = PLAIN,
        anyway: bool = True,
    ) -> None:
        super().__init__(path, timeout=timeout)
        self.timeline = WireTimeline("client", connection.options.hidden)
        self.connection = connection
        self.chunking = chunking
        self.padding = padding
        opened = connection.open(
            headers,
            self.timeline,
            deadline=deadline,
            stream_id=stream_id,
            end_stream=end_stream,
            hold_window=hold_window,
            shape=shape,
            anyway=anyway,
        )
        self._state = opened.connection
        self._outbound = opened.outbound
        self._stream = opened.state
        self._response = self._stream.response
        self._half_closed = end_stream
        self._credit = 0  # bytes that were read and not yet given back; only the reading thread touches it

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def stream_id(self) -> int:
        """The stream identifier."""
        return self._stream.id

    @property
    def ended(self) -> WireEnded | None:
        """How the RPC ended on the wire, as soon as that is known, even while responses are unread."""
        return self._response.ended

    @property
    def origin(self) -> Origin | None:
        """Where the status comes from, None while the RPC has not ended."""
        return None if self._response.ended is None else self._response.ended.origin

    @property
    def not_processed(self) -> str | None:
        """The GOAWAY of a graceful shutdown by which the server did not process this RPC, in words, or None.

        The stream is above the last one of a GOAWAY with NO_ERROR, or was refused after it, and nothing came on it (RFC
        9113, sections 6.8 and 8.7). A server that processed no stream at all did not shut down gracefully.
        """
        ended = self.ended
        graceful = [one for one in self.connection.goaways if one.code == ErrorCode.NO_ERROR]
        if ended is None or ended.origin not in _BY_SERVER or self.response.headers is not None or not graceful:
            return None
        goaway = graceful[-1]
        above = self.stream_id > goaway.last_stream_id >= 1
        return str(goaway) if above or ended.reset_code == ErrorCode.REFUSED_STREAM else None

    @property
    def response(self) -> Response:
        """What the server has sent on the stream so far."""
        return self._response.raw

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """The frames of the timeline, the first and the newest ones."""
        return self.timeline.frames

    @property
    def violations(self) -> Violations:
        """The rules that the server broke on this stream."""
        return self._stream.violations

    @property
    def window(self) -> int:
        """Bytes of DATA that the server may still send on the stream."""
        return self._stream.window.remaining

    @property
    def send_window(self) -> int:
        """Bytes of DATA that this client may still send on the stream."""
        return self._stream.send_window.remaining

    # The stream interface ---------------------------------------------------------------------------------------

    def _write(self, message: bytes, timeout: float) -> bool | None:
        return self._put([framed(message)], self.chunking, end_stream=False, timeout=timeout)

    def _put(self, messages: Sequence[bytes], chunking: Chunking, *, end_stream: bool, timeout: float) -> bool | None:
        pieces = [Piece(payload, self.padding) for payload in chunking(messages)]
        if end_stream:
            pieces = pieces or [Piece(padding=self.padding)]
            pieces[-1].end_stream = True
        return self._outbound.send(self._stream, pieces, timeout)

    def _half_close(self) -> None:
        with self._state.changed:
            if self._state.closed is None and not self._stream.over and not self._stream.end_sent:
                self._outbound.queue(self._stream, [Piece(padding=self.padding, end_stream=True)])

    def _read(self, timeout: float) -> Received | Ended | None:
        response = self._response
        taken = response.take_message()
        if taken is None:
            if not self._wait_for_message(timeout):
                return None
            taken = response.take_message()
        if taken is None:
            self._give_back()
            return response.ended
        received, credit = taken
        self._credit += credit
        if self._credit >= self._stream.window.threshold:
            self._give_back()
        return received

    def _wait_for_message(self, timeout: float) -> bool:
        state, stream, response = self._state, self._stream, self._response
        with state.changed:
            if response.has_unread or response.ended is not None:
                return True
            stream.begin_wait()
            self._give_back()
            try:
                return state.changed.wait_for(lambda: response.has_unread or response.ended is not None, timeout)
            finally:
                stream.end_wait()

    def _give_back(self) -> None:
        with self._state.changed:
            self._stream.window.credit(self._credit)
            self._credit = 0
            self._state.give_back(self._stream)

    def _finish(self, ended: Ended) -> None:
        self._ended = ended
        made_up = isinstance(ended, WireEnded) and ended.made_up
        self.timeline.add("local" if made_up else "server", "end", str(ended), at=ended.at)

    def _await_headers(self, timeout: float) -> Metadata | None:
        state, response = self._state, self._response
        with state.changed:
            state.changed.wait_for(lambda: response.initial_metadata is not None, timeout)
            return response.initial_metadata

    def _cancel(self) -> None:
        state, stream = self._state, self._stream
        with state.changed:
            if state.closed is None and not stream.over and not stream.server_done:
                state.reset(stream, ErrorCode.CANCEL)
            state.stop(stream, "cancelled by this client")

    def _release(self) -> None:
        with self._state.changed:
            self._state.leave(self._stream)

    # Sending ----------------------------------------------------------------------------------------------------

    def send_all(self, points: Iterable[Point]) -> bool:
        """Send many requests, several in each DATA frame, as a library does whose writes outrun the socket.

        A server may treat thousands of small unread frames as an attack (RFC 9113, section 10.5).
        """
        rest = iter(points)
        packs = iter(lambda: list(islice(rest, _PACK)), [])
        return all(self.send_together(pack, joined) for pack in packs)

    def send_last(self, name: str | Point | None, value: int = 0) -> bool:
        """Send a request whose last DATA frame has END_STREAM and so half-closes. Otherwise like `send`."""
        point = Point(name, value) if isinstance(name, str) and not isinstance(name, Point) else name
        return self.send_together([point], end_stream=True)

    def send_together(
        self, messages: Iterable[Point | bytes | None], chunking: Chunking | None = None, *, end_stream: bool = False
    ) -> bool:
        """Send several requests, split into DATA frames together.

        Arguments:
            messages: points, None for requests without ``pt``, or serialized bytes.
            chunking: how, None for the stream's own chunking.
            end_stream: whether the last frame has END_STREAM.

        Returns False, and sends nothing, when the RPC has ended.

        Raises:
            OperationTimeout: flow control does not let all of them go in time; the rest goes when it does.
            ValueError: this side was half-closed before.
        """
        plain = [one if isinstance(one, bytes) else STREAM_SERVICE.encode(one) for one in messages]
        prefixed = [framed(one) for one in plain]
        sent = self._send_checked(prefixed, chunking or self.chunking, end_stream, f"{len(plain)} messages")
        if sent:
            self.sent += len(plain)
        return sent

    def write(self, data: bytes, chunking: Chunking | None = None, *, end_stream: bool = False) -> bool:
        """Send bytes of the message stream unchanged: a part of a message with its prefix, or garbage.

        Otherwise like `send_together`; `framed` adds the prefix to a message.
        """
        return self._send_checked([data] if data else [], chunking or self.chunking, end_stream, f"{len(data)} bytes")

    def _send_checked(self, messages: Sequence[bytes], chunking: Chunking, end_stream: bool, what: str) -> bool:
        if self._half_closed:
            raise ValueError("this side of the stream is half-closed; data() sends a frame regardless")
        taken = self._put(messages, chunking, end_stream=end_stream, timeout=self.timeout)
        self._half_closed = end_stream or self._half_closed
        if taken is None:
            self.timeline.add("local", "timeout", f"{what} not sent within {self.timeout:g} s")
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
        """Send one DATA frame now, exactly as given, regardless of windows and of the state of the stream."""
        with self._state.changed:
            self._outbound.send_data(self._stream, payload, padding, end_stream=end_stream)

    def send_headers(self, fields: Headers, *, end_stream: bool = False, shape: Shape = PLAIN) -> None:
        """Send one more header block on the stream now, exactly as given."""
        with self._state.changed:
            self._outbound.send_headers(self._stream, fields, end_stream=end_stream, shape=shape)

    def close_send_by_trailers(self, fields: Headers) -> None:
        """Half-close by trailers, which gRPC clients never do but HTTP/2 allows (RFC 9113, section 8.1)."""
        if not self._half_closed:
            self._half_closed = True
            with self._state.changed:
                self._outbound.queue(self._stream, [Piece(headers=fields)])
            self.timeline.add("client", "half-close", "by trailers")

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Send RST_STREAM with any code now; unless the RPC has ended, this client treats it as cancelled."""
        self.timeline.add("client", "reset", error_name(code))
        with self._state.changed:
            self._state.reset(self._stream, code)
            self._state.stop(self._stream, f"reset by this client with {error_name(code)}")

    # Windows ----------------------------------------------------------------------------------------------------

    def hold_window(self) -> None:
        """Send no WINDOW_UPDATE for the stream from now on, whatever is read; the current window stays."""
        with self._state.changed:
            self._stream.window.hold()

    def open_window(self, count: int) -> None:
        """Open the stream's window by ``count`` bytes, whether it is held or not."""
        with self._state.changed:
            self._state.open_window(count, self._stream)

    def release_window(self) -> None:
        """Give back what is read again, including what was read while the window was held."""
        with self._state.changed:
            self._stream.window.release()
            self._give_back()

    # Waiting ----------------------------------------------------------------------------------------------------

    def await_end(self, timeout: float | None = None) -> WireEnded:
        """Wait until the RPC has ended on the wire, without reading its responses or opening its windows.

        Raises:
            OperationTimeout: it did not end in time.
        """
        response = self._response
        self.connection.wait(lambda: response.ended is not None, self._limit(timeout))
        if response.ended is None:
            limit = self._limit(timeout)
            self.timeline.add("local", "timeout", f"no end within {limit:g} s")
            raise OperationTimeout(f"the end of the stream within {limit:g} s", "the stream is still open", self)
        return response.ended

    def await_reset(self, timeout: float | None = None) -> int | None:
        """The error code of the server's RST_STREAM, even of one after the end; None if none came in time."""
        response = self.response
        self.connection.wait(lambda: response.reset_code is not None, self._limit(timeout))
        return response.reset_code

    def await_bytes(self, count: int, timeout: float | None = None) -> int:
        """Wait for ``count`` bytes of DATA in all, as flow control counts, or for the end; return how many came."""
        response = self.response
        stream = self._stream
        self.connection.wait(lambda: response.flow_bytes >= count or stream.server_done, self._limit(timeout))
        return response.flow_bytes

    def await_frame(self, kind: int, timeout: float | None = None) -> FrameRecord | None:
        """The newest frame of a type that the server sent on the stream; waits for the first, None if none came."""

        def newest() -> FrameRecord | None:
            return next((one for one in reversed(self.frames) if one.kind == kind and not one.sent), None)

        self.connection.wait(newest, self._limit(timeout))
        return newest()

    def watch(self, seconds: float) -> tuple[FrameRecord, ...]:
        """Wait and return the frames that the server sent on the stream meanwhile."""
        return tuple(one for one in self.connection.watch(seconds) if one.stream_id == self.stream_id)

    def _limit(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout
