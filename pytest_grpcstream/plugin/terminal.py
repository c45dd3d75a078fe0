"""The end of a run on the terminal: what was checked, what was not and why, and the verdict in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.reports import verdict_of
from pytest_grpcstream.plugin.session import Run

if TYPE_CHECKING:
    from pytest_grpcstream.verdicts.results import Results
    from pytest_grpcstream.verdicts.test_verdict import TestVerdict

REASON: Final = 300
"""Characters of a reason in the summary."""


class SummaryPlugin:
    """Collects the verdicts, also those that workers of pytest-xdist send, and reports them at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def results(self) -> Results:
        """What is known by now. A run without any requirement never asks for it, and does not pay for the import."""
        from pytest_grpcstream.verdicts.results import Results

        return Results()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one verdict; a failure in teardown replaces a success before."""
        verdict = verdict_of(report)
        if verdict is not None:
            self.results.add(verdict)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run for what no report of a test can show: late deaths, and stale expected failures."""
        if "results" not in vars(self) and not self._run.settings.expect:
            return
        if not hasattr(session.config, "workerinput"):
            self.results.complaints += self._run.expectations.complaints(
                self._run.selection.tests, self.results.verdicts, full=self.complete
            )
        if (self.results.deaths or self.results.complaints) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def complete(self) -> bool:
        """Whether every test of the whole suite has a verdict."""
        return self._run.selection.whole and self._run.selection.tests.keys() <= self.results.verdicts.keys()

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of areas, the coverage and the verdict."""
        if "results" not in vars(self) or not self.results.verdicts:
            return
        terminalreporter.section("grpcstream")
        for line in summary_lines(self.results):
            terminalreporter.write_line(line)


def summary_lines(results: Results) -> Iterator[str]:
    """The summary of a run."""
    yield from (f"target: {target}" for target in results.targets)
    yield ""
    yield from _table(results)
    yield from _warnings(results)
    for name, seen in results.observed.items():
        yield f"observed {name}: {one_line('; '.join(dict.fromkeys(seen)), REASON)}"
    yield from _flaky(results)
    yield from _differences(results)
    yield from _disagreements(results)
    yield from results.deaths
    yield from results.budget_notes
    yield from (f"expected failure: {complaint}" for complaint in results.complaints)
    yield from (f"hint: {hint}" for hint in results.hints())
    yield from _coverage(results)
    yield f"verdict: {results.in_words()}"


def _table(results: Results) -> Iterator[str]:
    from pytest_grpcstream.requirements.registry import AREAS
    from pytest_grpcstream.verdicts.verdict import Verdict

    columns = (
        Verdict.PASSED,
        Verdict.FAILED,
        Verdict.WARNED,
        Verdict.EXPECTED,
        Verdict.NOT_APPLICABLE,
        Verdict.INCONCLUSIVE,
        *([Verdict.NOT_RUN] if results.counts()[Verdict.NOT_RUN] else []),
    )
    width = max(len(title) for title in AREAS.values())
    yield f"{'':{width}}  {'  '.join(columns)}"
    for area, counts in results.areas().items():
        cells = (f"{counts[verdict] or '-':>{len(verdict)}}" for verdict in columns)
        yield f"{AREAS[area]:{width}}  {'  '.join(cells)}"


def _warnings(results: Results) -> Iterator[str]:
    from pytest_grpcstream.verdicts.verdict import Verdict

    tests: dict[tuple[str, str], list[str]] = {}
    for test in results.verdicts.values():
        same_upstream = test.upstream is not None and test.upstream.verdict is Verdict.WARNED
        if test.verdict is Verdict.WARNED and not same_upstream:
            tests.setdefault((test.requirement, test.reason), []).append(test.name)
    for (requirement, reason), names in tests.items():
        # The first by name: workers of pytest-xdist report in no fixed order.
        where = names[0] if len(names) == 1 else f"{min(names)} and {len(names) - 1} more"
        yield f"warning {requirement}: {one_line(reason, REASON)} [{where}]"


def _flaky(results: Results) -> Iterator[str]:
    from pytest_grpcstream.verdicts.verdict import Verdict

    for test in results.verdicts.values():
        if test.verdict is Verdict.FLAKY:
            yield f"flaky {test.requirement}: {one_line(test.reason, REASON)} [{test.name}]"


def _differences(results: Results) -> Iterator[str]:
    """Where the target and its upstream server differ; what is the same on both does not come from the proxy."""
    from pytest_grpcstream.verdicts.verdict import Verdict

    compared = [test for test in results.verdicts.values() if test.upstream is not None]
    same = sum(_is_same(test) and test.verdict is not Verdict.PASSED for test in compared)
    for test in compared:
        if test.upstream is not None and not _is_same(test):
            through, direct = _short(test.verdict, test.reason), _short(test.upstream.verdict, test.upstream.reason)
            yield f"differs {test.requirement}: through the target: {through}; upstream: {direct} [{test.name}]"
    if compared:
        yield f"the same through the target and upstream, though not passed: {same} test(s)"


def _is_same(test: TestVerdict) -> bool:
    return test.upstream is not None and test.upstream.verdict is test.verdict


def _short(verdict: str, reason: str) -> str:
    return f"{verdict}{', ' if reason else ''}{one_line(reason, 200)}"


def _disagreements(results: Results) -> Iterator[str]:
    for one in results.disagreements():
        verdicts = ", ".join(f"{client} {verdict}" for client, verdict in one.verdicts.items())
        yield f"clients disagree about {one.requirement} [{one.test}]: {verdicts}"


def _coverage(results: Results) -> Iterator[str]:
    coverage = results.coverage()
    yield f"error-level requirements checked: {coverage.checked} of {coverage.total}"
    for reason, names in coverage.unchecked.items():
        yield f"  {one_line(reason, REASON)}: {', '.join(names)}"
    if coverage.missing:
        yield f"  not selected, or not reached: {len(coverage.missing)} requirements"
