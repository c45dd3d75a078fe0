"""The socket beneath a connection: plaintext or TLS, never blocking, closed with FIN, RST or TLS's close_notify."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from typing import Final

_READ: Final = 1 << 14
"""Bytes to read in one go. Small frames in that many bytes keep the reading thread busy for some milliseconds."""


class Transport:
    """A connected or accepted socket that never blocks.

    Arguments:
        channel: the socket, which the transport owns from now on.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._socket = channel
        self._closed = False
        channel.setblocking(False)

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The TLS socket, None on a plaintext connection."""
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def fileno(self) -> int:
        """The file descriptor, for a selector."""
        return self._socket.fileno()

    def recv(self) -> bytes | None:
        """The bytes that have arrived: empty after the peer's FIN, None if there are none yet.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return self._socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def send(self, data: bytes | bytearray) -> int:
        """Send as much as the socket takes without waiting and return how many bytes that was.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def shut_write(self) -> None:
        """Half-close TCP with a FIN and go on reading. TLS sends no close_notify."""
        if not self._closed:
            self._shut()

    def _shut(self) -> None:
        # SSLSocket.shutdown() would also give up TLS for reading.
        with contextlib.suppress(OSError):  # the connection is gone already
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket; TLS sends close_notify first, if it can without waiting."""
        tls = self.tls
        if tls is not None and not self._closed:
            # It sends close_notify and then fails, because it cannot wait for the peer's.
            with contextlib.suppress(OSError, ValueError):
                tls.unwrap()
        self.drop()

    def drop(self) -> None:
        """Close the socket with a FIN, without close_notify."""
        if self._closed:
            return
        self._closed = True
        self._shut()  # closing alone would send a RST instead of the FIN if something is unread
        self._socket.close()

    def reset(self) -> None:
        """Close the socket with a RST: bytes that were sent and not yet read are lost at both ends."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):  # unix sockets do not support SO_LINGER on every system
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
