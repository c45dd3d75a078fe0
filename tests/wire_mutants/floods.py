"""Mutants that a client can crash or stall by excess or by slowness."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar

from wire_mutants.base import Mutant
from wire_servers.connection import Connection
from wire_servers.frames import ConnectionFault, ErrorCode, Frame, Kind, StreamFault
from wire_servers.headers import Fields
from wire_servers.loop import Loop
from wire_servers.parts import Parts
from wire_servers.service import Service
from wire_servers.stream import Stream

if TYPE_CHECKING:
    import socket

# Floods -----------------------------------------------------------------------------------------------------------


class ResetStreamsKeepTheirPlaces(Mutant, Connection):
    """A reset RPC keeps one of five hundred places forever, until none is left."""

    killed_by = "ROBUST-7"
    stress = True
    kept: ClassVar[list[Stream]] = []

    def on_reset(self, frame: Frame) -> None:
        """End the RPC, but keep its place."""
        stream = self.stream(frame.stream_id)
        if stream is not None:
            self.kept.append(stream)
        super().on_reset(frame)

    def too_many(self) -> bool:
        """Whether all places are taken."""
        return len(self.kept) >= 500 or super().too_many()


class ThrottlesOrdinaryClients(Mutant, Connection):
    """A connection ends with ENHANCE_YOUR_CALM at its fiftieth request, however the client behaves."""

    killed_by = "LOAD-1"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept fifty requests."""
        if stream_id > 99:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many requests")
        super().on_request(stream_id, fields, end_stream=end_stream)


class ExitsAfterManyOwnResets(Mutant, Connection):
    """The process exits after it has reset five hundred streams of a connection."""

    killed_by = "ROBUST-10"
    stress = True
    count = 0

    def refuse(self, fault: StreamFault) -> None:
        """End the stream, and count."""
        self.count += 1
        if self.count >= 500:
            os._exit(137)
        super().refuse(fault)


class _ExitsAtTheThousandth(Connection):
    """The process exits at the thousandth frame of one kind on a connection."""

    count = 0

    def counts(self, frame: Frame) -> bool:
        """Whether a frame is of that kind."""
        raise NotImplementedError

    def on_frame(self, frame: Frame) -> None:
        """Handle the frame, and count."""
        self.count += self.counts(frame)
        if self.count >= 1000:
            os._exit(137)
        super().on_frame(frame)


class ExitsAfterManyPings(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth PING of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is a PING."""
        return frame.kind == Kind.PING


class ExitsAfterManyEmptyFrames(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth empty DATA frame of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is an empty DATA frame."""
        return frame.kind == Kind.DATA and not frame.payload


class ExitsAfterManyPriorities(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth PRIORITY frame of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is a PRIORITY frame."""
        return frame.kind == Kind.PRIORITY


class ExitsAfterManyWindowUpdates(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth one-byte WINDOW_UPDATE of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is a one-byte WINDOW_UPDATE."""
        return frame.kind == Kind.WINDOW_UPDATE and frame.payload == bytes((0, 0, 0, 1))


class ExitsAfterManyUnknownFrames(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth frame of unknown type on a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether its type is unknown."""
        return frame.kind not in set(Kind)


class SettingsAreSlow(Mutant, Connection):
    """Every SETTINGS frame blocks the whole server for two milliseconds."""

    killed_by = "ROBUST-9"
    stress = True

    def on_settings(self, frame: Frame) -> None:
        """Apply the settings, slowly."""
        time.sleep(0.002)
        super().on_settings(frame)


# Header blocks ----------------------------------------------------------------------------------------------------


class ExitsOnEndlessBlock(Mutant, Connection):
    """The process exits on a header block of more than 256 KiB, as if out of memory."""

    killed_by = "ROBUST-8"
    stress = True

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection, or exit."""
        if fault.code == ErrorCode.ENHANCE_YOUR_CALM:
            os._exit(137)
        super().fail(fault)


class ServesHeaderBombs(Mutant, Connection):
    """The decompressed size of a header block is not limited; repeated fields are collapsed."""

    killed_by = "ROBUST-19"
    stress = True

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        super().__init__(loop, sock, parts, service)
        self.decoder.max_header_list_size = 1 << 30

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Accept what is left of the request."""
        super().on_request(stream_id, list(dict.fromkeys(fields)), end_stream=end_stream)


# Slow clients -----------------------------------------------------------------------------------------------------


class _OneAtATime(Connection):
    """Reads from no other connection while one has begun something unfinished."""

    reading: ClassVar[_OneAtATime | None] = None
    waiting: ClassVar[list[tuple[_OneAtATime, bytes]]] = []

    def unfinished(self) -> bool:
        """Whether something unfinished has begun."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Read frames, one connection at a time."""
        first = _OneAtATime.reading
        if first is not None and first is not self and first.open:
            self.waiting.append((self, data))
        else:
            super().received(data)

    def work(self) -> None:
        """Work, and let other connections proceed once all is finished."""
        super().work()
        if self.unfinished():
            _OneAtATime.reading = self
        elif _OneAtATime.reading is self:
            _OneAtATime.reading = None
            while self.waiting and _OneAtATime.reading is None:
                other, data = self.waiting.pop(0)
                other.received(data)
                other.settle()


class SlowMessageHoldsUpAll(Mutant, _OneAtATime):
    """The whole server waits for the rest of an incomplete message."""

    killed_by = "ROBUST-11"
    stress = True

    def unfinished(self) -> bool:
        """Whether a message is incomplete."""
        return any(one.call.envelopes.within() for one in self.streams.values())


class SlowHeadersHoldUpAll(Mutant, _OneAtATime):
    """The whole server waits for the rest of an incomplete header block."""

    killed_by = "ROBUST-11"
    stress = True

    def unfinished(self) -> bool:
        """Whether a header block is incomplete."""
        return bool(self._block)
