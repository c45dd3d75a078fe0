"""What is known of a run at a time: the verdicts and what they amount to. Plain values, which know no pytest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from pytest_grpcstream.requirements.registry import AREAS, Requirement, registry
from pytest_grpcstream.verdicts.hints import hints

FAILED: Final = ("failed", "changed", "fixed", "flaky")
"""The verdicts that count as failed: all are red."""
RED: Final = (*FAILED, "inconclusive")
"""The verdicts that fail a run."""
CHECKED: Final = ("passed", "warned", "expected", *FAILED)
"""The verdicts that say something about the target."""
VERDICTS: Final = (*RED, "expected", "warned", "passed", "not applicable")
"""Every verdict of a test, the gravest first: the verdict of a requirement is the gravest one of its tests."""

Conformance: TypeAlias = Literal["conformant", "not conformant", "none"]


@dataclass(frozen=True)
class Coverage:
    """Which of the error-level requirements that concern a run were checked, and why others were not.

    Attributes:
        checked: how many error-level requirements were.
        total: how many there are.
        unchecked: requirements of any severity that were tried in vain, by the reason.
        missing: requirements of any severity that were not selected, or not reached.
    """

    checked: int
    total: int
    unchecked: dict[str, list[str]]
    missing: list[str]


@dataclass(frozen=True)
class Disagreement:
    """A test about which the clients come to different verdicts.

    Attributes:
        requirement: the id of its requirement.
        test: its name, with ``*`` in place of the client.
        verdicts: the verdict by each client.
    """

    requirement: str
    test: str
    verdicts: dict[str, str]


@dataclass
class Results:
    """The verdicts of a run, and what was noticed beside them.

    Attributes:
        verdicts: the newest entry about each test by its id: ``id`` of the requirement, ``verdict``, ``reason``,
            ``client``, ``target``, ``used`` and, after two turns, ``direct``.
        told: one line about each target that was used, in the order of their first use.
        deaths: what is known of targets that died after a test had ended.
        observed: what was seen where a target may do as it likes, by requirement.
        complaints: what is wrong with entries of lists of expected failures that no single test can tell.
        haste: what is known of time limits that became shorter in the run.
    """

    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, None] = field(default_factory=dict)
    deaths: dict[str, None] = field(default_factory=dict)
    observed: dict[str, list[str]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    haste: dict[str, None] = field(default_factory=dict)

    def copy(self) -> Results:
        """A copy that stays as it is, whatever is added to this one; another thread may make it."""
        observed = {name: list(seen) for name, seen in list(self.observed.items())}
        return replace(
            self,
            verdicts=self.verdicts.copy(),
            told=self.told.copy(),
            deaths=self.deaths.copy(),
            observed=observed,
            complaints=list(self.complaints),
            haste=self.haste.copy(),
        )

    def counts(self) -> Counter[str]:
        """How many tests came to each verdict."""
        return Counter(entry["verdict"] for entry in self.verdicts.values())

    def areas(self) -> dict[str, Counter[str]]:
        """How many tests came to each verdict, by area; all that count as failed under that word."""
        counts = {area: Counter[str]() for area in AREAS}
        for entry in self.verdicts.values():
            word = "failed" if entry["verdict"] in FAILED else entry["verdict"]
            counts[entry["id"].partition("-")[0]][word] += 1
        return {area: count for area, count in counts.items() if count}

    def hints(self) -> Iterator[str]:
        """What the failures may come from."""
        return hints(entry["reason"] for entry in self.verdicts.values() if entry["verdict"] in RED)

    def requirements(self) -> dict[str, str]:
        """The verdict of every requirement that has a test with one, in the order of the registry."""
        found: dict[str, set[str]] = {}
        for entry in self.verdicts.values():
            found.setdefault(entry["id"], set()).add(entry["verdict"])
        return {name: min(found[name], key=VERDICTS.index) for name in registry() if name in found}

    def disagreements(self) -> Iterator[Disagreement]:
        """Where the clients come to different verdicts about one test, that is a finding of its own."""
        tests: dict[tuple[str, str], dict[str, str]] = {}
        for nodeid, entry in self.verdicts.items():
            test = re.sub(rf"\b{entry['client']}\b(?=[^\[]*\]$)", "*", nodeid.rpartition("::")[2])
            tests.setdefault((entry["id"], test), {})[entry["client"]] = entry["verdict"]
        for (requirement, test), verdicts in tests.items():
            if len(set(verdicts.values())) > 1:
                yield Disagreement(requirement, test, dict(sorted(verdicts.items())))

    def asked(self) -> list[Requirement]:
        """The requirements that concern the run: what concerns another kind of run is not missing in this one."""
        found = {entry["id"] for entry in self.verdicts.values()}
        return [one for one in registry().values() if not one.only or one.id in found]

    def coverage(self) -> Coverage:
        """What was checked, and why the rest was not."""
        # Of several tests the gravest tells why, then the first by name: workers report in no certain order.
        graver = sorted(
            self.verdicts.items(), key=lambda one: (VERDICTS.index(one[1]["verdict"]), one[0]), reverse=True
        )
        found = {entry["id"]: entry["reason"] for _, entry in graver}
        checked = {entry["id"] for entry in self.verdicts.values() if entry["verdict"] in CHECKED}
        asked = self.asked()
        errors = [one.id for one in asked if one.severity == "error"]
        unchecked: dict[str, list[str]] = {}
        for one in asked:
            if one.id in found and one.id not in checked:
                unchecked.setdefault(found[one.id], []).append(one.id)
        missing = [one.id for one in asked if one.id not in found]
        return Coverage(len(checked.intersection(errors)), len(errors), unchecked, missing)

    def conformance(self) -> Conformance:
        """Whether the target conforms in all that was checked; none if nothing was."""
        counts = self.counts()
        if any(counts[word] for word in RED) or self.deaths or self.complaints:
            return "not conformant"
        return "conformant" if counts["passed"] or counts["expected"] else "none"

    def in_words(self) -> str:
        """The verdict on the run, in one line."""
        counts = self.counts()
        warned = f", with {counts['warned']} warning(s)" if counts["warned"] else ""
        expected = f", but for {counts['expected']} expected failure(s)" if counts["expected"] else ""
        conformance = self.conformance()
        if conformance == "not conformant":
            parts = [f"{word}: {', '.join(names)}" for word in RED if (names := self._ids(word))]
            parts += ["the target died"] * bool(self.deaths and not parts)
            parts += [f"{len(self.complaints)} expected failure(s) that did not happen"] * bool(self.complaints)
            return f"NOT conformant: {'; '.join(parts)}{expected}{warned}"
        if conformance == "none":
            return "none, nothing could be checked"
        return f"conformant in all that was checked{expected}{warned}"

    def _ids(self, verdict: str) -> Sequence[str]:
        found = {entry["id"] for entry in self.verdicts.values() if entry["verdict"] == verdict}
        return [name for name in registry() if name in found]
