"""One HTTP/2 stream: what waits to be read, what waits to be sent, and which side has ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from wire_servers.frames import ErrorCode, Setting, StreamFault
from wire_servers.headers import Fields, Request

if TYPE_CHECKING:
    from wire_servers.call import Call
    from wire_servers.connection import Connection

_ENOUGH: Final = 65_536
"""Bytes that may wait to be sent on a stream before its RPC is held back."""


class Stream:
    """A stream that the client opened.

    Attributes:
        inbound: request bytes that wait to be read.
        outbound: messages that wait to be sent, each with its prefix.
        offset: how much of the first of them was sent.
        send_window: what the client still takes on this stream, in bytes of DATA.
        receive_window: what the client may still send.
        remote_ended: whether the client has half-closed.
        local_ended: whether the response has ended.
        received: bytes of DATA so far, without padding.
        frames: DATA frames so far that were not empty.
        queued: whether the connection is going to look at it.
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
        """Take the content of a DATA frame; ``overhead`` is what its padding took from the window.

        Raises:
            StreamFault: it is more than the window allows, or than content-length announces.
        """
        self.receive_window -= len(data) + overhead
        if self.receive_window < 0:
            raise StreamFault(self.id, ErrorCode.FLOW_CONTROL_ERROR)
        self.received += len(data)
        self.frames += bool(data)
        self._check_length(ended=False)
        if self.local_ended:
            overhead += len(data)  # nobody will read it
        else:
            self.inbound += data
        self.consumed(overhead)
        self.call.wake()

    def half_close(self) -> None:
        """The client has ended its side.

        Raises:
            StreamFault: it sent less than content-length announced.
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
        """All request bytes that wait; from now on they are read, and the client may send as many again."""
        data = bytes(self.inbound)
        self.inbound.clear()
        self.consumed(len(data))
        return data

    def consumed(self, count: int) -> None:
        """Grant the client window for bytes that do not wait any more, once it is worth a frame."""
        self._consumed += count
        if self._consumed and self._consumed >= self.connection.worth_granting() and not self.remote_ended:
            self.receive_window += self._consumed
            self.connection.send_window_update(self.id, self._consumed)
            self._consumed = 0

    # To the client ------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes of the response, as soon as the windows allow."""
        if data:
            self.outbound.append(data)
            self._waiting += len(data)
            self.connection.due(self)

    def full(self) -> bool:
        """Whether so much waits to be sent that its RPC should wait."""
        return self._waiting >= _ENOUGH

    def cut(self, limit: int) -> bytes:
        """The next bytes to be sent, up to so many: of one message only."""
        front = self.outbound[0]
        piece = front[self.offset : self.offset + limit]
        self.offset += len(piece)
        self._waiting -= len(piece)
        if self.offset == len(front):
            self.outbound.popleft()
            self.offset = 0
        return piece

    def sent(self) -> None:
        """Take note that DATA was sent."""
        if not self.full():
            self.call.wake()

    def end(self, trailers: Fields) -> None:
        """End the response once everything before is sent; ":status" among the fields makes them trailers-only."""
        self._trailers = trailers
        self.connection.due(self)

    def send_end(self) -> None:
        """Send the trailers, if it is time."""
        if self._trailers is None or self.local_ended:
            return
        self.local_ended = True
        self.connection.send_trailers(self, self.connection.fitting(self._trailers))
        self.call.sent_end()
        self.after_end()

    def after_end(self) -> None:
        """What follows the trailers."""
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
        """Forget what waits; nothing is sent any more."""
        self.local_ended = self.remote_ended = True
        self.discard()
        self.inbound.clear()
        self.call.sent_end()

    def discard(self) -> bool:
        """Forget what waits to be sent, and tell whether a message was sent in part."""
        within = self.offset > 0
        self.outbound.clear()
        self._waiting = self.offset = 0
        return within
