"""The fixtures, in tiers that can each be overridden: target, channel, client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.plugin.requirement_marker import RequirementMarker
from pytest_grpcstream.plugin.session import OBSERVED, Run, is_direct, is_requirement, use_client, use_target

if TYPE_CHECKING:
    import grpc

    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.clients.client import Client, Connect
    from pytest_grpcstream.clients.wire import WireClient
    from pytest_grpcstream.targets.supervisor import SupervisedTarget, TargetSupervisor
    from pytest_grpcstream.values import Observe

Serve: TypeAlias = "Callable[[object], SupervisedTarget]"


@pytest.fixture(scope="session")
def _grpcstream_keeper(pytestconfig: pytest.Config) -> Iterator[TargetSupervisor]:
    """Everything that this run starts, ended with the session."""
    run = Run.of(pytestconfig)
    yield run.keeper
    run.close()


@pytest.fixture(scope="session")
def grpcstream_target(_grpcstream_keeper: TargetSupervisor, pytestconfig: pytest.Config) -> SupervisedTarget | str:
    """The target of the run, from --grpcstream-target, the environment or the ini file.

    Override it with a fixture that returns the text of a target, or what `grpcstream_serve` returned.
    """
    text = Run.of(pytestconfig).settings.target
    if text is None:
        raise TargetError(
            "no target was given: use --grpcstream-target=TARGET, the ini option grpcstream_target, "
            "the marker grpcstream(target=...), or override the fixture grpcstream_target"
        )
    return _grpcstream_keeper.named(text)


@pytest.fixture(scope="session")
def grpcstream_serve(_grpcstream_keeper: TargetSupervisor) -> Serve:
    """A factory that starts a target and returns it: give it the text of one, or a servicer.

    A servicer (class, instance, factory, or function that takes a `grpc.Server`) is served in this process. What it
    returns has ``address`` and ``stop()``, is a context manager, and ends with the session at the latest.
    """
    return _grpcstream_keeper.serve


@pytest.fixture
def _grpcstream_kept(request: pytest.FixtureRequest, _grpcstream_keeper: TargetSupervisor) -> SupervisedTarget:
    """The target of this test: that of the nearest grpcstream marker, else the one behind, else `grpcstream_target`."""
    from pytest_grpcstream.targets.supervisor import SupervisedTarget

    marker = request.node.get_closest_marker("grpcstream")
    if marker is not None:
        if marker.args or set(marker.kwargs) != {"target"}:
            raise TargetError("the marker grpcstream takes exactly target=..., such as grpcstream(target='reference')")
        named = marker.kwargs["target"]
    elif is_direct(request.node):
        named = Run.of(request.config).behind
    else:
        named = request.getfixturevalue("grpcstream_target")
    if isinstance(named, str):
        named = _grpcstream_keeper.named(named)
    if not isinstance(named, SupervisedTarget):
        raise TargetError(f"a target is a text or what grpcstream_serve returned, not {type(named).__name__}")
    use_target(request.node, named)
    return named


@pytest.fixture
def grpcstream_channel(request: pytest.FixtureRequest, _grpcstream_kept: SupervisedTarget) -> Iterator[grpc.Channel]:
    """A `grpc.Channel` to the target, secured as the settings say; its connection is its own and ends with the test."""
    with Run.of(request.config).open_channel(_grpcstream_kept) as channel:
        yield channel


@pytest.fixture
def grpcstream_client(pytestconfig: pytest.Config) -> str:
    """Which client `grpcstream` is: library or wire. Tests of the suite are run with both, see --grpcstream-client."""
    return "wire" if Run.of(pytestconfig).settings.client == "wire" else "library"


@pytest.fixture
def grpcstream_capabilities(request: pytest.FixtureRequest, _grpcstream_kept: SupervisedTarget) -> Capabilities:
    """What the target can do: its optional features, and whether its Route speaks first; probed once per run."""
    run = Run.of(request.config)
    return run.capabilities(_grpcstream_kept, run.kind_of(request.node))


@pytest.fixture
def _grpcstream_known(request: pytest.FixtureRequest) -> Capabilities | None:
    """What the clients of this test know about the target: None in a user's own test, for which nothing is probed."""
    if not is_requirement(request.node):
        return None
    capabilities: Capabilities = request.getfixturevalue("grpcstream_capabilities")
    return capabilities


@pytest.fixture
def grpcstream_connect(
    request: pytest.FixtureRequest, _grpcstream_kept: SupervisedTarget, _grpcstream_known: Capabilities | None
) -> Iterator[Connect]:
    """A factory of clients that each have a connection of their own; they are closed after the test."""
    run = Run.of(request.config)
    clients: list[Client] = []

    def connect() -> Client:
        kind, limit = run.kind_of(request.node), run.patience(request.node)
        client = run.connect(_grpcstream_kept, kind, limit, _grpcstream_known)
        clients.append(client)
        use_client(request.node, client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def grpcstream_observe(request: pytest.FixtureRequest) -> Observe:
    """A function that records what the target did where a specification leaves a choice; the report lists it."""

    def observe(what: str) -> None:
        request.node.user_properties.append((OBSERVED, what))

    return observe


@pytest.fixture
def grpcstream_quiet(pytestconfig: pytest.Config) -> float:
    """Seconds of silence after which nothing more is expected (--grpcstream-quiet)."""
    return Run.of(pytestconfig).settings.quiet


@pytest.fixture
def grpcstream(request: pytest.FixtureRequest, grpcstream_client: str) -> Iterator[Client]:
    """A client of the target: ``list``, ``record``, ``route`` and ``open`` start RPCs as `Stream` objects.

    Streams that a test left open are cancelled after it. A failing test shows the timelines of its streams.
    """
    _skip_unless_applicable(request)
    with _client(request, grpcstream_client) as client:
        use_client(request.node, client)
        yield client


def _client(request: pytest.FixtureRequest, kind: str) -> Client:
    run = Run.of(request.config)
    known: Capabilities | None = request.getfixturevalue("_grpcstream_known")
    if kind == "wire":
        return run.connect_by_wire(request.getfixturevalue("_grpcstream_kept"), run.patience(request.node), known)
    from pytest_grpcstream.clients.grpcio import LibraryClient

    return LibraryClient(
        request.getfixturevalue("grpcstream_channel"),
        timeout=run.patience(request.node),
        metadata=run.metadata(request.getfixturevalue("_grpcstream_kept")),
        capabilities=known,
    )


@pytest.fixture
def grpcstream_wire(request: pytest.FixtureRequest, _grpcstream_kept: SupervisedTarget) -> Iterator[WireClient]:
    """A wire client of the target: the interface of `grpcstream`, and control over every HTTP/2 frame."""
    run = Run.of(request.config)
    if "wire" not in run.settings.clients and is_requirement(request.node):
        pytest.skip("not applicable: the run is over the library client only")
    _skip_unless_applicable(request)
    known: Capabilities | None = request.getfixturevalue("_grpcstream_known")
    with run.connect_by_wire(_grpcstream_kept, run.patience(request.node), known) as client:
        use_client(request.node, client)
        yield client


def _skip_unless_applicable(request: pytest.FixtureRequest) -> None:
    """Skip a test of a requirement whose optional features the target does not have."""
    marker = RequirementMarker.of(request.node)
    if marker is not None and marker.features:
        capabilities: Capabilities = request.getfixturevalue("grpcstream_capabilities")
        if missing := [name for name in marker.features if name not in capabilities.features]:
            pytest.skip(f"not applicable: the target has no {' and no '.join(missing)}")
