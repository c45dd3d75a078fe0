"""Expected failures: what is known to fail, why, and where that is tracked; strict in every direction."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Verdict

WILDCARD: Final = "*"
"""The last character of an entry's id that names every test whose id begins with the rest."""

_WITHOUT_FAILURE: Final = {
    Verdict.PASSED: (Verdict.FIXED, "it passes"),
    Verdict.NOT_APPLICABLE: (Verdict.CHANGED, "it was skipped"),
}
_NOT_FAILING: Final = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.NOT_APPLICABLE})
_REQUIREMENT: Final = re.compile(r"[A-Z0-9]+-\d+")


@dataclass(frozen=True)
class Expectation:
    """One entry of a list of expected failures.

    Attributes:
        id: a requirement; or a test: its whole id, the id from its module or its name on, or the name of all its
            variants; or the beginning of the ids of many tests, if it ends with ``*``.
        reason: a pattern that must be found in the text of the failure.
        link: where the failure is tracked, such as an issue.
        why: an explanation.
        expires: the last day on which the entry holds.
        client: the client over which it fails, or empty for both.
        sometimes: whether it may also pass, because it depends on a race in the target.
        file: the list that it stands in.
        place: its number in that list, from 1.
    """

    id: str
    reason: re.Pattern[str]
    link: str
    why: str
    expires: datetime.date | None
    client: str
    sometimes: bool
    file: Path
    place: int

    def __str__(self) -> str:
        return f"{self.id} (entry {self.place} of {self.file.name})"

    @property
    def of_requirement(self) -> bool:
        """Whether it names a requirement, not a test."""
        return _REQUIREMENT.fullmatch(self.id) is not None

    @property
    def is_wildcard(self) -> bool:
        """Whether it names every test whose id begins as it says."""
        return self.id.endswith(WILDCARD)

    def names(self, nodeid: str, requirement: str, client: str) -> bool:
        """Whether it names this test, alone or among others."""
        if self.client not in ("", client):
            return False
        if self.of_requirement:
            return self.id == requirement
        if self.is_wildcard:
            return _continues(nodeid, self.id.removesuffix(WILDCARD))
        return self.is_exact(nodeid) or _ends_with(nodeid.partition("[")[0], self.id)

    def is_exact(self, nodeid: str) -> bool:
        """Whether it names this test alone."""
        return not self.of_requirement and _ends_with(nodeid, self.id)

    def holds_on(self, day: datetime.date) -> bool:
        """Whether it has not expired on a day."""
        return self.expires is None or day <= self.expires


def _ends_with(nodeid: str, name: str) -> bool:
    return nodeid == name or nodeid.endswith((f"/{name}", f"::{name}"))


def _continues(nodeid: str, start: str) -> bool:
    """Whether a test's id, from its beginning, its module or its name on, begins with a text."""
    places = (found.end() for found in re.finditer(r"^|/|::", nodeid.partition("[")[0]))
    return any(nodeid.startswith(start, place) for place in places)


@dataclass(frozen=True)
class Amended:
    """What a verdict becomes because of a list of expected failures.

    Attributes:
        verdict: the verdict with the list applied: expected, changed, fixed, or unchanged.
        note: what to say about it, in one line.
        fulfilled: the places of the entries, in `Expectations.entries`, that it fulfils.
    """

    verdict: Verdict
    note: str = ""
    fulfilled: tuple[int, ...] = ()


class Expectations:
    """All entries of all lists of a run."""

    def __init__(self, entries: Iterable[Expectation] = ()) -> None:
        self.entries: Final = tuple(entries)

    def amend(self, nodeid: str, requirement: str, client: str, verdict: Verdict, text: str) -> Amended:
        """What a verdict on a test becomes.

        An entry that names several tests, such as a requirement, is fulfilled if one of them fails as it says; the
        others may pass. An entry that names a single test is not fulfilled by a test that passes or is skipped.

        Arguments:
            text: the text of the failure.
        """
        named = [place for place, one in enumerate(self.entries) if one.names(nodeid, requirement, client)]
        if not named or verdict is Verdict.NOT_RUN:
            return Amended(verdict)
        exact = [one for place in named if (one := self.entries[place]).is_exact(nodeid) and not one.sometimes]
        if verdict in _WITHOUT_FAILURE:
            changed, what = _WITHOUT_FAILURE[verdict]
            note = f"{what}, but is listed as an expected failure: {exact[0]}" if exact else ""
            return Amended(changed if exact else verdict, note)
        matching = [place for place in named if self.entries[place].reason.search(text)]
        today = datetime.datetime.now().astimezone().date()
        if holding := tuple(place for place in matching if self.entries[place].holds_on(today)):
            return Amended(Verdict.EXPECTED, _explain([self.entries[place] for place in holding]), holding)
        if matching:
            expired = self.entries[matching[0]]
            return Amended(Verdict.CHANGED, f"its expectation expired on {expired.expires}: {expired}")
        if verdict is Verdict.WARNED and not exact:
            return Amended(verdict)
        expected = ", ".join(f"{self.entries[place]} expects {self.entries[place].reason.pattern!r}" for place in named)
        return Amended(Verdict.CHANGED, f"failed for an unexpected reason: {expected}")

    def complaints(
        self, tests: Mapping[str, tuple[str, str]], verdicts: Mapping[str, TestVerdict], *, full: bool
    ) -> Iterator[str]:
        """What is wrong with entries that no single test can show: they match nothing, or nothing fails any more.

        Arguments:
            tests: the tests that were selected by their ids, each with its requirement and its client.
            verdicts: the verdicts on those that ran.
            full: whether every test of the suite was selected; only then it is known what an entry does not match.
        """
        fulfilled = {place for test in verdicts.values() for place in test.expectations}
        for place, one in enumerate(self.entries):
            if place in fulfilled:
                continue
            named = [nodeid for nodeid, (name, client) in tests.items() if one.names(nodeid, name, client)]
            seen = {verdicts[nodeid].verdict for nodeid in named if nodeid in verdicts}
            if not named and (full or (one.of_requirement and not _is_registered(one.id))):
                yield f"{one} matches no test"
            # What is red already needs no second complaint, and a part of the tests says nothing about the rest.
            elif full and not one.sometimes and seen and seen <= _NOT_FAILING:
                yield f"{one} {'was skipped' if seen == {Verdict.NOT_APPLICABLE} else 'does not fail any more'}"


def _is_registered(name: str) -> bool:
    from pytest_grpcstream.requirements.registry import registry

    return name in registry()


def _explain(entries: Sequence[Expectation]) -> str:
    parts = [part for one in entries for part in (one.why, one.link) if part]
    return "; ".join(dict.fromkeys(parts))
