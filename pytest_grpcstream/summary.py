"""The end of a run: what was checked, what was not and why, and the verdict in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.expectations import Failing
from pytest_grpcstream.requirements import AREAS, registry
from pytest_grpcstream.run import OBSERVED, Run

COLUMNS: Final = ("passed", "failed", "warned", "expected", "not applicable", "inconclusive")
"""The columns of the table of areas."""
FAILED: Final = ("failed", "changed", "fixed", "flaky")
"""The verdicts that the table counts as failed: all are red."""
RED: Final = (*FAILED, "inconclusive")
"""The verdicts that fail a run."""


class SummaryPlugin:
    """Collects the verdicts, also those that workers of pytest-xdist send, and tells them at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._complaints: list[str] = []
        self._verdicts: dict[str, dict[str, Any]] = {}
        self._told: dict[str, None] = {}
        self._deaths: dict[str, None] = {}
        self._observed: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one verdict; a failure in teardown outweighs a success before."""
        entry: dict[str, Any] | None = getattr(report, "grpcstream", None)
        if entry is not None:
            self._verdicts[report.nodeid] = entry
            if entry["target"]:
                self._told[entry["target"]] = None
        for name, value in report.user_properties:
            if name == "grpcstream_death":
                self._deaths[str(value)] = None
            elif name == OBSERVED and report.when == "call" and entry is not None:
                self._observed.setdefault(entry["id"], []).append(str(value))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run for what no report of a test could tell: late deaths, and expectations that nothing fulfills."""
        if not hasattr(session.config, "workerinput"):
            self._complaints += self._run.expectations.complaints(
                self._run.selection.tests,
                {nodeid: entry["verdict"] for nodeid, entry in self._verdicts.items()},
                {place for entry in self._verdicts.values() for place in entry["used"]},
                full=self.complete,
            )
        if (self._deaths or self._complaints) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def complete(self) -> bool:
        """Whether every test of the whole suite has a verdict."""
        return self._run.selection.whole and self._run.selection.tests.keys() <= self._verdicts.keys()

    @property
    def failing(self) -> list[Failing]:
        """The tests that are red, or fail as expected."""
        return [
            Failing(nodeid, entry["id"], entry["client"], entry["reason"], tuple(entry["used"]))
            for nodeid, entry in self._verdicts.items()
            if entry["verdict"] in ("failed", "inconclusive", "changed", "expected")
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of areas, the coverage and the verdict."""
        if not self._verdicts:
            return
        terminalreporter.section("grpcstream")
        for line in self._lines():
            terminalreporter.write_line(line)

    def _lines(self) -> Iterator[str]:
        for told in self._told:
            yield f"target: {told}"
        yield ""
        yield from self._table()
        yield from self._warnings()
        for name, seen in self._observed.items():
            yield f"observed {name}: {one_line('; '.join(dict.fromkeys(seen)), 300)}"
        yield from self._flaky()
        yield from self._differences()
        yield from self._disagreements()
        yield from self._deaths
        yield from (f"expected failure: {complaint}" for complaint in self._complaints)
        yield from self._coverage()
        yield self._in_words()

    def _table(self) -> Iterator[str]:
        counts = {area: Counter[str]() for area in AREAS}
        for entry in self._verdicts.values():
            word = "failed" if entry["verdict"] in FAILED else entry["verdict"]
            counts[entry["id"].partition("-")[0]][word] += 1
        width = max(len(title) for title in AREAS.values())
        yield f"{'':{width}}  {'  '.join(COLUMNS)}"
        for area, title in AREAS.items():
            if counts[area]:
                cells = (f"{counts[area][verdict] or '-':>{len(verdict)}}" for verdict in COLUMNS)
                yield f"{title:{width}}  {'  '.join(cells)}"

    def _warnings(self) -> Iterator[str]:
        tests: dict[tuple[str, str], list[str]] = {}
        for nodeid, entry in self._verdicts.items():
            if entry["verdict"] == "warned" and entry.get("direct", {}).get("verdict") != "warned":
                tests.setdefault((entry["id"], entry["reason"]), []).append(nodeid.rpartition("::")[2])
        for (name, reason), names in tests.items():
            where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            yield f"warning {name}: {one_line(reason, 300)} [{where}]"

    def _flaky(self) -> Iterator[str]:
        for nodeid, entry in self._verdicts.items():
            if entry["verdict"] == "flaky":
                yield f"flaky {entry['id']}: {one_line(entry['reason'], 300)} [{nodeid.rpartition('::')[2]}]"

    def _differences(self) -> Iterator[str]:
        """Where the target and the one behind it differ; what is the same on both is not the hop's."""
        compared = {nodeid: entry for nodeid, entry in self._verdicts.items() if "direct" in entry}
        same = 0
        for nodeid, entry in compared.items():
            seen = entry["direct"]
            if seen["verdict"] != entry["verdict"]:
                told = [
                    f"{one['verdict']}{', ' if one['reason'] else ''}{one_line(one['reason'], 200)}"
                    for one in (entry, seen)
                ]
                test = nodeid.rpartition("::")[2]
                yield f"differs {entry['id']}: through the target: {told[0]}; direct: {told[1]} [{test}]"
            elif entry["verdict"] != "passed":
                same += 1
        if compared:
            yield f"the same on both, through the target and direct, though not passed: {same} test(s)"

    def _disagreements(self) -> Iterator[str]:
        """Where the clients come to different verdicts about one test, that is a finding of its own."""
        tests: dict[str, dict[str, str]] = {}
        for nodeid, entry in self._verdicts.items():
            test = re.sub(rf"\b{entry['client']}\b(?=[^\[]*\]$)", "*", nodeid.rpartition("::")[2])
            tests.setdefault(f"{entry['id']} [{test}]", {})[entry["client"]] = entry["verdict"]
        for test, verdicts in tests.items():
            if len(set(verdicts.values())) > 1:
                yield f"clients disagree about {test}: {', '.join(f'{k} {v}' for k, v in sorted(verdicts.items()))}"

    def _coverage(self) -> Iterator[str]:
        done = ("passed", "warned", "expected", *FAILED)
        found = {entry["id"]: entry["reason"] for entry in reversed(self._verdicts.values())}
        checked = {entry["id"] for entry in self._verdicts.values() if entry["verdict"] in done}
        # What concerns another kind of run is not missing in this one.
        asked = [one for one in registry().values() if not one.only or one.id in found]
        errors = [one.id for one in asked if one.severity == "error"]
        yield f"error-level requirements checked: {len(checked.intersection(errors))} of {len(errors)}"
        why: dict[str, list[str]] = {}
        for one in asked:
            if one.id in found and one.id not in checked:
                why.setdefault(found[one.id], []).append(one.id)
        for reason, names in why.items():
            yield f"  {one_line(reason, 300)}: {', '.join(names)}"
        if missing := [one.id for one in asked if one.id not in found]:
            yield f"  not selected, or not reached: {len(missing)} requirements"

    def _in_words(self) -> str:
        counts = Counter(entry["verdict"] for entry in self._verdicts.values())
        warned = f", with {counts['warned']} warning(s)" if counts["warned"] else ""
        expected = f", but for {counts['expected']} expected failure(s)" if counts["expected"] else ""
        if any(counts[word] for word in RED) or self._deaths or self._complaints:
            parts = [f"{word}: {', '.join(names)}" for word in RED if (names := self._ids(word))]
            parts += ["the target died"] * bool(self._deaths and not parts)
            parts += [f"{len(self._complaints)} expected failure(s) that did not happen"] * bool(self._complaints)
            return f"verdict: NOT conformant: {'; '.join(parts)}{expected}{warned}"
        if not counts["passed"] and not counts["expected"]:
            return "verdict: none, nothing could be checked"
        return f"verdict: conformant in all that was checked{expected}{warned}"

    def _ids(self, verdict: str) -> list[str]:
        found = {entry["id"] for entry in self._verdicts.values() if entry["verdict"] == verdict}
        return [name for name in registry() if name in found]
