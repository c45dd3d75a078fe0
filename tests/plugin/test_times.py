"""--grpcstream-timeout, -quiet and -startup-timeout: how long a run waits."""

from __future__ import annotations

import time
from typing import Final

import pytest

from plugin.conftest import Judge, Run, Serve
from targets.scripted import bytes_server
from targets.witness import command


def test_operation_times_out(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """The message shows the time limit."""
    pytester.makepyfile(
        """
        def test_waits(grpcstream):
            assert grpcstream.timeout == 0.25
            with grpcstream.route() as stream:
                stream.send("hello")
                stream.recv()
        """
    )
    result = run(f"--grpcstream-target={serve('plugin.servicers:RouteMute')}", "--grpcstream-timeout=0.25", ".")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *OperationTimeout: expected a response or the end of the stream within 0.25 s*"])


def test_timeout_limits_tests_of_the_suite(judge: Judge, serve: Serve) -> None:
    """A module of tests on a method that never responds ends after a few timeouts."""
    began = time.monotonic()
    result = judge(
        serve("plugin.servicers:RouteMute"),
        "half_close",
        options=("--grpcstream-features=none", "--grpcstream-timeout=0.25"),
    )
    assert time.monotonic() - began < 20
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["actual *nothing arrived after 0 response(s)"])


def test_timeout_is_capped_if_all_baseline_calls_fail(judge: Judge, serve: Serve) -> None:
    """A target that does not respond to the probes will not respond to the tests."""
    address = serve("plugin.servicers:Mute")
    result = judge(address, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-timeout=1.5"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["grpcstream: *; all baseline calls fail; timeouts capped at 1 s", "* within 1 s"])
    result.stdout.no_fnmatch_line("* within 1.5 s")


def test_timeout_of_own_tests_is_never_capped(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """A user's service need not implement the baseline calls of the suite."""
    pytester.makepyfile(
        """
        def test_waits(grpcstream_capabilities, grpcstream):
            assert not grpcstream_capabilities.working_exchanges
            assert grpcstream.timeout == 1.5
        """
    )
    target = f"--grpcstream-target={serve('plugin.servicers:Mute')}"
    run(target, "--grpcstream-features=none", "--grpcstream-timeout=1.5", ".").assert_outcomes(passed=1)


NEARLY_A_MINUTE: Final = """
import pytest
from pytest_grpcstream.plugin.session import Run

@pytest.fixture(scope="module", autouse=True)
def _nearly_a_minute(pytestconfig):
    Run.of(pytestconfig).budget.lost = 58.0

@pytest.mark.grpcstream_requirement("HALF-4")
@pytest.mark.parametrize("number", range(2))
def test_waits(grpcstream, number):
    with grpcstream.route() as stream:
        stream.send("hello")
        stream.recv()

def test_of_my_own(grpcstream):
    assert grpcstream.timeout == 3
"""
"""Two tests of a requirement that time out late in a run, and a test without a requirement."""


def test_timeout_is_capped_after_a_minute_of_timeouts(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """The run fails anyway, and full timeouts would only delay the result."""
    pytester.makepyfile(NEARLY_A_MINUTE)
    target = f"--grpcstream-target={serve('plugin.servicers:RouteMute')}"
    result = run(target, "--grpcstream-client=wire", "--grpcstream-features=none", "--grpcstream-timeout=3", ".")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*expected a response or the end of the stream within 3 s*",
            "*expected a response or the end of the stream within 2 s*",
            "timeouts capped at 2 s after 61 s lost to timeouts",
        ]
    )


def test_timeout_is_not_capped_with_expected_failures(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """The run may pass, and a shorter timeout could make it fail."""
    pytester.makepyfile(NEARLY_A_MINUTE)
    (pytester.path / "expect.toml").write_text("[[expect]]\nid = 'HALF-4'\nreason = 'within 3 s'\nwhy = 'mute'\n")
    target = f"--grpcstream-target={serve('plugin.servicers:RouteMute')}"
    options = ("--grpcstream-client=wire", "--grpcstream-features=none", "--grpcstream-timeout=3")
    result = run(target, *options, "--grpcstream-expect=expect.toml", ".")
    result.assert_outcomes(xfailed=2, passed=1)
    result.stdout.no_fnmatch_line("*lost to timeouts*")


def test_backstop_is_proportional_to_the_timeout(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """pytest-timeout limits each test of a requirement, unless the user sets a limit."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_backstop(grpcstream, request, pytestconfig):
            marker = request.node.get_closest_marker("timeout")
            print("the backstop is", marker and marker.args)
        """
    )
    arguments = (f"--grpcstream-target={core}", "--grpcstream-features=none", "-s", ".")
    run(*arguments, "--grpcstream-timeout=2").stdout.fnmatch_lines(["*the backstop is (48.0,)*"])
    run(*arguments, "--timeout=7").stdout.fnmatch_lines(["*the backstop is None*"])


def test_quiet_fixture_returns_the_option(run: Run, pytester: pytest.Pytester) -> None:
    """A user's own tests can use it."""
    pytester.makepyfile("def test_quiet(grpcstream_quiet): assert grpcstream_quiet == 0.05")
    run("--grpcstream-quiet=0.05").assert_outcomes(passed=1)


def test_silence_lasts_as_long_as_the_option_says(judge: Judge, reference: str) -> None:
    """A test that observes silence waits that long."""
    name = "record_pairing::test_record_is_not_answered_before_the_half_close"
    for quiet, least, most in (("0.01", 0.0, 0.9), ("1", 1.0, 5.0)):
        options = ("--grpcstream-features=none", f"--grpcstream-quiet={quiet}", "--durations=1", "-vv")
        result = judge(reference, name, options=options)
        [line] = [line for line in result.outlines if "s call " in line]
        assert least <= float(line.partition("s call")[0]) < most


def test_start_of_a_program_times_out(judge: Judge) -> None:
    """The program never listens."""
    began = time.monotonic()
    target = command("--never-listen")
    result = judge(target, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-startup-timeout=0.5"))
    assert time.monotonic() - began < 20
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*did not listen on 127.0.0.1:* within 0.5 s*"])


def test_probe_of_a_silent_address_times_out(judge: Judge) -> None:
    """The server accepts connections and sends nothing."""
    with bytes_server(b"") as address:
        result = judge(
            address, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-startup-timeout=0.5")
        )
    assert result.ret == 6
    result.stdout.fnmatch_lines([f"*{address} accepts connections but answered * with nothing within 0.5 s*"])
