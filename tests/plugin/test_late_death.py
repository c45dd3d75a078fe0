"""A target that stops between two tests or during one: which test is blamed, and which is not run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from plugin.conftest import Run

TESTS = """
import os, signal, threading, time
import pytest

@pytest.fixture(autouse=True)
def _pause():
    yield
    time.sleep(0.4)

@pytest.mark.grpcstream_requirement("ORD-1")
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_list(grpcstream, number):
    with grpcstream.list("x", 1) as stream:
        stream.collect()
    if number == 2:
        threading.Timer(0.2, os.kill, ({pid}, signal.SIGKILL)).start()
"""


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """The address and the process id of a reference server that the tests may kill."""
    command = [sys.executable, "-m", "pytest_grpcstream.reference_impl", "--address=127.0.0.1:0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:\d+", line)
            assert found is not None, line
            yield found[0], process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_test_after_the_end_of_a_given_target_is_not_run(
    run: Run, pytester: pytest.Pytester, server: tuple[str, int], workers: Sequence[str]
) -> None:
    """It is neither failed nor not applicable. The run stops there, and fails."""
    address, pid = server
    pytester.makepyfile(TESTS.format(pid=pid))
    result = run(f"--grpcstream-target={address}", "--grpcstream-client=wire", "-rs", *workers, ".")
    result.assert_outcomes(passed=2, skipped=1)
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    result.stdout.fnmatch_lines(
        [
            "*not applicable  inconclusive  not run",
            "Message order and integrity * 2 *- * 1",
            "the target died after *test_list[[]wire-2]: *",
            "verdict: NOT conformant: the target died",
            "SKIPPED [[]1[]] *: not run: the target stopped after *; the rest was not run",
        ]
    )
    result.stdout.fnmatch_lines(["!* the target stopped after *; the rest was not run*!*"])
    assert "KeyError" not in result.stdout.str()
    assert "NotRun" not in result.stdout.str()


REPLACED = """
import time
import pytest
from pytest_grpcstream import Deviation, verify

@pytest.mark.grpcstream_requirement("ROBUST-4")
@pytest.mark.parametrize("fails", [False, True])
def test_list(grpcstream, grpcstream_connect, fails):
    with grpcstream.list(None) as stream:
        stream.end()
    time.sleep(0.5)
    verify.serves(grpcstream_connect(), "after a List without pt")
    if fails:
        raise Deviation("INVALID_ARGUMENT", "UNAVAILABLE", stream)

@pytest.mark.grpcstream_requirement("ORD-1")
def test_another(grpcstream):
    with grpcstream.list("x", 1) as stream:
        stream.collect()
"""


def test_target_that_is_replaced_during_a_test_has_died(run: Run, pytester: pytest.Pytester) -> None:
    """A new connection of the test restarts the target, which does not hide its death; the next test passes."""
    pytester.makepyfile(REPLACED)
    target = "--grpcstream-target=plugin.servicers:ExitsWithoutPoint"
    result = run(target, "--grpcstream-features=none", "--grpcstream-client=library", ".")
    result.assert_outcomes(passed=1, failed=2)
    died = "ROBUST-4 failed: expected the target still serves after this test; actual: it exited with code 9*"
    result.stdout.fnmatch_lines([died, died, "verdict: NOT conformant: failed: ROBUST-4"])
