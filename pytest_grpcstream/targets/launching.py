"""Starts targets, waits until they serve, watches them and stops them."""

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
from collections.abc import Sequence
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
"""Seconds between SIGTERM and SIGKILL for a process that is stopped."""
OUTPUT: Final = 4000
"""Characters of a process's output that a message shows."""


class Running:
    """A target that serves. This base class is for targets without a process of their own.

    Attributes:
        target: The parsed target; None for a servicer of this process.
        address: Where it listens, in grpcio's notation.
        description: How it was started, for the header of a run.
        launched: Whether it is a process that this library started.
    """

    target: Target | None = None
    address: str = ""
    description: str = ""
    launched = False

    def exit_reason(self) -> str | None:
        """Return why a launched process exited; None while it runs, and for targets without a process."""
        return None

    def output(self) -> str:
        """Return the last part of what a launched process printed, escaped."""
        return ""

    def stop(self) -> None:
        """Stop the target if this library started it. Calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class ExternalServer(Running):
    """A server that the user started, at a known address. It is never stopped."""

    def __init__(self, target: Address, timeout: float, security: Security) -> None:
        self.target = target
        self.address = target.text
        self.description = f"already running at {target.text}"
        security.check(self.address, timeout)


class InProcess(Running):
    """A servicer that is served in this process."""

    def __init__(self, candidate: object) -> None:
        # grpcio is imported only when something is served.
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
    """A command that runs under a process guard, so that it never outlives this process.

    Its environment is that of this process; Python programs do not buffer their output, so that none is lost.

    Arguments:
        import_path: What a Python program can import besides, None to leave ``PYTHONPATH`` to the user.
    """

    launched = True

    def __init__(
        self,
        target: Target,
        command: list[str],
        pass_fds: tuple[int, ...] = (),
        *,
        import_path: Sequence[str] | None = None,
    ) -> None:
        self.target = target
        self.address = ""
        self._output: IO[bytes] = tempfile.TemporaryFile(prefix="grpcstream-")  # noqa: SIM115 - closed by stop()
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        if import_path is not None:
            environment["PYTHONPATH"] = os.pathsep.join(import_path)
        # -S and -I let the guard start faster than the program that it starts.
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
                return f"it was killed by {signal.Signals(code - 128).name}"
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
        assert self._guard.stdin is not None  # noqa: S101 - Popen was given PIPE
        self._guard.stdin.close()
        try:
            self._guard.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._output.close()

    def stop_as_failed(self, why: str, without_output: str = "; it printed nothing") -> TargetError:
        """Stop the process, and return an error with its output.

        Arguments:
            why: What went wrong, the first line of the message.
            without_output: What follows if the process printed nothing.
        """
        output = self.output()
        self.stop()
        return TargetError(why + (f"\n--- its output ---\n{output}" if output else without_output))


class _ServicerProcess(_Process):
    """A Python servicer in a separate process, which reports its address through a pipe."""

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
            super().__init__(target, command, (writer,), import_path=_import_path())
        finally:
            os.close(writer)
        try:
            self.address = self._await_report(target, reader, timeout)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(reader)
        name = "the bundled reference" if target.module == REFERENCE else target.text
        self.description = f"{name}, started at {self.address}"

    def _await_report(self, target: PythonPath, reader: int, timeout: float) -> str:
        due = time.monotonic() + timeout
        received = b""
        while not received.endswith(b"\n"):
            ready, _, _ = select.select([reader], [], [], max(0.0, due - time.monotonic()))
            if not ready:
                raise self.stop_as_failed(f"target {target} did not report an address within {timeout:g} s")
            data = os.read(reader, 65536)
            if not data:
                # The process may exit just after it closed the pipe.
                self._guard.wait(GRACE + 5)
                raise self.stop_as_failed(f"target {target} could not be served: {self.exit_reason()}")
            received += data
        report: dict[str, str] = json.loads(received)
        if "error" in report:
            raise self.stop_as_failed(
                f"target {target} could not be served: {one_line(report['error'])}", without_output=""
            )
        return report["address"]


class _CommandProcess(_Process):
    """A command that was given a free port; it is ready when it answers there."""

    def __init__(self, target: Command, timeout: float, security: Security) -> None:
        port = _free_port()
        super().__init__(target, target.with_port(port))
        self.address = f"127.0.0.1:{port}"
        self.description = f"{one_line(target.text, 100)}, started at {self.address}"
        try:
            self._await_answer(target, timeout, security)
        except BaseException:
            self.stop()
            raise

    def _await_answer(self, target: Command, timeout: float, security: Security) -> None:
        due = time.monotonic() + timeout
        pause = 0.01
        while True:
            if (reason := self.exit_reason()) is not None:
                raise self.stop_as_failed(f"target {one_line(target.text)} did not start: {reason}")
            left = due - time.monotonic()
            if left <= 0:
                raise self.stop_as_failed(
                    f"target {one_line(target.text)} did not listen on {self.address} within {timeout:g} s"
                )
            if accepts(self.address, left):
                break
            time.sleep(pause)
            pause = min(0.1, pause * 1.5)
        try:
            security.check(self.address, max(1.0, due - time.monotonic()))
        except TargetError as error:
            raise self.stop_as_failed(f"target {one_line(target.text)} was started, but {error}") from None


def _import_path() -> list[str]:
    """The import path of a servicer's process: it can import what this process can."""
    return list(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path if entry))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(target: Target, *, timeout: float = 20.0, security: Security = PLAINTEXT) -> Running:
    """Start a target, or check that it already runs, and wait until it serves.

    Arguments:
        timeout: Seconds that the target may take until it answers.
        security: How clients reach the target.

    Raises:
        TargetError: The target cannot be reached or started, or does not speak HTTP/2. The message ends with the output
            of a process that was started, without the secret values of ``security``.
    """
    try:
        return _start(target, timeout, security)
    except TargetError as error:
        raise TargetError(security.redact(str(error))) from None


def _start(target: Target, timeout: float, security: Security) -> Running:
    if isinstance(target, Address):
        return ExternalServer(target, min(timeout, 5.0), security)
    if isinstance(target, Command):
        return _CommandProcess(target, timeout, security)
    if security.tls:
        raise TargetError(f"target {target} is served without TLS; --grpcstream-tls needs an address or a command")
    return _ServicerProcess(target, timeout)
