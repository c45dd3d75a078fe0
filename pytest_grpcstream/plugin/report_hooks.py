"""The hooks that write the report of a run: while it goes on, so that a crash leaves what was known, and at its end."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.evidence import EvidencePlugin
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.plugin.terminal import SummaryPlugin
from pytest_grpcstream.report.badge import badge
from pytest_grpcstream.report.document import Course, document
from pytest_grpcstream.report.files import BADGE, EVIDENCE, REPORT, SUMMARY, dumped, write
from pytest_grpcstream.report.job_summary import job_summary
from pytest_grpcstream.report.periodic import Periodic


def register(config: pytest.Config, folder: Path, run: Run, summary: SummaryPlugin) -> None:
    """Register what a report in this folder takes: evidence where tests run, and the report itself once."""
    config.pluginmanager.register(EvidencePlugin(folder, run), "grpcstream-evidence")
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(RecorderPlugin(folder, run, summary), "grpcstream-report")


class RecorderPlugin:
    """Writes the report, also of what workers of pytest-xdist send."""

    def __init__(self, folder: Path, run: Run, summary: SummaryPlugin) -> None:
        self._folder = folder
        self._run = run
        self._results = summary.results
        self._course = Course(_now())
        self._periodic = Periodic(self._write_report)
        self._problem = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Put a new report in the place of that of an earlier run, whose files are removed."""
        self._course.started = _now()
        try:
            _remove_evidence(self._folder)
            for name in (SUMMARY, BADGE):
                (self._folder / name).unlink(missing_ok=True)
            self._write_report()
        except OSError as error:
            raise pytest.UsageError(f"The report cannot be written: {error}") from None
        self._periodic.start()

    # After the summary has taken the verdict.
    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long a test of a requirement takes, and that there is something to write."""
        if any(name == "requirement" for name, _ in report.user_properties):
            durations = self._course.durations
            durations[report.nodeid] = durations.get(report.nodeid, 0.0) + report.duration
        if hasattr(report, "grpcstream"):
            self._periodic.due()

    # After all that may still change the verdict or the exit code.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write everything. A run that cannot do it, though it was asked to, does not end with success."""
        self._periodic.stop()
        self._course.ended = _now()
        self._course.exit_code = int(session.exitstatus)
        try:
            self._write_report()
            report = self._document()
            write(self._folder / SUMMARY, job_summary(report))
            write(self._folder / BADGE, json.dumps(badge(report)) + "\n")
        except OSError as error:
            self._problem = one_line(str(error))
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Say where the report is."""
        path = self._folder / REPORT
        here = config.invocation_params.dir
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        problem = f" was not written: {self._problem}" if self._problem else ""
        if self._periodic.error is not None:
            problem += f" (nor was it during the run: {one_line(str(self._periodic.error))})"
        terminalreporter.write_line(f"report: {one_line(str(shown))}{problem}")

    def _document(self) -> dict[str, Any]:
        selection = self._run.selection
        self._course.tests = frozenset(list(selection.tests))
        self._course.whole = selection.whole
        course = Course(**{**vars(self._course), "durations": self._course.durations.copy()})
        return document(self._run.settings, self._results.copy(), course)

    def _write_report(self) -> None:
        write(self._folder / REPORT, dumped(self._document()))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _remove_evidence(folder: Path) -> None:
    """Remove the files that the last report in a folder names; whatever else is in it is somebody's own.

    Raises:
        OSError: one of them cannot be removed.
    """
    try:
        tests = json.loads((folder / REPORT).read_bytes())["tests"]
        names = [test[kind] for test in tests for kind in ("timeline", "pcap")]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return  # there is none, or it is no report
    for name in names:
        if isinstance(name, str) and EVIDENCE.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
