"""A supervised target is probed once per kind of client, and remembers what was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_grpcstream.capabilities import EXCHANGES, FEATURES, Capabilities
from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.targets.address import parse
from pytest_grpcstream.targets.connecting import Connector, Endpoint
from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
from targets import servicers


class CountingConnector(Connector):
    """A connector that records the kind of each client it opens."""

    def __init__(self) -> None:
        super().__init__(10)
        self.opened: list[str] = []

    def client(
        self, target: Endpoint, kind: str, timeout: float | None = None, *, capabilities: Capabilities | None = None
    ) -> Client:
        """Open a client, and record its kind."""
        self.opened.append(kind)
        return super().client(target, kind, timeout, capabilities=capabilities)


@contextlib.contextmanager
def supervising(connector: Connector, features: frozenset[str] | None = None) -> Iterator[TargetSupervisor]:
    """A supervisor that is closed after its block; features are probed over the library client."""
    made = TargetSupervisor(timeout=20, connector=connector, features_probed_by="library", declared_features=features)
    with contextlib.closing(made):
        yield made


@pytest.fixture
def connector() -> CountingConnector:
    """A connector that records the kind of each client it opens."""
    return CountingConnector()


@pytest.fixture
def reference(connector: CountingConnector) -> Iterator[SupervisedTarget]:
    """The bundled reference, not probed yet."""
    with supervising(connector) as supervisor:
        yield supervisor.named(parse("reference"))


def test_unprobed_target_has_no_known_capabilities(connector: CountingConnector, reference: SupervisedTarget) -> None:
    """Asking for what is known never probes."""
    assert reference.known_features is None
    assert reference.known_capabilities("wire") is None
    assert reference.description_line() is None
    assert connector.opened == []


def test_reference_has_every_capability(reference: SupervisedTarget) -> None:
    """Probing finds all features and all baseline exchanges over both clients."""
    for kind in ("wire", "library"):
        found = reference.capabilities(kind)
        assert found.features == frozenset(FEATURES)
        assert found.working_exchanges == frozenset(EXCHANGES)
        assert not found.declared


def test_target_is_probed_once_per_client(connector: CountingConnector, reference: SupervisedTarget) -> None:
    """The first call probes; later calls return the same value."""
    found = reference.capabilities("wire")
    opened = len(connector.opened)
    assert reference.capabilities("wire") is found
    assert reference.known_capabilities("wire") is found
    assert reference.known_capabilities("library") is None
    assert len(connector.opened) == opened


def test_features_are_probed_by_one_client(connector: CountingConnector, reference: SupervisedTarget) -> None:
    """Features belong to the target, not to a client: only the chosen kind of client probes them."""
    reference.capabilities("wire")
    assert connector.opened.index("wire") == connector.opened.count("library") == len(FEATURES)
    reference.capabilities("library")
    assert connector.opened.count("library") == connector.opened.count("wire") + len(FEATURES)


def test_declared_features_are_not_probed(connector: CountingConnector) -> None:
    """Declared features hold for every target of the run; baseline exchanges are probed all the same."""
    with supervising(connector, frozenset({"echo"})) as supervisor:
        found = supervisor.serve(servicers.Plain).capabilities("wire")
    assert (found.features, found.declared) == (frozenset({"echo"}), True)
    assert set(connector.opened) == {"wire"}
    assert set(found.failed_exchanges) == {"list", "record"}


def test_description_line_says_what_was_found(reference: SupervisedTarget) -> None:
    """The line names the target and its features."""
    reference.capabilities("wire")
    assert reference.description_line() == f"{reference.description}; {reference.capabilities('wire')}"


def test_description_line_says_that_all_baseline_calls_fail(connector: CountingConnector) -> None:
    """A target without one working baseline call gets shorter timeouts, and the line says so."""

    def register_nothing(server: object) -> None:
        """Leave the server without a service."""

    with supervising(connector, frozenset()) as supervisor:
        target = supervisor.serve(register_nothing)
        assert not target.capabilities("wire").working_exchanges
        line = target.description_line()
    assert line is not None
    assert line.endswith("; all baseline calls fail; timeouts capped at 1 s")
