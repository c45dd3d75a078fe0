"""Observes whether processes live: each keeps a connection to the witness open."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

PROGRAM: Final = Path(__file__).with_name("program.py")
LIMIT: Final = 20.0
"""Seconds to wait for an event before the test fails."""
PYTEST: Final = (
    sys.executable,
    "-c",
    "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(pytest.main())",
)
"""A pytest process that reacts to SIGINT even if the tests run in the background, where a shell lets it be ignored.

The process sets the handler itself: code between fork and exec would run gRPC's fork handlers, which may hang.
"""


def command(*options: str) -> str:
    """The text of the target that starts `program` with these options."""
    return f"exec:{shlex.join([sys.executable, '-S', str(PROGRAM), *options])} --port {{port}}"


class Witness:
    """A listener that processes connect to; the system closes the connection of a process that ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self._seen: list[socket.socket] = []

    @property
    def port(self) -> int:
        """The port that processes connect to."""
        port: int = self._listener.getsockname()[1]
        return port

    def await_lives(self, count: int) -> None:
        """Wait until ``count`` more processes have connected."""
        for _ in range(count):
            channel, _ = self._listener.accept()
            channel.settimeout(LIMIT)
            self._seen.append(channel)

    def signal(self) -> None:
        """Signal every process that has connected."""
        for channel in self._seen:
            channel.sendall(b"!")

    def await_ends(self) -> None:
        """Wait until every process that has connected has ended."""
        for channel in self._seen:
            with contextlib.suppress(ConnectionResetError):
                assert channel.recv(1) == b""
            channel.close()
        self._seen.clear()

    def lives(self) -> int:
        """The number of connected processes that still live."""
        return sum(map(_is_open, self._seen))

    def close(self) -> None:
        """Close all connections."""
        for channel in (self._listener, *self._seen):
            channel.close()


def _is_open(channel: socket.socket) -> bool:
    channel.setblocking(False)
    try:
        return channel.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        channel.settimeout(LIMIT)


def until(happened: Callable[[], T | None]) -> T:
    """Wait until a function returns something true, and return that."""
    due = time.monotonic() + LIMIT
    while not (answer := happened()):
        assert time.monotonic() < due, f"{happened} returned nothing within {LIMIT} s"
        time.sleep(0.01)
    return answer


@contextlib.contextmanager
def witness() -> Iterator[Witness]:
    """A witness that is closed after the block."""
    made = Witness()
    try:
        yield made
    finally:
        made.close()


def processes_with(text: str) -> list[str]:
    """The command lines of all processes that contain a text, without zombies."""
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True, check=True)
    lines = (line.split(maxsplit=1) for line in listing.stdout.splitlines())
    return [line[1] for line in lines if len(line) == 2 and not line[0].startswith("Z") and text in line[1]]
