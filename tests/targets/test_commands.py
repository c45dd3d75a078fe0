"""Programs: started on a free port, awaited, watched and ended, with one message for each way of not starting."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets import launching
from pytest_grpcstream.wire.sockets import accepts
from targets.conftest import Start
from targets.witness import PROGRAM, Witness, command, until


def test_a_program_is_ready_when_it_answers(start: Start) -> None:
    """It listens on the port that it was given when the launcher comes back, and says how it came to run."""
    text = command()
    running = start(text)
    assert accepts(running.address)
    assert running.address.startswith("127.0.0.1:")
    assert running.description.endswith(f", started at {running.address}")
    assert running.description.startswith("exec:")
    assert running.launched
    assert running.exit_reason() is None


def test_two_programs_of_one_text_have_ports_of_their_own(start: Start) -> None:
    """Nobody has to choose a port: each start has another one."""
    assert len({start(command()).address for _ in range(2)}) == 2


def test_a_program_is_ended_with_its_whole_process_group(start: Start, seen: Witness) -> None:
    """What the program has started itself does not stay behind, and its port is free again."""
    running = start(command("--child", f"--witness={seen.port}"))
    seen.await_lives(2)
    assert seen.lives() == 2
    running.stop()
    seen.await_ends()
    assert not accepts(running.address)


def test_what_a_program_leaves_behind_when_it_exits_is_ended(start: Start, seen: Witness) -> None:
    """The children of a program that ends by itself end with it."""
    running = start(command("--child", "--until-told", f"--witness={seen.port}"))
    seen.await_lives(2)
    seen.tell()
    seen.await_ends()
    assert until(running.exit_reason) == "it exited with code 5"
    assert not accepts(running.address)


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
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


def test_stopping_twice_is_fine(start: Start) -> None:
    """A target that was stopped by a test is stopped again at the end of the session."""
    running = start(command())
    running.stop()
    running.stop()
    assert running.exit_reason() is not None
    assert running.output() == ""


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGKILL, "it was ended by SIGKILL"), (signal.SIGSEGV, "it was ended by SIGSEGV")],
)
def test_a_program_that_was_killed_is_said_to_be(start: Start, number: signal.Signals, reason: str) -> None:
    """A crash is named by its signal."""
    with pytest.raises(TargetError, match=f"did not start: {reason}"):
        start(command(f"--die-of={int(number)}"))


def test_a_program_that_exits_at_once_is_told_with_its_output(start: Start) -> None:
    """The exit code and both of its output streams are in the message, and there is no waiting."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start(command("--exit=3", "--say=no such option"), timeout=60)
    assert time.monotonic() - began < 10
    first, rule, *output = str(failed.value).splitlines()
    assert first.startswith("target exec:")
    assert first.endswith(" did not start: it exited with code 3")
    assert rule == "--- its output ---"
    assert sorted(output) == ["and this on standard error", "no such option"]


def test_a_program_that_never_listens_is_told_and_ended(start: Start, seen: Witness) -> None:
    """After the startup timeout the message says where it should have listened and what it printed."""
    with pytest.raises(TargetError) as failed:
        start(command("--never-listen", "--say=starting", f"--witness={seen.port}"), timeout=3)
    seen.await_lives(1)
    seen.await_ends()
    first, _, *output = str(failed.value).splitlines()
    address = first.removesuffix(" within 3 s").rpartition(" ")[2]
    assert first.endswith(f" did not listen on {address} within 3 s")
    assert address.startswith("127.0.0.1:")
    assert "starting" in output


def test_a_program_that_printed_nothing_is_said_to_have(start: Start) -> None:
    """The message does not leave open whether there was output."""
    with pytest.raises(TargetError, match=r"did not start: it exited with code 3; it printed nothing$"):
        start(command("--exit=3"))


def test_a_command_that_is_not_there_is_named(start: Start) -> None:
    """The system's own reason is told."""
    with pytest.raises(TargetError) as failed:
        start("exec:./no-such-program --port {port}")
    assert "did not start: it exited with code 127" in str(failed.value)
    assert "cannot start './no-such-program': No such file or directory" in str(failed.value)


def test_a_command_that_may_not_be_run_is_named(start: Start, tmp_path: Path) -> None:
    """A file that is no program is not the same as none."""
    text = tmp_path / "server"
    text.write_text("no program", encoding="utf-8")
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
def test_a_program_that_speaks_something_else_is_ended(start: Start, seen: Witness, spoken: str, reason: str) -> None:
    """It was started, so it is ended, and the message says both."""
    with pytest.raises(TargetError) as failed:
        start(command(f"--speak={spoken}", f"--witness={seen.port}"), timeout=1)
    seen.await_lives(1)
    seen.await_ends()
    assert "was started, but 127.0.0.1:" in str(failed.value)
    assert reason in str(failed.value)


def test_output_that_is_hostile_is_escaped(start: Start) -> None:
    """A program cannot reach the terminal by what it prints before it fails."""
    with pytest.raises(TargetError) as failed:
        start(command("--exit=1", "--say=\x1b]0;owned\x07\x1b[2J\u202efine\r\nsecond"))
    assert all(char.isprintable() or char == "\n" for char in str(failed.value))
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202efine" in str(failed.value)


def test_output_is_kept_up_to_its_end_only(start: Start) -> None:
    """Of a program that prints a lot, the last part is told."""
    with pytest.raises(TargetError) as failed:
        start(f"exec:{sys.executable} -S -c \"print('a' * 9000); print('the end'); raise SystemExit(1)\" {{port}}")
    assert len(str(failed.value)) < launching.OUTPUT + 1000
    assert str(failed.value).endswith("the end")


def test_output_of_a_running_program_can_be_read(start: Start) -> None:
    """It is asked for when the program has died, and at any time before."""
    running = start(command("--say=hello"))
    assert "hello" in running.output()


def test_the_current_folder_and_environment_are_the_program_s(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative command and its environment mean what they mean to the user."""
    script = tmp_path / "server"
    script.write_text(f'#!/bin/sh\necho "token $TOKEN"; exec {sys.executable} -S {PROGRAM} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "sesame")
    assert "token sesame" in start("exec:./server --port {port}").output()


def test_nothing_is_left_of_a_program(start: Start, scratch: Path) -> None:
    """Its output has no name in the file system, and no descriptor of it stays open."""
    descriptors = Path("/dev/fd")
    before = len(os.listdir(descriptors))
    running = start(command("--say=much"))
    assert list(scratch.iterdir()) == []
    running.stop()
    assert len(os.listdir(descriptors)) == before
    assert list(scratch.iterdir()) == []
