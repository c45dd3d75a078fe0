"""The text of a failure: what a user reads first, and all that is needed to act on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_grpcstream.errors import Inconclusive, Mismatch
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.requirements.registry import Requirement
from pytest_grpcstream.verdicts.test_verdict import UpstreamVerdict
from pytest_grpcstream.verdicts.verdict import Verdict

SUMMARY: Final = 400
"""Characters of a mismatch in one line at most."""


def summarize(mismatch: Mismatch) -> str:
    """A mismatch in one line."""
    if isinstance(mismatch, Inconclusive):
        return one_line(f"could not be observed: {mismatch.actual}", SUMMARY)
    return one_line(f"expected {mismatch.expected}; actual: {mismatch.actual}", SUMMARY)


def render_failure(requirement: Requirement, verdict: Verdict, mismatch: Mismatch, repeat_with: str) -> str:
    """The text about a mismatch: requirement, expected, actual, the timeline with the deciding event, how to repeat it.

    Arguments:
        repeat_with: the command that runs the test again.
    """
    level = f"{requirement.level} ({requirement.owner}), severity {requirement.severity}"
    lines = [f"{requirement.id} {verdict}: {summarize(mismatch)}"]
    if not isinstance(mismatch, Inconclusive):
        lines += [
            "",
            f"requirement  {requirement.sentence}",
            f"             {level}; {requirement.source}",
            f"expected     {mismatch.expected}",
            f"actual       {mismatch.actual}",
        ]
        if mismatch.stream is not None:
            lines += [f"timeline     {mismatch.stream!r}", mismatch.stream.timeline.render(mismatch.deciding)]
    lines.append(f"repeat with  {repeat_with}")
    return "\n".join(lines)


def render_amended(requirement: str, verdict: Verdict, note: str, before: str) -> str:
    """A new first line, such as that of an unexpected pass or of a flaky test, above the text that was there before."""
    return f"{requirement} {verdict}: {note}" + (f"\n{before}" if before else "")


def render_upstream(before: str, upstream: UpstreamVerdict) -> str:
    """The text of a failure with what came of the same test on the upstream server."""
    return f"{before}\nupstream     {join_reason(upstream.verdict, upstream.reason)}"


def join_reason(verdict: Verdict, reason: str) -> str:
    """A verdict and its reason, if it has one."""
    return f"{verdict}: {reason}" if reason else str(verdict)


def join_notes(notes: Iterable[str]) -> str:
    """Notes in one line, each once."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
