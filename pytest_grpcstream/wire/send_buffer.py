"""The sending side of a socket: what the socket does not take waits in a bounded buffer for the connection's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_grpcstream.wire.byte_log import ByteLog
from pytest_grpcstream.wire.transport import Transport

DATA_LIMIT: Final = 1 << 18
"""Bytes in the buffer from which on no DATA is added."""
ANSWER_LIMIT: Final = 1 << 18
"""Bytes of answers in the buffer above which the connection is given up: the peer asks but does not read."""


class SendBuffer:
    """Sends bytes in their order. Every method is called under the lock of the connection.

    Arguments:
        transport: the socket.
        byte_log: where sent bytes are recorded.
        wake: called when bytes begin to wait, so that the connection's thread waits for the socket to take them.
    """

    def __init__(self, transport: Transport, byte_log: ByteLog, wake: Callable[[], None]) -> None:
        self._transport = transport
        self._byte_log = byte_log
        self._wake = wake
        self._buffer = bytearray()
        self._answers = 0
        self._corks = 0
        self._shut = False

    @property
    def waiting(self) -> bool:
        """Whether bytes wait that the socket did not take."""
        return bool(self._buffer) and not self._corks

    @property
    def has_room(self) -> bool:
        """Whether more DATA may be added."""
        return len(self._buffer) < DATA_LIMIT

    @property
    def flooded(self) -> bool:
        """Whether so many answers wait that the connection must be given up."""
        return self._answers > ANSWER_LIMIT

    @property
    def shut(self) -> bool:
        """Whether sending has ended."""
        return self._shut

    def put(self, data: bytes, *, answer: bool = False) -> bool:
        """Send bytes, now or when the socket takes them; False if sending has ended.

        Arguments:
            answer: whether they answer the peer, which therefore decides how many there are.
        """
        if self._shut:
            return False
        self._buffer += data
        self._answers += len(data) if answer else 0
        if not self._corks:
            self.flush()
        return True

    def flush(self, *, force: bool = False) -> None:
        """Send as much as the socket takes; nothing while corked, unless ``force`` is set."""
        if not self._buffer or self._shut or (self._corks and not force):
            return
        try:
            taken = self._transport.send(self._buffer)
        except OSError:
            # What the peer sent before it disconnected can still be read, and reading shows how the connection ended.
            self.shut_down()
            return
        if taken:
            self._byte_log.add(True, bytes(self._buffer[:taken]))
            del self._buffer[:taken]
        if self._buffer:
            self._wake()
        else:
            self._answers = 0

    def cork(self) -> None:
        """Hold everything back until `uncork`; calls nest."""
        self._corks += 1

    def uncork(self) -> None:
        """Undo one `cork`; the last one sends what was held back in one write."""
        self._corks -= 1
        self.flush()

    def shut_down(self) -> None:
        """End sending and drop what waits."""
        self._shut = True
        self._buffer.clear()
