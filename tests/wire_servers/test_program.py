"""The program around the server: SIGTERM ends it, after RPCs in flight have ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pytest_grpcstream import EOF, Code, Point, TargetError
from pytest_grpcstream.clients.wire import WireClient

PROGRAM: Final = Path(__file__).resolve().parent / "serve.py"
PATIENCE: Final = 10.0
"""Seconds that the program may take to start or to stop."""


class Program:
    """A running server.

    Attributes:
        process: the process.
        address: where it listens.
    """

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, str(PROGRAM), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.address = f"127.0.0.1:{port}"
        due = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > due:
                    raise
                time.sleep(0.02)

    def ended(self) -> tuple[int, bytes]:
        """The exit code and all output, once the process has ended."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output


@pytest.fixture
def program() -> Iterator[Program]:
    """A server for this test only."""
    running = Program()
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate(timeout=PATIENCE)


def test_sigterm_ends_an_idle_program_silently(program: Program) -> None:
    """There is nothing to wait for and nothing to report."""
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == (0, b"")


def test_sigterm_lets_an_open_route_end(program: Program) -> None:
    """Two GOAWAY frames announce the shutdown, the open RPC continues to its status, then the program ends."""
    with WireClient(program.address) as client, client.route() as stream:
        stream.send("before", 1)
        assert stream.recv() == Point("gRPC Stream Server: Route", 0)
        program.process.send_signal(signal.SIGTERM)
        assert client.connection.wait(lambda: len(client.connection.goaways) == 2)
        stream.send("after", 2)
        assert stream.recv() == Point("gRPC Stream Server: Route", 1)
        with pytest.raises(TargetError):
            WireClient(program.address).connect()
        stream.close_send()
        assert stream.recv() is EOF
        assert stream.status is not None
        assert stream.status.code == Code.OK
        assert [one.last_stream_id for one in client.connection.goaways] == [2**31 - 1, 1]
        assert client.connection.await_close() is not None
    assert program.ended() == (0, b"")


def test_sigterm_does_not_wait_forever(program: Program) -> None:
    """An RPC that does not end is cut off after the grace period."""
    with WireClient(program.address) as client, client.route() as stream:
        stream.send("before", 1)
        stream.recv()
        program.process.send_signal(signal.SIGTERM)
        assert program.ended() == (0, b"")
        assert stream.end().code != Code.OK


@pytest.mark.parametrize("options", [("--variant", "nothing"), ("--mutant", "Nothing")])
def test_an_unknown_name_is_a_usage_error(options: tuple[str, str]) -> None:
    """The error says what was given and what is valid."""
    run = subprocess.run(
        [sys.executable, str(PROGRAM), "--port", "1", *options], capture_output=True, timeout=PATIENCE, check=False
    )
    assert run.returncode == 2
    assert options[1].encode() in run.stderr
    assert b"padded-data" in run.stderr or b"PingUnanswered" in run.stderr
