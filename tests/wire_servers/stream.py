"""One HTTP/2 stream: bytes to be read, messages to be sent, and which side has ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from wire_servers.frames import ErrorCode, Setting, StreamFault
from wire_servers.headers import Fields, Request

if TYPE_CHECKING:
    from wire_servers.call import Call
    from wire_servers.connection import Connection

_ENOUGH: Final = 65_536
"""Bytes that may wait to be sent on a stream before its RPC must wait."""


class Stream:
    """A stream that the client opened.

    Attributes:
        inbound: request bytes that wait to be read.
        outbound: messages that wait to be sent, each with its prefix.
        offset: bytes of the first message that were already sent.
        send_window: bytes of DATA that the client still accepts on this stream.
        receive_window: bytes of DATA that the client may still send.
        remote_ended: whether the client has half-closed.
        local_ended: whether the response has ended.
        received: bytes of DATA so far, without padding.
        frames: non-empty DATA frames so far.
        queued: whether the connection is going to visit it.
    """

    RESET_AFTER_EARLY_END: ClassVar = True
    """Whether RST_STREAM(NO_ERROR) follows a response that ends before the request does: RFC 9113, section 8.1."""

    def __init__(self, connection: Connection, stream_id: int, request: Request) -> None:
        self.id = stream_id
        self.connection = connection
        self.outbound: deque[bytes] = deque()
        self.send_window = connection.client[Setting.INITIAL_WINDOW_SIZE]
        self.receive_window = connection.receive_window_of_streams
        self.remote_ended = False
        self.local_ended = False
        self.queued = False
        self.call: Call = connection.parts.call(self, request)
        self.inbound = bytearray()
        self._consumed = 0
        self.offset = 0
        self._waiting = 0
        self._trailers: Fields | None = None
        self._announced = request.first(b"content-length")
        self.received = 0
        self.frames = 0

    # From the client ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes, overhead: int) -> None:
        """Accept the content of a DATA frame; ``overhead`` is the size of its padding.

        Raises:
            StreamFault: it exceeds the window or the content-length.
        """
        self.receive_window -= len(data) + overhead
        if self.receive_window < 0:
            raise StreamFault(self.id, ErrorCode.FLOW_CONTROL_ERROR)
        self.received += len(data)
        self.frames += bool(data)
        self._check_length(ended=False)
        if self.local_ended:
            overhead += len(data)  # the handler will not read it
        else:
            self.inbound += data
        self.consumed(overhead)
        self.call.wake()

    def half_close(self) -> None:
        """The client has half-closed.

        Raises:
            StreamFault: it sent less than its content-length.
        """
        self.remote_ended = True
        self._check_length(ended=True)
        self.call.wake()
        self.connection.forget_closed(self)

    def _check_length(self, *, ended: bool) -> None:
        if self._announced is None:
            return
        if not self._announced.isdigit() or self.received > int(self._announced):
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR)
        if ended and self.received < int(self._announced):
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR)

    def take(self) -> bytes:
        """Take all request bytes that wait, and allow the client to send as many again."""
        data = bytes(self.inbound)
        self.inbound.clear()
        self.consumed(len(data))
        return data

    def consumed(self, count: int) -> None:
        """Replenish the client's window for bytes that were read, once it is worth a frame."""
        self._consumed += count
        if self._consumed and self._consumed >= self.connection.worth_granting() and not self.remote_ended:
            self.receive_window += self._consumed
            self.connection.send_window_update(self.id, self._consumed)
            self._consumed = 0

    # To the client ------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue bytes of the response; they are sent as the windows allow."""
        if data:
            self.outbound.append(data)
            self._waiting += len(data)
            self.connection.due(self)

    def full(self) -> bool:
        """Whether so much is queued that the RPC should wait."""
        return self._waiting >= _ENOUGH

    def cut(self, limit: int) -> bytes:
        """The next bytes to send, up to ``limit``, all of one message."""
        front = self.outbound[0]
        piece = front[self.offset : self.offset + limit]
        self.offset += len(piece)
        self._waiting -= len(piece)
        if self.offset == len(front):
            self.outbound.popleft()
            self.offset = 0
        return piece

    def sent(self) -> None:
        """Note that DATA was sent."""
        if not self.full():
            self.call.wake()

    def end(self, trailers: Fields) -> None:
        """End the response once everything queued is sent; ":status" among the fields makes it trailers-only."""
        self._trailers = trailers
        self.connection.due(self)

    def send_end(self) -> None:
        """Send the trailers if everything before them is sent."""
        if self._trailers is None or self.local_ended:
            return
        self.local_ended = True
        self.connection.send_trailers(self, self.connection.fitting(self._trailers))
        self.call.sent_end()
        self.after_end()

    def after_end(self) -> None:
        """Send what follows the trailers."""
        self.inbound.clear()
        if self.remote_ended:
            self.connection.forget_closed(self)
        elif self.RESET_AFTER_EARLY_END:
            self.reset(ErrorCode.NO_ERROR)

    def reset(self, code: ErrorCode) -> None:
        """End both sides with RST_STREAM."""
        self.drop()
        self.connection.send_reset(self.id, code)
        self.connection.forget_reset(self)

    def drop(self) -> None:
        """Discard what waits; nothing more is sent."""
        self.local_ended = self.remote_ended = True
        self.discard()
        self.inbound.clear()
        self.call.sent_end()

    def discard(self) -> bool:
        """Discard what waits to be sent, and return whether a message was sent in part."""
        within = self.offset > 0
        self.outbound.clear()
        self._waiting = self.offset = 0
        return within
