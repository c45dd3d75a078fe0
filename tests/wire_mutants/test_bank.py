"""Proves the wire client's tests: each mutant is killed by its own requirement and by nothing unrelated.

By default a mutant meets the tests of its own requirement and a few others. With GRPCSTREAM_TESTS_FULL=1 in the
environment it meets the whole suite, which takes hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants.killing import assert_killed_by_its_own_requirement_only
from pytest_grpcstream.requirements.registry import registry
from servers.running import FULL, LIMIT, SMOKE, Outcome, Started, only, run_suite, side_by_side
from wire_mutants.bank import MUTANTS
from wire_servers.test_variants import serve


def outcome_of(name: str, folder: Path) -> Outcome:
    """Run the suite, or a part of it, against a mutant."""
    options = ["--grpcstream-timeout=3", *(["-mgrpcstream_stress"] if MUTANTS[name].stress else [])]
    if not FULL:
        options += ["--grpcstream-client=wire", "--grpcstream-features=all", *only(*SMOKE, MUTANTS[name].killed_by)]
    return run_suite(serve("--mutant", name), folder, *options)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The outcomes of the mutants that this session selects."""
    yield from side_by_side(request, tmp_path_factory, outcome_of)


@pytest.mark.timeout(LIMIT * 2)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_its_own_requirement_only(name: str, outcomes: Started) -> None:
    """A server that is broken in one way on the wire fails the requirement that it breaks, and no unrelated one."""
    assert_killed_by_its_own_requirement_only(MUTANTS[name], outcomes(name).result())


def test_mutants_name_registered_requirements() -> None:
    """The ids that a mutant names are registered, and none is named twice."""
    for mutant in MUTANTS.values():
        assert mutant.killed_by in registry(), mutant
        assert mutant.also <= set(registry()), mutant
        assert mutant.killed_by not in mutant.also, mutant
