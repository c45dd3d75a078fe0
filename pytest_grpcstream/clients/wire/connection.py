"""An HTTP/2 connection from the client's side, with everything that a test may want to do to it.

It is a correct peer unless its `WireOptions` or a test make it another one: SETTINGS and PING are acknowledged at once,
the server's windows, SETTINGS_MAX_FRAME_SIZE and SETTINGS_MAX_CONCURRENT_STREAMS are obeyed. A stream's window is given
back as its messages are read. The connection's window is given back as DATA arrives, because a stream that nobody reads
must not stall the others; what it holds is bounded by its own window.

After a fault of the whole connection this client sends GOAWAY and closes it (RFC 9113, section 5.4.1). Faults of one
stream are recorded in `Connection.violations` and read over.
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
from pytest_grpcstream.clients.wire.outbound import PLAIN, Outbound, Shape
from pytest_grpcstream.clients.wire.state import Closed, ConnectionState, Goaway
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.errors import FEW_STREAMS, MANY_RESETS, ConcurrencyLimited, OperationTimeout, TargetError
from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frame_reader import FrameReader
from pytest_grpcstream.wire.frames import (
    DEFAULT_WINDOW,
    ID_MASK,
    Flag,
    FrameType,
    SettingPairs,
    settings_payload,
)
from pytest_grpcstream.wire.records import FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Violations
from pytest_grpcstream.wire.transport import dial

_PLAIN_OPTIONS: Final = WireOptions()


class UsedUpError(Exception):
    """Raised when a connection takes no more streams, see `Connection.usable`."""


class Connection:
    """A connection to a server.

    Arguments:
        address: ``host:port``, ``[::1]:port`` or ``unix:path``.
        timeout: seconds that connecting, and every operation here that waits, may take.
        context: how to speak TLS, None for plaintext.
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
        core = self.core = ConnectionState(self._transport, options, self._waker.wake)
        core.timeline.add("client", "connected", f"to {address}{' by TLS' if context else ''}")
        reader = FrameReader(Inbound(core), core.own)
        self.outbound = Outbound(core)
        self._loop = Loop(core, self._transport, reader, self.outbound, self._waker)
        self._pings = 0
        with core.changed:
            core.outlet.cork()
            core.outlet.put(options.preface)
            self.send_settings(options.first_settings)
            if options.connection_window > DEFAULT_WINDOW:
                self.open_window(options.connection_window - DEFAULT_WINDOW)
            core.outlet.uncork()
        self._loop.start()
        if options.await_settings:
            self._await_settings()

    def _await_settings(self) -> None:
        core = self.core
        self.wait(lambda: core.server.received > 0, self.timeout)
        if core.server.received:
            return
        closed = core.closed
        self.close()
        if closed is None:
            raise TargetError(f"{self.address} accepted a connection but sent no SETTINGS within {self.timeout:g} s")
        raise TargetError(f"no HTTP/2 connection to {self.address}: {closed.reason}")

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def timeline(self) -> WireTimeline:
        """Every frame of the connection in both directions, and what else happened to it."""
        return self.core.timeline

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """The frames of the timeline, the first and the newest ones."""
        return self.core.timeline.frames

    @property
    def violations(self) -> Violations:
        """The rules that the server broke, on the connection and on every stream."""
        return self.core.violations

    @property
    def byte_log(self) -> ByteLog:
        """The newest bytes of both directions."""
        return self.core.byte_log

    @property
    def server_settings(self) -> Mapping[int, int]:
        """The settings that the server sent, by their code."""
        return dict(self.core.server.values)

    @property
    def goaways(self) -> tuple[Goaway, ...]:
        """The GOAWAY frames that the server sent."""
        return tuple(self.core.goaways)

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, None while it is open."""
        return self.core.closed

    @property
    def broken_off(self) -> str | None:
        """How the server broke the connection off, in words: by a GOAWAY with an error, or without any GOAWAY."""
        errors = [str(one) for one in self.goaways if one.code != ErrorCode.NO_ERROR]
        if errors or (self.closed is not None and self.closed.by_server and not self.goaways):
            return ", then ".join([*errors[-1:], *([self.closed.reason] if self.closed else [])])
        return None

    @property
    def enhance_your_calm(self) -> str | None:
        """How the server calmed this client, which had reset many streams (RFC 9113, section 10.5), or None."""
        calming = [str(one) for one in self.goaways if one.code == ErrorCode.ENHANCE_YOUR_CALM]
        return calming[-1] if calming and self.core.resets >= MANY_RESETS else None

    @property
    def crash(self) -> BaseException | None:
        """What ended the connection's thread if that was a mistake of this client, None otherwise."""
        return self._loop.crash

    @property
    def window(self) -> int:
        """Bytes of DATA that the server may still send on the connection."""
        return self.core.window

    @property
    def send_window(self) -> int:
        """Bytes of DATA that this client may still send on the connection."""
        return self.core.send_window

    @property
    def usable(self) -> bool:
        """Whether streams can be opened: the connection is open, no GOAWAY came, and identifiers are left."""
        return self.closed is None and not self.core.goaways and self.core.next_id <= ID_MASK

    @property
    def can_take_data(self) -> bool:
        """Whether the send buffer has room for more DATA: the server reads about as fast as this client writes."""
        return self.core.outlet.room

    @property
    def stream_ids(self) -> tuple[int, ...]:
        """The identifiers of the streams that were opened and not yet closed by this client."""
        return tuple(self.core.exchanges)

    @property
    def acknowledged_settings(self) -> int:
        """How many SETTINGS frames of this client the server has acknowledged."""
        return self.core.own.acknowledged

    # Waiting ----------------------------------------------------------------------------------------------------

    def wait(self, predicate: Callable[[], object], timeout: float | None = None) -> bool:
        """Wait until ``predicate`` is true, which is asked again after everything that happens on the connection.

        Returns whether it became true within ``timeout`` seconds, and before the connection was lost.
        """
        core = self.core
        with core.changed:
            core.changed.wait_for(lambda: bool(predicate()) or core.closed is not None, self._limit(timeout))
            return bool(predicate())

    def _limit(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout

    def await_goaway(self, timeout: float | None = None) -> Goaway | None:
        """The newest GOAWAY of the server; waits for the first one, None when none came in time."""
        self.wait(lambda: self.core.goaways, timeout)
        return self.core.goaways[-1] if self.core.goaways else None

    def await_close(self, timeout: float | None = None) -> Closed | None:
        """How the connection ended; None when it did not within ``timeout`` seconds."""
        self.wait(lambda: False, timeout)
        return self.core.closed

    def await_settings_ack(self, timeout: float | None = None) -> bool:
        """Wait until the server has acknowledged every SETTINGS frame that was sent; False when it did not in time."""
        own = self.core.own
        return self.wait(lambda: own.acknowledged == own.sent, timeout)

    def watch(self, seconds: float) -> tuple[FrameRecord, ...]:
        """Let time pass and return the frames that the server sent in it, as far as the timeline keeps them."""
        began = time.monotonic()
        self.wait(lambda: False, seconds)
        rest = seconds - (time.monotonic() - began)
        if rest > 0:  # the connection is lost: nothing more can come, but the time is still the caller's
            time.sleep(rest)
        return tuple(one for one in self.frames if not one.sent and one.at >= began)

    # Frames of the connection -----------------------------------------------------------------------------------

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> float | None:
        """Send a PING and wait for its answer: seconds until it came, None when it did not in time.

        What the server sends on a stream after this answer it sent knowing everything that was sent before the PING.
        """
        opaque = self.send_ping(payload)
        began = time.monotonic()
        self.wait(lambda: opaque in self.core.pongs, timeout)
        answered = self.core.pongs.pop(opaque, None)
        return None if answered is None else max(0.0, answered - began)

    def send_ping(self, payload: bytes | None = None, *, ack: bool = False) -> bytes:
        """Send a PING with these 8 bytes, or ones of its own, and return them. Nobody waits for the answer."""
        core = self.core
        with core.changed:
            self._pings += 1
            opaque = self._pings.to_bytes(8, "big") if payload is None else payload
            core.pongs.pop(opaque, None)
            if not ack:
                core.marks += 1
                core.pings[opaque] = core.marks
            core.emit(FrameType.PING, Flag.ACK if ack else 0, 0, opaque, opaque)
        return opaque

    def answered(self, payload: bytes) -> bool:
        """Whether the server has answered the newest PING with these 8 bytes."""
        return payload in self.core.pongs

    def send_settings(self, settings: SettingPairs = (), *, ack: bool = False) -> None:
        """Send a SETTINGS frame; `await_settings_ack` waits for its acknowledgement.

        What it says is in force for this client's own judgement of the server, see `OwnSettings`.
        """
        core = self.core
        pairs = tuple(settings.items() if isinstance(settings, Mapping) else settings)
        with core.changed:
            if not ack:
                core.own.send(pairs)
                core.marks += 1
                core.settings_marks.append(core.marks)
                core.rebase()
            core.emit(FrameType.SETTINGS, Flag.ACK if ack else 0, 0, settings_payload(pairs), pairs or None)

    def goaway(self, code: int = ErrorCode.NO_ERROR, *, last_stream_id: int = 0, debug: bytes = b"") -> None:
        """Send a GOAWAY; the connection stays open."""
        payload = last_stream_id.to_bytes(4, "big") + int(code).to_bytes(4, "big") + debug
        with self.core.changed:
            self.core.emit(FrameType.GOAWAY, 0, 0, payload, (last_stream_id, int(code), debug))

    def send_frame(self, kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 0) -> None:
        """Send a frame of any type exactly as given. This client's own state does not change by it.

        Only DATA counts against the windows, as it does for a server that gives back every byte which it has taken
        (RFC 9113, section 6.9.1). What the server answers on ``stream_id`` is recorded in the connection's timeline. To
        open a stream with any headers or header block use `WireClient.open`.
        """
        with self.core.changed:
            if stream_id & ID_MASK:
                self.core.raw.add(stream_id & ID_MASK)
            if kind == FrameType.DATA and stream_id & ID_MASK:
                self.core.send_window -= len(payload)
                if (exchange := self.core.exchanges.get(stream_id & ID_MASK)) is not None:
                    exchange.send_window -= len(payload)
            self.core.emit(kind, flags, stream_id, payload, payload[:64] if kind > FrameType.CONTINUATION else None)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes exactly as given, frames or not."""
        with self.core.changed:
            self.core.outlet.put(data)
            self.core.timeline.add("client", "bytes", f"{len(data)} bytes as given")

    @contextlib.contextmanager
    def corked(self) -> Iterator[None]:
        """Hold back everything that is sent inside the ``with`` block, and send it in one write at its end."""
        with self.core.changed:
            self.core.outlet.cork()
        try:
            yield
        finally:
            with self.core.changed:
                self.core.outlet.uncork()

    # Windows ----------------------------------------------------------------------------------------------------

    def hold_window(self) -> None:
        """Give nothing back of the connection's window from now on; what has been given stays."""
        with self.core.changed:
            self.core.holding = True

    def open_window(self, count: int) -> None:
        """Open the connection's window by ``count`` bytes, whether it is held or not."""
        core = self.core
        with core.changed:
            core.window += count
            core.given += count
            core.emit(FrameType.WINDOW_UPDATE, 0, 0, count.to_bytes(4, "big"), count)

    def release_window(self) -> None:
        """Give back what arrived on the connection again, also what was held back."""
        with self.core.changed:
            self.core.holding = False
            self.core.give_back_connection()

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
    ) -> StreamState:
        """Open a stream with these request headers.

        Arguments:
            deadline: seconds after which this client ends the RPC; ``grpc-timeout`` belongs into the headers.
            stream_id: an identifier in place of the next odd one.
            end_stream: whether HEADERS has END_STREAM, so that the request has no message.
            hold_window: whether the stream's window is not given back, None for what the options say.
            shape: how the header block goes on the wire.
            anyway: whether it is opened on a connection that takes no more streams, too.

        Raises:
            UsedUpError: the connection takes no more streams.
            OperationTimeout: as many streams as the server allows are open, and none ended in time; as
                `ConcurrencyLimited` where
                the server allows fewer than RFC 9113 advises.
        """
        core = self.core
        with core.changed:
            self._await_slot(anyway=anyway)
            exchange = self.outbound.open(headers, timeline, stream_id=stream_id, end_stream=end_stream, shape=shape)
            if hold_window is not None:
                exchange.holding = hold_window
            if core.closed is not None:
                core.end_with_connection(exchange)
            elif deadline is not None and self.options.enforce_deadlines:
                exchange.deadline = time.monotonic() + deadline
                self._loop.add_deadline(exchange.deadline, exchange.id)
            return exchange

    def _await_slot(self, *, anyway: bool) -> None:
        core = self.core

        def free() -> bool:
            if not anyway and not self.usable:
                # Asked under the lock: another thread may have read a GOAWAY since the connection was chosen.
                raise UsedUpError
            limit = core.server.max_streams
            return not self.options.obey_stream_limit or limit is None or core.open_streams < limit

        if not self.wait(free, self.timeout) and core.closed is None:
            limit = core.server.max_streams
            crowded = ConcurrencyLimited if limit in FEW_STREAMS else OperationTimeout
            raise crowded(
                f"room for one more stream within {self.timeout:g} s",
                f"SETTINGS_MAX_CONCURRENT_STREAMS is {limit}, and {core.open_streams} streams are open",
            )

    # The end ----------------------------------------------------------------------------------------------------

    def shut_write(self) -> None:
        """Half-close TCP: the server sees that nothing more comes, and can still be read."""
        with self.core.changed:
            self.core.timeline.add("client", "FIN", "nothing more is sent")
            self.core.outlet.shut_down()
            self._transport.shut_write()

    def drop(self) -> None:
        """Close TCP with a FIN, without GOAWAY and without TLS's goodbye."""
        self._leave("this client closed TCP", self._transport.drop)

    def reset(self) -> None:
        """Close TCP with a RST: what the server has not read is lost."""
        self._leave("this client reset TCP", self._transport.reset)

    def close(self) -> None:
        """End the connection politely, with GOAWAY, and its thread. Calling it twice is fine."""
        core = self.core
        with core.changed:
            if core.closed is None and core.server.received:
                self.goaway(last_stream_id=0)
        self._leave("this client closed the connection", self._transport.close)

    def _leave(self, reason: str, close: Callable[[], None]) -> None:
        self._loop.stop()
        with self.core.changed:
            close()
            self._waker.close()
            self.core.lose(reason, by_server=False)

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed: {self.closed.reason}"
        return f"<Connection to {self.address}, {state}>"
