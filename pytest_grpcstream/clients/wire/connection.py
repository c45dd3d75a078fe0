"""An HTTP/2 connection from the client's side, and everything that a test may do to it.

It is a correct peer unless its `WireOptions` or a test change that: it acknowledges SETTINGS and PING at once and obeys
the server's windows, SETTINGS_MAX_FRAME_SIZE and SETTINGS_MAX_CONCURRENT_STREAMS. A stream's window is given back as
its messages are read. The connection's window is given back as DATA arrives, because an unread stream must not stall
the others; what it holds is bounded by its own window.

After a connection error this client sends GOAWAY and closes the connection (RFC 9113, section 5.4.1). Stream errors are
recorded in `Connection.violations`, and reading goes on.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pytest_grpcstream.clients.wire.inbound import Inbound
from pytest_grpcstream.clients.wire.loop import Loop, Waker
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.outbound import PLAIN, OpenStream, Outbound, Shape
from pytest_grpcstream.clients.wire.state import Closed, ConnectionState, Goaway
from pytest_grpcstream.errors import FEW_STREAMS, MANY_RESETS, ConcurrencyLimited, OperationTimeout, TargetError
from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.dialing import dial
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frame_reader import FrameReader
from pytest_grpcstream.wire.frames import DEFAULT_WINDOW, SettingPairs
from pytest_grpcstream.wire.records import FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Violations

_PLAIN_OPTIONS: Final = WireOptions()


class UsedUpError(Exception):
    """Raised when a connection accepts no more streams, see `Connection.usable`."""


class Connection:
    """An HTTP/2 connection to a server, with a thread of its own.

    Arguments:
        address: ``host:port``, ``[::1]:port`` or ``unix:path``.
        timeout: seconds that connecting, and every operation here that waits, may take.
        context: the TLS context, None for plaintext.
        name: the name that the server's certificate must have.
        options: how the connection differs from a plain one.

    Raises:
        TargetError: nothing listens there, TLS failed or did not select h2, or no SETTINGS came.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 5.0,
        context: ssl.SSLContext | None = None,
        name: str | None = None,
        options: WireOptions = _PLAIN_OPTIONS,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.options = options
        self._transport = dial(address, timeout, context, name, require_alpn=options.require_alpn)
        self._waker = Waker()
        state = self._state = ConnectionState(self._transport, options, self._waker.wake)
        state.timeline.add("client", "connected", f"to {address}{' by TLS' if context else ''}")
        reader = FrameReader(Inbound(state), state.own_settings)
        self._outbound = Outbound(state)
        self._loop = Loop(state, self._transport, reader, self._outbound, self._waker)
        self._pings = 0
        with self.corked():
            state.send_buffer.put(options.preface)
            self.send_settings(options.first_settings)
            if options.connection_window > DEFAULT_WINDOW:
                self.open_window(options.connection_window - DEFAULT_WINDOW)
        self._loop.start()
        if options.await_settings:
            self._await_settings()

    def _await_settings(self) -> None:
        state = self._state
        self.wait(lambda: state.server_settings.received > 0, self.timeout)
        if state.server_settings.received:
            return
        closed = state.closed
        self.close()
        if closed is None:
            raise TargetError(f"{self.address} accepted a connection but sent no SETTINGS within {self.timeout:g} s")
        raise TargetError(f"no HTTP/2 connection to {self.address}: {closed.reason}")

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def timeline(self) -> WireTimeline:
        """Every frame of the connection in both directions, and what else happened to it."""
        return self._state.timeline

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """The frames of the timeline, the first and the newest ones."""
        return self._state.timeline.frames

    @property
    def violations(self) -> Violations:
        """The rules that the server broke, on the connection and on every stream."""
        return self._state.violations

    @property
    def byte_log(self) -> ByteLog:
        """The newest bytes of both directions."""
        return self._state.byte_log

    @property
    def server_settings(self) -> Mapping[int, int]:
        """The settings that the server sent, by their code."""
        return dict(self._state.server_settings.values)

    @property
    def goaways(self) -> tuple[Goaway, ...]:
        """The GOAWAY frames that the server sent."""
        return tuple(self._state.goaways)

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, None while it is open."""
        return self._state.closed

    @property
    def broken_off(self) -> str | None:
        """How the server broke the connection off, in words: by GOAWAY with an error, or without GOAWAY; or None."""
        errors = [str(one) for one in self.goaways if one.code != ErrorCode.NO_ERROR]
        if errors or (self.closed is not None and self.closed.by_server and not self.goaways):
            return ", then ".join([*errors[-1:], *([self.closed.reason] if self.closed else [])])
        return None

    @property
    def enhance_your_calm(self) -> str | None:
        """The GOAWAY with ENHANCE_YOUR_CALM after many resets (RFC 9113, section 10.5), in words, or None."""
        calming = [str(one) for one in self.goaways if one.code == ErrorCode.ENHANCE_YOUR_CALM]
        return calming[-1] if calming and self._state.resets >= MANY_RESETS else None

    @property
    def crash(self) -> BaseException | None:
        """The exception that ended the connection's thread: a bug of this client; None otherwise."""
        return self._loop.crash

    @property
    def window(self) -> int:
        """Bytes of DATA that the server may still send on the connection."""
        return self._state.window.remaining

    @property
    def send_window(self) -> int:
        """Bytes of DATA that this client may still send on the connection."""
        return self._state.send_window.remaining

    @property
    def usable(self) -> bool:
        """Whether streams can be opened: the connection is open, no GOAWAY came, and identifiers are left."""
        return self.closed is None and not self._state.goaways and not self._state.streams.used_up

    @property
    def can_take_data(self) -> bool:
        """Whether the send buffer has room for more DATA: the server reads about as fast as this client writes."""
        return self._state.send_buffer.has_room

    @property
    def stream_ids(self) -> tuple[int, ...]:
        """The identifiers of the streams that were opened and that the test has not left."""
        return self._state.streams.ids

    # Waiting ----------------------------------------------------------------------------------------------------

    def wait(self, predicate: Callable[[], object], timeout: float | None = None) -> bool:
        """Wait until ``predicate`` is true; it is checked again after everything that happens on the connection.

        Returns whether it became true within ``timeout`` seconds and before the connection was lost.
        """
        state = self._state
        with state.changed:
            state.changed.wait_for(lambda: bool(predicate()) or state.closed is not None, self._limit(timeout))
            return bool(predicate())

    def _limit(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout

    def await_goaway(self, timeout: float | None = None) -> Goaway | None:
        """The newest GOAWAY of the server; waits for the first one, None if none came in time."""
        self.wait(lambda: self._state.goaways, timeout)
        return self._state.goaways[-1] if self._state.goaways else None

    def await_close(self, timeout: float | None = None) -> Closed | None:
        """How the connection ended; None if it did not within ``timeout`` seconds."""
        self.wait(lambda: False, timeout)
        return self._state.closed

    def await_settings_ack(self, timeout: float | None = None) -> bool:
        """Wait until the server has acknowledged every SETTINGS frame that was sent; False if it did not in time."""
        return self.wait(lambda: self._state.barrier.settings_in_force, timeout)

    def watch(self, seconds: float) -> tuple[FrameRecord, ...]:
        """Wait and return the frames that the server sent meanwhile, as far as the timeline keeps them."""
        began = time.monotonic()
        self.wait(lambda: False, seconds)
        rest = seconds - (time.monotonic() - began)
        if rest > 0:  # the connection is lost, but the caller still gets the whole time
            time.sleep(rest)
        return tuple(one for one in self.frames if not one.sent and one.at >= began)

    # Frames of the connection -----------------------------------------------------------------------------------

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> float | None:
        """Send a PING and wait for its answer: seconds until it came, None if it did not in time.

        The answer proves that the server has read everything that was sent before the PING.
        """
        opaque = self.send_ping(payload)
        began = time.monotonic()
        barrier = self._state.barrier
        self.wait(lambda: barrier.answered_at(opaque) is not None, timeout)
        answered = barrier.answered_at(opaque)
        barrier.forget_ping(opaque)
        return None if answered is None else max(0.0, answered - began)

    def send_ping(self, payload: bytes | None = None, *, ack: bool = False) -> bytes:
        """Send a PING with these 8 bytes, None for new ones, and return them without waiting for the answer."""
        with self._state.changed:
            self._pings += 1
            opaque = self._pings.to_bytes(8, "big") if payload is None else payload
            self._state.send_ping(opaque, ack=ack)
        return opaque

    def answered(self, payload: bytes) -> bool:
        """Whether the server has answered the newest PING with these 8 bytes."""
        return self._state.barrier.answered_at(payload) is not None

    def send_settings(self, settings: SettingPairs = (), *, ack: bool = False) -> None:
        """Send a SETTINGS frame; `await_settings_ack` waits for its acknowledgement.

        From now on this client holds the server to it, see `OwnSettings`.
        """
        pairs = tuple(settings.items() if isinstance(settings, Mapping) else settings)
        with self._state.changed:
            self._state.send_settings(pairs, ack=ack)

    def goaway(self, code: int = ErrorCode.NO_ERROR, *, last_stream_id: int = 0, debug: bytes = b"") -> None:
        """Send a GOAWAY; the connection stays open."""
        with self._state.changed:
            self._state.send_goaway(code, last_stream_id=last_stream_id, debug=debug)

    def send_frame(self, kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 0) -> None:
        """Send a frame of any type exactly as given, without a change of this client's own state.

        Only DATA counts against the windows, as it does for a server, which gives back every byte that it has read (RFC
        9113, section 6.9.1). The connection's timeline records what the server answers on ``stream_id``. Use
        `WireClient.open` to open a stream with any headers or header block.
        """
        with self._state.changed:
            self._state.send_raw_frame(kind, flags, stream_id, payload)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes exactly as given, frames or not."""
        with self._state.changed:
            self._state.send_buffer.put(data)
            self._state.timeline.add("client", "bytes", f"{len(data)} bytes as given")

    @contextlib.contextmanager
    def corked(self) -> Iterator[None]:
        """Hold back everything that is sent inside the ``with`` block and send it in one write at the end."""
        with self._state.changed:
            self._state.send_buffer.cork()
        try:
            yield
        finally:
            with self._state.changed:
                self._state.send_buffer.uncork()

    # Windows ----------------------------------------------------------------------------------------------------

    def hold_window(self) -> None:
        """Send no WINDOW_UPDATE for the connection from now on; the current window stays."""
        with self._state.changed:
            self._state.window.hold()

    def open_window(self, count: int) -> None:
        """Open the connection's window by ``count`` bytes, whether it is held or not."""
        with self._state.changed:
            self._state.open_window(count)

    def release_window(self) -> None:
        """Give back what arrives on the connection again, including what arrived while the window was held."""
        with self._state.changed:
            self._state.window.release()
            self._state.give_back_connection()

    # Streams ----------------------------------------------------------------------------------------------------

    def open(
        self,
        headers: Headers,
        timeline: WireTimeline,
        *,
        deadline: float | None = None,
        stream_id: int | None = None,
        end_stream: bool = False,
        hold_window: bool | None = None,
        shape: Shape = PLAIN,
        anyway: bool = True,
    ) -> OpenStream:
        """Open a stream with these request headers.

        Arguments:
            deadline: seconds after which this client ends the RPC; ``grpc-timeout`` is one of the headers.
            stream_id: an identifier instead of the next odd one.
            end_stream: whether HEADERS has END_STREAM, so that the request has no message.
            hold_window: whether the stream's window is held, see `WireStream.hold_window`; None for the option.
            shape: how the header block goes on the wire.
            anyway: whether to open it even on a connection that accepts no more streams.

        Raises:
            UsedUpError: the connection accepts no more streams.
            OperationTimeout: as many streams as the server allows are open, and none ended in time.
            ConcurrencyLimited: likewise, and the server allows fewer than RFC 9113 advises.
        """
        state = self._state
        with state.changed:
            self._await_slot(anyway=anyway)
            stream = self._outbound.open(
                headers, timeline, stream_id=stream_id, end_stream=end_stream, hold_window=hold_window, shape=shape
            )
            if state.closed is not None:
                state.end_with_connection(stream)
            elif deadline is not None and self.options.enforce_deadlines:
                self._loop.add_deadline(stream, time.monotonic() + deadline)
            return OpenStream(state, self._outbound, stream)

    def _await_slot(self, *, anyway: bool) -> None:
        state = self._state

        def free() -> bool:
            if not anyway and not self.usable:
                # Checked under the lock: a GOAWAY may have come since the connection was chosen.
                raise UsedUpError
            limit = state.server_settings.max_streams
            return not self.options.obey_stream_limit or limit is None or state.streams.open_count < limit

        if not self.wait(free, self.timeout) and state.closed is None:
            limit = state.server_settings.max_streams
            crowded = ConcurrencyLimited if limit in FEW_STREAMS else OperationTimeout
            raise crowded(
                f"room for one more stream within {self.timeout:g} s",
                f"SETTINGS_MAX_CONCURRENT_STREAMS is {limit}, and {state.streams.open_count} streams are open",
            )

    # The end ----------------------------------------------------------------------------------------------------

    def shut_write(self) -> None:
        """Half-close TCP with a FIN; what the server sends is still read."""
        with self._state.changed:
            self._state.timeline.add("client", "FIN", "nothing more is sent")
            self._state.send_buffer.shut_down()
            self._transport.shut_write()

    def drop(self) -> None:
        """Close TCP with a FIN, without GOAWAY and without TLS's close_notify."""
        self._leave("this client closed TCP", self._transport.drop)

    def reset(self) -> None:
        """Close TCP with a RST: what the server has not read is lost."""
        self._leave("this client reset TCP", self._transport.reset)

    def close(self) -> None:
        """Send GOAWAY, close the connection and end its thread. Calling it twice is fine."""
        state = self._state
        with state.changed:
            if state.closed is None and state.server_settings.received:
                self.goaway(last_stream_id=0)
        self._leave("this client closed the connection", self._transport.close)

    def _leave(self, reason: str, close: Callable[[], None]) -> None:
        self._loop.stop()
        with self._state.changed:
            close()
            self._waker.close()
            self._state.lose(reason, by_server=False)

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed: {self.closed.reason}"
        return f"<Connection to {self.address}, {state}>"
