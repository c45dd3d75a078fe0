"""Handles each frame that the server sends."""

from __future__ import annotations

from typing import Final

from pytest_grpcstream.clients.wire.state import ConnectionState, Goaway
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frames import (
    ID_MASK,
    Flag,
    FrameType,
    goaway_fields,
    number,
    setting_pairs,
    type_name,
)
from pytest_grpcstream.wire.records import Content, Fields, FrameRecord, shorten
from pytest_grpcstream.wire.rules import Fault, Rule

_DATA: Final = int(FrameType.DATA)
_DEBUG_KEPT: Final = 256
_SETTINGS_SHOWN: Final = 20


class Inbound:
    """Takes the frames that a `FrameReader` finds. Every method is called under the lock of the connection."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        # What every DATA frame needs is looked up once.
        self._window = state.window
        self._streams = state.streams
        self._timeline = state.timeline

    # Frames of streams ------------------------------------------------------------------------------------------

    def on_data(self, stream_id: int, flags: int, data: bytes, start: int, stop: int, at: float) -> None:
        """Take a DATA frame: count it in both windows, hand it to its stream, and give back what is due."""
        state, window = self._state, self._window
        length = stop - start
        part = stream = None
        stream_window = 0
        try:
            if not window.consume(length):
                detail = f"{length} bytes of DATA where {window.remaining + length} were allowed"
                raise Fault(Rule.CONNECTION_OVERRUN, ErrorCode.FLOW_CONTROL_ERROR, detail, stream_id)
            stream = self._streams.get(stream_id) or self._find(stream_id, _DATA)
            if stream is not None:
                if stream.reset_sent is not None:
                    self._check_reset(stream, _DATA)
                part = stream.take_data(flags, data, start, stop, at)
                stream_window = stream.window.remaining
        finally:
            entry = FrameRecord(at, False, _DATA, flags, stream_id, length, stream_window, window.remaining, part)
            self._timeline.record(entry)
            if stream is not None:
                stream.timeline.record(entry)
        if stream is not None:
            if stream.window.owed >= stream.window.threshold:
                state.give_back(stream)
            if stream.response.ended is not None:
                state.settle(stream)
        if window.credit(length):
            state.give_back_connection()

    def on_block(
        self, kind: int, flags: int, stream_id: int, length: int, fields: Fields | None, end_stream: bool, at: float
    ) -> None:
        """Take a frame of a header block, and the block when it is complete."""
        state = self._state
        kept = None if fields is None else shorten(fields)
        entry = FrameRecord(at, False, kind, flags, stream_id, length, content=kept)
        state.record(entry, self._streams.find(stream_id))
        stream = self._find(stream_id, kind)
        if stream is None or fields is None:
            return
        if stream.reset_sent is not None:
            self._check_reset(stream, kind)
        stream.response.take_headers(fields, end_stream, at)
        state.settle(stream)

    def _find(self, stream_id: int, kind: int) -> StreamState | None:
        stream = self._streams.find(stream_id)
        if stream is None and self._streams.is_idle(stream_id):
            raise Fault(Rule.IDLE_STREAM, ErrorCode.PROTOCOL_ERROR, type_name(kind), stream_id)
        return stream

    def _check_reset(self, stream: StreamState, kind: int) -> None:
        # RFC 9113, section 5.1: what the server sent before it read the RST_STREAM is not a fault. An answer to
        # something that was sent after the RST_STREAM proves that it was read.
        if self._state.barrier.has_passed(stream.reset_mark) and not stream.server_done:
            stream.report(Rule.AFTER_RESET, type_name(kind))

    # Other frames -----------------------------------------------------------------------------------------------

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        """Take any other frame; types that RFC 9113 does not define are recorded and otherwise ignored."""
        content = self._content(kind, payload)
        stream = self._streams.find(stream_id) if stream_id else None
        entry = FrameRecord(at, False, kind, flags, stream_id, len(payload), content=content)
        self._state.record(entry, stream)
        if kind == FrameType.RST_STREAM:
            self._on_reset(stream_id, number(payload), at)
        elif kind == FrameType.WINDOW_UPDATE:
            self._on_window_update(stream_id, number(payload) & ID_MASK)
        elif kind == FrameType.SETTINGS:
            self._on_settings(flags, payload)
        elif kind == FrameType.PING:
            self._on_ping(flags, payload, at)
        elif kind == FrameType.GOAWAY:
            last, code, debug = goaway_fields(payload)
            self._state.take_goaway(Goaway(last, code, debug[:_DEBUG_KEPT], at))

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
        stream = self._find(stream_id, FrameType.RST_STREAM)
        if stream is None:
            return
        if stream.reset_sent is not None and not stream.server_done:
            read = self._state.barrier.has_passed(stream.reset_mark)
            detail = "the server had read this client's" if read else "it may have crossed this client's"
            stream.report(Rule.RST_ANSWERED, detail)
        passed = stream.deadline is not None and at >= stream.deadline
        stream.response.take_reset(code, at, deadline_passed=passed)
        self._state.settle(stream)

    def _on_window_update(self, stream_id: int, increment: int) -> None:
        if not stream_id:
            self._on_connection_update(increment)
            return
        stream = self._find(stream_id, FrameType.WINDOW_UPDATE)
        if stream is None:
            return
        if not increment:
            stream.report(Rule.ZERO_INCREMENT, "on the stream")
        if not stream.send_window.open(increment):
            detail = f"to {stream.send_window.remaining} bytes by an increment of {increment}"
            stream.send_window.clamp()
            stream.report(Rule.WINDOW_OVERFLOW, detail)

    def _on_connection_update(self, increment: int) -> None:
        window = self._state.send_window
        if not increment:
            raise Fault(Rule.ZERO_INCREMENT, ErrorCode.PROTOCOL_ERROR, "on the connection")
        if not window.open(increment):
            detail = f"to {window.remaining} bytes by an increment of {increment}"
            raise Fault(Rule.WINDOW_OVERFLOW, ErrorCode.FLOW_CONTROL_ERROR, detail)

    def _on_settings(self, flags: int, payload: bytes) -> None:
        if not flags & Flag.ACK:
            self._state.take_settings(setting_pairs(payload))
        elif payload:
            raise Fault(Rule.SETTINGS_ACK_PAYLOAD, ErrorCode.FRAME_SIZE_ERROR, f"{len(payload)} bytes")
        else:
            self._state.take_settings_ack()

    def _on_ping(self, flags: int, payload: bytes, at: float) -> None:
        if flags & Flag.ACK:
            self._state.barrier.answer_ping(payload, at)
        elif self._state.options.answer_pings:
            self._state.answer(FrameType.PING, payload)
