"""The fixtures, in tiers that can each be overridden: target, channel, client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.plugin.item_state import state_of
from pytest_grpcstream.plugin.markers import TARGET, client_of, is_requirement
from pytest_grpcstream.plugin.outcomes import skip_not_applicable, skip_not_run
from pytest_grpcstream.plugin.requirement_marker import RequirementMarker
from pytest_grpcstream.plugin.session import Run

if TYPE_CHECKING:
    import grpc

    from pytest_grpcstream.clients.client import Client, Connect
    from pytest_grpcstream.clients.wire import WireClient
    from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
    from pytest_grpcstream.values import Observe

Serve: TypeAlias = "Callable[[object], SupervisedTarget]"


@pytest.fixture(scope="session")
def _grpcstream_supervisor(pytestconfig: pytest.Config) -> Iterator[TargetSupervisor]:
    """Everything that this run starts, ended with the session."""
    run = Run.of(pytestconfig)
    yield run.supervisor
    run.close()


@pytest.fixture(scope="session")
def grpcstream_target(_grpcstream_supervisor: TargetSupervisor, pytestconfig: pytest.Config) -> SupervisedTarget | str:
    """The target of the run, from --grpcstream-target, the environment or the ini file.

    Override it with a fixture that returns the text of a target, or what `grpcstream_serve` returned.
    """
    target = Run.of(pytestconfig).settings.target
    if target is None:
        raise TargetError(
            "no target was given: use --grpcstream-target=TARGET, the ini option grpcstream_target, "
            "the marker grpcstream(target=...), or override the fixture grpcstream_target"
        )
    return _grpcstream_supervisor.named(target)


@pytest.fixture(scope="session")
def grpcstream_serve(_grpcstream_supervisor: TargetSupervisor) -> Serve:
    """A factory that starts a target and returns it: give it the text of one, or a servicer.

    A servicer (class, instance, factory, or function that takes a `grpc.Server`) is served in this process. What it
    returns has ``address`` and ``stop()``, is a context manager, and ends with the session at the latest.
    """
    return _grpcstream_supervisor.serve


@pytest.fixture
def _grpcstream_used(request: pytest.FixtureRequest, _grpcstream_supervisor: TargetSupervisor) -> SupervisedTarget:
    """The target of this test: that of the nearest marker, else the upstream server, else `grpcstream_target`."""
    from pytest_grpcstream.targets.address import parse
    from pytest_grpcstream.targets.supervisor import SupervisedTarget

    if reason := state_of(request.node).not_run:
        skip_not_run(reason)
    marker = request.node.get_closest_marker(TARGET)
    if marker is not None:
        if marker.args or set(marker.kwargs) != {"target"}:
            raise TargetError("the marker grpcstream takes exactly target=..., such as grpcstream(target='reference')")
        named = marker.kwargs["target"]
    elif state_of(request.node).on_upstream:
        named = Run.of(request.config).upstream
    else:
        named = request.getfixturevalue("grpcstream_target")
    if isinstance(named, str):
        named = _grpcstream_supervisor.named(parse(named))
    if not isinstance(named, SupervisedTarget):
        raise TargetError(f"a target is a text or what grpcstream_serve returned, not {type(named).__name__}")
    named.forget_death()
    state_of(request.node).target = named
    return named


@pytest.fixture
def grpcstream_channel(request: pytest.FixtureRequest, _grpcstream_used: SupervisedTarget) -> Iterator[grpc.Channel]:
    """A `grpc.Channel` to the target, secured as the settings say; its connection is its own and ends with the test."""
    with Run.of(request.config).connector.channel(_grpcstream_used) as channel:
        yield channel


@pytest.fixture
def grpcstream_client(pytestconfig: pytest.Config) -> str:
    """Which client `grpcstream` is: library or wire. Tests of the suite are run with both, see --grpcstream-client."""
    return "wire" if Run.of(pytestconfig).settings.client == "wire" else "library"


@pytest.fixture
def grpcstream_capabilities(request: pytest.FixtureRequest, _grpcstream_used: SupervisedTarget) -> Capabilities:
    """What the target can do: its optional features, and whether its Route speaks first. Probed once per run."""
    return _grpcstream_used.capabilities(client_of(request.node, Run.of(request.config).settings))


@pytest.fixture
def grpcstream_connect(request: pytest.FixtureRequest, _grpcstream_used: SupervisedTarget) -> Iterator[Connect]:
    """A factory of clients that each have a connection of their own; they are closed after the test."""
    run = Run.of(request.config)
    kind, known = client_of(request.node, run.settings), _known_capabilities(request)
    clients: list[Client] = []

    def connect() -> Client:
        client = run.connector.client(_grpcstream_used, kind, _time_limit(request, kind), capabilities=known)
        clients.append(client)
        state_of(request.node).clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def grpcstream_quiet(pytestconfig: pytest.Config) -> float:
    """Seconds of silence after which nothing more is expected (--grpcstream-quiet)."""
    return Run.of(pytestconfig).settings.quiet


@pytest.fixture
def grpcstream_observe(request: pytest.FixtureRequest) -> Observe:
    """Reports what the target did where a specification leaves a choice: call it with one line of text."""
    return state_of(request.node).observed.append


@pytest.fixture
def grpcstream(request: pytest.FixtureRequest, grpcstream_client: str) -> Iterator[Client]:
    """A client of the target: ``list``, ``record``, ``route`` and ``open`` start RPCs as `Stream` objects.

    Streams that a test left open are cancelled after it. A failing test shows the timelines of its streams.
    """
    _skip_unless_applicable(request)
    with _open_client(request, grpcstream_client) as client:
        state_of(request.node).clients.append(client)
        yield client


def _open_client(request: pytest.FixtureRequest, kind: str) -> Client:
    connector, known = Run.of(request.config).connector, _known_capabilities(request)
    target: SupervisedTarget = request.getfixturevalue("_grpcstream_used")
    if kind == "wire":
        return connector.wire(target, _time_limit(request, kind), capabilities=known)
    channel: grpc.Channel = request.getfixturevalue("grpcstream_channel")
    return connector.library(target, _time_limit(request, kind), channel=channel, capabilities=known)


@pytest.fixture
def grpcstream_wire(request: pytest.FixtureRequest, _grpcstream_used: SupervisedTarget) -> Iterator[WireClient]:
    """A wire client of the target: the interface of `grpcstream`, and control over every HTTP/2 frame."""
    run = Run.of(request.config)
    if "wire" not in run.settings.clients and is_requirement(request.node):
        skip_not_applicable("the run is over the library client only")
    _skip_unless_applicable(request)
    known = _known_capabilities(request)
    with run.connector.wire(_grpcstream_used, _time_limit(request, "wire"), capabilities=known) as client:
        state_of(request.node).clients.append(client)
        yield client


def _known_capabilities(request: pytest.FixtureRequest) -> Capabilities | None:
    """What the clients of a test know about the target: None in a user's own test, for which nothing is probed."""
    if not is_requirement(request.node):
        return None
    capabilities: Capabilities = request.getfixturevalue("grpcstream_capabilities")
    return capabilities


def _time_limit(request: pytest.FixtureRequest, kind: str) -> float:
    """Seconds that one operation of a test may take, as far as it is known which target the test calls."""
    run = Run.of(request.config)
    if not is_requirement(request.node):
        return run.settings.timeout
    target = state_of(request.node).target
    known = None if target is None else target.known_capabilities(kind)
    return run.budget.limit(serves=None if known is None else bool(known.working_exchanges))


def _skip_unless_applicable(request: pytest.FixtureRequest) -> None:
    """Skip a test of a requirement if the target lacks an optional feature that it needs."""
    marker = RequirementMarker.of(request.node)
    if marker is not None and marker.features:
        capabilities: Capabilities = request.getfixturevalue("grpcstream_capabilities")
        if missing := [name for name in marker.features if name not in capabilities.features]:
            skip_not_applicable(f"the target has no {' and no '.join(missing)}")
