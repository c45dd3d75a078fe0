"""The results of a run so far: the verdicts on its tests, and the counts, coverage and conformance that follow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_grpcstream.requirements.registry import AREAS, Requirement, registry
from pytest_grpcstream.verdicts.hints import hints
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Conformance, Verdict, gravest


@dataclass(frozen=True)
class Coverage:
    """Which of the error-level requirements that concern a run were checked, and why others were not.

    Attributes:
        checked: how many error-level requirements were.
        total: how many there are.
        unchecked: requirements of any severity that could not be observed, by the reason.
        missing: requirements of any severity that were not selected, or not reached.
    """

    checked: int
    total: int
    unchecked: dict[str, list[str]]
    missing: list[str]


@dataclass(frozen=True)
class Disagreement:
    """A test on which the clients come to different verdicts.

    Attributes:
        requirement: the id of its requirement.
        test: its name, with ``*`` instead of the client.
        verdicts: the verdict by each client.
    """

    requirement: str
    test: str
    verdicts: dict[str, Verdict]


@dataclass
class Results:
    """The verdicts of a run, and what was noticed beside them.

    Attributes:
        verdicts: the newest verdict on each test, by the test's id.
        targets: one line about each target that was used, in the order of first use.
        deaths: how targets died after a test had ended.
        observed: what targets did where a specification leaves a choice, by requirement.
        complaints: what is wrong with expected failures that no single test can show.
        budget_notes: how time limits were shortened during the run.
    """

    verdicts: dict[str, TestVerdict] = field(default_factory=dict)
    targets: dict[str, None] = field(default_factory=dict)
    deaths: dict[str, None] = field(default_factory=dict)
    observed: dict[str, list[str]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    budget_notes: dict[str, None] = field(default_factory=dict)

    def add(self, test: TestVerdict) -> None:
        """Take the verdict on a test; a later one on the same test, such as that of its teardown, replaces it."""
        self.verdicts[test.nodeid] = test
        if test.target:
            self.targets[test.target] = None
        if test.late_death:
            self.deaths[test.late_death] = None
        if test.budget_note:
            self.budget_notes[test.budget_note] = None
        if test.observed:
            self.observed.setdefault(test.requirement, []).extend(test.observed)

    def counts(self) -> Counter[Verdict]:
        """How many tests came to each verdict."""
        return Counter(test.verdict for test in self.verdicts.values())

    def areas(self) -> dict[str, Counter[Verdict]]:
        """How many tests came to each verdict, by area; every failure counts as failed."""
        counts = {area: Counter[Verdict]() for area in AREAS}
        for test in self.verdicts.values():
            counts[test.area][test.verdict.column] += 1
        return {area: count for area, count in counts.items() if count}

    def hints(self) -> Iterator[str]:
        """What the failures may come from."""
        return hints(test.reason for test in self.verdicts.values() if test.verdict.is_red)

    def requirements(self) -> dict[str, Verdict]:
        """The verdict on every requirement that has a test with one, in the order of the registry."""
        found: dict[str, set[Verdict]] = {}
        for test in self.verdicts.values():
            found.setdefault(test.requirement, set()).add(test.verdict)
        return {name: gravest(found[name]) for name in registry() if name in found}

    def disagreements(self) -> Iterator[Disagreement]:
        """The tests on which the clients come to different verdicts: that is a finding of its own."""
        tests: dict[tuple[str, str], dict[str, Verdict]] = {}
        for test in self.verdicts.values():
            name = re.sub(rf"\b{test.client}\b(?=[^\[]*\]$)", "*", test.name)
            tests.setdefault((test.requirement, name), {})[test.client] = test.verdict
        for (requirement, name), verdicts in tests.items():
            if len(set(verdicts.values())) > 1:
                yield Disagreement(requirement, name, dict(sorted(verdicts.items())))

    def asked(self) -> list[Requirement]:
        """The requirements that concern the run: one that concerns another kind of run is not missing in this one."""
        found = {test.requirement for test in self.verdicts.values()}
        return [one for one in registry().values() if not one.only or one.id in found]

    def coverage(self) -> Coverage:
        """What was checked, and why the rest was not."""
        # Of several tests the gravest gives the reason, then the first by name: workers report in no fixed order.
        graver = sorted(self.verdicts.values(), key=lambda test: (test.verdict.gravity, test.nodeid), reverse=True)
        reasons = {test.requirement: test.reason for test in graver}
        checked = {test.requirement for test in self.verdicts.values() if test.verdict.is_checked}
        asked = self.asked()
        errors = [one.id for one in asked if one.severity == "error"]
        unchecked: dict[str, list[str]] = {}
        for one in asked:
            if one.id in reasons and one.id not in checked:
                unchecked.setdefault(reasons[one.id], []).append(one.id)
        missing = [one.id for one in asked if one.id not in reasons]
        return Coverage(len(checked.intersection(errors)), len(errors), unchecked, missing)

    def conformance(self) -> Conformance:
        """Whether the target conforms in everything that was checked."""
        counts = self.counts()
        if any(verdict.is_red for verdict in counts) or self.deaths or self.complaints:
            return Conformance.NOT_CONFORMANT
        if counts[Verdict.PASSED] or counts[Verdict.EXPECTED]:
            return Conformance.CONFORMANT
        return Conformance.NOTHING_CHECKED

    def in_words(self) -> str:
        """The verdict on the run, in one line."""
        counts = self.counts()
        warned = f", with {counts[Verdict.WARNED]} warning(s)" if counts[Verdict.WARNED] else ""
        expected = f", except {counts[Verdict.EXPECTED]} expected failure(s)" if counts[Verdict.EXPECTED] else ""
        conformance = self.conformance()
        if conformance is Conformance.NOT_CONFORMANT:
            parts = [f"{word}: {', '.join(names)}" for word in Verdict if word.is_red and (names := self._ids(word))]
            parts += ["the target died"] * bool(self.deaths and not parts)
            parts += [f"{len(self.complaints)} stale expected failure(s)"] * bool(self.complaints)
            return f"NOT conformant: {'; '.join(parts)}{expected}{warned}"
        if conformance is Conformance.NOTHING_CHECKED:
            return "none, nothing could be checked"
        return f"conformant in all that was checked{expected}{warned}"

    def _ids(self, verdict: Verdict) -> Sequence[str]:
        found = {test.requirement for test in self.verdicts.values() if test.verdict is verdict}
        return [name for name in registry() if name in found]
