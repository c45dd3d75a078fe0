"""Listens on loopback, and shuts down gracefully on SIGTERM."""

from __future__ import annotations

import signal
import socket
import types
from typing import Final

from wire_servers.connection import Connection
from wire_servers.loop import READ, Loop
from wire_servers.parts import Parts

_GRACE: Final = 1.5
"""Seconds that RPCs in flight have after SIGTERM."""
_POLL: Final = 0.05
"""Seconds between checks whether all of them have ended."""


class Server:
    """A listening socket and its connections."""

    def __init__(self, port: int, parts: Parts) -> None:
        self._loop = Loop()
        self._parts = parts
        self._service = parts.service()
        self._connections: set[Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._listener.setblocking(False)

    def run(self) -> None:
        """Serve until SIGTERM, then let the RPCs in flight end within the grace period."""
        wake, woken = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ignored)
        self._loop.watch(woken, READ, lambda _events: self._shut_down(woken))
        self._loop.watch(self._listener, READ, self._accept)
        self._loop.run()

    def _ignored(self, number: int, frame: types.FrameType | None) -> None:
        """Do nothing: the signal has already made the loop's socket readable."""

    def _accept(self, _events: int) -> None:
        try:
            sock, _peer = self._listener.accept()
        except BlockingIOError:
            return
        self._connections = {one for one in self._connections if one.open}
        self._connections.add(self._parts.connection(self._loop, sock, self._parts, self._service))

    def _shut_down(self, woken: socket.socket) -> None:
        woken.recv(16)
        self._loop.watch(self._listener, 0, self._accept)
        self._listener.close()
        for connection in self._connections:
            if connection.open:
                connection.drain()
        self._loop.after(_GRACE, self._loop.stop)
        self._look()

    def _look(self) -> None:
        if any(connection.open for connection in self._connections):
            self._loop.after(_POLL, self._look)
        else:
            self._loop.stop()
