"""--grpcstream-features: what a target has is found out, or declared, and then it must be there."""

from __future__ import annotations

import pytest

from plugin.conftest import Judge

MODULES = ("end_of_stream", "record_pairing")
"""Modules with tests of the core and tests that need optional features."""


def features_line(result: pytest.RunResult) -> str:
    """What the run says about the features of its target."""
    [line] = [line for line in result.outlines if line.startswith("target: ")]
    return line.partition("; ")[2]


def test_features_are_found_out(judge: Judge, reference: str, core: str) -> None:
    """Without the option a target is asked: the reference has all of them, a plain server none."""
    everything = judge(reference, *MODULES, options=())
    assert everything.ret == pytest.ExitCode.OK
    assert features_line(everything) == "features found: abort, finish, repeat, echo, sleep, watch, metadata"
    assert "skipped" not in everything.parseoutcomes()

    nothing = judge(core, *MODULES, options=())
    assert nothing.ret == pytest.ExitCode.OK
    assert features_line(nothing) == (
        "features found: none; without: abort, finish, repeat, echo, sleep, watch, metadata"
    )
    assert nothing.parseoutcomes()["skipped"] > 0


def test_what_is_not_there_is_not_applicable(judge: Judge, core: str) -> None:
    """A requirement that needs a missing feature is skipped, and each skip has its reason."""
    result = judge(core, *MODULES, options=("--grpcstream-features=none", "-rs"))
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK
    assert outcomes["passed"] > 0
    assert outcomes["skipped"] > 0
    reasons = [line.rpartition(": not applicable: ")[2] for line in result.outlines if line.startswith("SKIPPED")]
    assert reasons
    assert all(reason.startswith("the target has no ") for reason in reasons), reasons
    told = [line for line in result.outlines if line.startswith("  not applicable: the target has no finish: EOF-")]
    assert told, result.stdout.str()


def test_a_declared_feature_that_is_missing_fails(judge: Judge, core: str) -> None:
    """Who says that a target has everything is told what it lacks, and nothing is skipped."""
    result = judge(core, *MODULES, options=("--grpcstream-features=all",))
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes["failed"] > 0
    assert "skipped" not in outcomes
    assert features_line(result).startswith("features declared: abort, ")
    result.stdout.fnmatch_lines(["verdict: NOT conformant: failed: *PAIR-*"])


def test_features_that_are_not_declared_are_not_asked_for(judge: Judge, reference: str, core: str) -> None:
    """A list says what there is: the rest is not applicable, also to a target that has it."""
    for target, code in ((reference, pytest.ExitCode.OK), (core, pytest.ExitCode.TESTS_FAILED)):
        result = judge(target, "record_pairing", options=("--grpcstream-features=echo",))
        assert result.ret == code
        assert features_line(result) == (
            "features declared: echo; without: abort, finish, repeat, sleep, watch, metadata"
        )
        assert [line for line in result.outlines if line.endswith("the target has no finish: PAIR-9")]
        assert ("failed" in result.parseoutcomes()) is (target == core)
