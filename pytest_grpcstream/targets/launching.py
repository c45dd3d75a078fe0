"""Starts what has to be started, waits until it serves, watches it and ends it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.escape import block, one_line
from pytest_grpcstream.targets import process_guard
from pytest_grpcstream.targets.address import REFERENCE, Address, Command, PythonPath, Target
from pytest_grpcstream.targets.security import PLAINTEXT, Security
from pytest_grpcstream.wire.sockets import accepts

GRACE: Final = 3.0
"""Seconds between SIGTERM and SIGKILL for a program that is ended."""
OUTPUT: Final = 4000
"""Characters of a failed program's output that its error message shows."""


class Running:
    """A target that can be called; this base class is one that was not launched here.

    Attributes:
        target: how it was named; None for a servicer object.
        address: where it listens, as grpcio writes addresses.
        description: how it came to run, for the header of a run.
        launched: whether it is a process that this library started.
    """

    target: Target | None = None
    address: str = ""
    description: str = ""
    launched = False

    def exit_reason(self) -> str | None:
        """Why a launched target is not running any more, or None while it runs (or was not launched here)."""
        return None

    def output(self) -> str:
        """What a launched target has printed, escaped, its last part."""
        return ""

    def stop(self) -> None:
        """End it if it was launched here. Calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Given(Running):
    """A server at a known address, which somebody else started and which is never stopped."""

    def __init__(self, target: Address, timeout: float, security: Security) -> None:
        self.target = target
        self.address = target.text
        self.description = f"already running at {target.text}"
        security.check(self.address, timeout)


class InProcess(Running):
    """A servicer object that is served in this process."""

    def __init__(self, candidate: object) -> None:
        # grpc is imported only when somebody serves something.
        from pytest_grpcstream.targets.serving import serve

        name = getattr(candidate, "__qualname__", None) or type(candidate).__qualname__
        self._handle = serve(candidate, name)
        self._stopped = False
        self.address = self._handle.address
        self.description = f"{name}, served in this process at {self.address}"

    def stop(self) -> None:
        """Stop serving; open streams are cancelled."""
        if not self._stopped:
            self._stopped = True
            self._handle.stop(0)


class _Process(Running):
    """A command under a guard, so that it never outlives this process."""

    launched = True

    def __init__(self, target: Target, command: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        self.target = target
        self.address = ""
        self._output: IO[bytes] = tempfile.TemporaryFile(prefix="grpcstream-")  # noqa: SIM115 - closed by stop()
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        environment["PYTHONPATH"] = os.pathsep.join(_import_path())
        # -S and -I keep the guard's own start below that of the program it starts.
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(process_guard.__file__)), str(GRACE), *command],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.description = ""

    def exit_reason(self) -> str | None:
        code = self._guard.poll()
        if code is None:
            return None
        if code > 128:
            try:
                return f"it was ended by {signal.Signals(code - 128).name}"
            except ValueError:
                return f"it exited with code {code}"
        return f"it exited with code {code}"

    def output(self) -> str:
        if self._output.closed:
            return ""
        size = os.fstat(self._output.fileno()).st_size
        data = os.pread(self._output.fileno(), OUTPUT, max(0, size - OUTPUT))
        return block(data.decode("utf-8", "replace"), OUTPUT)

    def stop(self) -> None:
        if self._output.closed:
            return
        assert self._guard.stdin is not None  # noqa: S101 - it was asked for
        self._guard.stdin.close()
        try:
            self._guard.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._output.close()

    def failure(self, what: str, otherwise: str = "; it printed nothing") -> TargetError:
        """End the process and say what went wrong, with what it printed, or ``otherwise`` if it printed nothing."""
        output = self.output()
        self.stop()
        return TargetError(what + (f"\n--- its output ---\n{output}" if output else otherwise))


class _Spawned(_Process):
    """A Python servicer in a process of its own, which reports its address through a pipe."""

    def __init__(self, target: PythonPath, timeout: float) -> None:
        reader, writer = os.pipe()
        try:
            command = [
                sys.executable,
                "-P",
                "-m",
                "pytest_grpcstream.targets.servicer_process",
                target.module,
                target.attribute,
                str(writer),
            ]
            super().__init__(target, command, (writer,))
        finally:
            os.close(writer)
        try:
            self.address = self._reported(target, reader, timeout)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(reader)
        name = "the bundled reference" if target.module == REFERENCE else target.text
        self.description = f"{name}, started at {self.address}"

    def _reported(self, target: PythonPath, reader: int, timeout: float) -> str:
        due = time.monotonic() + timeout
        received = b""
        while not received.endswith(b"\n"):
            ready, _, _ = select.select([reader], [], [], max(0.0, due - time.monotonic()))
            if not ready:
                raise self.failure(f"target {target} did not serve within {timeout:g} s")
            data = os.read(reader, 65536)
            if not data:
                # The process may end just after the pipe does.
                self._guard.wait(GRACE + 5)
                raise self.failure(f"target {target} could not be served: {self.exit_reason()}")
            received += data
        report: dict[str, str] = json.loads(received)
        if "error" in report:
            raise self.failure(f"target {target} could not be served: {one_line(report['error'])}", otherwise="")
        return report["address"]


class _Executed(_Process):
    """A program that was given a free port and is ready when it answers there."""

    def __init__(self, target: Command, timeout: float, security: Security) -> None:
        port = _free_port()
        super().__init__(target, target.with_port(port))
        self.address = f"127.0.0.1:{port}"
        self.description = f"{one_line(target.text, 100)}, started at {self.address}"
        try:
            self._await(target, timeout, security)
        except BaseException:
            self.stop()
            raise

    def _await(self, target: Command, timeout: float, security: Security) -> None:
        due = time.monotonic() + timeout
        pause = 0.01
        while True:
            if (reason := self.exit_reason()) is not None:
                raise self.failure(f"target {one_line(target.text)} did not start: {reason}")
            left = due - time.monotonic()
            if left <= 0:
                raise self.failure(
                    f"target {one_line(target.text)} did not listen on {self.address} within {timeout:g} s"
                )
            if accepts(self.address, left):
                break
            time.sleep(pause)
            pause = min(0.1, pause * 1.5)
        try:
            security.check(self.address, max(1.0, due - time.monotonic()))
        except TargetError as error:
            raise self.failure(f"target {one_line(target.text)} was started, but {error}") from None


def _import_path() -> list[str]:
    """What a spawned process can import: all that this process can."""
    return list(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path if entry))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(target: Target, *, timeout: float = 20.0, security: Security = PLAINTEXT) -> Running:
    """Start a target, or find out that it is already there, and wait until it serves.

    Arguments:
        timeout: seconds that it may take until it answers.
        security: how it is reached.

    Raises:
        TargetError: it is not there, cannot be started, or does not speak HTTP/2; with what it printed.
    """
    if isinstance(target, Address):
        return Given(target, min(timeout, 5.0), security)
    if isinstance(target, Command):
        return _Executed(target, timeout, security)
    if security.tls:
        raise TargetError(f"target {target} is served without TLS; name an address or a command to reach it by TLS")
    return _Spawned(target, timeout)
