"""The end of a run: what was checked, what was not and why, and the verdict in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.session import HASTE, OBSERVED, Run

if TYPE_CHECKING:
    from pytest_grpcstream.verdicts.expectations import Failing
    from pytest_grpcstream.verdicts.results import Results

COLUMNS: Final = ("passed", "failed", "warned", "expected", "not applicable", "inconclusive")
"""The columns of the table of areas."""


class SummaryPlugin:
    """Collects the verdicts, also those that workers of pytest-xdist send, and tells them at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def results(self) -> Results:
        """What is known by now. A run without any requirement never asks for it, and does not pay for the import."""
        from pytest_grpcstream.verdicts.results import Results

        return Results()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one verdict; a failure in teardown outweighs a success before."""
        entry: dict[str, Any] | None = getattr(report, "grpcstream", None)
        if entry is not None:
            self.results.verdicts[report.nodeid] = entry
            if entry["target"]:
                self.results.told[entry["target"]] = None
        for name, value in report.user_properties:
            if name == "grpcstream_death":
                self.results.deaths[str(value)] = None
            elif name == HASTE:
                self.results.haste[str(value)] = None
            elif name == OBSERVED and report.when == "call" and entry is not None:
                self.results.observed.setdefault(entry["id"], []).append(str(value))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run for what no report of a test could tell: late deaths, and expectations that nothing fulfills."""
        if "results" not in vars(self) and not self._run.settings.expect:
            return
        if not hasattr(session.config, "workerinput"):
            self.results.complaints += self._run.expectations.complaints(
                self._run.selection.tests,
                {nodeid: entry["verdict"] for nodeid, entry in self.results.verdicts.items()},
                {place for entry in self.results.verdicts.values() for place in entry["used"]},
                full=self.complete,
            )
        if (self.results.deaths or self.results.complaints) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def complete(self) -> bool:
        """Whether every test of the whole suite has a verdict."""
        return self._run.selection.whole and self._run.selection.tests.keys() <= self.results.verdicts.keys()

    @property
    def failing(self) -> list[Failing]:
        """The tests that are red, or fail as expected."""
        from pytest_grpcstream.verdicts.expectations import Failing

        return [
            Failing(nodeid, entry["id"], entry["client"], entry["reason"], tuple(entry["used"]))
            for nodeid, entry in self.results.verdicts.items()
            if entry["verdict"] in ("failed", "inconclusive", "changed", "expected")
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of areas, the coverage and the verdict."""
        if "results" not in vars(self) or not self.results.verdicts:
            return
        terminalreporter.section("grpcstream")
        for line in self._lines():
            terminalreporter.write_line(line)

    def _lines(self) -> Iterator[str]:
        for told in self.results.told:
            yield f"target: {told}"
        yield ""
        yield from self._table()
        yield from self._warnings()
        for name, seen in self.results.observed.items():
            yield f"observed {name}: {one_line('; '.join(dict.fromkeys(seen)), 300)}"
        yield from self._flaky()
        yield from self._differences()
        yield from self._disagreements()
        yield from self.results.deaths
        yield from self.results.haste
        yield from (f"expected failure: {complaint}" for complaint in self.results.complaints)
        yield from (f"hint: {hint}" for hint in self.results.hints())
        yield from self._coverage()
        yield f"verdict: {self.results.in_words()}"

    def _table(self) -> Iterator[str]:
        from pytest_grpcstream.requirements.registry import AREAS

        width = max(len(title) for title in AREAS.values())
        yield f"{'':{width}}  {'  '.join(COLUMNS)}"
        for area, counts in self.results.areas().items():
            cells = (f"{counts[verdict] or '-':>{len(verdict)}}" for verdict in COLUMNS)
            yield f"{AREAS[area]:{width}}  {'  '.join(cells)}"

    def _warnings(self) -> Iterator[str]:
        tests: dict[tuple[str, str], list[str]] = {}
        for nodeid, entry in self.results.verdicts.items():
            if entry["verdict"] == "warned" and entry.get("direct", {}).get("verdict") != "warned":
                tests.setdefault((entry["id"], entry["reason"]), []).append(nodeid.rpartition("::")[2])
        for (name, reason), names in tests.items():
            # The first by name: workers of pytest-xdist report in no certain order.
            where = names[0] if len(names) == 1 else f"{min(names)} and {len(names) - 1} more"
            yield f"warning {name}: {one_line(reason, 300)} [{where}]"

    def _flaky(self) -> Iterator[str]:
        for nodeid, entry in self.results.verdicts.items():
            if entry["verdict"] == "flaky":
                yield f"flaky {entry['id']}: {one_line(entry['reason'], 300)} [{nodeid.rpartition('::')[2]}]"

    def _differences(self) -> Iterator[str]:
        """Where the target and the one behind it differ; what is the same on both is not the hop's."""
        compared = {nodeid: entry for nodeid, entry in self.results.verdicts.items() if "direct" in entry}
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
        for one in self.results.disagreements():
            told = ", ".join(f"{client} {verdict}" for client, verdict in one.verdicts.items())
            yield f"clients disagree about {one.requirement} [{one.test}]: {told}"

    def _coverage(self) -> Iterator[str]:
        coverage = self.results.coverage()
        yield f"error-level requirements checked: {coverage.checked} of {coverage.total}"
        for reason, names in coverage.unchecked.items():
            yield f"  {one_line(reason, 300)}: {', '.join(names)}"
        if coverage.missing:
            yield f"  not selected, or not reached: {len(coverage.missing)} requirements"
