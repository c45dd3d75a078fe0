"""Plain sockets to ``host:port`` or ``unix:path``."""

from __future__ import annotations

import socket


def connect(address: str, timeout: float) -> socket.socket:
    """Open a TCP or unix connection to ``host:port`` or ``unix:path``.

    Raises:
        OSError: nothing listens there, or the name does not resolve.
    """
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(timeout)
        try:
            channel.connect(path.removeprefix("//"))
        except OSError:
            channel.close()
            raise
        return channel
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def accepts(address: str, timeout: float = 1.0) -> bool:
    """Whether a connection to the address is accepted."""
    try:
        connect(address, timeout).close()
    except OSError:
        return False
    return True
