"""Sees processes live and end, without asking the system for them: each keeps a connection to the witness open."""

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
"""Seconds after which what was waited for did not happen."""
PYTEST: Final = (
    sys.executable,
    "-c",
    "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(pytest.main())",
)
"""A run of pytest that heeds SIGINT also where the tests run in the background, which has it ignored from the start.

It sets that itself: to do so between fork and exec runs the fork handlers of gRPC, which may wait for ever.
"""


def command(*options: str) -> str:
    """The target that starts the program with these options."""
    return f"exec:{shlex.join([sys.executable, '-S', str(PROGRAM), *options])} --port {{port}}"


class Witness:
    """A listener that processes connect to; the system closes a connection when its process ends, however it does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self._seen: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where processes connect to."""
        port: int = self._listener.getsockname()[1]
        return port

    def await_lives(self, count: int) -> None:
        """Wait until so many more processes have connected."""
        for _ in range(count):
            channel, _ = self._listener.accept()
            channel.settimeout(LIMIT)
            self._seen.append(channel)

    def tell(self) -> None:
        """Say something to every process that has connected."""
        for channel in self._seen:
            channel.sendall(b"!")

    def await_ends(self) -> None:
        """Wait until every process that has connected is gone."""
        for channel in self._seen:
            with contextlib.suppress(ConnectionResetError):
                assert channel.recv(1) == b""
            channel.close()
        self._seen.clear()

    def lives(self) -> int:
        """How many of the processes that have connected are there."""
        return sum(map(_is_open, self._seen))

    def close(self) -> None:
        """Look no more."""
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
    """Wait until a question has an answer, and return that."""
    due = time.monotonic() + LIMIT
    while not (answer := happened()):
        assert time.monotonic() < due, "it did not happen in time"
        time.sleep(0.01)
    return answer


@contextlib.contextmanager
def witness() -> Iterator[Witness]:
    """A witness for a while."""
    made = Witness()
    try:
        yield made
    finally:
        made.close()


def processes_with(text: str) -> list[str]:
    """The command lines of the processes that have a text in theirs, but not those that are over already."""
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True, check=True)
    lines = (line.split(maxsplit=1) for line in listing.stdout.splitlines())
    return [line[1] for line in lines if len(line) == 2 and not line[0].startswith("Z") and text in line[1]]
