"""A non-blocking socket: received bytes are passed on; bytes to send wait until the socket accepts them."""

from __future__ import annotations

import socket
from typing import Final

from wire_servers.loop import READ, WRITE, Loop

_CHUNK: Final = 65_536
"""Maximum bytes of one read."""
_FULL: Final = 1_048_576
"""Maximum bytes that wait to be sent. Beyond them nothing is read, so a peer that only sends cannot fill the memory."""
_LINGER: Final = 1.0
"""Seconds for which a socket is still read after the last byte was sent; unread bytes make the kernel discard it."""


class Link:
    """One accepted connection.

    Attributes:
        loop: the loop that waits for the socket.
        buffer: bytes that the socket has not accepted yet.
        open: whether the socket is open.
        closing: whether nothing may be sent after `buffer`.
    """

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop = loop
        self.buffer = bytearray()
        self.open = True
        self.closing = False
        self._sock = sock
        self._watched = 0
        self._shut = False

    def received(self, data: bytes) -> None:
        """Handle received bytes."""
        raise NotImplementedError

    def lost(self) -> None:
        """Handle the loss of the connection."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether there is more to do once the socket accepts bytes."""
        return False

    def work(self) -> None:
        """Fill the buffer, up to a sensible size."""
        raise NotImplementedError

    def settle(self) -> None:
        """Send what is queued; must be called after every event."""
        if not self.open:
            return
        if not self.closing:
            self.work()
        self._flush()
        if self.open:
            self._watch()

    def close(self) -> None:
        """Send what is already buffered, then close."""
        if not self.closing:
            self.closing = True
            self.loop.after(_LINGER, self.drop)

    def drop(self) -> None:
        """Close at once."""
        if self.open:
            self.open = False
            self.loop.watch(self._sock, 0, self._ready)
            self._sock.close()

    def _watch(self) -> None:
        events = READ if len(self.buffer) <= _FULL else 0
        if self.buffer or (not self.closing and self.busy()):
            events |= WRITE
        if events != self._watched:
            self._watched = events
            self.loop.watch(self._sock, events, self._ready)

    def _flush(self) -> None:
        try:
            while self.buffer and (sent := self._sock.send(self.buffer)):
                del self.buffer[:sent]
            if self.closing and not self.buffer and not self._shut:
                self._shut = True
                self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._gone()

    def _ready(self, events: int) -> None:
        if events & READ:
            self._read()
        self.settle()

    def _read(self) -> None:
        data = b""
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            pass  # reset by the peer: as after its last byte, nothing more can be read
        if not data:
            self._gone()
        elif not self.closing:
            self.received(data)

    def _gone(self) -> None:
        try:
            self.lost()
        finally:
            self.drop()
