"""Compares two reports: what changed, and whether there is a regression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.merging import sort_requirements
from pytest_grpcstream.report.values import Report
from pytest_grpcstream.requirements.registry import Severity
from pytest_grpcstream.verdicts.verdict import Verdict

HEALTHY: Final = frozenset({Verdict.PASSED, Verdict.WARNED})
"""The verdicts that a regression takes away."""
REGRESSED: Final = frozenset({Verdict.FAILED, Verdict.CHANGED, Verdict.FLAKY, Verdict.INCONCLUSIVE})
"""The verdicts that make a regression: all that fail a run except "fixed", because that target improved."""
MISSING: Final = "missing"
"""The word for a test or a requirement that one of two reports has no verdict on."""
_Seen: TypeAlias = Verdict | Literal["missing"]
_TEXT_LIMIT: Final = 300
"""Characters of a name or a reason that are shown."""


@dataclass(frozen=True)
class Change:
    """A test or a requirement on which two reports have different verdicts.

    Attributes:
        name: the id of the test, or of the requirement.
        severity: the severity of the requirement.
        before: the verdict in the old report, or `MISSING`.
        after: the verdict in the new report, or `MISSING`.
        reason: the reason of the new verdict.
    """

    name: str
    severity: Severity
    before: _Seen
    after: _Seen
    reason: str = ""

    @property
    def is_regression(self) -> bool:
        """Whether something healthy is not healthy any more.

        A missing verdict is a regression only at the severity error: a warning that is not looked for fails no run.
        """
        if self.before not in HEALTHY:
            return False
        return self.after in REGRESSED or (self.after == MISSING and self.severity == "error")

    @property
    def is_improvement(self) -> bool:
        """Whether the verdict is milder than before."""
        if self.before == MISSING or self.after == MISSING:
            return False
        return self.after is Verdict.FIXED or self.after.gravity > self.before.gravity

    def __str__(self) -> str:
        reason = f": {one_line(self.reason, _TEXT_LIMIT)}" if self.reason and self.after != MISSING else ""
        return f"{one_line(self.name, _TEXT_LIMIT)} ({self.severity}): {self.before} -> {self.after}{reason}"


def compare_requirements(old: Report, new: Report) -> Iterator[Change]:
    """The requirements whose verdicts differ, in the order of the registry."""
    before, after = ({one.id: one for one in report.requirements} for report in (old, new))
    for name in sort_requirements({*before, *after}):
        first: _Seen = (before[name].verdict if name in before else None) or MISSING
        second: _Seen = (after[name].verdict if name in after else None) or MISSING
        if first != second:
            yield Change(name, (after.get(name) or before[name]).severity, first, second)


def compare_tests(old: Report, new: Report) -> Iterator[Change]:
    """The tests whose verdicts differ, in the order of their requirements."""
    severities = {one.id: one.severity for report in (old, new) for one in report.requirements}
    before, after = ({one.nodeid: one for one in report.tests} for report in (old, new))
    requirements = {name: one.requirement for name, one in (*before.items(), *after.items())}
    places = {name: place for place, name in enumerate(sort_requirements(set(requirements.values())))}
    for name in sorted(requirements, key=lambda one: (places[requirements[one]], one)):
        first: _Seen = before[name].verdict if name in before else MISSING
        second: _Seen = after[name].verdict if name in after else MISSING
        if first != second:
            reason = after[name].reason if name in after else ""
            # A test of a requirement that its own report does not list is treated as the gravest.
            yield Change(name, severities.get(requirements[name], "error"), first, second, reason)


def compare_reports(old: Report, new: Report) -> tuple[list[str], bool]:
    """The lines of a comparison, and whether there is a regression."""
    requirements, tests = list(compare_requirements(old, new)), list(compare_tests(old, new))
    lines = [f"old: {_describe(old)}", f"new: {_describe(new)}", *_note_differences(old, new)]
    groups: dict[str, Callable[[Change], bool]] = {
        "regressions": lambda one: one.is_regression,
        "improvements": lambda one: not one.is_regression and one.is_improvement,
        "other changes": lambda one: not one.is_regression and not one.is_improvement,
    }
    for title, belongs in groups.items():
        for kind, changes in (("requirement(s)", requirements), ("test(s)", tests)):
            if chosen := [one for one in changes if belongs(one)]:
                lines += [f"{title}: {len(chosen)} {kind}", *(f"  {one}" for one in chosen)]
    if not requirements and not tests:
        lines.append("no verdict changed")
    return lines, any(one.is_regression for one in (*requirements, *tests))


def _describe(report: Report) -> str:
    target = one_line(report.target.text or "no target", 100)
    when = report.ended or f"{report.started}, never ended"
    return f"{target}: {report.verdict.word} ({when}; version {one_line(report.plugin.version, 40)})"


def _note_differences(old: Report, new: Report) -> Iterator[str]:
    """What was set differently, so that a change need not come from the target."""
    settings: dict[str, Callable[[Report], str]] = {
        "clients": lambda report: " and ".join(report.clients) or "none",
        "strict": lambda report: _yes_or_no(report.strict),
        "repeat": lambda report: str(report.repeat),
        "whole": lambda report: _yes_or_no(report.whole),
    }
    for name, describe in settings.items():
        before, after = describe(old), describe(new)
        if before != after:
            yield f"note: {name} differs: {before}, then {after}"
    yield from _note_features(old.target.features, new.target.features)
    if not new.complete:
        yield "note: the new run is not complete"
    if not old.complete:
        yield "note: the old run is not complete"


def _note_features(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> Iterator[str]:
    if old is None or new is None or set(old) == set(new):
        return
    groups = {"without": sorted({*old} - {*new}), "with": sorted({*new} - {*old})}
    changes = [f"{word} {', '.join(names)}" for word, names in groups.items() if names]
    yield f"note: features differ: now {' and '.join(changes)}"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
