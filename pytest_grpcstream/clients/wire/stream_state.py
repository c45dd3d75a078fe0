"""One HTTP/2 stream from the client's side: both windows, what waits to be sent, and the response."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.clients.wire.response import ResponseState
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import Flag
from pytest_grpcstream.wire.length_prefixed import Assembler
from pytest_grpcstream.wire.records import Part, WireTimeline
from pytest_grpcstream.wire.rules import Fault, Rule, Violation, Violations
from pytest_grpcstream.wire.windows import ReceiveWindow, SendWindow

_ANY_SIZE: Final = 2**32


@dataclass(slots=True)
class Piece:
    """Something that waits to be sent on a stream: the payload of DATA frames, or trailers.

    Attributes:
        payload: the bytes for one DATA frame, or for several if the windows or the server's frame size are smaller.
        padding: bytes of padding in each of these frames, None for no PADDED flag.
        end_stream: whether the last of them has END_STREAM.
        headers: trailers instead of DATA; they end the stream.
        sent: bytes of the payload that were sent.
    """

    payload: bytes = b""
    padding: int | None = None
    end_stream: bool = False
    headers: Headers | None = None
    sent: int = 0


class StreamState:
    """One stream. The lock of its connection guards it, except where a method says otherwise.

    Arguments:
        stream_id: its identifier.
        timeline: where its frames are recorded.
        settings_number: the number of the newest SETTINGS frame that was sent before the stream was opened.
        window: what the server may send.
        send_window: what this client may send.
        offered: the message encodings that the request offered.
        limit: the largest message, and the most unread ones, that are kept, in bytes.
        report: records a violation on the connection.

    Attributes:
        outgoing: what waits to be sent.
        end_sent: whether END_STREAM was sent.
        reset_sent: the error code of this client's RST_STREAM.
        reset_mark: the newest mark of the connection's `Barrier` at that time.
        deadline: when the RPC is over, in seconds of `time.monotonic`.
        violations: the rules that the server broke on the stream.
        response: the receiving half.
    """

    def __init__(
        self,
        stream_id: int,
        timeline: WireTimeline,
        *,
        settings_number: int,
        window: ReceiveWindow,
        send_window: SendWindow,
        offered: frozenset[bytes],
        limit: int,
        report: Callable[[Rule, str, int], Violation],
    ) -> None:
        self.id = stream_id
        self.timeline = timeline
        self.settings_number = settings_number
        self.window = window
        self.send_window = send_window
        self.outgoing: deque[Piece] = deque()
        self.end_sent = False
        self.reset_sent: int | None = None
        self.reset_mark = 0
        self.deadline: float | None = None
        self.violations = Violations()
        self.response = ResponseState(self.report, offered, limit)
        self._reader_waits = False
        self._sent_messages = Assembler(_ignore, _ANY_SIZE)
        self._limit = limit
        self._report = report

    def report(self, rule: Rule, detail: str) -> None:
        """Record a violation on this stream and on its connection."""
        violation = self._report(rule, detail, self.id)
        if self.violations.add(violation):
            self.timeline.add("local", "violation", str(violation), at=violation.at)

    @property
    def server_done(self) -> bool:
        """Whether the server can send nothing more on the stream."""
        raw = self.response.raw
        return raw.ended_on is not None or raw.reset_code is not None

    @property
    def over(self) -> bool:
        """Whether the stream is closed (RFC 9113, section 5.1) and no longer counts as a concurrent one."""
        raw = self.response.raw
        if self.reset_sent is not None or raw.reset_code is not None:
            return True
        return self.end_sent and raw.ended_on is not None

    def set_deadline(self, when: float) -> None:
        """Note when the RPC is over, in seconds of `time.monotonic`."""
        self.deadline = when

    # Receiving --------------------------------------------------------------------------------------------------

    def take_data(self, flags: int, data: bytes, start: int, stop: int, at: float) -> Part | None:
        """Take the payload of a DATA frame and return which messages it carried.

        Raises:
            Fault: it is larger than the window, its padding is wrong, or too much is unread.
        """
        length = stop - start
        response = self.response
        response.raw.flow_bytes += length
        window = self.window
        if not window.consume(length):
            detail = f"{length} bytes of DATA where {window.remaining + length} were allowed"
            raise Fault(Rule.STREAM_OVERRUN, ErrorCode.FLOW_CONTROL_ERROR, detail, self.id)
        if flags & Flag.PADDED:
            if not length or data[start] >= length:
                detail = f"DATA: {data[start] if length else 'no'} bytes of padding in a payload of {length} bytes"
                raise Fault(Rule.BAD_PADDING, ErrorCode.PROTOCOL_ERROR, detail, self.id)
            window.credit(1 + data[start])
            start, stop = start + 1, stop - data[start]
        unread = response.arrived
        part = response.take_data(data, start, stop, bool(flags & Flag.END_STREAM), at)
        if part is None:
            window.credit(stop - start)  # not part of a message, so it is never read
        elif self._reader_waits:
            self._credit_unfinished()
        if response.arrived != unread and response.arrived - response.taken > self._limit:
            detail = f"more than {self._limit} bytes of unread messages"
            raise Fault(Rule.FLOOD, ErrorCode.ENHANCE_YOUR_CALM, detail, self.id)
        return part

    def begin_wait(self) -> None:
        """Note that a reader waits: it wants all of the next message, even one that is larger than the window."""
        self._reader_waits = True
        self._credit_unfinished()

    def end_wait(self) -> None:
        """Note that the reader waits no more."""
        self._reader_waits = False

    def _credit_unfinished(self) -> None:
        self.window.credit(self.response.take_unfinished())

    # Sending ----------------------------------------------------------------------------------------------------

    def queue(self, pieces: Sequence[Piece]) -> None:
        """Let pieces wait to be sent."""
        self.outgoing.extend(pieces)

    def finish_piece(self) -> None:
        """Note that the first of the pieces was sent completely."""
        self.outgoing.popleft()

    def drop_outgoing(self) -> None:
        """Send nothing of what waits."""
        self.outgoing.clear()

    def note_data(self, chunk: bytes, length: int, *, end_stream: bool) -> Part | None:
        """Note that a DATA frame was sent: its data, and its length with padding; return which messages it carried."""
        self.send_window.consume(length)
        self.note_end(end_stream)
        return self._sent_messages.feed(chunk, 0, len(chunk))

    def note_end(self, end_stream: bool) -> None:
        """Note that a frame was sent, with or without END_STREAM."""
        self.end_sent = self.end_sent or end_stream

    def note_reset(self, code: int, mark: int) -> None:
        """Note that RST_STREAM was sent after a mark of the connection's `Barrier`."""
        self.reset_sent = code
        self.reset_mark = mark


def _ignore(flag: int, message: bytes) -> None:
    """Ignore a message that was sent: only its place in the stream matters."""
