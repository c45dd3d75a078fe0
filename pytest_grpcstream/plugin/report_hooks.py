"""The hooks that write the report of a run: verdicts as they come, so that none is lost, and the rest at the end."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.evidence import EvidencePlugin
from pytest_grpcstream.plugin.reports import verdict_of
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.plugin.terminal import SummaryPlugin
from pytest_grpcstream.report.badge import render_badge
from pytest_grpcstream.report.building import RunProgress, build_report, describe_run, show_text
from pytest_grpcstream.report.encoding import encode_report
from pytest_grpcstream.report.files import BADGE, REPORT, SUMMARY, VERDICTS, write_atomically
from pytest_grpcstream.report.job_summary import render_job_summary
from pytest_grpcstream.report.reader import ReportError, read
from pytest_grpcstream.report.verdict_log import VerdictLog


def register(config: pytest.Config, folder: Path, run: Run, summary: SummaryPlugin) -> None:
    """Register what a report in this folder needs: evidence where tests run, and the report itself once."""
    config.pluginmanager.register(EvidencePlugin(folder, run), "grpcstream-evidence")
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(ReportPlugin(folder, run, summary), "grpcstream-report")


class ReportPlugin:
    """Writes the report of a run, also of what workers of pytest-xdist send.

    While the run goes on, the folder has `verdicts.jsonl` and no `report.json`; at the end it is the other way round.
    """

    def __init__(self, folder: Path, run: Run, summary: SummaryPlugin) -> None:
        self._folder = folder
        self._run = run
        self._summary = summary
        self._show = functools.partial(show_text, run.settings)
        self._log = VerdictLog(folder / VERDICTS, self._show)
        self._started = _now()
        self._progress = RunProgress()
        self._problem = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Remove the report of an earlier run with its evidence, and start to log verdicts."""
        self._started = _now()
        try:
            _remove_report(self._folder)
            self._start_log()
        except OSError as error:
            raise pytest.UsageError(f"The report cannot be written: {error}") from None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Log whether the whole suite was selected; the process that gathers results under pytest-xdist never knows."""
        if self._run.selection.whole:
            with contextlib.suppress(OSError):  # reported at the end of the run, as an error of the log
                self._start_log()

    # After the summary has taken the verdict.
    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long a test of a requirement takes, and log the verdict on it."""
        if any(name == "requirement" for name, _ in report.user_properties):
            durations = self._progress.durations
            durations[report.nodeid] = durations.get(report.nodeid, 0.0) + report.duration
        test = verdict_of(report)
        if test is not None:
            self._log.append(test, self._progress.durations.get(test.nodeid, 0.0))

    # After everything that may still change the verdict or the exit code.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write everything. If writing fails, the run fails, and the logged verdicts stay."""
        self._progress.ended = _now()
        self._progress.exit_code = int(session.exitstatus)
        try:
            self._write()
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
        if self._log.error is not None:
            problem += f" ({VERDICTS} could not be written during the run: {one_line(str(self._log.error))})"
        terminalreporter.write_line(f"report: {one_line(str(shown))}{problem}")

    def pytest_unconfigure(self) -> None:
        """Close the file of a run that broke off, or whose report could not be written."""
        self._log.close()

    def _start_log(self) -> None:
        self._log.start(describe_run(self._run.settings, self._started, whole=self._run.selection.whole))

    def _write(self) -> None:
        selection = self._run.selection
        self._progress.tests = frozenset(selection.tests)
        info = describe_run(self._run.settings, self._started, whole=selection.whole)
        report = build_report(info, self._summary.results, self._progress, self._show)
        write_atomically(self._folder / REPORT, encode_report(report))
        self._log.remove()
        write_atomically(self._folder / SUMMARY, render_job_summary(report))
        write_atomically(self._folder / BADGE, json.dumps(render_badge(report)) + "\n")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _remove_report(folder: Path) -> None:
    """Remove the report in a folder and the evidence that it names; every other file belongs to the user.

    Raises:
        OSError: one of them cannot be removed.
    """
    try:
        tests = read(folder).tests
    except ReportError:
        tests = ()  # there is none, or it is not a report
    for name in (name for test in tests for name in (test.timeline, test.pcap) if name is not None):
        (folder / name).unlink(missing_ok=True)
    # The report goes first: without it a reader takes the verdicts that this run logs.
    for name in (REPORT, VERDICTS, SUMMARY, BADGE):
        (folder / name).unlink(missing_ok=True)
