"""--grpcstream-timeout, -quiet and -startup-timeout: how long is waited for what."""

from __future__ import annotations

import time
from typing import Final

import pytest

from plugin.conftest import Judge, Run, Serve
from targets.scripted import bytes_server
from targets.witness import command


def test_an_operation_takes_no_longer_than_the_timeout(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """A server that never answers costs one time limit, and the message says how long that was."""
    pytester.makepyfile(
        """
        def test_waits(grpcstream):
            assert grpcstream.timeout == 0.25
            with grpcstream.route() as stream:
                stream.send("anybody there")
                stream.recv()
        """
    )
    result = run(f"--grpcstream-target={serve('plugin.servicers:RouteMute')}", "--grpcstream-timeout=0.25", ".")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *OperationTimeout: expected a response or the end of the stream within 0.25 s*"])


def test_the_suite_waits_no_longer_either(judge: Judge, serve: Serve) -> None:
    """A whole module of tests on a mute method is over in a few time limits."""
    began = time.monotonic()
    result = judge(
        serve("plugin.servicers:RouteMute"),
        "half_close",
        options=("--grpcstream-features=none", "--grpcstream-timeout=0.25"),
    )
    assert time.monotonic() - began < 20
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["actual *nothing arrived after 0 response(s)"])


def test_where_nothing_works_the_suite_waits_less(judge: Judge, serve: Serve) -> None:
    """The time limit is for servers that may answer yet: one that was mute at the beginning is waited for no longer."""
    address = serve("plugin.servicers:Mute")
    result = judge(address, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-timeout=1.5"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["grpcstream: *; all baseline calls fail; timeouts capped at 1 s", "* within 1 s"])
    result.stdout.no_fnmatch_line("* within 1.5 s")


def test_where_nothing_works_tests_of_ones_own_wait_as_long_as_ever(
    run: Run, pytester: pytest.Pytester, serve: Serve
) -> None:
    """What the suite takes for plain need not be what a user's service does."""
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
        stream.send("anybody there")
        stream.recv()

def test_of_my_own(grpcstream):
    assert grpcstream.timeout == 3
"""
"""Two tests of a requirement that wait in vain, late in a run, and one of a user's own."""


def test_a_run_that_has_waited_long_in_vain_waits_less(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """It is red already; that the others take their whole time as well would only make it late."""
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


def test_a_run_with_a_list_of_expected_failures_takes_its_time(
    run: Run, pytester: pytest.Pytester, serve: Serve
) -> None:
    """It may be green, and shorter limits could make it red."""
    pytester.makepyfile(NEARLY_A_MINUTE)
    (pytester.path / "expect.toml").write_text("[[expect]]\nid = 'HALF-4'\nreason = 'within 3 s'\nwhy = 'mute'\n")
    target = f"--grpcstream-target={serve('plugin.servicers:RouteMute')}"
    options = ("--grpcstream-client=wire", "--grpcstream-features=none", "--grpcstream-timeout=3")
    result = run(target, *options, "--grpcstream-expect=expect.toml", ".")
    result.assert_outcomes(xfailed=2, passed=1)
    result.stdout.no_fnmatch_line("*lost to timeouts*")


def test_the_backstop_grows_with_the_timeout(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """Each test of a requirement has a limit of its own, unless the user set one for all."""
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


def test_quiet_is_what_tests_wait_in_silence(run: Run, pytester: pytest.Pytester) -> None:
    """The fixture of that name gives it to tests of one's own."""
    pytester.makepyfile("def test_quiet(grpcstream_quiet): assert grpcstream_quiet == 0.05")
    run("--grpcstream-quiet=0.05").assert_outcomes(passed=1)


def test_silence_is_as_long_as_it_was_set(judge: Judge, reference: str) -> None:
    """A requirement that is observed by silence takes that long."""
    name = "record_pairing::test_record_is_not_answered_before_the_half_close"
    for quiet, least, most in (("0.01", 0.0, 0.9), ("1", 1.0, 5.0)):
        options = ("--grpcstream-features=none", f"--grpcstream-quiet={quiet}", "--durations=1", "-vv")
        result = judge(reference, name, options=options)
        [line] = [line for line in result.outlines if "s call " in line]
        assert least <= float(line.partition("s call")[0]) < most


def test_a_target_takes_no_longer_to_start_than_the_startup_timeout(judge: Judge) -> None:
    """A program that never listens is given up then."""
    began = time.monotonic()
    target = command("--never-listen")
    result = judge(target, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-startup-timeout=0.5"))
    assert time.monotonic() - began < 20
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*did not listen on 127.0.0.1:* within 0.5 s*"])


def test_a_mute_address_is_given_up_then_too(judge: Judge) -> None:
    """What accepts connections and says nothing is no target."""
    with bytes_server(b"") as address:
        result = judge(
            address, "record_pairing", options=("--grpcstream-features=none", "--grpcstream-startup-timeout=0.5")
        )
    assert result.ret == 6
    result.stdout.fnmatch_lines([f"*{address} accepts connections but answered * with nothing within 0.5 s*"])
