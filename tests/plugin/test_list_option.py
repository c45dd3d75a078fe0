"""--grpcstream-list: print the requirements, without a target."""

from __future__ import annotations

import pytest

from plugin.conftest import Run
from pytest_grpcstream.requirements.registry import registry


def test_every_requirement_is_listed(run: Run) -> None:
    """Each is listed with its sentence; nothing is collected."""
    result = run("--grpcstream-list")
    assert result.ret == pytest.ExitCode.OK
    for one in registry().values():
        assert f"  {one.id}: {one.sentence}" in result.outlines
    assert result.outlines[-1] == f"{len(registry())} of {len(registry())} requirements"
    result.stdout.no_fnmatch_line("*test session starts*")


def test_words_filter_requirements(run: Run) -> None:
    """A requirement must match every word: an area, a severity, a feature, or a word of its sentence."""
    result = run("--grpcstream-list=ABORT,error,metadata")
    wanted = [
        one.id
        for one in registry().values()
        if one.area == "ABORT" and one.severity == "error" and "metadata" in one.features
    ]
    assert [line.split(":")[0].strip() for line in result.outlines if line.startswith("  ABORT-")] == wanted != []
    shown = "".join(run("--grpcstream-list=padding").outlines)
    assert "FLOW-9: Padding counts" in shown
    assert "ORD-1:" not in shown


def test_target_is_not_contacted(run: Run) -> None:
    """A missing target does not matter."""
    assert run("--grpcstream-list=ORD", "--grpcstream-target=127.0.0.1:1").ret == pytest.ExitCode.OK


def test_words_that_match_nothing_are_a_usage_error(run: Run) -> None:
    """The message says what is valid."""
    result = run("--grpcstream-list=ORD,nonsense")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*No requirement matches 'ORD,nonsense'; valid words, *"])
