"""Turns what a test of a requirement raised into a verdict, and into a report that one can act on."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.errors import Deviation, Inconclusive, Mismatch, TargetDied
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.session import OBSERVED, STRESS, Run, requirement_of, streams_of, target_of
from pytest_grpcstream.plugin.suite import PACKAGE
from pytest_grpcstream.settings import QUIET, TIMEOUT, Settings

if TYPE_CHECKING:
    from pytest_grpcstream.requirements.registry import Requirement
    from pytest_grpcstream.verdicts.expectations import Listed

TIMELINES: Final = 3
"""Timelines that the report of a user's failing test shows at most, the newest ones."""
_FIRST_LINE: Final = 400


class Judged(Exception):
    """The text of a verdict, in place of the exception that a test raised."""


class JudgementPlugin:
    """The hook that writes reports, and what it needs to know."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge tests of requirements by severity; show the timelines of every other failing test."""
        report = yield
        requirement = requirement_of(item)
        if requirement is not None:
            self._judge(item, call, report, requirement)
        elif report.failed and call.when == "call":
            for stream in streams_of(item)[-TIMELINES:]:
                report.sections.append((f"grpcstream {stream!r}", stream.timeline.render()))
        return self._redacted(item.config, report)

    def _redacted(self, config: pytest.Config, report: pytest.TestReport) -> pytest.TestReport:
        """The report without secret values: any test may show what the target has echoed, in whatever place."""
        redact = self._run.settings.security.redact

        def cleaned(value: Any) -> Any:
            if isinstance(value, str):
                return redact(value)
            if isinstance(value, dict):
                return {key: cleaned(one) for key, one in value.items()}
            if isinstance(value, (list, tuple)):
                return type(value)(cleaned(one) for one in value)
            return value

        if self._run.settings.security.metadata:
            # The form in which pytest-xdist sends reports, because it is plain values.
            data = config.hook.pytest_report_to_serializable(config=config, report=report)
            names = ("longrepr", "sections", "user_properties", "wasxfail", "grpcstream")
            data.update({name: cleaned(data[name]) for name in names if name in data})
            restored: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
            return restored
        return report

    def _judge(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, requirement: Requirement
    ) -> None:
        error = None if call.excinfo is None else call.excinfo.value
        verdict = "passed" if report.passed else "not applicable" if report.skipped else "failed"
        reason = ""
        if isinstance(error, Mismatch):
            reason = _in_one_line(error)
            verdict = self._severity(error, requirement)
            if verdict == "warned":
                report.outcome = "skipped"
                report.__dict__["wasxfail"] = f"{requirement.id}: {reason}"
            elif verdict == "passed":
                report.outcome = "passed"
                report.user_properties.append((OBSERVED, reason))
            judged = Judged(self._explain(item, requirement, error, verdict)).with_traceback(error.__traceback__)
            report.longrepr = pytest.ExceptionInfo.from_exception(judged).getrepr(style="value")
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        elif error is not None:
            reason = one_line(f"{type(error).__name__}: {error}", _FIRST_LINE)
        if call.when == "call" or not report.passed:
            kept, kind = target_of(item), self._run.kind_of(item)
            text = "\n".join([reason, *([str(error)] if error is not None else [])])
            listed = self._run.expectations.judge(item.nodeid, requirement.id, kind, verdict, text)
            if listed.verdict != verdict:
                verdict = listed.verdict
                reason = _amend(report, requirement, listed, reason)
            # A plain attribute of plain values: pytest-xdist sends it from its workers.
            report.__dict__["grpcstream"] = {
                "id": requirement.id,
                "verdict": verdict,
                "reason": reason,
                "client": kind,
                "target": (kept and kept.description_line()) or "",
                "used": list(listed.used),
            }

    def _severity(self, error: Mismatch, requirement: Requirement) -> str:
        if isinstance(error, Inconclusive):
            return "inconclusive"
        if requirement.severity == "info" and not isinstance(error, TargetDied):
            return "passed"  # whatever was observed is told, and nothing more
        mild = isinstance(error, Deviation) or (requirement.severity != "error" and not isinstance(error, TargetDied))
        return "warned" if mild and not self._run.settings.strict else "failed"

    def _explain(self, item: pytest.Item, requirement: Requirement, error: Mismatch, verdict: str) -> str:
        level = f"{requirement.level} ({requirement.owner}), severity {requirement.severity}"
        lines = [
            f"{requirement.id} {verdict}: {_in_one_line(error)}",
            "",
            f"requirement  {requirement.sentence}",
            f"             {level}; {requirement.source}",
            f"expected     {error.expected}",
            f"actual       {error.actual}",
        ]
        if isinstance(error, Inconclusive):
            lines = lines[:1]
        elif error.stream is not None:
            lines += [f"timeline     {error.stream!r}", error.stream.timeline.render(error.deciding)]
        lines.append(f"repeat with  {self._command(item)}")
        return "\n".join(lines)

    def _command(self, item: pytest.Item) -> str:
        words = ["pytest", *_options(self._run.settings)]
        if item.get_closest_marker(STRESS) is not None:
            words += ["-m", STRESS]
        if item.nodeid.startswith(f"{PACKAGE}/"):
            module, _, rest = item.nodeid.partition("::")
            words += ["--pyargs", f"{module.removesuffix('.py').replace('/', '.')}::{rest}"]
        else:
            words.append(item.nodeid)
        return shlex.join(words)


def _amend(report: pytest.TestReport, requirement: Requirement, listed: Listed, reason: str) -> str:
    """Make a report say what the lists of expected failures make of its verdict; return the reason of that."""
    if listed.verdict == "expected":
        report.outcome = "skipped"
        why = f" ({listed.note})" if listed.note else ""
        report.__dict__["wasxfail"] = f"{requirement.id}, expected{why}: {reason}"
        return reason
    report.outcome = "failed"
    report.__dict__.pop("wasxfail", None)
    text = "" if report.longrepr is None or isinstance(report.longrepr, tuple) else f"\n{report.longrepr}"
    report.longrepr = f"{requirement.id} {listed.verdict}: {listed.note}{text}"
    return f"{listed.note}; {reason}" if reason else listed.note


def _options(settings: Settings) -> Iterator[str]:
    """The options with which another run comes to the same verdict, but for metadata, whose values nobody may see."""
    features, security = settings.features, settings.security
    values: dict[str, object] = {
        "target": settings.target,
        "features": None if features is None else ",".join(sorted(features)) or "none",
        "client": settings.client,
        "timeout": None if settings.timeout == TIMEOUT else f"{settings.timeout:g}",
        "quiet": None if settings.quiet == QUIET else f"{settings.quiet:g}",
        "ca": security.ca,
        "cert": security.cert,
        "key": security.key,
        "authority": security.authority,
    }
    yield from (f"--grpcstream-{name}={value}" for name, value in values.items() if value is not None)
    yield from (f"--grpcstream-expect={path}" for path in settings.expect)
    yield from ["--grpcstream-strict"] * settings.strict
    yield from ["--grpcstream-tls"] * security.tls


def _in_one_line(error: Mismatch) -> str:
    if isinstance(error, Inconclusive):
        return one_line(f"could not be observed: {error.actual}", _FIRST_LINE)
    return one_line(f"expected {error.expected}; actual: {error.actual}", _FIRST_LINE)
