"""Mutants that handle connection frames wrongly: SETTINGS, PING, and what must be ignored."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar

from wire_mutants.base import Mutant
from wire_servers.connection import Connection
from wire_servers.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PRIORITY,
    ConnectionFault,
    ErrorCode,
    Frame,
    Kind,
    Setting,
    StreamFault,
)

if TYPE_CHECKING:
    import socket

    from wire_servers.loop import Loop
    from wire_servers.parts import Parts
    from wire_servers.service import Service


class PingUnanswered(Mutant, Connection):
    """PING is not answered."""

    killed_by = "CONN-1"

    def on_ping(self, frame: Frame) -> None:
        """Do nothing."""


class PingAnsweredWrongly(Mutant, Connection):
    """PING is answered with other bytes."""

    killed_by = "CONN-1"

    def send_ping(self, payload: bytes, *, ack: bool) -> None:
        """Answer with the bytes reversed."""
        super().send_ping(payload[::-1] if ack else payload, ack=ack)


class PingAnsweredLate(Mutant, Connection):
    """PING is answered only when no RPC is open."""

    killed_by = "CONN-1"

    def on_ping(self, frame: Frame) -> None:
        """Answer if no RPC is open."""
        if not self.streams:
            super().on_ping(frame)


class PingAckAnswered(Mutant, Connection):
    """PING with ACK is answered as well."""

    killed_by = "CONN-2"

    def on_ping(self, frame: Frame) -> None:
        """Answer every PING."""
        self.send_ping(frame.payload, ack=True)


class SettingsNotAcknowledged(Mutant, Connection):
    """SETTINGS are not acknowledged."""

    killed_by = "H2-4"

    def send_settings_ack(self) -> None:
        """Do nothing."""


class SettingsAcknowledgedOnce(Mutant, Connection):
    """Only the first SETTINGS are acknowledged."""

    killed_by = "H2-4"
    acknowledged = False

    def send_settings_ack(self) -> None:
        """Acknowledge the first one only."""
        if not self.acknowledged:
            self.acknowledged = True
            super().send_settings_ack()


class SettingsAckWithPayload(Mutant, Connection):
    """Every acknowledgement of SETTINGS but the first has a payload."""

    killed_by = "H2-4"
    acknowledged = False

    def send_settings_ack(self) -> None:
        """Acknowledge; with a payload from the second on."""
        self.emit(Frame(Kind.SETTINGS, ACK, 0, bytes(6) if self.acknowledged else b""))
        self.acknowledged = True


class UnknownFrameKills(Mutant, Connection):
    """A frame of an unknown type ends the connection."""

    killed_by = "H2-6"

    def on_unknown(self, frame: Frame) -> None:
        """Reject an unknown type."""
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a frame of type {frame.kind}")


class UnknownSettingKills(Mutant, Connection):
    """An unknown setting ends the connection, except the experimental ones that grpcio sends."""

    killed_by = "H2-5"

    def apply_setting(self, key: int, value: int) -> None:
        """Reject an unknown setting."""
        if key not in set(Setting) and key < 0xF000:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"setting {key}")
        super().apply_setting(key, value)


class UndefinedFlagKills(Mutant, Connection):
    """A flag that is not defined for its frame type ends the stream."""

    killed_by = "H2-7"

    def dispatch(self, frame: Frame) -> None:
        """Reject an undefined flag."""
        defined = {Kind.DATA: END_STREAM | PADDED, Kind.HEADERS: END_STREAM | END_HEADERS | PADDED | PRIORITY}
        if frame.flags & ~defined.get(Kind(frame.kind) if frame.kind in set(Kind) else Kind.PING, 0xFF):
            raise StreamFault(frame.stream_id, ErrorCode.PROTOCOL_ERROR)
        super().dispatch(frame)


class PriorityKills(Mutant, Connection):
    """PRIORITY ends the connection."""

    killed_by = "H2-27"

    def on_priority(self, frame: Frame) -> None:
        """Reject PRIORITY."""
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY")


class PriorityInHeadersMisread(Mutant, Connection):
    """The PRIORITY and PADDED flags of HEADERS are ignored."""

    killed_by = "H2-9"

    def on_header_block(self, frame: Frame) -> None:
        """Read the whole payload as a header block."""
        known = END_STREAM | END_HEADERS
        super().on_header_block(frame._replace(flags=frame.flags & known) if frame.kind == Kind.HEADERS else frame)


class NoContinuation(Mutant, Connection):
    """CONTINUATION is not supported."""

    killed_by = "META-12"

    def on_header_block(self, frame: Frame) -> None:
        """Reject a header block in several frames."""
        if not frame.has(END_HEADERS):
            raise ConnectionFault(ErrorCode.INTERNAL_ERROR, "a header block in several frames")
        super().on_header_block(frame)


class LateWindowUpdateKills(Mutant, Connection):
    """WINDOW_UPDATE for a stream that has ended ends the connection."""

    killed_by = "H2-26"

    def on_window_update(self, frame: Frame) -> None:
        """Treat an ended stream as an error."""
        if frame.stream_id and self.stream(frame.stream_id) is None:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "WINDOW_UPDATE on a closed stream")
        super().on_window_update(frame)


class LateDataKills(Mutant, Connection):
    """DATA for a stream that has ended on both sides ends the connection."""

    killed_by = "H2-26"
    warned = True

    def on_late_data(self, frame: Frame) -> None:
        """Reject it with a connection error, although RFC 9113 allows a stream error."""
        raise ConnectionFault(ErrorCode.STREAM_CLOSED, "DATA on a closed stream")


class RefusesHighStreamIds(Mutant, Connection):
    """Streams with an identifier above 2^30 are refused."""

    killed_by = "CONN-14"

    def check_id(self, stream_id: int) -> None:
        """Compare the identifier with a limit that is too low."""
        super().check_id(stream_id)
        if stream_id >= 2**30:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id}")


class StopsAfterManyStreams(Mutant, Connection):
    """A connection accepts two hundred streams and no more."""

    killed_by = "CONN-13"
    taken = 0

    def too_many(self) -> bool:
        """Whether the connection has reached its limit."""
        self.taken += 1
        return self.taken > 200 or super().too_many()


class IdleConnectionsClosed(Mutant, Connection):
    """A connection without streams for two seconds is closed without GOAWAY."""

    killed_by = "CONN-9"
    stress = True
    checks = 0

    def work(self) -> None:
        """Read, and check for idleness later."""
        super().work()
        self.checks += 1
        now = self.checks
        self.loop.after(2.0, lambda: self.close_if_idle(now))

    def close_if_idle(self, then: int) -> None:
        """Close if nothing has happened since."""
        if self.checks == then and not self.streams:
            self.drop()


class ExitsWhenAnRpcIsLeft(Mutant, Connection):
    """The process exits when a connection with an open RPC is lost."""

    killed_by = "CONN-12"
    also = frozenset({"CANCEL-10", "ROBUST-3"})  # some of their connections have an open RPC

    def _gone(self) -> None:
        """Exit if an RPC is still open."""
        if self.streams:
            os._exit(134)
        super()._gone()


class DisconnectedClientsAreLockedOut(Mutant, Connection):
    """For two seconds after a client disconnects with an open RPC, new connections are closed at once."""

    killed_by = "CONN-12"
    also = frozenset({"CANCEL-10", "ROBUST-3"})  # some of their connections have an open RPC
    until: ClassVar[float] = 0.0

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        super().__init__(loop, sock, parts, service)
        if time.monotonic() < self.until:
            self.drop()

    def _gone(self) -> None:
        """Lock clients out if an RPC is still open."""
        if self.streams:
            DisconnectedClientsAreLockedOut.until = time.monotonic() + 2.0
        super()._gone()
