"""What a connection knows: its streams, windows, settings and records, and how one frame is sent.

Everything is guarded by `ConnectionState.changed`; whoever changes something notifies it.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hpack import Encoder

from pytest_grpcstream.clients.wire.ends import Origin
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.escape import printable
from pytest_grpcstream.values import Code, Status
from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frames import DEFAULT_WINDOW, FrameType, error_name, frame
from pytest_grpcstream.wire.monitor import Monitor
from pytest_grpcstream.wire.records import Content, FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Rule, Violation, Violations
from pytest_grpcstream.wire.send_buffer import SendBuffer
from pytest_grpcstream.wire.settings import OwnSettings, ServerSettings
from pytest_grpcstream.wire.transport import Transport

_LATE: Final = 256
"""Streams that were given back and are still remembered, to record what comes late for them."""
_HEAD: Final = 200
_TAIL: Final = 800
_FLOW_CONTROLLED: Final = int(FrameType.DATA)


@dataclass(frozen=True)
class Goaway:
    """A GOAWAY frame of the server.

    Attributes:
        last_stream_id: the highest stream that the server may have worked on.
        code: its error code.
        debug: the beginning of its debug data.
        at: when it came, in seconds of `time.monotonic`.
    """

    last_stream_id: int
    code: int
    debug: bytes
    at: float

    def __str__(self) -> str:
        debug = f" {printable(self.debug)}" if self.debug else ""
        return f"GOAWAY with {error_name(self.code)}{debug}, last stream {self.last_stream_id}"


@dataclass(frozen=True)
class Closed:
    """The end of a connection.

    Attributes:
        by_server: whether the server closed it.
        reason: how or why, already escaped.
        at: when, in seconds of `time.monotonic`.
    """

    by_server: bool
    reason: str
    at: float


class ConnectionState:
    """The state of one connection.

    Attributes:
        changed: the lock that guards everything here, and that threads wait in for changes.
        window: bytes that the server may still send on the connection.
        given: the size to which this client opened that window.
        owed: bytes of DATA that arrived and were not yet given back.
        holding: whether nothing is given back until a test says so.
        send_window: bytes that this client may still send on the connection.
        highest: the highest stream identifier that was used.
        next_id: the identifier of the next stream.
        raw: identifiers that were used in frames that a test made itself.
        resets: streams that this client has reset.
        marks: how many PING and SETTINGS frames were sent; each is a mark that the server answers.
        confirmed: the newest mark that the server has answered, and so has read.
    """

    def __init__(self, transport: Transport, options: WireOptions, wake: Callable[[], None]) -> None:
        self.changed = Monitor()
        self.options = options
        self.timeline = WireTimeline(options.hidden, head=_HEAD, tail=_TAIL)
        self.violations = Violations()
        self.byte_log = ByteLog(options.byte_log, options.on_bytes)
        self.outlet = SendBuffer(transport, self.byte_log, wake)
        self.encoder = Encoder()
        self.own = OwnSettings()
        self.server = ServerSettings()
        self.exchanges: dict[int, StreamState] = {}
        self.window = DEFAULT_WINDOW
        self.given = DEFAULT_WINDOW
        self.owed = 0
        self.holding = options.hold_windows
        self.send_window = DEFAULT_WINDOW
        self.highest = 0
        self.next_id = 1
        self.raw: set[int] = set()
        self.resets = 0
        self.goaways: list[Goaway] = []
        self.closed: Closed | None = None
        self.marks = 0
        self.confirmed = 0
        self.settings_marks: deque[int] = deque()
        self.pings: dict[bytes, int] = {}
        self.pongs: dict[bytes, float] = {}
        self._late: OrderedDict[int, StreamState] = OrderedDict()

    # Records ----------------------------------------------------------------------------------------------------

    def report(self, rule: Rule, detail: str, stream_id: int = 0) -> Violation:
        """Record a violation of the server."""
        violation = Violation(rule, detail, stream_id, time.monotonic())
        if self.violations.add(violation):
            self.timeline.add("local", "violation", str(violation), at=violation.at)
        return violation

    def record(self, entry: FrameRecord, exchange: StreamState | None = None) -> None:
        """Record a frame on the connection, and on its stream."""
        self.timeline.record(entry)
        if exchange is not None:
            exchange.timeline.record(entry)

    # Streams ----------------------------------------------------------------------------------------------------

    def find(self, stream_id: int) -> StreamState | None:
        """The stream with this identifier, also for some time after it was given back."""
        return self.exchanges.get(stream_id) or self._late.get(stream_id)

    def is_idle(self, stream_id: int) -> bool:
        """Whether nobody has opened this stream (RFC 9113, section 5.1)."""
        return stream_id not in self.raw and (stream_id > self.highest or stream_id % 2 == 0)

    @property
    def open_streams(self) -> int:
        """How many streams count as concurrent (RFC 9113, section 5.1.2)."""
        return sum(not exchange.over for exchange in self.exchanges.values())

    def forget(self, exchange: StreamState) -> None:
        """Give a stream back; the newest ones are remembered for what comes late."""
        if self.exchanges.pop(exchange.id, None) is not None:
            self._late[exchange.id] = exchange
            while len(self._late) > _LATE:
                self._late.popitem(last=False)

    def refuse_above(self, goaway: Goaway) -> None:
        """Let every RPC end that a GOAWAY excludes (gRPC over HTTP2, GOAWAY Frame)."""
        status = Status(Code.UNAVAILABLE, f"the server sent {goaway}")
        for exchange in self.exchanges.values():
            if exchange.id > goaway.last_stream_id:
                exchange.outgoing.clear()
                exchange.reception.stop(status, Origin.GOAWAY, goaway.at)

    def lose(self, reason: str, *, by_server: bool) -> None:
        """Note that the connection is gone: every RPC on it ends with UNAVAILABLE."""
        if self.closed is not None:
            return
        self.closed = Closed(by_server, reason, time.monotonic())
        self.timeline.add("server" if by_server else "local", "closed", reason, at=self.closed.at)
        for exchange in list(self.exchanges.values()):
            self.end_with_connection(exchange)
        self.outlet.shut_down()
        self.changed.notify_all()

    def end_with_connection(self, exchange: StreamState) -> None:
        """Let an RPC end because the connection is closed (gRPC over HTTP2, Connection failure)."""
        closed = self.closed
        if closed is None:
            return
        exchange.timeline.add("server" if closed.by_server else "local", "closed", closed.reason, at=closed.at)
        exchange.outgoing.clear()
        before = f" after {self.goaways[-1]}" if self.goaways else ""
        status = Status(Code.UNAVAILABLE, f"the connection is closed: {closed.reason}{before}")
        exchange.reception.stop(status, Origin.CONNECTION_CLOSED, closed.at)

    def rebase(self) -> None:
        """Hold the server to the initial window that is in force by now, on every stream."""
        for exchange in self.exchanges.values():
            exchange.rebase(self.own.window(exchange.epoch))

    # Sending ----------------------------------------------------------------------------------------------------

    def emit(
        self,
        kind: int,
        flags: int,
        stream_id: int,
        payload: bytes = b"",
        content: Content = None,
        *,
        answer: bool = False,
    ) -> bool:
        """Send a frame that flow control does not count, and record it; False when nothing can be sent any more."""
        if not self.outlet.put(frame(kind, flags, stream_id, payload), answer=answer):
            return False
        entry = FrameRecord(time.monotonic(), True, kind, flags, stream_id, len(payload), content=content)
        self.record(entry, self.find(stream_id) if stream_id else None)
        return True

    def reset(self, exchange: StreamState, code: int) -> None:
        """Send RST_STREAM on a stream, drop what waits to be sent on it, and note that it was reset."""
        exchange.outgoing.clear()
        if self.emit(FrameType.RST_STREAM, 0, exchange.id, code.to_bytes(4, "big"), code):
            exchange.reset_sent = code
            exchange.reset_mark = self.marks
            self.resets += 1

    def settle(self, exchange: StreamState) -> None:
        """Do what the end of an RPC asks of this side: nothing more is sent, and a refused response is reset."""
        if exchange.reception.ended is None:
            return
        exchange.outgoing.clear()
        refused = exchange.reception.ended.origin is Origin.CLIENT_REFUSED
        if refused and not exchange.server_done and exchange.reset_sent is None:
            self.reset(exchange, ErrorCode.CANCEL)

    # Giving back ------------------------------------------------------------------------------------------------

    def give_back(self, exchange: StreamState) -> None:
        """Open a stream's window by what was read of it, once that is worth a frame."""
        if exchange.owed < exchange.threshold or exchange.holding:
            return
        if exchange.server_done or exchange.over:
            exchange.owed = 0
            return
        increment, exchange.owed = exchange.owed, 0
        exchange.window += increment
        self.emit(FrameType.WINDOW_UPDATE, 0, exchange.id, increment.to_bytes(4, "big"), increment)

    def give_back_connection(self) -> None:
        """Open the connection's window by what arrived on it, once that is worth a frame."""
        if self.owed < max(1, self.given // 2) or self.holding:
            return
        increment, self.owed = self.owed, 0
        self.window += increment
        self.emit(FrameType.WINDOW_UPDATE, 0, 0, increment.to_bytes(4, "big"), increment)
