"""What changed between two reports, and whether something got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.merging import in_order
from pytest_grpcstream.verdicts.results import VERDICTS

GOOD: Final = ("passed", "warned")
"""The verdicts that can be lost."""
WORSE: Final = ("failed", "changed", "flaky", "inconclusive")
"""The verdicts by which they are lost: all that fail a run but "fixed", because that target got better."""
MISSING: Final = "missing"
"""The word for what one of two reports says nothing about."""
_SETTINGS: Final = ("clients", "strict", "repeat", "whole")
_REASON: Final = 300


@dataclass(frozen=True)
class Change:
    """A test or a requirement that two reports differ about.

    Attributes:
        name: the id of the test, or of the requirement.
        requirement: the id of the requirement.
        severity: its severity.
        before: the verdict in the old report, or `MISSING`.
        after: the verdict in the new one, or `MISSING`.
        reason: the reason of the new verdict.
    """

    name: str
    requirement: str
    severity: str
    before: str
    after: str
    reason: str = ""

    @property
    def regression(self) -> bool:
        """Whether something that was well is not any more.

        What is missing is a loss only at the severity error: a warning that nobody looks for fails no run.
        """
        if self.before not in GOOD:
            return False
        return self.after in WORSE or (self.after == MISSING and self.severity == "error")

    @property
    def better(self) -> bool:
        """Whether the verdict is milder than before."""
        if MISSING in (self.before, self.after):
            return False
        return self.after == "fixed" or VERDICTS.index(self.after) > VERDICTS.index(self.before)

    def __str__(self) -> str:
        reason = f": {one_line(self.reason, _REASON)}" if self.reason and self.after != MISSING else ""
        return f"{one_line(self.name, _REASON)} ({self.severity}): {self.before} -> {self.after}{reason}"


def changes_of_requirements(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The requirements whose verdicts differ, in the order of the registry."""
    before, after = ({one["id"]: one for one in report["requirements"]} for report in (old, new))
    for name in in_order({*before, *after}):
        first, second = (column.get(name, {}).get("verdict") or MISSING for column in (before, after))
        if first != second:
            severity = (after.get(name) or before[name])["severity"]
            yield Change(name, name, severity, first, second)


def changes_of_tests(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The tests whose verdicts differ, in the order of their requirements."""
    severities = {one["id"]: one["severity"] for report in (old, new) for one in report["requirements"]}
    before, after = ({one["nodeid"]: one for one in report["tests"]} for report in (old, new))
    requirements = {name: one["requirement"] for name, one in (*before.items(), *after.items())}
    places = {name: place for place, name in enumerate(in_order(set(requirements.values())))}
    for name in sorted(requirements, key=lambda one: (places[requirements[one]], one)):
        first, second = (column.get(name, {}).get("verdict", MISSING) for column in (before, after))
        if first != second:
            reason = after.get(name, {}).get("reason", "")
            # A test of a requirement that its own report does not list is as grave as it can be.
            severity = severities.get(requirements[name], "error")
            yield Change(name, requirements[name], severity, first, second, reason)


def comparison(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The lines of a comparison, and whether there is a regression."""
    requirements, tests = list(changes_of_requirements(old, new)), list(changes_of_tests(old, new))
    lines = [f"old: {_described(old)}", f"new: {_described(new)}", *_differences(old, new)]
    for title, choose in (
        ("regressions", lambda one: one.regression),
        ("better", lambda one: not one.regression and one.better),
        ("other changes", lambda one: not one.regression and not one.better),
    ):
        for kind, changes in (("requirement(s)", requirements), ("test(s)", tests)):
            if chosen := [one for one in changes if choose(one)]:
                lines += [f"{title}: {len(chosen)} {kind}", *(f"  {one}" for one in chosen)]
    if not requirements and not tests:
        lines.append("no verdict changed")
    return lines, any(one.regression for one in (*requirements, *tests))


def _described(report: Mapping[str, Any]) -> str:
    target = one_line(report["target"]["text"] or "no target", 100)
    when = report["ended"] or f"{report['started']}, never ended"
    return f"{target}: {report['verdict']['word']} ({when}; version {one_line(report['plugin']['version'], 40)})"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What was asked for differently, so that a change need not be the target's."""
    for name in _SETTINGS:
        if old[name] != new[name]:
            yield f"note: {name} differs: {_told(old[name])}, then {_told(new[name])}"
    before, after = (report["target"]["features"] for report in (old, new))
    if before is not None and after is not None and set(before) != set(after):
        lost, found = sorted({*before} - {*after}), sorted({*after} - {*before})
        told = [f"{word} {', '.join(names)}" for word, names in (("without", lost), ("with", found)) if names]
        yield f"note: features differ: now {' and '.join(told)}"
    if not new["complete"]:
        yield "note: the new run is not complete"
    if not old["complete"]:
        yield "note: the old run is not complete"


def _told(value: object) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value)) or "none"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
