"""What the fixtures and hooks share during a run: the settings, the targets, and who uses which."""

from __future__ import annotations

import contextlib
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

import pytest

from pytest_grpcstream.errors import Mismatch, TargetError
from pytest_grpcstream.plugin.requirement_marker import MARKER

if TYPE_CHECKING:
    import grpc

    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.stream import Stream
    from pytest_grpcstream.clients.wire import WireClient
    from pytest_grpcstream.requirements.registry import Requirement
    from pytest_grpcstream.settings import Settings
    from pytest_grpcstream.targets.security import Security
    from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
    from pytest_grpcstream.verdicts.expectations import Expectations

STRESS: Final = "grpcstream_stress"
"""The marker of a test that runs only if it is asked for by name."""
OBSERVED: Final = "observed"
"""The name of the property by which a test tells what it saw where a target may do as it likes."""
HOPELESS: Final = 1.0
"""Seconds that a requirement waits for an operation at most, where no plain exchange works.

The verdict is red there in any case: hundreds of requirements that each wait their whole time would only delay it.
"""
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
        self._features: dict[int, frozenset[str]] = {}
        self._traits: dict[tuple[int, str], Capabilities] = {}

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
            self._keeper = TargetSupervisor(timeout=self.settings.startup_timeout, security=self.settings.security)
        return self._keeper

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
        capabilities = None if kept is None else self._traits.get((id(kept), self.kind_of(item)))
        if capabilities is not None and not capabilities.working_exchanges:
            return min(limit, HOPELESS)
        return limit if self.spent <= SPENT else min(limit, HURRIED)

    def connect(
        self,
        kept: SupervisedTarget,
        kind: str,
        timeout: float | None = None,
        capabilities: Capabilities | None = None,
    ) -> Client:
        """A client with a connection of its own: ``library`` or ``wire``.

        Arguments:
            kept: what to connect to.
            kind: the client.
            timeout: seconds that one operation may take, if not as long as the settings say.
            capabilities: what the client is to know about the target.
        """
        if kind == "wire":
            return self.connect_by_wire(kept, timeout, capabilities)
        from pytest_grpcstream.clients.grpcio import LibraryClient

        limit = self.settings.timeout if timeout is None else timeout
        channel, metadata = self.open_channel(kept), self.metadata(kept)
        return LibraryClient(channel, timeout=limit, metadata=metadata, owned=True, capabilities=capabilities)

    def open_channel(self, kept: SupervisedTarget) -> grpc.Channel:
        """A channel with a connection of its own, secured as the settings say."""
        from pytest_grpcstream.clients.grpcio import open_channel

        security = self._security_of(kept)
        return open_channel(kept.address, security.credentials(), security.authority)

    def metadata(self, kept: SupervisedTarget) -> tuple[tuple[str, str], ...]:
        """What the settings send with every call to a target."""
        return self._security_of(kept).metadata

    @property
    def behind(self) -> SupervisedTarget | None:
        """The target behind the target, if there is one. It is reached without TLS, and with the same metadata."""
        from pytest_grpcstream.targets.security import Security

        if self.settings.direct is None:
            return None
        return self.keeper.named(self.settings.direct, Security(metadata=self.settings.security.metadata))

    def _security_of(self, kept: SupervisedTarget) -> Security:
        from pytest_grpcstream.targets.security import PLAINTEXT

        # What was served in this process, or spawned by it, is not the guarded target that the settings speak of.
        return kept.security if kept.guarded else PLAINTEXT

    def connect_by_wire(
        self, kept: SupervisedTarget, timeout: float | None = None, capabilities: Capabilities | None = None
    ) -> WireClient:
        """A wire client; it connects when it is first used. For the arguments see `connect`."""
        from pytest_grpcstream.clients.wire import WireClient

        security = self._security_of(kept)
        return WireClient(
            kept.address,
            timeout=self.settings.timeout if timeout is None else timeout,
            context=security.context(),
            authority=security.authority,
            metadata=security.metadata,
            capabilities=capabilities,
        )

    def stream_limit(self, kept: SupervisedTarget) -> int | None:
        """How many concurrent streams a target allows on a connection, None if it names no number."""
        from pytest_grpcstream.wire.codes import SettingCode

        with contextlib.suppress(Mismatch, TargetError), self.connect_by_wire(kept) as client:
            return client.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS)
        return None

    def capabilities(self, kept: SupervisedTarget, kind: str) -> Capabilities:
        """What a target is like by one kind of client, found out at the first call."""
        from pytest_grpcstream.targets.probing import Prober

        declared = self.settings.features
        if id(kept) not in self._features:
            first = self.settings.clients[0]
            prober = Prober(partial(self.connect, kept, first), kept.revive)
            self._features[id(kept)] = prober.features() if declared is None else declared
        if (id(kept), kind) not in self._traits:
            prober = Prober(partial(self.connect, kept, kind), kept.revive)
            self._traits[id(kept), kind] = prober.capabilities(self._features[id(kept)], declared=declared is not None)
        return self._traits[id(kept), kind]

    def known_features(self, kept: SupervisedTarget | None) -> frozenset[str] | None:
        """The optional features of a target, None while they are not known; nothing is found out for it."""
        return self._features.get(id(kept))

    def told(self, kept: SupervisedTarget) -> str | None:
        """One line about a target whose capabilities were found out."""
        found = [capabilities for (which, _), capabilities in self._traits.items() if which == id(kept)]
        if not found:
            return None
        hopeless = f"; no plain exchange works, so that nothing is waited for longer than {HOPELESS:g} s"
        works = all(one.working_exchanges for one in found)
        return f"{kept.description}; {found[0]}{'' if works else hopeless}"

    def kind_of(self, item: pytest.Item) -> str:
        """The client that a test uses, by its parameter or its fixtures."""
        names = getattr(item, "fixturenames", ())
        if "grpcstream_wire" in names:
            return "wire"
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return str(parameters.get("grpcstream_client", "wire" if self.settings.client == "wire" else "library"))


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
