"""A kept target is started at its first use, again after it died, and ended with its keeper."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_grpcstream import TargetError
from pytest_grpcstream.targets import supervisor
from pytest_grpcstream.targets.address import parse
from pytest_grpcstream.targets.supervisor import TargetSupervisor
from pytest_grpcstream.wire.sockets import accepts
from targets import servicers
from targets.scripted import bytes_server, closed_port
from targets.witness import Witness, command, until


@pytest.fixture
def kept_by() -> Iterator[TargetSupervisor]:
    """A keeper that is closed after the test."""
    made = TargetSupervisor(timeout=20)
    yield made
    made.close()


def test_a_target_is_started_when_it_is_first_used(kept_by: TargetSupervisor, seen: Witness) -> None:
    """Naming it starts nothing; asking where it is does."""
    kept = kept_by.named(parse(command(f"--witness={seen.port}")))
    assert kept.gone() is None
    assert kept.output() == ""
    assert kept.address.startswith("127.0.0.1:")
    seen.await_lives(1)


def test_a_text_names_one_target(kept_by: TargetSupervisor) -> None:
    """However often it is named, there is one server."""
    text = command()
    assert kept_by.named(parse(text)) is kept_by.named(parse(text))
    assert str(kept_by.named(parse(text))) == text


def test_a_target_that_died_is_started_again_at_its_next_use(kept_by: TargetSupervisor, seen: Witness) -> None:
    """Its death has a reason, is counted, and is over when somebody needs the target."""
    kept = kept_by.named(parse(command("--until-told", f"--witness={seen.port}")))
    before = kept.address
    seen.await_lives(1)
    assert kept.gone() is None
    seen.tell()
    seen.await_ends()
    assert until(kept.gone) == "it exited with code 5"
    assert (kept.deaths, kept.restartable) == (1, True)
    kept.forget()
    assert accepts(kept.address)
    assert kept.address != before
    assert kept.gone() is None


def test_a_target_that_died_unnoticed_is_started_again(kept_by: TargetSupervisor, seen: Witness) -> None:
    """Nobody has to ask for the death first."""
    kept = kept_by.named(parse(command("--until-told", f"--witness={seen.port}")))
    running = kept.running
    seen.await_lives(1)
    seen.tell()
    until(running.exit_reason)
    assert accepts(kept.address)
    assert kept.running is not running


def test_a_target_that_cannot_be_started_is_tried_once(kept_by: TargetSupervisor, seen: Witness) -> None:
    """The second time the same error is raised without another try."""
    kept = kept_by.named(parse(command("--speak=http1", f"--witness={seen.port}")))
    errors = []
    for _ in range(2):
        with pytest.raises(TargetError) as failed:
            kept.running  # noqa: B018 - it raises
        errors.append(failed.value)
    assert errors[0] is errors[1]
    seen.await_lives(1)
    seen.await_ends()
    assert kept.gone() is None


def test_a_given_address_that_goes_away_is_gone(kept_by: TargetSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can start it again, and an answer is waited for only a moment."""
    monkeypatch.setattr(supervisor, "GONE", 0.2)
    with bytes_server() as address:
        kept = kept_by.named(parse(address))
        assert kept.address == address
        assert kept.gone() is None
    assert kept.gone() == f"{address} accepts no connections any more"
    assert not kept.restartable


def test_a_target_that_stops_listening_is_gone_though_it_runs(
    kept_by: TargetSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that accepts no connection is as good as dead."""
    monkeypatch.setattr(supervisor, "GONE", 0.2)
    kept = kept_by.serve(servicers.Plain)
    address = kept.address
    assert kept.gone() is None
    kept.stop()
    assert kept.gone() == f"{address} accepts no connections any more"


def test_what_is_served_is_started_at_once(kept_by: TargetSupervisor) -> None:
    """A target of one's own that cannot be served fails where it is served, and not later."""
    address = closed_port()
    with pytest.raises(TargetError, match=f"nothing answers at {address}"):
        kept_by.serve(address)
    with pytest.raises(TargetError, match="int is no servicer"):
        kept_by.serve(3)


def test_a_served_target_ends_with_its_block(kept_by: TargetSupervisor) -> None:
    """It is a context manager, whatever it was made of."""
    for candidate in (servicers.Plain, command()):
        with kept_by.serve(candidate) as kept:
            address = kept.address
            assert accepts(address)
        assert not accepts(address)


def test_a_keeper_ends_all_that_it_started(seen: Witness) -> None:
    """Also what nobody stopped, and what was named but never used is not started for it."""
    with contextlib.closing(TargetSupervisor(timeout=20)) as made:
        made.named(parse(command("--say=never used")))
        addresses = [
            made.named(parse(command(f"--witness={seen.port}"))).address,
            made.serve(command(f"--witness={seen.port}", "--child")).address,
            made.serve(servicers.Plain).address,
        ]
        seen.await_lives(3)
    seen.await_ends()
    assert [address for address in addresses if accepts(address)] == []


def test_serving_an_invalid_text_is_refused(kept_by: TargetSupervisor) -> None:
    """The message is that of the option."""
    with pytest.raises(TargetError, match="target 'nonsense' is not valid"):
        kept_by.serve("nonsense")
