"""Runs a test of a requirement more than once: again on the same target, or on the upstream server as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from _pytest.runner import runtestprotocol

from pytest_grpcstream.plugin.item_state import reset_state
from pytest_grpcstream.plugin.markers import TARGET, is_requirement, requirement_of
from pytest_grpcstream.plugin.reports import show_failure, text_of, update_verdict, verdict_of
from pytest_grpcstream.plugin.session import Run

if TYPE_CHECKING:
    from pytest_grpcstream.verdicts.test_verdict import TestVerdict
    from pytest_grpcstream.verdicts.verdict import Verdict

Reports: TypeAlias = list[pytest.TestReport]
"""What one run of a test reports: its setup, the call and its teardown."""


class RerunPlugin:
    """Replaces pytest's own protocol for tests of requirements, and reports all runs of a test as one."""

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

    def _reports(self, item: pytest.Item, nextitem: pytest.Item | None) -> Reports:
        settings = self._run.settings
        compares = settings.direct is not None and self._is_comparable(item)
        runs: list[Reports] = []
        properties = list(item.user_properties)
        for number in range(settings.repeat):
            last = number == settings.repeat - 1 and not compares
            item.user_properties[:] = properties
            runs.append(_run_once(item, nextitem, last=last, on_upstream=False))
            if item.session.shouldfail or item.session.shouldstop:
                return _merge(runs)
        reports = _merge(runs)
        if compares:
            item.user_properties[:] = properties
            _compare(reports, _run_once(item, nextitem, last=True, on_upstream=True))
        return reports

    @staticmethod
    def _is_comparable(item: pytest.Item) -> bool:
        """Whether the test makes sense on the upstream server: not about TLS, and not if a marker names the target."""
        requirement = requirement_of(item)
        return item.get_closest_marker(TARGET) is None and not (requirement and requirement.only)


def _run_once(item: pytest.Item, nextitem: pytest.Item | None, *, last: bool, on_upstream: bool) -> Reports:
    reset_state(item, on_upstream=on_upstream)
    # Fixtures that are shared with other tests stay between runs, its own do not: the next "item" is its module.
    following: Any = nextitem if last else item.parent
    return runtestprotocol(item, log=False, nextitem=following)


def _decide(reports: Reports) -> tuple[pytest.TestReport, TestVerdict]:
    """The report that has the verdict on a run of a test: the last one that is not simply passed."""
    from pytest_grpcstream.verdicts.verdict import Verdict

    with_verdict = [(report, verdict) for report in reports if (verdict := verdict_of(report)) is not None]
    return next((one for one in reversed(with_verdict) if one[1].verdict is not Verdict.PASSED), with_verdict[-1])


def _merge(runs: Sequence[Reports]) -> Reports:
    """All runs of a test as one: any of them if they agree, and otherwise one that shows that they do not."""
    from pytest_grpcstream.verdicts.rendering import render_amended
    from pytest_grpcstream.verdicts.verdict import Verdict

    mild = {Verdict.PASSED, Verdict.WARNED, Verdict.EXPECTED}
    counts = Counter(_decide(reports)[1].verdict for reports in runs)
    if len(counts) == 1:
        return runs[0]

    def severity(reports: Reports) -> tuple[bool, bool]:
        verdict: Verdict = _decide(reports)[1].verdict
        return verdict not in mild, verdict is not Verdict.PASSED

    worst = max(runs, key=severity)
    report, decided = _decide(worst)
    note = ", ".join(f"{count} of {len(runs)} {verdict}" for verdict, count in counts.most_common())
    reason = f"{note}; {decided.reason}"
    if counts.keys() <= mild:
        update_verdict(report, reason=reason)
        return worst
    update_verdict(report, verdict=Verdict.FLAKY, reason=reason, expectations=())
    show_failure(report, render_amended(decided.requirement, Verdict.FLAKY, note, text_of(report)))
    return worst


def _compare(reports: Reports, on_upstream: Reports) -> None:
    """Note in the report of a test what came of it on the upstream server."""
    from pytest_grpcstream.verdicts.rendering import render_upstream
    from pytest_grpcstream.verdicts.test_verdict import UpstreamVerdict

    (report, decided), (_, seen) = _decide(reports), _decide(on_upstream)
    upstream = UpstreamVerdict(seen.verdict, seen.reason)
    update_verdict(report, upstream=upstream)
    if upstream.verdict is not decided.verdict and report.failed:
        show_failure(report, render_upstream(text_of(report), upstream))
