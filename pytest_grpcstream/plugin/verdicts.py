"""Decides the verdict on each test of a requirement from what it raised, and writes the report that a user acts on."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import pytest

from pytest_grpcstream.errors import Deviation, Inconclusive, Mismatch, TargetDied
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.collection import SUITE_FOLDER
from pytest_grpcstream.plugin.item_state import state_of
from pytest_grpcstream.plugin.markers import STRESS, client_of, requirement_of
from pytest_grpcstream.plugin.options import repeat_options
from pytest_grpcstream.plugin.outcomes import NotRun
from pytest_grpcstream.plugin.reports import (
    attach_verdict,
    redact_report,
    show_expected,
    show_failure,
    show_passed,
    text_of,
)
from pytest_grpcstream.plugin.session import Run

if TYPE_CHECKING:
    from pytest_grpcstream.requirements.registry import Requirement
    from pytest_grpcstream.verdicts.verdict import Verdict

TIMELINES: Final = 3
"""Timelines that the report of a user's failing test shows at most, the newest ones."""


class VerdictPlugin:
    """The hook that writes the reports of tests."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Decide the verdict on tests of requirements by severity; show the timelines of every other failing test."""
        report = yield
        requirement = requirement_of(item)
        if requirement is not None:
            if call.when == "call" or not report.passed:
                self._decide(item, call, report, requirement)
        elif report.failed and call.when == "call":
            for stream in state_of(item).streams[-TIMELINES:]:
                report.sections.append((f"grpcstream {stream!r}", stream.timeline.render()))
        if self._run.settings.security.metadata:
            return redact_report(item.config, report, self._run.settings.security.redact)
        return report

    def _decide(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, requirement: Requirement
    ) -> None:
        from pytest_grpcstream.verdicts.rendering import SUMMARY, summarize
        from pytest_grpcstream.verdicts.test_verdict import TestVerdict
        from pytest_grpcstream.verdicts.verdict import Verdict

        error = None if call.excinfo is None else call.excinfo.value
        mismatch = error if isinstance(error, Mismatch) else None
        state, client = state_of(item), client_of(item, self._run.settings)
        verdict, reason = Verdict.FAILED, ""
        observed = list(state.observed) if call.when == "call" else []
        if mismatch is not None:
            reason = summarize(mismatch)
            verdict = self._apply_severity(mismatch, requirement)
            self._show(item, report, requirement, mismatch, verdict)
            if verdict is Verdict.PASSED:
                observed.append(reason)
        elif report.passed:
            verdict = Verdict.PASSED
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            verdict = Verdict.NOT_RUN if isinstance(error, NotRun) else Verdict.NOT_APPLICABLE
        elif error is not None:
            reason = one_line(f"{type(error).__name__}: {error}", SUMMARY)
        text = "\n".join([reason, *([str(error)] if error is not None else [])])
        amended = self._run.expectations.amend(item.nodeid, requirement.id, client, verdict, text)
        failure = ""
        if amended.verdict is not verdict:
            failure = "" if verdict in (Verdict.PASSED, Verdict.NOT_APPLICABLE) else reason
            verdict = amended.verdict
            reason = _amend(report, requirement.id, verdict, amended.note, reason)
        attach_verdict(
            report,
            TestVerdict(
                nodeid=item.nodeid,
                requirement=requirement.id,
                client=client,
                verdict=verdict,
                reason=reason,
                target=(state.target and state.target.description_line()) or "",
                observed=tuple(observed),
                expectations=amended.fulfilled,
                failure=failure,
                late_death=state.late_death,
                budget_note=state.budget_note,
            ),
        )

    def _apply_severity(self, mismatch: Mismatch, requirement: Requirement) -> Verdict:
        from pytest_grpcstream.verdicts.verdict import Verdict

        if isinstance(mismatch, Inconclusive):
            return Verdict.INCONCLUSIVE
        died = isinstance(mismatch, TargetDied)
        if requirement.severity == "info" and not died:
            return Verdict.PASSED  # whatever was observed is reported, and nothing more
        mild = isinstance(mismatch, Deviation) or (requirement.severity != "error" and not died)
        return Verdict.WARNED if mild and not self._run.settings.strict else Verdict.FAILED

    def _show(
        self,
        item: pytest.Item,
        report: pytest.TestReport,
        requirement: Requirement,
        mismatch: Mismatch,
        verdict: Verdict,
    ) -> None:
        from pytest_grpcstream.verdicts.rendering import render_failure, summarize
        from pytest_grpcstream.verdicts.verdict import Verdict

        text = render_failure(requirement, verdict, mismatch, self._format_command(item))
        if verdict is Verdict.WARNED:
            show_expected(report, f"{requirement.id}: {summarize(mismatch)}", text, mismatch)
        elif verdict is Verdict.PASSED:
            show_passed(report, text, mismatch)
        else:
            show_failure(report, text, mismatch)

    def _format_command(self, item: pytest.Item) -> str:
        words = ["pytest", *repeat_options(self._run.settings)]
        if item.get_closest_marker(STRESS) is not None:
            words += ["-m", STRESS]
        if item.nodeid.startswith(f"{SUITE_FOLDER}/"):
            module, _, rest = item.nodeid.partition("::")
            words += ["--pyargs", f"{module.removesuffix('.py').replace('/', '.')}::{rest}"]
        else:
            words.append(item.nodeid)
        return shlex.join(words)


def _amend(report: pytest.TestReport, requirement: str, verdict: Verdict, note: str, reason: str) -> str:
    """Make a report say what a list of expected failures makes of its verdict; return the reason of that."""
    from pytest_grpcstream.verdicts.rendering import render_amended
    from pytest_grpcstream.verdicts.verdict import Verdict

    if verdict is Verdict.EXPECTED:
        why = f" ({note})" if note else ""
        show_expected(report, f"{requirement}, expected{why}: {reason}")
        return reason
    show_failure(report, render_amended(requirement, verdict, note, text_of(report)))
    return f"{note}; {reason}" if reason else note
