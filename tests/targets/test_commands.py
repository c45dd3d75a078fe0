"""Commands: started on a free port, awaited, watched and stopped; every failed start has its own message."""

from __future__ import annotations

import ast
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets import launching
from pytest_grpcstream.targets.address import parse
from pytest_grpcstream.targets.security import Security
from pytest_grpcstream.wire.sockets import accepts
from targets.conftest import Start
from targets.witness import PROGRAM, Witness, command, until


def test_command_is_ready_when_it_answers(start: Start) -> None:
    """A started command listens on its port, and its description says how it was started."""
    text = command()
    running = start(text)
    assert accepts(running.address)
    assert running.address.startswith("127.0.0.1:")
    assert running.description.endswith(f", started at {running.address}")
    assert running.description.startswith("exec:")
    assert running.launched
    assert running.exit_reason() is None


@pytest.mark.parametrize("given", [None, "/of/the/user"])
def test_environment_of_a_command_is_the_users(
    start: Start, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """A server on another version of Python does not get the import path of this one."""
    monkeypatch.setenv("OF_THE_USER", "yes")
    if given is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", given)
    names = ("PYTHONPATH", "OF_THE_USER", "PYTHONUNBUFFERED")
    shown = f"import os; print([os.environ.get(name) for name in {names}])"
    with pytest.raises(TargetError, match="did not start") as refused:
        start(f"exec:{shlex.join([sys.executable, '-c', shown])} {{port}}")
    assert ast.literal_eval(str(refused.value).splitlines()[-1]) == [given, "yes", "1"]


def test_secret_in_the_output_of_a_failed_start_is_not_shown() -> None:
    """The program prints the metadata that every call would carry."""
    program = f"{sys.executable} -c 'print(\"Bearer open sesame\")' {{port}}"
    security = Security(metadata=(("authorization", "Bearer open sesame"),))
    with pytest.raises(TargetError, match="did not start") as refused:
        launching.start(parse(f"exec:{program}"), timeout=10, security=security)
    assert "sesame" not in str(refused.value)
    assert "***" in str(refused.value)


def test_every_start_uses_another_port(start: Start) -> None:
    """The launcher chooses a free port for each start."""
    assert len({start(command()).address for _ in range(2)}) == 2


def test_stopping_kills_the_process_group(start: Start, seen: Witness) -> None:
    """The children of the program end too, and its port is free again."""
    running = start(command("--child", f"--witness={seen.port}"))
    seen.await_lives(2)
    assert seen.lives() == 2
    running.stop()
    seen.await_ends()
    assert not accepts(running.address)


def test_children_end_with_their_program(start: Start, seen: Witness) -> None:
    """When a program exits by itself, its children are killed."""
    running = start(command("--child", "--until-signalled", f"--witness={seen.port}"))
    seen.await_lives(2)
    seen.signal()
    seen.await_ends()
    assert until(running.exit_reason) == "it exited with code 5"
    assert not accepts(running.address)


def test_program_that_ignores_sigterm_is_killed_after_the_grace(
    start: Start, seen: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the program nor its children outlive the grace."""
    monkeypatch.setattr(launching, "GRACE", 0.3)
    running = start(command("--ignore-sigterm", "--child", f"--witness={seen.port}"))
    seen.await_lives(2)
    began = time.monotonic()
    running.stop()
    seen.await_ends()
    assert 0.3 <= time.monotonic() - began < 5


def test_stopping_twice_is_allowed(start: Start) -> None:
    """A target that a test stopped is stopped again at the end of the session."""
    running = start(command())
    running.stop()
    running.stop()
    assert running.exit_reason() is not None
    assert running.output() == ""


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGKILL, "it was killed by SIGKILL"), (signal.SIGSEGV, "it was killed by SIGSEGV")],
)
def test_killed_program_is_reported_with_its_signal(start: Start, number: signal.Signals, reason: str) -> None:
    """The message names the signal of a crash."""
    with pytest.raises(TargetError, match=f"did not start: {reason}"):
        start(command(f"--die-of={int(number)}"))


def test_exit_at_start_is_reported_with_the_output(start: Start) -> None:
    """The message has the exit code and both output streams, and comes at once."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start(command("--exit=3", "--say=no such option"), timeout=60)
    assert time.monotonic() - began < 10
    first, rule, *output = str(failed.value).splitlines()
    assert first.startswith("target exec:")
    assert first.endswith(" did not start: it exited with code 3")
    assert rule == "--- its output ---"
    assert sorted(output) == ["and this on standard error", "no such option"]


def test_program_that_never_listens_is_reported_and_stopped(start: Start, seen: Witness) -> None:
    """After the startup timeout the message names the expected address and shows the output."""
    with pytest.raises(TargetError) as failed:
        start(command("--never-listen", "--say=starting", f"--witness={seen.port}"), timeout=3)
    seen.await_lives(1)
    seen.await_ends()
    first, _, *output = str(failed.value).splitlines()
    address = first.removesuffix(" within 3 s").rpartition(" ")[2]
    assert first.endswith(f" did not listen on {address} within 3 s")
    assert address.startswith("127.0.0.1:")
    assert "starting" in output


def test_missing_output_is_mentioned(start: Start) -> None:
    """The message says that the program printed nothing."""
    with pytest.raises(TargetError, match=r"did not start: it exited with code 3; it printed nothing$"):
        start(command("--exit=3"))


def test_missing_command_is_reported(start: Start) -> None:
    """The message has the reason of the operating system."""
    with pytest.raises(TargetError) as failed:
        start("exec:./no-such-program --port {port}")
    assert "did not start: it exited with code 127" in str(failed.value)
    assert "cannot start './no-such-program': No such file or directory" in str(failed.value)


def test_command_without_permission_is_reported(start: Start, tmp_path: Path) -> None:
    """A file that is not executable is not reported as missing."""
    text = tmp_path / "server"
    text.write_text("not a program", encoding="utf-8")
    with pytest.raises(TargetError, match=r"cannot start '.*server': Permission denied"):
        start(f"exec:{text} {{port}}")


@pytest.mark.parametrize(
    ("spoken", "reason"),
    [
        ("http1", "speaks HTTP/1, not HTTP/2: it answered b'HTTP/1.1 400 Bad Request'"),
        ("other", "does not speak HTTP/2: it answered b'220 mail.example.test ESMTP"),
        ("nothing", "accepts connections but answered the HTTP/2 connection preface with nothing within 1 s"),
    ],
)
def test_program_with_another_protocol_is_stopped(start: Start, seen: Witness, spoken: str, reason: str) -> None:
    """The message says that the program was started, and what it speaks."""
    with pytest.raises(TargetError) as failed:
        start(command(f"--speak={spoken}", f"--witness={seen.port}"), timeout=1)
    seen.await_lives(1)
    seen.await_ends()
    assert "was started, but 127.0.0.1:" in str(failed.value)
    assert reason in str(failed.value)


def test_hostile_output_is_escaped(start: Start) -> None:
    """Escape sequences in the output of a program never reach the terminal."""
    with pytest.raises(TargetError) as failed:
        start(command("--exit=1", "--say=\x1b]0;owned\x07\x1b[2J\u202efine\r\nsecond"))
    assert all(char.isprintable() or char == "\n" for char in str(failed.value))
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202efine" in str(failed.value)


def test_only_the_last_part_of_the_output_is_shown(start: Start) -> None:
    """The message shows the end of a long output."""
    with pytest.raises(TargetError) as failed:
        start(f"exec:{sys.executable} -S -c \"print('a' * 9000); print('the end'); raise SystemExit(1)\" {{port}}")
    assert len(str(failed.value)) < launching.OUTPUT + 1000
    assert str(failed.value).endswith("the end")


def test_output_of_a_running_program_is_readable(start: Start) -> None:
    """The output can be read at any time, not only after a death."""
    running = start(command("--say=hello"))
    assert "hello" in running.output()


def test_program_inherits_directory_and_environment(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative command and its environment variables work as in the user's shell."""
    script = tmp_path / "server"
    script.write_text(f'#!/bin/sh\necho "token $TOKEN"; exec {sys.executable} -S {PROGRAM} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "sesame")
    assert "token sesame" in start("exec:./server --port {port}").output()


def test_stopped_program_leaves_no_file(start: Start, scratch: Path) -> None:
    """Its output has no name in the file system, and its descriptors are closed."""
    descriptors = Path("/dev/fd")
    before = len(os.listdir(descriptors))
    running = start(command("--say=much"))
    assert list(scratch.iterdir()) == []
    running.stop()
    assert len(os.listdir(descriptors)) == before
    assert list(scratch.iterdir()) == []
