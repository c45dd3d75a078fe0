"""--grpcstream-features: the features of a target are probed, or declared and then required."""

from __future__ import annotations

import pytest

from plugin.conftest import Judge

MODULES = ("end_of_stream", "record_pairing")
"""Modules with tests of the core and tests that need optional features."""
BOTH = "--grpcstream-client=both"
"""Some tests run over one of the clients only, and are not applicable without it."""


def features_line(result: pytest.RunResult) -> str:
    """What a run reports about the features of its target."""
    [line] = [line for line in result.outlines if line.startswith("target: ")]
    return line.partition("; ")[2]


def test_features_are_probed_by_default(judge: Judge, reference: str, core: str) -> None:
    """The reference has all of them, the core server has none."""
    everything = judge(reference, *MODULES, options=(BOTH,))
    assert everything.ret == pytest.ExitCode.OK
    assert features_line(everything) == "features found: abort, finish, repeat, echo, sleep, watch, metadata"
    assert "skipped" not in everything.parseoutcomes()

    nothing = judge(core, *MODULES, options=(BOTH,))
    assert nothing.ret == pytest.ExitCode.OK
    assert features_line(nothing) == (
        "features found: none; without: abort, finish, repeat, echo, sleep, watch, metadata"
    )
    assert nothing.parseoutcomes()["skipped"] > 0


def test_requirement_of_a_missing_feature_is_not_applicable(judge: Judge, core: str) -> None:
    """Its tests are skipped, and each skip names the missing feature."""
    result = judge(core, *MODULES, options=(BOTH, "--grpcstream-features=none", "-rs"))
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK
    assert outcomes["passed"] > 0
    assert outcomes["skipped"] > 0
    reasons = [line.rpartition(": not applicable: ")[2] for line in result.outlines if line.startswith("SKIPPED")]
    assert reasons
    assert all(reason.startswith("the target has no ") for reason in reasons), reasons
    reported = [line for line in result.outlines if line.startswith("  not applicable: the target has no finish: EOF-")]
    assert reported, result.stdout.str()


def test_declared_feature_that_is_missing_fails(judge: Judge, core: str) -> None:
    """Nothing is skipped if all features are declared."""
    result = judge(core, *MODULES, options=(BOTH, "--grpcstream-features=all"))
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes["failed"] > 0
    assert "skipped" not in outcomes
    assert features_line(result).startswith("features declared: abort, ")
    result.stdout.fnmatch_lines(["verdict: NOT conformant: failed: *PAIR-*"])


def test_feature_that_is_not_declared_is_not_tested(judge: Judge, reference: str, core: str) -> None:
    """The rest is not applicable, even to a target that has it."""
    for target, code in ((reference, pytest.ExitCode.OK), (core, pytest.ExitCode.TESTS_FAILED)):
        result = judge(target, "record_pairing", options=("--grpcstream-features=echo",))
        assert result.ret == code
        assert features_line(result) == (
            "features declared: echo; without: abort, finish, repeat, sleep, watch, metadata"
        )
        assert [line for line in result.outlines if line.endswith("the target has no finish: PAIR-9")]
        assert ("failed" in result.parseoutcomes()) is (target == core)
