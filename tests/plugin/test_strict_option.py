"""--grpcstream-strict: warnings fail the run too."""

from __future__ import annotations

import pytest

from plugin.conftest import Judge, Serve

OPTIONS = ("--grpcstream-features=none",)
WARNED = "warning ROBUST-4: expected the status INVALID_ARGUMENT or OK; actual: UNKNOWN *"


def test_warning_is_shown_and_does_not_fail_the_run(judge: Judge, serve: Serve) -> None:
    """It is an xfail with a reason, and the verdict on the run counts it."""
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), "survival_of_messages", options=(*OPTIONS, "-rx"))
    assert result.ret == pytest.ExitCode.OK
    outcomes = result.parseoutcomes()
    assert outcomes["xfailed"] == 3
    assert "failed" not in outcomes
    result.stdout.fnmatch_lines(
        [
            WARNED,
            "verdict: conformant in all that was checked, with 3 warning(s)",
            "XFAIL *conformance/test_survival_of_messages.py::*[[]library-List[]] - ROBUST-4: expected*",
        ]
    )


@pytest.mark.parametrize("source", ["option", "ini"])
def test_warning_fails_a_strict_run(judge: Judge, serve: Serve, pytester: pytest.Pytester, source: str) -> None:
    """The option and the ini option have the same effect; each warning is reported as a failure."""
    if source == "ini":
        pytester.makeini("[pytest]\ngrpcstream_strict = true\n")
    options = (*OPTIONS, "--grpcstream-strict") if source == "option" else OPTIONS
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), "survival_of_messages", options=options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 3
    assert "xfailed" not in outcomes
    result.stdout.fnmatch_lines(
        ["ROBUST-4 failed: expected the status INVALID_ARGUMENT or OK; actual: UNKNOWN *", "verdict: NOT conformant: *"]
    )


def test_strict_run_of_a_conformant_server_passes(judge: Judge, reference: str) -> None:
    """Only warnings are judged more strictly."""
    assert judge(reference, "end_of_stream", options=("--grpcstream-strict",)).ret == pytest.ExitCode.OK


def test_strictness_of_pytest_does_not_turn_warnings_into_failures(
    judge: Judge, serve: Serve, pytester: pytest.Pytester
) -> None:
    """The xfail_strict and filterwarnings of a project concern its own tests and code."""
    pytester.makeini("[pytest]\nxfail_strict = true\nfilterwarnings = error\n")
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), "survival_of_messages", options=OPTIONS)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["xfailed"] == 3
