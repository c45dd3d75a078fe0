"""One HTTP/2 stream as a client has it: both flow-control windows, what waits to be sent, and what was received."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.clients.wire.response import ResponseState
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.fields import Headers
from pytest_grpcstream.wire.frames import Flag
from pytest_grpcstream.wire.length_prefixed import Assembler
from pytest_grpcstream.wire.records import Part, WireTimeline
from pytest_grpcstream.wire.rules import Fault, Rule, Violation, Violations

_ANY_SIZE: Final = 2**32


@dataclass(slots=True)
class Piece:
    """Something that waits to be sent on a stream: the payload of DATA frames, or trailers.

    Attributes:
        payload: the bytes for one DATA frame, or for several if the windows or the server's frame size are smaller.
        padding: bytes of padding in each of these frames, None for no PADDED flag.
        end_stream: whether the last of them has END_STREAM.
        headers: trailers in place of DATA; they end the stream.
        sent: bytes of the payload that were sent.
    """

    payload: bytes = b""
    padding: int | None = None
    end_stream: bool = False
    headers: Headers | None = None
    sent: int = 0


class StreamState:
    """One stream. Everything in it is guarded by the lock of its connection, except what only the reader touches.

    Arguments:
        stream_id: its identifier.
        timeline: where its frames are recorded.
        base: the window that the server has at the start by SETTINGS_INITIAL_WINDOW_SIZE, in bytes.
        epoch: the number of the newest SETTINGS frame that was sent before the stream was opened.
        send_window: the window that the server gives this client at the start, in bytes.
        offered: the message encodings that the request offered to take.
        limit: the largest message, and the most unread ones, that are held, in bytes.

    Attributes:
        window: bytes that the server may still send.
        given: bytes by which this client opened the window on its own, see `Connection.open_window`.
        owed: bytes that were read and not yet given back by WINDOW_UPDATE.
        holding: whether nothing is given back until the test says so.
        waiting: whether a reader waits for a message, so that even an unfinished one is given back.
        read: bytes given back by reading that are not in ``owed`` yet; only the reading thread touches it.
        outgoing: what waits to be sent.
        end_sent: whether END_STREAM was sent.
        reset_sent: the error code of this client's RST_STREAM.
        reset_mark: how many PING and SETTINGS frames had been sent before that.
        deadline: when the RPC is over, in seconds of `time.monotonic`.
    """

    def __init__(
        self,
        stream_id: int,
        timeline: WireTimeline,
        *,
        base: int,
        epoch: int,
        send_window: int,
        offered: frozenset[bytes],
        limit: int,
        report: Callable[[Rule, str, int], Violation],
    ) -> None:
        self.id = stream_id
        self.timeline = timeline
        self.epoch = epoch
        self.base = base
        self.window = base
        self.given = 0
        self.owed = 0
        self.holding = False
        self.waiting = False
        self.read = 0
        self.send_window = send_window
        self.outgoing: deque[Piece] = deque()
        self.end_sent = False
        self.reset_sent: int | None = None
        self.reset_mark = 0
        self.deadline: float | None = None
        self.violations = Violations()
        self.cursor = Assembler(_ignore, _ANY_SIZE)
        self._limit = limit
        self._tell = report
        self.reception = ResponseState(self.report, offered, limit)

    def report(self, rule: Rule, detail: str) -> None:
        """Record a violation on this stream."""
        violation = self._tell(rule, detail, self.id)
        if self.violations.add(violation):
            self.timeline.add("local", "violation", str(violation), at=violation.at)

    @property
    def threshold(self) -> int:
        """Bytes to give back at which a WINDOW_UPDATE is worth a frame: half of the window."""
        return max(1, (self.base + self.given) // 2)

    @property
    def server_done(self) -> bool:
        """Whether the server can send nothing more on the stream."""
        response = self.reception.response
        return response.ended_on is not None or response.reset_code is not None

    @property
    def over(self) -> bool:
        """Whether the stream is closed (RFC 9113, section 5.1) and no longer counts as a concurrent one."""
        response = self.reception.response
        if self.reset_sent is not None or response.reset_code is not None:
            return True
        return self.end_sent and response.ended_on is not None

    def rebase(self, base: int) -> None:
        """Apply another SETTINGS_INITIAL_WINDOW_SIZE to the window (RFC 9113, section 6.9.2)."""
        self.window += base - self.base
        self.base = base

    def data(self, flags: int, data: bytes, start: int, stop: int, at: float) -> Part | None:
        """Take the payload of a DATA frame and tell which messages it carried.

        Raises:
            Fault: it is larger than the window, its padding is wrong, or too much is unread.
        """
        length = stop - start
        self.window -= length
        reception = self.reception
        reception.response.flow_bytes += length
        if self.window < 0:
            detail = f"{length} bytes of DATA where {self.window + length} were allowed"
            raise Fault(Rule.STREAM_OVERRUN, ErrorCode.FLOW_CONTROL_ERROR, detail, self.id)
        if flags & Flag.PADDED:
            if not length or data[start] >= length:
                detail = f"DATA: {data[start] if length else 'no'} bytes of padding in a payload of {length} bytes"
                raise Fault(Rule.BAD_PADDING, ErrorCode.PROTOCOL_ERROR, detail, self.id)
            self.owed += 1 + data[start]
            start, stop = start + 1, stop - data[start]
        unread = reception.arrived
        part = reception.data(data, start, stop, bool(flags & Flag.END_STREAM), at)
        if part is None:
            self.owed += stop - start  # not part of a message: nobody will read it
        elif self.waiting:
            self.give_early()
        if reception.arrived != unread and reception.arrived - reception.taken > self._limit:
            detail = f"more than {self._limit} bytes of unread messages"
            raise Fault(Rule.FLOOD, ErrorCode.ENHANCE_YOUR_CALM, detail, self.id)
        return part

    def give_early(self) -> None:
        """Give back what there is of an unfinished message, because somebody waits for the rest of it."""
        reception = self.reception
        if reception.assembler.have > reception.early:
            self.owed += reception.assembler.have - reception.early
            reception.early = reception.assembler.have


def _ignore(flag: int, message: bytes) -> None:
    """Take a message that was sent: only its place in the stream matters."""
