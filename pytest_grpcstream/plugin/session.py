"""What the fixtures and hooks share during a run: the settings, the targets, and who uses which."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.stream import Stream
    from pytest_grpcstream.requirements.registry import Requirement
    from pytest_grpcstream.settings import Settings
    from pytest_grpcstream.targets.connecting import Connector
    from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
    from pytest_grpcstream.verdicts.expectations import Expectations

MARKER: Final = "grpcstream_requirement"
"""The marker by which a test names its requirement."""
STRESS: Final = "grpcstream_stress"
"""The marker of a test that runs only if it is asked for by name."""
OBSERVED: Final = "observed"
"""The name of the property by which a test tells what it saw where a target may do as it likes."""
SPENT: Final = 60.0
"""Seconds of waiting in vain, by requirements of severity error that failed, after which the others wait less."""
HURRIED: Final = 2.0
"""Seconds that they wait for an operation at most from then on."""
HASTE: Final = "grpcstream_haste"
"""The name of the property by which a test tells that those after it wait less."""

_CLIENTS: Final = pytest.StashKey["list[Client]"]()
_KEPT: Final = pytest.StashKey["SupervisedTarget"]()
_DIRECT: Final = pytest.StashKey[bool]()


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
    """The state of one run, kept in `Run.KEY` of the stash of its config.

    Attributes:
        settings: what the user asked for.
        selection: the tests of requirements that it is about.
        spent: seconds that requirements of severity error have waited in vain.
    """

    KEY: Final = pytest.StashKey["Run"]()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.selection = Selection()
        self.spent = 0.0
        self._keeper: TargetSupervisor | None = None

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
        from pytest_grpcstream.verdicts.expectations import Expectations, read

        return read(self.settings.expect) if self.settings.expect else Expectations()

    @property
    def keeper(self) -> TargetSupervisor:
        """The keeper of the run's targets."""
        from pytest_grpcstream.targets.supervisor import TargetSupervisor

        if self._keeper is None:
            self._keeper = TargetSupervisor(
                timeout=self.settings.startup_timeout,
                connector=self.connector,
                features_probed_by=self.settings.clients[0],
                declared_features=self.settings.features,
                security=self.settings.security,
            )
        return self._keeper

    @cached_property
    def connector(self) -> Connector:
        """Opens the clients of the run."""
        from pytest_grpcstream.targets.connecting import Connector

        return Connector(self.settings.timeout)

    def close(self) -> None:
        """End everything that was started. Calling it twice is fine."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def patience(self, item: pytest.Item) -> float:
        """Seconds that one operation of a test may take, so far as it is known which target the test calls."""
        limit = self.settings.timeout
        if not is_requirement(item):
            return limit
        kept = target_of(item)
        capabilities = None if kept is None else kept.known_capabilities(self.kind_of(item))
        if capabilities is not None and not capabilities.working_exchanges:
            from pytest_grpcstream.targets.supervisor import FAILED_BASELINE_TIMEOUT

            return min(limit, FAILED_BASELINE_TIMEOUT)
        return limit if self.spent <= SPENT else min(limit, HURRIED)

    @property
    def behind(self) -> SupervisedTarget | None:
        """The target behind the target, if there is one. It is reached without TLS, and with the same metadata."""
        from pytest_grpcstream.targets.address import parse
        from pytest_grpcstream.targets.security import Security

        if self.settings.direct is None:
            return None
        return self.keeper.named(parse(self.settings.direct), Security(metadata=self.settings.security.metadata))

    def kind_of(self, item: pytest.Item) -> str:
        """The client that a test uses, by its parameter or its fixtures."""
        names = getattr(item, "fixturenames", ())
        if "grpcstream_wire" in names:
            return "wire"
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return str(parameters.get("grpcstream_client", "wire" if self.settings.client == "wire" else "library"))


def observe(item: pytest.Item, what: str) -> None:
    """Note what a target did where it may do as it likes; the end of the run tells it."""
    item.user_properties.append((OBSERVED, what))


def requirement_of(item: pytest.Item) -> Requirement | None:
    """The requirement that a test names, if it names one."""
    if not (name := requirement_id(item)):
        return None
    from pytest_grpcstream.requirements.registry import registry

    return registry()[name]


def requirement_id(item: pytest.Item) -> str:
    """The id of the requirement that a test names, registered or not; empty if it names none."""
    marker = item.get_closest_marker(MARKER)
    return "" if marker is None else str(marker.args[0])


def is_requirement(item: pytest.Item) -> bool:
    """Whether a test names a requirement."""
    return item.get_closest_marker(MARKER) is not None


def needs_of(item: pytest.Item) -> tuple[str, ...]:
    """The optional features and plain exchanges without which a test of a requirement says nothing."""
    marker = item.get_closest_marker(MARKER)
    return () if marker is None else tuple(marker.kwargs.get("needs", ()))


def use_target(item: pytest.Item, kept: SupervisedTarget) -> None:
    """Remember which target a test calls."""
    item.stash[_KEPT] = kept


def target_of(item: pytest.Item) -> SupervisedTarget | None:
    """The target that a test calls, if it has come so far."""
    return item.stash.get(_KEPT, None)


def begin_turn(item: pytest.Item, *, direct: bool) -> None:
    """Forget what a test did before, and say whether it calls the target behind the target from now on."""
    forget(item)
    item.stash[_DIRECT] = direct


def forget(item: pytest.Item) -> None:
    """Let go of the clients of a test and of their timelines; the session keeps its tests until the end."""
    if _CLIENTS in item.stash:
        del item.stash[_CLIENTS]
    if _KEPT in item.stash:
        del item.stash[_KEPT]


def is_direct(item: pytest.Item) -> bool:
    """Whether a test calls the target behind the target."""
    return item.stash.get(_DIRECT, False)


def use_client(item: pytest.Item, client: Client) -> None:
    """Remember a client of a test, for the timelines of its streams."""
    item.stash.setdefault(_CLIENTS, []).append(client)


def clients_of(item: pytest.Item) -> list[Client]:
    """Every client that a test was given, the newest last."""
    return item.stash.get(_CLIENTS, [])


def streams_of(item: pytest.Item) -> list[Stream]:
    """Every stream that a test opened, the newest last."""
    return [stream for client in clients_of(item) for stream in client.streams]
