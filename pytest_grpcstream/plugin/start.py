"""Starts the target before the first test, so that a missing target gives one message, not a failure of every test."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.plugin.markers import is_requirement
from pytest_grpcstream.plugin.session import Run

TARGET_MISSING: Final = 6
"""The exit code of a run whose target is missing or cannot be started."""


class StartPlugin:
    """The hook around the loop over all tests."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Start the target of the run and probe it; end everything that was started after the last test."""
        if self._starts_here(session):
            summary = self._start()
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"grpcstream: {summary}")
        try:
            return (yield)
        finally:
            self._run.close()

    def _starts_here(self, session: pytest.Session) -> bool:
        """Whether this process runs tests of requirements on the target of the run; under pytest-xdist workers do."""
        config = session.config
        distributed = config.pluginmanager.hasplugin("dsession") or hasattr(config, "workerinput")
        asked = self._run.settings.target is not None and any(is_requirement(item) for item in session.items)
        return asked and not distributed and not config.option.collectonly

    def _start(self) -> str | None:
        assert self._run.settings.target is not None  # noqa: S101 - the caller looked
        target = self._run.supervisor.named(self._run.settings.target)
        try:
            for one in filter(None, (target, self._run.upstream)):
                for client in self._run.settings.clients:
                    one.capabilities(client)
        except TargetError as error:
            reason = None if target.restartable else target.death_reason()
            self._run.close()
            exited = f"the target exited while its features were being probed: {reason}"
            pytest.exit(exited if reason else str(error), returncode=TARGET_MISSING)
        return target.description_line()
