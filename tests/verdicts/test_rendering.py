"""The text of a failure: its first line, its parts, and what a list or an upstream server adds."""

from __future__ import annotations

from pytest_grpcstream.errors import Failure, Inconclusive
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.rendering import (
    SUMMARY,
    join_notes,
    join_reason,
    render_amended,
    render_failure,
    render_upstream,
    summarize,
)
from pytest_grpcstream.verdicts.test_verdict import UpstreamVerdict
from pytest_grpcstream.verdicts.verdict import Verdict
from verdicts.recorded import RecordedCall

COMMAND = "pytest --grpcstream-target=127.0.0.1:1 test_own.py::test_order"


def test_summary_is_one_short_line() -> None:
    """Line breaks and control characters are escaped, and a long text is cut."""
    assert summarize(Failure("3", "4")) == "expected 3; actual: 4"
    assert summarize(Failure("three\nresponses", "\x1b[2J")) == "expected three\\nresponses; actual: \\x1b[2J"
    cut, _, size = summarize(Failure("3", "x" * 1000)).partition("... ")
    assert (len(cut), size) == (SUMMARY, "(1020 characters)")


def test_summary_of_an_inconclusive_test_says_what_was_missing() -> None:
    """Nothing was expected of the target yet."""
    assert summarize(Inconclusive("a List", "List hangs")) == "could not be observed: List hangs"


def test_failure_is_rendered_from_requirement_to_command() -> None:
    """The first line is the conclusion; the rest is what a user needs to act on it."""
    requirement = registry()["EOF-4"]
    assert render_failure(requirement, Verdict.WARNED, Failure("3", "4"), COMMAND).splitlines() == [
        "EOF-4 warned: expected 3; actual: 4",
        "",
        f"requirement  {requirement.sentence}",
        f"             MUST (RFC 9113), severity warning; {requirement.source}",
        "expected     3",
        "actual       4",
        f"repeat with  {COMMAND}",
    ]


def test_timeline_marks_the_event_that_decided() -> None:
    """What happened after the mismatch is shown, but not marked."""
    call = RecordedCall()
    call.timeline.add("client", "half-close")
    mismatch = Failure("3", "4", call)
    call.timeline.add("local", "cancel")
    lines = render_failure(registry()["ORD-1"], Verdict.FAILED, mismatch, COMMAND).splitlines()
    assert f"timeline     {call!r}" in lines
    assert [line for line in lines if line.startswith(">")] == [line for line in lines if line.endswith("half-close")]
    assert [line for line in lines if line.endswith("cancel")]


def test_inconclusive_test_is_rendered_in_two_lines() -> None:
    """The requirement was not observed, so nothing of it is shown."""
    text = render_failure(registry()["ORD-1"], Verdict.INCONCLUSIVE, Inconclusive("a List", "List hangs"), COMMAND)
    assert text.splitlines() == [
        "ORD-1 inconclusive: could not be observed: List hangs",
        f"repeat with  {COMMAND}",
    ]


def test_amended_text_keeps_the_text_before_it() -> None:
    """A test that passed or was skipped has none."""
    assert render_amended("ORD-1", Verdict.FIXED, "it passes", "") == "ORD-1 fixed: it passes"
    assert render_amended("ORD-1", Verdict.FLAKY, "1 of 2 failed", "old") == "ORD-1 flaky: 1 of 2 failed\nold"


def test_upstream_verdict_is_the_last_line() -> None:
    """With its reason, if it has one."""
    assert render_upstream("old", UpstreamVerdict(Verdict.PASSED, "")) == "old\nupstream     passed"
    assert render_upstream("old", UpstreamVerdict(Verdict.FAILED, "3")) == "old\nupstream     failed: 3"
    assert join_reason(Verdict.NOT_RUN, "down") == "not run: down"


def test_notes_are_joined_once_each() -> None:
    """Empty ones are left out, and the order is kept."""
    assert join_notes(["b", "", "a", "b"]) == "b; a"
    assert join_notes([]) == ""
