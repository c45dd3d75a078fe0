"""Writes what fails in a run to a list of expected failures (--grpcstream-write-expect)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.plugin.terminal import SummaryPlugin


class ExpectationWriter:
    """Writes the list at the end of a complete run, and says so; refuses otherwise."""

    def __init__(self, path: Path, run: Run, summary: SummaryPlugin) -> None:
        self._path = path
        self._run = run
        self._summary = summary
        self._outcome = ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the list. If writing fails, the run fails."""
        if hasattr(session.config, "workerinput"):
            return
        try:
            self._outcome = self._write()
        except (SettingError, OSError) as error:
            self._outcome = f"{self._path} was not written: {error}"
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
                session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _write(self) -> str:
        from pytest_grpcstream.verdicts import expectation_lists
        from pytest_grpcstream.verdicts.verdict import Verdict

        if not self._summary.complete:
            raise SettingError("that needs the whole suite, over both clients, with a verdict on every test")
        listed = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.CHANGED, Verdict.EXPECTED)
        found = (test for test in self._summary.results.verdicts.values() if test.verdict in listed)
        # A test that is listed and was skipped is changed as well, but does not fail.
        failing = [test for test in found if test.verdict is not Verdict.CHANGED or test.failure]
        text = expectation_lists.render(self._path, self._run.expectations, failing)
        # Whatever happens in between, there is either the old list or the new one.
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(self._path)
        return f"{self._path} was written: {len(failing)} expected failure(s)"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what became of the list."""
        terminalreporter.write_line(f"grpcstream: {self._outcome}")
