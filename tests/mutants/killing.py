"""When a mutant counts as killed, in either bank."""

from __future__ import annotations

from typing import Protocol

from pytest_grpcstream.requirements.registry import registry
from servers.running import Outcome


class Broken(Protocol):
    """What the mutant classes of both banks declare."""

    __doc__: str | None
    killed_by: str
    also: frozenset[str]
    warned: bool


def assert_killed_by_its_own_requirement_only(mutant: Broken, outcome: Outcome) -> None:
    """Assert that the requirement that the mutant breaks noticed it, and that no unrelated one failed or warned."""
    mild = mutant.warned or registry()[mutant.killed_by].severity != "error"
    killers = {**outcome.failed, **outcome.warned} if mild else outcome.failed
    assert mutant.killed_by in killers, f"{mutant.killed_by} did not notice: {mutant.__doc__}\n{outcome.summary()}"
    unrelated = {*outcome.failed, *outcome.warned} - {mutant.killed_by} - mutant.also
    assert not unrelated, f"{sorted(unrelated)} failed as well: {mutant.__doc__}\n{outcome.summary()}"
