"""Runs a test of a requirement more than once: again on the same target, or on the target behind it as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol

from pytest_grpcstream.plugin.session import Run, begin_turn, is_requirement, requirement_of

Turn = list[pytest.TestReport]
"""What one run of a test reports: about its setup, the test itself and its teardown."""

_MILD: Final = frozenset({"passed", "warned", "expected"})
"""Verdicts that fail no run, however they are mixed."""


class TurnsPlugin:
    """Takes the place of pytest's own protocol for tests of requirements, and reports all turns as one."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test as often as was asked for, and report it once."""
        if not is_requirement(item) or item.config.option.setuponly:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports(self, item: pytest.Item, nextitem: pytest.Item | None) -> Turn:
        settings = self._run.settings
        compared = settings.direct is not None and self._is_comparable(item)
        turns: list[Turn] = []
        properties = list(item.user_properties)
        for number in range(settings.repeat):
            last = number == settings.repeat - 1 and not compared
            item.user_properties[:] = properties
            turns.append(_turn(item, nextitem, last=last, direct=False))
            if item.session.shouldfail or item.session.shouldstop:
                return _merged(turns)
        reports = _merged(turns)
        if compared:
            item.user_properties[:] = properties
            _compare(reports, _turn(item, nextitem, last=True, direct=True))
        return reports

    @staticmethod
    def _is_comparable(item: pytest.Item) -> bool:
        """Whether the target behind may be asked the same: not about TLS, and not where a marker names the target."""
        requirement = requirement_of(item)
        return item.get_closest_marker("grpcstream") is None and not (requirement and requirement.only)


def _turn(item: pytest.Item, nextitem: pytest.Item | None, *, last: bool, direct: bool) -> Turn:
    begin_turn(item, direct=direct)
    # What a test shares with others is kept from turn to turn, and nothing of its own: the next "item" is its module.
    following: Any = nextitem if last else item.parent
    return runtestprotocol(item, log=False, nextitem=following)


def _deciding(turn: Turn) -> pytest.TestReport:
    """The report that has the verdict of a turn: the last one that is not simply passed."""
    judged = [report for report in turn if hasattr(report, "grpcstream")]
    return next((report for report in reversed(judged) if _verdict(report) != "passed"), judged[-1])


def _verdict(report: pytest.TestReport) -> str:
    return str(report.__dict__["grpcstream"]["verdict"])


def _merged(turns: Sequence[Turn]) -> Turn:
    """All turns as one: any of them if they agree, and otherwise one that shows that they do not."""
    verdicts = Counter(_verdict(_deciding(turn)) for turn in turns)
    if len(verdicts) == 1:
        return turns[0]
    told = ", ".join(f"{count} of {len(turns)} {verdict}" for verdict, count in verdicts.most_common())
    worst = max(turns, key=lambda turn: (_verdict(_deciding(turn)) not in _MILD, _verdict(_deciding(turn)) != "passed"))
    report = _deciding(worst)
    entry = report.__dict__["grpcstream"]
    if verdicts.keys() <= _MILD:
        entry["reason"] = f"{told}; {entry['reason']}"
        return worst
    first = "" if report.longrepr is None or isinstance(report.longrepr, tuple) else f"\n{report.longrepr}"
    report.longrepr = f"{entry['id']} flaky: {told}{first}"
    report.outcome = "failed"
    report.__dict__.pop("wasxfail", None)
    entry.update(verdict="flaky", reason=f"{told}; {entry['reason']}", used=[])
    return worst


def _compare(reports: Turn, direct: Turn) -> None:
    """Note in the report of a test what came of it on the target behind."""
    report, other = _deciding(reports), _deciding(direct)
    entry, seen = report.__dict__["grpcstream"], other.__dict__["grpcstream"]
    entry["direct"] = {"verdict": seen["verdict"], "reason": seen["reason"], "target": seen["target"]}
    if seen["verdict"] != entry["verdict"] and report.failed:
        told = f"direct       {seen['verdict']}{': ' if seen['reason'] else ''}{seen['reason']}"
        report.longrepr = f"{report.longrepr}\n{told}"
