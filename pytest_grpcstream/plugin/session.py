"""The run, which all hooks and fixtures share: its settings, its selection, its targets and its time budget."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import pytest

from pytest_grpcstream.plugin.time_budget import TimeBudget

if TYPE_CHECKING:
    from pytest_grpcstream.settings import Settings
    from pytest_grpcstream.targets.connecting import Connector
    from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
    from pytest_grpcstream.verdicts.expectations import Expectations


class Selection:
    """The tests of requirements that a run is about.

    Attributes:
        tests: each by its id, with its requirement and its client.
        whole: whether that is the whole suite, over both clients.
    """

    def __init__(self, tests: dict[str, tuple[str, str]] | None = None, whole: bool = False) -> None:
        self.tests = tests or {}
        self.whole = whole


class Run:
    """One run, stored in its config's stash under `Run.KEY`.

    Attributes:
        settings: what the user asked for.
        selection: the tests of requirements that it is about.
        budget: how long operations may take.
    """

    KEY: Final = pytest.StashKey["Run"]()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.selection = Selection()
        self.budget = TimeBudget(settings.timeout, may_shorten=not settings.expect)
        self._supervisor: TargetSupervisor | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Run:
        """The run that a config belongs to."""
        return config.stash[cls.KEY]

    @cached_property
    def expectations(self) -> Expectations:
        """The expected failures of the run.

        Raises:
            SettingError: a list is not valid.
        """
        from pytest_grpcstream.verdicts import expectation_lists
        from pytest_grpcstream.verdicts.expectations import Expectations

        return expectation_lists.read(self.settings.expect) if self.settings.expect else Expectations()

    @cached_property
    def connector(self) -> Connector:
        """Opens clients to the run's targets."""
        from pytest_grpcstream.targets.connecting import Connector

        return Connector(self.settings.timeout)

    @property
    def supervisor(self) -> TargetSupervisor:
        """Starts and supervises the run's targets."""
        from pytest_grpcstream.targets.supervisor import TargetSupervisor

        if self._supervisor is None:
            settings = self.settings
            self._supervisor = TargetSupervisor(
                timeout=settings.startup_timeout,
                connector=self.connector,
                features_probed_by=settings.clients[0],
                declared_features=settings.features,
                security=settings.security,
            )
        return self._supervisor

    @property
    def upstream(self) -> SupervisedTarget | None:
        """The upstream server, if the run compares with one. It is reached without TLS, with the same metadata."""
        from pytest_grpcstream.targets.security import Security

        if self.settings.direct is None:
            return None
        return self.supervisor.named(self.settings.direct, Security(metadata=self.settings.security.metadata))

    def close(self) -> None:
        """End everything that was started. Calling it twice is fine."""
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None
