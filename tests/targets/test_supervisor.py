"""A supervised target is started at its first use, again after it died, and stopped with its supervisor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_grpcstream import TargetError
from pytest_grpcstream.targets import supervisor as module
from pytest_grpcstream.targets.address import parse
from pytest_grpcstream.targets.connecting import Connector
from pytest_grpcstream.targets.supervisor import TargetSupervisor
from pytest_grpcstream.wire.sockets import accepts
from targets import servicers
from targets.scripted import bytes_server, closed_port
from targets.witness import Witness, command, until


def new_supervisor() -> TargetSupervisor:
    """A supervisor with generous time limits."""
    return TargetSupervisor(timeout=20, connector=Connector(20))


@pytest.fixture
def supervisor() -> Iterator[TargetSupervisor]:
    """A supervisor that is closed after the test."""
    with contextlib.closing(new_supervisor()) as made:
        yield made


def test_target_starts_at_its_first_use(supervisor: TargetSupervisor, seen: Witness) -> None:
    """Naming a target does not start it; asking for its address does."""
    target = supervisor.named(parse(command(f"--witness={seen.port}")))
    assert target.death_reason() is None
    assert target.output() == ""
    assert target.address.startswith("127.0.0.1:")
    seen.await_lives(1)


def test_equal_texts_name_one_target(supervisor: TargetSupervisor) -> None:
    """However often a target is named, there is one server."""
    text = command()
    assert supervisor.named(parse(text)) is supervisor.named(parse(text))
    assert str(supervisor.named(parse(text))) == text


def test_dead_target_is_restarted_at_its_next_use(supervisor: TargetSupervisor, seen: Witness) -> None:
    """The death has a reason and is counted, and the restarted target counts as alive."""
    target = supervisor.named(parse(command("--until-signalled", f"--witness={seen.port}")))
    before = target.address
    seen.await_lives(1)
    assert target.death_reason() is None
    seen.signal()
    seen.await_ends()
    assert until(target.death_reason) == "it exited with code 5"
    assert (target.deaths, target.restartable) == (1, True)
    target.discard()
    assert accepts(target.address)
    assert target.address != before
    assert target.death_reason() is None


def test_target_that_died_unnoticed_is_restarted(supervisor: TargetSupervisor, seen: Witness) -> None:
    """The death need not be asked for first."""
    target = supervisor.named(parse(command("--until-signalled", f"--witness={seen.port}")))
    running = target.running
    seen.await_lives(1)
    seen.signal()
    until(running.exit_reason)
    assert accepts(target.address)
    assert target.running is not running


def test_living_target_is_not_discarded(supervisor: TargetSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that still accepts connections keeps running."""
    monkeypatch.setattr(module, "REFUSAL_TIMEOUT", 0.1)
    target = supervisor.named(parse(command()))
    running = target.running
    assert not target.discard_if_dead()
    assert target.running is running


def test_dead_target_is_discarded(supervisor: TargetSupervisor, seen: Witness) -> None:
    """One call notices the death and lets the next use restart the target."""
    target = supervisor.named(parse(command("--until-signalled", f"--witness={seen.port}")))
    running = target.running
    seen.await_lives(1)
    seen.signal()
    seen.await_ends()
    assert target.discard_if_dead()
    assert target.running is not running


def test_target_that_cannot_start_is_tried_once(supervisor: TargetSupervisor, seen: Witness) -> None:
    """The second use raises the same error without another attempt."""
    target = supervisor.named(parse(command("--speak=http1", f"--witness={seen.port}")))
    errors = []
    for _ in range(2):
        with pytest.raises(TargetError) as failed:
            target.running  # noqa: B018 - it raises
        errors.append(failed.value)
    assert errors[0] is errors[1]
    seen.await_lives(1)
    seen.await_ends()
    assert target.death_reason() is None


def test_given_address_that_stops_answering_is_dead(
    supervisor: TargetSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target cannot be restarted, and the wait for it is short."""
    monkeypatch.setattr(module, "REFUSAL_TIMEOUT", 0.2)
    with bytes_server() as address:
        target = supervisor.named(parse(address))
        assert target.address == address
        assert target.death_reason() is None
    assert target.death_reason() == f"{address} no longer accepts connections"
    assert not target.restartable
    assert not target.discard_if_dead()


def test_target_that_stops_listening_is_dead(supervisor: TargetSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that runs but accepts no connections counts as dead."""
    monkeypatch.setattr(module, "REFUSAL_TIMEOUT", 0.2)
    target = supervisor.serve(servicers.Plain)
    address = target.address
    assert target.death_reason() is None
    target.stop()
    assert target.death_reason() == f"{address} no longer accepts connections"


def test_served_target_starts_at_once(supervisor: TargetSupervisor) -> None:
    """A target that cannot be served raises where it is served, not later."""
    address = closed_port()
    with pytest.raises(TargetError, match=f"nothing answers at {address}"):
        supervisor.serve(address)
    with pytest.raises(TargetError, match="int is not a servicer"):
        supervisor.serve(3)


def test_serving_an_invalid_text_is_refused(supervisor: TargetSupervisor) -> None:
    """The message is that of the option."""
    with pytest.raises(TargetError, match="target 'nonsense' is not valid"):
        supervisor.serve("nonsense")


def test_served_target_stops_with_its_block(supervisor: TargetSupervisor) -> None:
    """Every served target is a context manager."""
    for candidate in (servicers.Plain, command()):
        with supervisor.serve(candidate) as target:
            address = target.address
            assert accepts(address)
        assert not accepts(address)


def test_closing_stops_everything_that_was_started(seen: Witness) -> None:
    """Closing stops named and served targets; it does not start one that was never used."""
    with contextlib.closing(new_supervisor()) as made:
        made.named(parse(command("--say=never used")))
        addresses = [
            made.named(parse(command(f"--witness={seen.port}"))).address,
            made.serve(command(f"--witness={seen.port}", "--child")).address,
            made.serve(servicers.Plain).address,
        ]
        seen.await_lives(3)
    seen.await_ends()
    assert [address for address in addresses if accepts(address)] == []
