"""What a connection knows: its streams, windows, settings and records, and how one frame is sent.

`ConnectionState.changed` guards everything; what changes something that a thread may wait for notifies it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hpack import Encoder

from pytest_grpcstream.clients.wire.ends import Origin
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.clients.wire.stream_table import StreamTable
from pytest_grpcstream.escape import printable
from pytest_grpcstream.values import Code, Status
from pytest_grpcstream.wire.barrier import Barrier
from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import DEFAULT_WINDOW, ID_MASK, Flag, FrameType, error_name, frame, settings_payload
from pytest_grpcstream.wire.monitor import Monitor
from pytest_grpcstream.wire.records import Content, FrameRecord, WireTimeline
from pytest_grpcstream.wire.rules import Fault, Rule, Violation, Violations
from pytest_grpcstream.wire.send_buffer import SendBuffer
from pytest_grpcstream.wire.settings import OwnSettings, PeerSettings
from pytest_grpcstream.wire.transport import Transport
from pytest_grpcstream.wire.windows import ReceiveWindow, SendWindow

_HEAD: Final = 200
_TAIL: Final = 800
"""Events that the timeline of a connection keeps from its beginning and its end."""
_GOAWAYS_KEPT: Final = 100
_PAYLOAD_KEPT: Final = 64


@dataclass(frozen=True)
class Goaway:
    """A GOAWAY frame of the server.

    Attributes:
        last_stream_id: the highest stream that the server may have processed.
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
    """The state of one connection. Other modules read its attributes and call its methods, and assign nothing.

    Arguments:
        transport: the socket.
        options: how the connection differs from a plain one.
        wake: called when bytes wait to be sent.

    Attributes:
        changed: the lock that guards everything here, and that threads wait in for changes.
        timeline: every frame, and what else happens to the connection.
        violations: the rules that the server broke, on the connection and on every stream.
        byte_log: the newest bytes of both directions.
        send_buffer: takes the bytes that are sent.
        own_settings: the settings that this client sent.
        server_settings: the settings that the server sent.
        barrier: what the server has provably read.
        window: what the server may send on the connection.
        send_window: what this client may send on the connection.
        streams: the streams, and the identifiers that were used.
        goaways: the GOAWAY frames of the server: the first one and the newest ones.
        resets: how many streams this client has reset.
        closed: how the connection ended, None while it is open.
    """

    def __init__(self, transport: Transport, options: WireOptions, wake: Callable[[], None]) -> None:
        self.changed = Monitor()
        self.options = options
        self.timeline = WireTimeline("client", options.hidden, head=_HEAD, tail=_TAIL)
        self.violations = Violations()
        self.byte_log = ByteLog(options.byte_log, options.on_bytes)
        self.send_buffer = SendBuffer(transport, self.byte_log, wake)
        self.own_settings = OwnSettings()
        self.server_settings = PeerSettings()
        self.barrier = Barrier()
        self.window = ReceiveWindow(DEFAULT_WINDOW, held=options.hold_windows)
        self.send_window = SendWindow(DEFAULT_WINDOW)
        self.streams = StreamTable()
        self.goaways: list[Goaway] = []
        self.resets = 0
        self.closed: Closed | None = None
        self._encoder = Encoder()

    # Records ----------------------------------------------------------------------------------------------------

    def report(self, rule: Rule, detail: str, stream_id: int = 0) -> Violation:
        """Record a violation of the server."""
        violation = Violation(rule, detail, stream_id, time.monotonic())
        if self.violations.add(violation):
            self.timeline.add("local", "violation", str(violation), at=violation.at)
        return violation

    def record(self, entry: FrameRecord, stream: StreamState | None = None) -> None:
        """Record a frame on the connection, and on its stream."""
        self.timeline.record(entry)
        if stream is not None:
            stream.timeline.record(entry)

    # Sending ----------------------------------------------------------------------------------------------------

    def send_frame(
        self,
        kind: int,
        flags: int = 0,
        stream_id: int = 0,
        payload: bytes = b"",
        content: Content = None,
        *,
        answer: bool = False,
    ) -> bool:
        """Send a frame that is not DATA of a stream, and record it; False if nothing can be sent any more."""
        if not self.send_buffer.put(frame(kind, flags, stream_id, payload), answer=answer):
            return False
        entry = FrameRecord(time.monotonic(), True, kind, flags, stream_id, len(payload), content=content)
        self.record(entry, self.streams.find(stream_id) if stream_id else None)
        return True

    def send_raw_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Send a frame that a test made; only its identifier, and for DATA its length, are taken note of."""
        number = stream_id & ID_MASK
        if number:
            self.streams.note_raw(number)
        if kind == FrameType.DATA and number:
            self.send_window.consume(len(payload))
            if (stream := self.streams.get(number)) is not None:
                stream.send_window.consume(len(payload))
        self.send_frame(
            kind, flags, stream_id, payload, payload[:_PAYLOAD_KEPT] if kind > FrameType.CONTINUATION else None
        )

    def send_goaway(self, code: int, *, last_stream_id: int = 0, debug: bytes = b"") -> None:
        """Send GOAWAY."""
        payload = last_stream_id.to_bytes(4, "big") + int(code).to_bytes(4, "big") + debug
        self.send_frame(FrameType.GOAWAY, 0, 0, payload, (last_stream_id, int(code), debug))

    def answer(self, kind: int, payload: bytes) -> None:
        """Send the ACK to a SETTINGS or PING frame of the server.

        Raises:
            Fault: the server does not read the answers.
        """
        self.send_frame(kind, Flag.ACK, 0, payload, payload or None, answer=True)
        if self.send_buffer.flooded:
            detail = f"{FrameType(kind).name} frames whose answers it does not read"
            raise Fault(Rule.FLOOD, ErrorCode.ENHANCE_YOUR_CALM, detail)

    def encode_headers(self, headers: Headers) -> bytes:
        """The header block of these headers, for which the HPACK table changes; hidden values are never indexed."""
        hidden = self.options.hidden
        return self._encoder.encode([(name, value, name in hidden) for name, value in headers])

    def reset(self, stream: StreamState, code: int) -> None:
        """Send RST_STREAM on a stream, drop what waits to be sent on it, and note that it was reset."""
        stream.drop_outgoing()
        if self.send_frame(FrameType.RST_STREAM, 0, stream.id, code.to_bytes(4, "big"), code):
            stream.note_reset(code, self.barrier.mark)
            self.resets += 1

    # SETTINGS and PING ------------------------------------------------------------------------------------------

    def send_settings(self, pairs: tuple[tuple[int, int], ...], *, ack: bool = False) -> None:
        """Send a SETTINGS frame and hold the server to it from now on."""
        if not ack:
            self.own_settings.send(pairs)
            self.barrier.send_settings()
            self._rebase_windows()
        self.send_frame(FrameType.SETTINGS, Flag.ACK if ack else 0, 0, settings_payload(pairs), pairs or None)

    def take_settings_ack(self) -> None:
        """Take the server's acknowledgement of the oldest SETTINGS frame."""
        self.own_settings.acknowledge()
        self.barrier.acknowledge_settings()
        self._rebase_windows()

    def _rebase_windows(self) -> None:
        for stream in self.streams:
            stream.window.rebase(self.own_settings.window(stream.settings_number))

    def take_settings(self, pairs: list[tuple[int, int]]) -> None:
        """Take a SETTINGS frame of the server and acknowledge it.

        Raises:
            Fault: a value is not allowed, or a window becomes too large by it.
        """
        change = self.server_settings.apply(pairs)
        for stream in self.streams if change else ():
            if not stream.send_window.open(change):
                detail = (
                    f"to {stream.send_window.remaining} bytes on stream {stream.id} by SETTINGS_INITIAL_WINDOW_SIZE"
                )
                raise Fault(Rule.WINDOW_OVERFLOW, ErrorCode.FLOW_CONTROL_ERROR, detail, stream.id)
        if self._encoder.header_table_size != self.server_settings.table:
            self._encoder.header_table_size = self.server_settings.table
        if self.options.acknowledge_settings:
            self.answer(FrameType.SETTINGS, b"")

    def send_ping(self, payload: bytes, *, ack: bool = False) -> None:
        """Send a PING, or an answer that the server did not ask for."""
        if not ack:
            self.barrier.send_ping(payload)
        self.send_frame(FrameType.PING, Flag.ACK if ack else 0, 0, payload, payload)

    # Windows ----------------------------------------------------------------------------------------------------

    def open_window(self, count: int, stream: StreamState | None = None) -> None:
        """Open the window of the connection or of a stream, whether it is held or not."""
        (self.window if stream is None else stream.window).open(count)
        self._send_window_update(count, stream)

    def give_back(self, stream: StreamState) -> None:
        """Open a stream's window by what was read of it, if that is worth a frame."""
        if not stream.window.update_due:
            return
        if stream.server_done or stream.over:
            stream.window.write_off()
        else:
            self._send_window_update(stream.window.give_back(), stream)

    def give_back_connection(self) -> None:
        """Open the connection's window by what arrived on it, if that is worth a frame."""
        if self.window.update_due:
            self._send_window_update(self.window.give_back(), None)

    def _send_window_update(self, count: int, stream: StreamState | None) -> None:
        stream_id = 0 if stream is None else stream.id
        self.send_frame(FrameType.WINDOW_UPDATE, 0, stream_id, count.to_bytes(4, "big"), count)

    # The end of an RPC ------------------------------------------------------------------------------------------

    def settle(self, stream: StreamState) -> None:
        """Do what the end of an RPC requires of this side: send nothing more, and reset a response that it refused."""
        ended = stream.response.ended
        if ended is None:
            return
        stream.drop_outgoing()
        if ended.origin is Origin.CLIENT_REFUSED and not stream.server_done and stream.reset_sent is None:
            self.reset(stream, ErrorCode.CANCEL)

    def stop(self, stream: StreamState, why: str) -> None:
        """End an RPC because the test wants it: what the server sent and the test did not read is dropped."""
        response = stream.response
        response.stop(Status(Code.CANCELLED, why), Origin.CLIENT_CANCEL, time.monotonic())
        if response.ended is not None and response.ended.origin is Origin.CLIENT_CANCEL:
            response.drop_unread()
        self.changed.notify_all()

    def leave(self, stream: StreamState) -> None:
        """Forget a stream; one that is still open is reset."""
        if self.closed is None and not stream.over:
            # gRPC over HTTP2, Early Server Closure: what the server ended before the half-close is reset.
            self.reset(stream, ErrorCode.NO_ERROR)
        stream.response.drop_unread()
        self.streams.forget(stream)
        self.changed.notify_all()

    def end_with_connection(self, stream: StreamState) -> None:
        """End an RPC because the connection is closed (gRPC over HTTP2, Connection failure)."""
        closed = self.closed
        if closed is None:
            return
        stream.timeline.add("server" if closed.by_server else "local", "closed", closed.reason, at=closed.at)
        stream.drop_outgoing()
        before = f" after {self.goaways[-1]}" if self.goaways else ""
        status = Status(Code.UNAVAILABLE, f"the connection is closed: {closed.reason}{before}")
        stream.response.stop(status, Origin.CONNECTION_CLOSED, closed.at)

    # The end of the connection ----------------------------------------------------------------------------------

    def take_goaway(self, goaway: Goaway) -> None:
        """Take a GOAWAY and end every RPC above its last stream (gRPC over HTTP2, GOAWAY Frame)."""
        if self.goaways and goaway.last_stream_id > self.goaways[-1].last_stream_id:
            self.report(Rule.GOAWAY_INCREASED, f"from {self.goaways[-1].last_stream_id} to {goaway.last_stream_id}")
        self.goaways.append(goaway)
        del self.goaways[1:-_GOAWAYS_KEPT]
        status = Status(Code.UNAVAILABLE, f"the server sent {goaway}")
        for stream in self.streams:
            if stream.id > goaway.last_stream_id:
                stream.drop_outgoing()
                stream.response.stop(status, Origin.GOAWAY, goaway.at)

    def lose(self, reason: str, *, by_server: bool) -> None:
        """Note that the connection is gone: every RPC on it ends with UNAVAILABLE."""
        if self.closed is not None:
            return
        self.closed = Closed(by_server, reason, time.monotonic())
        self.timeline.add("server" if by_server else "local", "closed", reason, at=self.closed.at)
        for stream in self.streams:
            self.end_with_connection(stream)
        self.send_buffer.shut_down()
        self.changed.notify_all()
