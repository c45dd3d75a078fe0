"""Servers made of bytes: they answer each connection with a greeting, and then wait for its end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from targets.program import SETTINGS

CLOSE: Final = b"\0close"
"""Instead of a greeting: close the connection after the first bytes."""
RESET: Final = b"\0reset"
"""Instead of a greeting: reset the connection after the first bytes."""
_RESETTING: Final = struct.pack("ii", 1, 0)


def _greet(channel: socket.socket, greeting: bytes) -> None:
    if greeting in (CLOSE, RESET):
        channel.recv(4096)
        if greeting == RESET:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
        return
    channel.sendall(greeting)
    while channel.recv(4096):
        continue


@contextlib.contextmanager
def bytes_server(
    greeting: bytes = SETTINGS,
    *,
    path: Path | None = None,
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """A server that sends a greeting to every client that connects.

    Arguments:
        path: A unix socket to listen at instead of a port.
        context: The TLS settings, or None for plaintext.
        host: The host to listen at.
    """
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind(str(path) if path else (host, 0))
    listener.listen()
    over = threading.Event()
    channels: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(channel: socket.socket) -> None:
        with contextlib.suppress(OSError), channel:  # the client may close the connection at any time
            if context is None:
                _greet(channel, greeting)
            else:
                with context.wrap_socket(channel, server_side=True, do_handshake_on_connect=False) as secure:
                    secure.do_handshake()
                    _greet(secure, greeting)

    def accept() -> None:
        while True:
            channel, _ = listener.accept()
            if over.is_set():
                channel.close()
                return
            channel.settimeout(20)
            channels.append(channel)
            threads.append(threading.Thread(target=serve, args=(channel,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"unix:{path}" if path else f"{shown}:{listener.getsockname()[1]}"
    finally:
        over.set()
        with socket.socket(family) as waking:  # the acceptor waits without a time limit
            waking.connect(listener.getsockname())
        acceptor.join()
        listener.close()
        for channel in channels:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def closed_port() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
