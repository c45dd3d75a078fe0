"""The sending side of a socket: what does not go at once waits in a bounded buffer for the connection's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.transport import Transport

ROOM: Final = 1 << 18
"""Bytes in the buffer from which no more DATA is put into it."""
FULL: Final = 1 << 18
"""Bytes of answers in the buffer at which a server that asks on and on but does not read them is given up."""


class SendBuffer:
    """Sends bytes in their order. Every method is called under the lock of the connection.

    Arguments:
        transport: the socket.
        tape: where what was sent is kept.
        wake: called when something begins to wait, so that the connection's thread waits for the socket to take it.
    """

    def __init__(self, transport: Transport, tape: ByteLog, wake: Callable[[], None]) -> None:
        self._transport = transport
        self._tape = tape
        self._wake = wake
        self._buffer = bytearray()
        self._answers = 0
        self._corks = 0
        self._shut = False

    @property
    def waiting(self) -> bool:
        """Whether something waits that the socket did not take."""
        return bool(self._buffer) and not self._corks

    @property
    def room(self) -> bool:
        """Whether more DATA may be put in."""
        return len(self._buffer) < ROOM

    @property
    def full(self) -> bool:
        """Whether so many answers wait that the connection must be given up."""
        return self._answers > FULL

    @property
    def shut(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._shut

    def put(self, data: bytes, *, answer: bool = False) -> bool:
        """Send bytes, or keep them to be sent; False when nothing can be sent any more.

        Arguments:
            answer: whether it is the server that decides how many of them there are.
        """
        if self._shut:
            return False
        self._buffer += data
        self._answers += len(data) if answer else 0
        if not self._corks:
            self.flush()
        return True

    def flush(self, *, force: bool = False) -> None:
        """Send as much as the socket takes; nothing while it is held back, unless ``force`` is set."""
        if not self._buffer or self._shut or (self._corks and not force):
            return
        try:
            taken = self._transport.send(self._buffer)
        except OSError:
            # What the server sent before it went away can still be read, and reading tells how the connection ended.
            self.shut_down()
            return
        if taken:
            self._tape.add(True, bytes(self._buffer[:taken]))
            del self._buffer[:taken]
        if self._buffer:
            self._wake()
        else:
            self._answers = 0

    def cork(self) -> None:
        """Hold everything back until `uncork`; calls may be nested."""
        self._corks += 1

    def uncork(self) -> None:
        """End the effect of one `cork` and send what was held back in one write."""
        self._corks -= 1
        self.flush()

    def shut_down(self) -> None:
        """Send nothing any more."""
        self._shut = True
        self._buffer.clear()
