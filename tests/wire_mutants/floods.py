"""Mutants that a client can bring down, or to a halt, by too much of something or by being slow."""

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
    """An RPC that the client resets keeps one of five hundred places, and none is left then."""

    killed_by = "ROBUST-7"
    stress = True
    kept: ClassVar[list[Stream]] = []

    def on_reset(self, frame: Frame) -> None:
        """End the RPC, and keep it."""
        stream = self.stream(frame.stream_id)
        if stream is not None:
            self.kept.append(stream)
        super().on_reset(frame)

    def too_many(self) -> bool:
        """Whether all places are taken."""
        return len(self.kept) >= 500 or super().too_many()


class CalmsAnOrdinaryClient(Mutant, Connection):
    """A connection ends by ENHANCE_YOUR_CALM at its fiftieth request, whatever the client does."""

    killed_by = "LOAD-1"

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take fifty."""
        if stream_id > 99:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many requests")
        super().on_request(stream_id, fields, end_stream=end_stream)


class ExitsAfterManyOwnResets(Mutant, Connection):
    """The process exits when a connection has made it reset five hundred streams."""

    killed_by = "ROBUST-10"
    stress = True
    count = 0

    def refuse(self, fault: StreamFault) -> None:
        """End a stream, and count."""
        self.count += 1
        if self.count >= 500:
            os._exit(137)
        super().refuse(fault)


class _ExitsAtTheThousandth(Connection):
    """The process exits at the thousandth frame of some kind on a connection."""

    count = 0

    def counts(self, frame: Frame) -> bool:
        """Whether a frame is of that kind."""
        raise NotImplementedError

    def on_frame(self, frame: Frame) -> None:
        """Take the frame, and count."""
        self.count += self.counts(frame)
        if self.count >= 1000:
            os._exit(137)
        super().on_frame(frame)


class ExitsAfterManyPings(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth PING of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is one."""
        return frame.kind == Kind.PING


class ExitsAfterManyEmptyFrames(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth DATA frame without content of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is one."""
        return frame.kind == Kind.DATA and not frame.payload


class ExitsAfterManyPriorities(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth PRIORITY frame of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is one."""
        return frame.kind == Kind.PRIORITY


class ExitsAfterManyWindowUpdates(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth WINDOW_UPDATE of one byte of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is one."""
        return frame.kind == Kind.WINDOW_UPDATE and frame.payload == bytes((0, 0, 0, 1))


class ExitsAfterManyUnknownFrames(Mutant, _ExitsAtTheThousandth):
    """The process exits on the thousandth frame of an unknown type of a connection."""

    killed_by = "ROBUST-9"
    stress = True

    def counts(self, frame: Frame) -> bool:
        """Whether it is one."""
        return frame.kind not in set(Kind)


class SettingsTakeTheirTime(Mutant, Connection):
    """The whole server stands still for two milliseconds at every SETTINGS frame."""

    killed_by = "ROBUST-9"
    stress = True

    def on_settings(self, frame: Frame) -> None:
        """Take them in."""
        time.sleep(0.002)
        super().on_settings(frame)


# Header blocks ----------------------------------------------------------------------------------------------------


class ExitsOnEndlessBlock(Mutant, Connection):
    """The process exits on a header block of more than 256 KiB, as if it had no memory left."""

    killed_by = "ROBUST-8"
    stress = True

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection, or all."""
        if fault.code == ErrorCode.ENHANCE_YOUR_CALM:
            os._exit(137)
        super().fail(fault)


class ServesHeaderBombs(Mutant, Connection):
    """A header block may grow as it likes when it is decompressed; fields that are repeated count once."""

    killed_by = "ROBUST-19"
    stress = True

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        super().__init__(loop, sock, parts, service)
        self.decoder.max_header_list_size = 1 << 30

    def on_request(self, stream_id: int, fields: Fields, *, end_stream: bool) -> None:
        """Take what is left of the request."""
        super().on_request(stream_id, list(dict.fromkeys(fields)), end_stream=end_stream)


# Slow clients -----------------------------------------------------------------------------------------------------


class _OneAtATime(Connection):
    """Reads nothing of others while a connection has begun something that it has not finished."""

    reading: ClassVar[_OneAtATime | None] = None
    waiting: ClassVar[list[tuple[_OneAtATime, bytes]]] = []

    def unfinished(self) -> bool:
        """Whether there must be more to come of what has begun."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Read frames, in turn."""
        first = _OneAtATime.reading
        if first is not None and first is not self and first.open:
            self.waiting.append((self, data))
        else:
            super().received(data)

    def work(self) -> None:
        """Work, and let the others have their turn when all is finished."""
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
    """The whole server waits for the rest of a message that has begun."""

    killed_by = "ROBUST-11"
    stress = True

    def unfinished(self) -> bool:
        """Whether a message is."""
        return any(one.call.envelopes.within() for one in self.streams.values())


class SlowHeadersHoldUpAll(Mutant, _OneAtATime):
    """The whole server waits for the rest of a header block that has begun."""

    killed_by = "ROBUST-11"
    stress = True

    def unfinished(self) -> bool:
        """Whether a header block is."""
        return bool(self._block)
