"""Mutants that do not survive other protocols, silent or lost connections or unusual paths, or that block others."""

from __future__ import annotations

import os
import socket
from typing import ClassVar

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import NOT_HTTP2, Connection
from wire_servers.frames import PREFACE, ConnectionFault, Frame, Kind
from wire_servers.loop import Loop
from wire_servers.parts import Parts
from wire_servers.service import Service

# Other protocols --------------------------------------------------------------------------------------------------


class ExitsOnTls(Mutant, Connection):
    """The process exits on a client that begins a TLS handshake."""

    killed_by = "ROBUST-1"

    def received(self, data: bytes) -> None:
        """Read frames; exit on a TLS handshake."""
        if not self.settings_seen and data.startswith(b"\x16\x03"):
            os._exit(134)
        super().received(data)


class ExitsOnGarbageForPreface(Mutant, Connection):
    """The process exits on a client that does not begin with the preface."""

    killed_by = "ROBUST-1"
    also = frozenset({"H2-2"})  # neither does HTTP/1.1

    def fail(self, fault: ConnectionFault) -> None:
        """Fail, and exit."""
        if fault.reason == NOT_HTTP2:
            os._exit(134)
        super().fail(fault)


class Http1HoldsUpAll(Mutant, Connection):
    """The whole server waits for a client that sends a POST in HTTP/1.1 until it leaves."""

    killed_by = "ROBUST-1"

    def received(self, data: bytes) -> None:
        """Read frames, or a whole HTTP/1.1 request."""
        if not self.settings_seen and data.startswith(b"POST "):
            self._sock.setblocking(True)
            while self._sock.recv(65_536):
                pass
            self._sock.setblocking(False)
        super().received(data)


# Silent connections -----------------------------------------------------------------------------------------------


class WaitsForEachPreface(Mutant, Connection):
    """The whole server waits for the preface of each connection that it accepts."""

    killed_by = "ROBUST-2"

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        sock.setblocking(True)
        sock.recv(len(PREFACE), socket.MSG_PEEK | socket.MSG_WAITALL)
        super().__init__(loop, sock, parts, service)


class FewConnections(Mutant, Connection):
    """The server accepts forty connections; further ones are closed at once."""

    killed_by = "ROBUST-2"
    there: ClassVar[set[Connection]] = set()

    def __init__(self, loop: Loop, sock: socket.socket, parts: Parts, service: Service) -> None:
        super().__init__(loop, sock, parts, service)
        gone = {one for one in self.there if not one.open}
        self.there.difference_update(gone)
        if len(self.there) < 40:
            self.there.add(self)
        else:
            self.drop()


# Lost connections -------------------------------------------------------------------------------------------------


class ExitsWhenLostInAFrame(Mutant, Connection):
    """The process exits when a connection is lost in the middle of a frame."""

    killed_by = "ROBUST-3"

    def _gone(self) -> None:
        """Exit if the connection ends within a frame, unless the server ended it."""
        if self.reader.take(1) and not self.closing:
            os._exit(134)
        super()._gone()


class LostMessagesKeepTheirPlaces(Mutant, Connection):
    """An RPC whose connection is lost in the middle of a message keeps one of five places forever."""

    killed_by = "ROBUST-3"
    kept: ClassVar[list[Call]] = []

    def lost(self) -> None:
        """End the RPCs, except those in the middle of a message."""
        self.kept.extend(one.call for one in self.streams.values() if one.call.envelopes.within())
        super().lost()

    def too_many(self) -> bool:
        """Whether all places are taken."""
        return len(self.kept) >= 5 or super().too_many()


class ExitsWhenLostInABlock(Mutant, Connection):
    """The process exits when a connection is lost in the middle of a header block."""

    killed_by = "ROBUST-15"
    also = frozenset({"ROBUST-3"})  # one of its connections is lost there too

    def _gone(self) -> None:
        """Exit if the connection ends within a header block, unless the server ended it."""
        if self._block and not self.closing:
            os._exit(134)
        super()._gone()


class ExitsOnGoawayInABlock(Mutant, Connection):
    """The process exits when a client sends GOAWAY in the middle of a header block."""

    killed_by = "ROBUST-15"

    def check_order(self, frame: Frame) -> None:
        """Exit if a header block is incomplete."""
        if self._block and frame.kind == Kind.GOAWAY:
            os._exit(134)
        super().check_order(frame)


# Paths ------------------------------------------------------------------------------------------------------------


class ExitsOnNulInPath(Mutant, Call):
    """The process exits on a path with a NUL."""

    killed_by = "ROBUST-16"

    def validate(self) -> None:
        """Check the request; a NUL is fatal."""
        if b"\0" in self.request.path:
            os._exit(134)
        super().validate()


class ExitsOnLongPath(Mutant, Call):
    """The process exits on a path of more than 16 KiB."""

    killed_by = "ROBUST-16"

    def validate(self) -> None:
        """Check the request; a long path is fatal."""
        if len(self.request.path) > 16_384:
            os._exit(134)
        super().validate()


class PathIsAFormatString(Mutant, Call):
    """The path of an unknown method is used as a format string, and a percent sign in it ends the process."""

    killed_by = "ROBUST-16"

    def validate(self) -> None:
        """Check the request, formatting its path."""
        if not self.stream.connection.service.knows(self.request.path):
            self.request = self.request._replace(path=self.request.path % ())
        super().validate()


class PathMustBeUtf8(Mutant, Call):
    """A path that is not UTF-8 ends the process."""

    killed_by = "ROBUST-16"
    stress = True

    def validate(self) -> None:
        """Check the request, decoding its path."""
        self.request = self.request._replace(path=self.request.path.decode("utf-8").encode())
        super().validate()
