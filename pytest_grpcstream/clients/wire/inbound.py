"""What a connection does with each frame of the server."""

from __future__ import annotations

from typing import Final

from pytest_grpcstream.clients.wire.state import ConnectionState, Goaway
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frames import (
    ID_MASK,
    LARGEST_WINDOW,
    Flag,
    FrameType,
    goaway_fields,
    number,
    setting_pairs,
    type_name,
)
from pytest_grpcstream.wire.records import Content, Fields, FrameRecord, shortened
from pytest_grpcstream.wire.rules import Fault, Rule

_DATA: Final = int(FrameType.DATA)
_DEBUG_KEPT: Final = 256
_GOAWAYS_KEPT: Final = 100
_SETTINGS_SHOWN: Final = 20


class Inbound:
    """Takes the frames that a `FrameReader` finds; called under the lock of the connection."""

    def __init__(self, core: ConnectionState) -> None:
        self._core = core

    # Frames of streams ------------------------------------------------------------------------------------------

    def on_data(self, stream_id: int, flags: int, data: bytes, start: int, stop: int, at: float) -> None:
        """Take a DATA frame: both windows, the message it belongs to, and whatever is to be given back."""
        core = self._core
        length = stop - start
        core.window -= length
        part = exchange = None
        window = 0
        try:
            if core.window < 0:
                detail = f"{length} bytes of DATA where {core.window + length} were allowed"
                raise Fault(Rule.CONNECTION_OVERRUN, ErrorCode.FLOW_CONTROL_ERROR, detail, stream_id)
            exchange = core.exchanges.get(stream_id) or self._find(stream_id, _DATA)
            if exchange is not None:
                if exchange.reset_sent is not None:
                    self._check_reset(exchange, _DATA)
                part = exchange.data(flags, data, start, stop, at)
                window = exchange.window
        finally:
            entry = FrameRecord(at, False, _DATA, flags, stream_id, length, window, core.window, part)
            core.timeline.record(entry)
            if exchange is not None:
                exchange.timeline.record(entry)
        if exchange is not None:
            if exchange.owed and exchange.owed >= exchange.threshold:
                core.give_back(exchange)
            if exchange.reception.ended is not None:
                core.settle(exchange)
        core.owed += length
        if core.owed >= core.given >> 1:
            core.give_back_connection()

    def on_block(
        self, kind: int, flags: int, stream_id: int, length: int, fields: Fields | None, end_stream: bool, at: float
    ) -> None:
        """Take a frame of a header block, and the block when it is complete."""
        core = self._core
        kept = None if fields is None else shortened(fields)
        entry = FrameRecord(at, False, kind, flags, stream_id, length, content=kept)
        core.record(entry, core.find(stream_id))
        exchange = core.exchanges.get(stream_id) or self._find(stream_id, kind)
        if exchange is None or fields is None:
            return
        if exchange.reset_sent is not None:
            self._check_reset(exchange, kind)
        exchange.reception.headers(fields, end_stream, at)
        core.settle(exchange)

    def _find(self, stream_id: int, kind: int) -> StreamState | None:
        exchange = self._core.find(stream_id)
        if exchange is None and self._core.is_idle(stream_id):
            raise Fault(Rule.IDLE_STREAM, ErrorCode.PROTOCOL_ERROR, type_name(kind), stream_id)
        return exchange

    def _check_reset(self, exchange: StreamState, kind: int) -> None:
        # RFC 9113, section 5.1: what was sent before the server read the RST_STREAM is no fault, and an answer to
        # something that was sent after it shows that it was read.
        if self._core.confirmed > exchange.reset_mark and not exchange.server_done:
            exchange.report(Rule.AFTER_RESET, type_name(kind))

    # Other frames -----------------------------------------------------------------------------------------------

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        """Take any other frame; types that RFC 9113 does not define are recorded and otherwise ignored."""
        content = self._content(kind, payload)
        exchange = self._core.find(stream_id) if stream_id else None
        entry = FrameRecord(at, False, kind, flags, stream_id, len(payload), content=content)
        self._core.record(entry, exchange)
        if kind == FrameType.RST_STREAM:
            self._on_reset(stream_id, number(payload), at)
        elif kind == FrameType.WINDOW_UPDATE:
            self._on_window_update(stream_id, number(payload) & ID_MASK)
        elif kind == FrameType.SETTINGS:
            self._on_settings(flags, payload)
        elif kind == FrameType.PING:
            self._on_ping(flags, payload, at)
        elif kind == FrameType.GOAWAY:
            self._on_goaway(payload, at)

    @staticmethod
    def _content(kind: int, payload: bytes) -> Content:
        if kind == FrameType.RST_STREAM:
            return number(payload)
        if kind == FrameType.WINDOW_UPDATE:
            return number(payload) & ID_MASK
        if kind == FrameType.SETTINGS:
            return tuple(setting_pairs(payload[: 6 * _SETTINGS_SHOWN]))
        if kind == FrameType.GOAWAY:
            last, code, debug = goaway_fields(payload)
            return last, code, debug[:_DEBUG_KEPT]
        return payload[:_DEBUG_KEPT]

    def _on_reset(self, stream_id: int, code: int, at: float) -> None:
        exchange = self._find(stream_id, FrameType.RST_STREAM)
        if exchange is None:
            return
        if exchange.reset_sent is not None and not exchange.server_done:
            read = self._core.confirmed > exchange.reset_mark
            detail = "the server had read this client's" if read else "it may have crossed this client's"
            exchange.report(Rule.RST_ANSWERED, detail)
        passed = exchange.deadline is not None and at >= exchange.deadline
        exchange.reception.reset(code, at, deadline_passed=passed)
        self._core.settle(exchange)

    def _on_window_update(self, stream_id: int, increment: int) -> None:
        core = self._core
        if not stream_id:
            if not increment:
                raise Fault(Rule.ZERO_INCREMENT, ErrorCode.PROTOCOL_ERROR, "on the connection")
            core.send_window += increment
            if core.send_window > LARGEST_WINDOW:
                detail = f"to {core.send_window} bytes by an increment of {increment}"
                raise Fault(Rule.WINDOW_OVERFLOW, ErrorCode.FLOW_CONTROL_ERROR, detail)
            return
        exchange = self._find(stream_id, FrameType.WINDOW_UPDATE)
        if exchange is None:
            return
        if not increment:
            exchange.report(Rule.ZERO_INCREMENT, "on the stream")
        exchange.send_window += increment
        if exchange.send_window > LARGEST_WINDOW:
            detail = f"to {exchange.send_window} bytes by an increment of {increment}"
            exchange.send_window = LARGEST_WINDOW
            exchange.report(Rule.WINDOW_OVERFLOW, detail)

    def _on_settings(self, flags: int, payload: bytes) -> None:
        core = self._core
        if flags & Flag.ACK:
            if payload:
                detail = f"{len(payload)} bytes"
                raise Fault(Rule.SETTINGS_ACK_PAYLOAD, ErrorCode.FRAME_SIZE_ERROR, detail)
            core.own.acknowledge()
            if core.settings_marks:
                core.confirmed = max(core.confirmed, core.settings_marks.popleft())
            core.rebase()
            return
        before = core.server.window
        core.server.apply(setting_pairs(payload))
        change = core.server.window - before
        for exchange in core.exchanges.values() if change else ():
            exchange.send_window += change
            if exchange.send_window > LARGEST_WINDOW:
                detail = f"to {exchange.send_window} bytes on stream {exchange.id} by SETTINGS_INITIAL_WINDOW_SIZE"
                raise Fault(Rule.WINDOW_OVERFLOW, ErrorCode.FLOW_CONTROL_ERROR, detail, exchange.id)
        if core.encoder.header_table_size != core.server.table:
            core.encoder.header_table_size = core.server.table
        if core.options.acknowledge_settings:
            self._answer(FrameType.SETTINGS, b"")

    def _on_ping(self, flags: int, payload: bytes, at: float) -> None:
        core = self._core
        if not flags & Flag.ACK:
            if core.options.answer_pings:
                self._answer(FrameType.PING, payload)
            return
        mark = core.pings.pop(payload, None)
        if mark is not None:
            core.pongs[payload] = at
            core.confirmed = max(core.confirmed, mark)

    def _answer(self, kind: int, payload: bytes) -> None:
        self._core.emit(kind, Flag.ACK, 0, payload, payload or None, answer=True)
        if self._core.outlet.full:
            detail = f"{type_name(kind)} frames whose answers it does not read"
            raise Fault(Rule.FLOOD, ErrorCode.ENHANCE_YOUR_CALM, detail)

    def _on_goaway(self, payload: bytes, at: float) -> None:
        core = self._core
        last, code, debug = goaway_fields(payload)
        if core.goaways and last > core.goaways[-1].last_stream_id:
            core.report(Rule.GOAWAY_INCREASED, f"from {core.goaways[-1].last_stream_id} to {last}")
        goaway = Goaway(last, code, debug[:_DEBUG_KEPT], at)
        core.goaways.append(goaway)
        del core.goaways[1:-_GOAWAYS_KEPT]
        core.refuse_above(goaway)
