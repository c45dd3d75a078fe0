"""However a run ends, it leaves no process, no listening port and no temporary file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_grpcstream.wire.sockets import accepts
from targets.witness import LIMIT, PYTEST, Witness, command, processes_with, until

HANGS = """
import socket
import pytest

pytestmark = pytest.mark.timeout({backstop})

def test_that_hangs(grpcstream_target):
    print("listening at", grpcstream_target.address, flush=True)
    ready = socket.create_connection(("127.0.0.1", {witness}))
    ready.recv(1)
"""
SERVICER = """
import socket
import subprocess
import sys
from targets.servicers import Plain

here = socket.create_connection(("127.0.0.1", {witness}))
child = "import socket, threading; s = socket.create_connection(('127.0.0.1', {witness})); threading.Event().wait()"
subprocess.Popen([sys.executable, "-S", "-c", child])
"""

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path, scratch: Path, seen: Witness) -> Iterator[Run]:
    """Starts pytest on a test that uses the target and hangs, in its own process group, as a terminal does."""
    folder = tmp_path / "project"
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def start(target: str, *options: str, backstop: float = 0) -> subprocess.Popen[str]:
            source = HANGS.format(witness=seen.port, backstop=backstop)
            (folder / "test_user.py").write_text(source, encoding="utf-8")
            (folder / "servicer.py").write_text(SERVICER.format(witness=seen.port), encoding="utf-8")
            process = subprocess.Popen(
                [*PYTEST, "-s", "-pno:cacheprovider", f"--grpcstream-target={target}", *options, "test_user.py"],
                cwd=folder,
                env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), TMPDIR=str(scratch)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(_kill_group, process)
            return process

        yield start


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def await_clean_end(process: subprocess.Popen[str], scratch: Path, seen: Witness) -> str:
    """Wait until the run and its processes have ended, check that they left nothing, and return the output."""
    output, _ = process.communicate(timeout=LIMIT)
    seen.await_ends()
    found = re.search(r"listening at (127\.0\.0\.1:\d+)", output)
    assert found is not None, output
    assert not accepts(found[1])
    assert len(list(scratch.iterdir())) == 0
    until(lambda: not processes_with(f"--witness={seen.port}"))
    return str(output)


def await_start(process: subprocess.Popen[str], seen: Witness) -> None:
    """Wait until the test runs: the program, its child and the test are connected."""
    assert process.poll() is None
    seen.await_lives(3)
    assert seen.lives() == 3


@pytest.mark.parametrize("target", ["program", "servicer:Plain"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_nothing(
    run: Run, seen: Witness, scratch: Path, number: signal.Signals, target: str
) -> None:
    """Ctrl-C, SIGTERM and SIGKILL leave neither the target nor its children."""
    text = command("--child", f"--witness={seen.port}") if target == "program" else target
    process = run(text)
    await_start(process, seen)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends it to the whole group
    else:
        process.send_signal(number)
    output = await_clean_end(process, scratch, seen)
    assert process.returncode == (pytest.ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    assert ("KeyboardInterrupt" in output) is (number == signal.SIGINT)


def test_finished_run_leaves_nothing(run: Run, seen: Witness, scratch: Path) -> None:
    """The target and its children end with the session."""
    process = run(command("--child", f"--witness={seen.port}"))
    await_start(process, seen)
    seen.signal()
    await_clean_end(process, scratch, seen)
    assert process.returncode == pytest.ExitCode.OK


def test_run_ended_by_pytest_timeout_leaves_nothing(run: Run, seen: Witness, scratch: Path) -> None:
    """Pytest-timeout may end the process at once; the target ends all the same."""
    process = run(command("--child", f"--witness={seen.port}"), "-otimeout_method=thread", backstop=1)
    await_start(process, seen)
    output = await_clean_end(process, scratch, seen)
    assert process.returncode == 1
    assert "Timeout" in output


def test_interrupted_xdist_run_leaves_nothing(run: Run, seen: Witness, scratch: Path) -> None:
    """Under pytest-xdist the workers start the targets, which end with them."""
    process = run(command("--child", f"--witness={seen.port}"), "-n1")
    await_start(process, seen)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=LIMIT)
    seen.await_ends()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    until(lambda: not processes_with(f"--witness={seen.port}"))
