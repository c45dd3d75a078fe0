"""The receiving half of a connection: how it handles each frame of the client."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from wire_servers.blocks import HeaderBlocks
from wire_servers.frames import (
    ACK,
    DEFAULT_WINDOW,
    END_STREAM,
    LARGEST_STREAM_ID,
    LARGEST_WINDOW,
    PREFACE,
    ConnectionFault,
    ErrorCode,
    Frame,
    FrameReader,
    Kind,
    Setting,
    StreamFault,
    settings_of,
)
from wire_servers.headers import Fields, MalformedError, request_of
from wire_servers.loop import Loop
from wire_servers.stream import Stream

if TYPE_CHECKING:
    import socket

    from wire_servers.call import Call
    from wire_servers.parts import Parts
    from wire_servers.service import Service

NOT_HTTP2: Final = "not HTTP/2"
"""The reason of the fault if a client does not begin with the preface."""
_MOST_RESET: Final = 10_000
"""Maximum number of streams that are remembered as reset by the server."""
_DRAIN_PING: Final = b"draining"
_DRAIN_PATIENCE: Final = 0.5
"""Seconds that a shutdown waits for the answer to its PING."""


class Connection(HeaderBlocks):
    """One client.

    Attributes:
        parts: the classes that the server consists of.
        service: the service that answers.
        receive_window: bytes of DATA that the client may still send on this connection.
        receive_window_of_streams: bytes of DATA that the client may send on a new stream.
        highest: the stream that the client opened last.
        last_taken: the last stream that is accepted; later ones are refused.
        settings_seen: whether the client's first SETTINGS arrived.
    """

    SETTINGS: ClassVar[dict[int, int]] = {Setting.MAX_CONCURRENT_STREAMS: 1000, Setting.MAX_HEADER_LIST_SIZE: 16_384}

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        super().__init__(loop, sock)
        self.parts = parts
        self.service = service
        self.reader = FrameReader()
        self.receive_window = DEFAULT_WINDOW
        self.receive_window_of_streams = DEFAULT_WINDOW
        self._consumed = 0
        self.highest = 0
        self.last_taken = LARGEST_STREAM_ID
        self._preface = PREFACE
        self.settings_seen = False
        self._reset: dict[int, None] = {}
        self._awake: deque[Call] = deque()
        self._draining = False
        self.send_settings(self.SETTINGS)
        self.settle()

    # Work -----------------------------------------------------------------------------------------------------------

    def wake(self, call: Call) -> None:
        """Note that an RPC can continue."""
        self._awake.append(call)

    def busy(self) -> bool:
        """Whether there is more to do."""
        return bool(self._awake) or super().busy()

    def work(self) -> None:
        """Let the RPCs continue, and send what they have."""
        for _ in range(len(self._awake)):
            self._awake.popleft().resume()
        self.pump()
        if self._draining and self.last_taken < LARGEST_STREAM_ID and not self.streams:
            self.close()

    def lost(self) -> None:
        """The client went away; end its RPCs."""
        for stream in list(self.streams.values()):
            stream.call.gone()
        self.streams.clear()

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection."""
        self.lost()
        self.send_goaway(self.highest, fault.code, fault.reason)
        self.close()

    def drain(self) -> None:
        """Refuse new streams, and close when the open ones have ended: RFC 9113, section 6.8."""
        if not self._draining:
            self._draining = True
            self.send_goaway(LARGEST_STREAM_ID, ErrorCode.NO_ERROR)
            self.send_ping(_DRAIN_PING, ack=False)
            self.loop.after(_DRAIN_PATIENCE, self.drained)
            self.settle()

    def drained(self) -> None:
        """Announce the last accepted stream."""
        if self.open and self.last_taken == LARGEST_STREAM_ID:
            self.retire()

    def retire(self) -> None:
        """Refuse streams after the open ones."""
        self._draining = True
        self.last_taken = self.highest
        self.send_goaway(self.last_taken, ErrorCode.NO_ERROR)
        self.settle()

    # Streams --------------------------------------------------------------------------------------------------------

    def forget_closed(self, stream: Stream) -> None:
        """Forget a stream that has ended on both sides."""
        if stream.local_ended and stream.remote_ended:
            self.streams.pop(stream.id, None)

    def forget_reset(self, stream: Stream) -> None:
        """Forget a stream that the server reset; frames of the client may still be in flight."""
        self.streams.pop(stream.id, None)
        self.note_reset(stream.id)

    def note_reset(self, stream_id: int) -> None:
        """Remember a stream that the server reset; the oldest are forgotten."""
        self._reset[stream_id] = None
        if len(self._reset) > _MOST_RESET:
            del self._reset[next(iter(self._reset))]

    def stream(self, stream_id: int) -> Stream | None:
        """Return an existing stream, or None if it is closed.

        Raises:
            ConnectionFault: the stream is idle, or cannot be the client's: RFC 9113, section 5.1.
        """
        if stream_id > self.highest or stream_id % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a frame on idle stream {stream_id}")
        return self.streams.get(stream_id)

    def refuse(self, fault: StreamFault) -> None:
        """End a stream on which the client broke the protocol."""
        stream = self.streams.get(fault.stream_id)
        if stream is None:
            self.send_reset(fault.stream_id, fault.code)
            self.note_reset(fault.stream_id)
        else:
            stream.call.gone()
            stream.reset(fault.code)

    # Frames ---------------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Read frames and handle them."""
        self.reader.feed(data)
        try:
            if self._preface:
                self._read_preface()
            while not self._preface and not self.closing and (frame := self.reader.next()) is not None:
                self.on_frame(frame)
        except ConnectionFault as fault:
            self.fail(fault)

    def _read_preface(self) -> None:
        start = self.reader.take(len(self._preface))
        if not self._preface.startswith(start):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, NOT_HTTP2)
        self._preface = self._preface[len(start) :]

    def on_frame(self, frame: Frame) -> None:
        """Handle a frame."""
        if not self.settings_seen and (frame.kind != Kind.SETTINGS or frame.has(ACK)):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self.settings_seen = True
        self.check_order(frame)
        try:
            self.dispatch(frame)
        except StreamFault as fault:
            self.refuse(fault)

    def dispatch(self, frame: Frame) -> None:
        """Pass a frame to the handler of its type; ignore an unknown one: RFC 9113, section 5.5."""
        match frame.kind:
            case Kind.DATA:
                self.on_data(frame)
            case Kind.HEADERS | Kind.CONTINUATION:
                self.on_header_block(frame)
            case Kind.PRIORITY:
                self.on_priority(frame)
            case Kind.RST_STREAM:
                self.on_reset(frame)
            case Kind.SETTINGS:
                self.on_settings(frame)
            case Kind.PUSH_PROMISE:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client cannot push")
            case Kind.PING:
                self.on_ping(frame)
            case Kind.GOAWAY:
                self.on_goaway(frame)
            case Kind.WINDOW_UPDATE:
                self.on_window_update(frame)
            case _:
                self.on_unknown(frame)

    def on_unknown(self, frame: Frame) -> None:
        """Ignore a frame of unknown type."""

    def on_data(self, frame: Frame) -> None:
        """DATA: it always counts against the connection's window: RFC 9113, section 6.9."""
        stream = self.stream(frame.stream_id)
        size = len(frame.payload)
        self.receive_window -= size
        if self.receive_window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        content = frame.content()
        self.consumed(size)
        if stream is None:
            self.on_late_data(frame)
            return
        self.check_open(stream)
        self.deliver(stream, frame, content)

    def check_open(self, stream: Stream) -> None:
        """Check whether DATA may come on a stream.

        Raises:
            StreamFault: the client has already ended it.
        """
        if stream.remote_ended:
            raise StreamFault(stream.id, ErrorCode.STREAM_CLOSED)

    def on_late_data(self, frame: Frame) -> None:
        """DATA on a closed stream: an error unless the server reset it; its window is returned."""
        if frame.stream_id not in self._reset:
            raise StreamFault(frame.stream_id, ErrorCode.STREAM_CLOSED)

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Pass on the content of DATA, and its half-close if it has END_STREAM."""
        stream.receive(content, len(frame.payload) - len(content))
        if frame.has(END_STREAM):
            stream.half_close()

    def on_headers(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """A request, or its trailers."""
        if stream_id > self.highest:
            self.highest = stream_id
            self.on_request(stream_id, fields, end_stream=end_stream)
            return
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.on_request_trailers(stream, fields, end_stream=end_stream)
        elif stream_id not in self._reset:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on closed stream {stream_id}")

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Open a stream."""
        if stream_id > self.last_taken or self.too_many():
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM)
        try:
            request = request_of(fields)
        except MalformedError as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR) from error
        stream = self.streams[stream_id] = self.parts.stream(self, stream_id, request)
        if end_stream:
            self.on_request_without_data(stream)
        stream.call.begin()

    def too_many(self) -> bool:
        """Whether new streams are refused at present."""
        return len(self.streams) >= self.SETTINGS[Setting.MAX_CONCURRENT_STREAMS]

    def on_request_without_data(self, stream: Stream) -> None:
        """HEADERS with END_STREAM: the request half-closes at once."""
        stream.half_close()

    def on_request_trailers(self, stream: Stream, fields: Fields, *, end_stream: bool) -> None:
        """Trailers of a request: a half-close; their fields are ignored."""
        if stream.remote_ended:
            raise StreamFault(stream.id, ErrorCode.STREAM_CLOSED)
        if not end_stream or any(name.startswith(b":") for name, _ in fields):
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR)
        stream.half_close()

    def on_priority(self, frame: Frame) -> None:
        """PRIORITY: checked, without effect."""
        if not frame.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(frame.payload) != 5:
            raise StreamFault(frame.stream_id, ErrorCode.FRAME_SIZE_ERROR)

    def on_reset(self, frame: Frame) -> None:
        """RST_STREAM: the RPC is cancelled, whatever the code."""
        if len(frame.payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"RST_STREAM of {len(frame.payload)} bytes")
        stream = self.stream(frame.stream_id)
        if stream is not None:
            stream.call.gone()
            stream.drop()
            self.forget_closed(stream)

    def on_settings(self, frame: Frame) -> None:
        """SETTINGS: applied and acknowledged at once."""
        if frame.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"SETTINGS on stream {frame.stream_id}")
        if frame.has(ACK):
            self.on_settings_ack(frame)
            return
        for key, value in settings_of(frame.payload):
            self.apply_setting(key, value)
        self.send_settings_ack()

    def on_settings_ack(self, frame: Frame) -> None:
        """The client has applied our settings: its new streams begin with our window, and open ones are adjusted."""
        if frame.payload:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with a payload")
        window = self.SETTINGS.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        change, self.receive_window_of_streams = window - self.receive_window_of_streams, window
        for stream in self.streams.values():
            stream.receive_window += change

    def on_ping(self, frame: Frame) -> None:
        """PING: answered with the same eight bytes."""
        if frame.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"PING on stream {frame.stream_id}")
        if len(frame.payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"PING of {len(frame.payload)} bytes")
        if not frame.has(ACK):
            self.send_ping(frame.payload, ack=True)
        elif frame.payload == _DRAIN_PING:
            self.drained()

    def on_goaway(self, frame: Frame) -> None:
        """GOAWAY: it refers to streams of the server, of which there are none."""
        if frame.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"GOAWAY on stream {frame.stream_id}")
        if len(frame.payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"GOAWAY of {len(frame.payload)} bytes")

    def on_window_update(self, frame: Frame) -> None:
        """WINDOW_UPDATE: more may be sent."""
        if len(frame.payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(frame.payload)} bytes")
        increment = struct.unpack(">I", frame.payload)[0] & LARGEST_WINDOW
        if not frame.stream_id:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self.widen(increment)
            return
        stream = self.stream(frame.stream_id)
        if stream is not None:
            if not increment:
                raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR)
            self.widen_stream(stream, increment)

    # Windows that this side grants ------------------------------------------------------------------------------------

    def consumed(self, count: int) -> None:
        """Replenish the connection window once it is worth a frame.

        The connection's window does not wait for the RPCs, so one that does not read never blocks the others.
        """
        self._consumed += count
        if self._consumed >= DEFAULT_WINDOW // 2:
            self.receive_window += self._consumed
            self.send_window_update(0, self._consumed)
            self._consumed = 0

    def worth_granting(self) -> int:
        """The number of bytes from which a stream's window is replenished."""
        return self.receive_window_of_streams // 2
