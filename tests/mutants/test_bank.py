"""Proves the suite: each mutant is killed by its own requirement and by nothing unrelated.

By default a mutant meets the tests of its own requirement and a few others. With GRPCSTREAM_TESTS_FULL=1 in the
environment it meets the whole suite, which takes an hour.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from mutants.bank import all_mutants
from mutants.killing import assert_killed_by_its_own_requirement_only
from pytest_grpcstream import conformance
from pytest_grpcstream.requirements.registry import registry
from servers.running import FULL, LIMIT, SMOKE, Outcome, Started, only, run_suite, side_by_side

BANK: Final = {one.__name__: one for one in all_mutants()}


def outcome_of(name: str, folder: Path) -> Outcome:
    """Run the suite, or a part of it, against a mutant."""
    options = ["--grpcstream-client=library", "--grpcstream-timeout=4"]
    if not FULL:
        options += ["--grpcstream-features=all", *only(*SMOKE, BANK[name].killed_by)]
    return run_suite(BANK[name].target(), folder, *options)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The outcomes of the mutants that this session selects."""
    yield from side_by_side(request, tmp_path_factory, outcome_of)


@pytest.mark.timeout(LIMIT * 2)
@pytest.mark.parametrize("name", BANK)
def test_a_mutant_is_killed_by_its_own_requirement_only(name: str, outcomes: Started) -> None:
    """A server that is broken in one way fails the requirement that it breaks, and no unrelated one."""
    assert_killed_by_its_own_requirement_only(BANK[name], outcomes(name).result())


def requirements_of_the_library_client() -> Iterator[str]:
    """The requirements that tests with the fixture `grpcstream` name."""
    for info in pkgutil.iter_modules(conformance.__path__):
        module = importlib.import_module(f"{conformance.__name__}.{info.name}")
        for name, one in vars(module).items():
            if name.startswith("test_") and "grpcstream" in inspect.signature(one).parameters:
                yield from (mark.args[0] for mark in one.pytestmark if mark.name == "grpcstream_requirement")


def test_every_requirement_has_a_mutant() -> None:
    """A requirement that no server can break is not a requirement."""
    named = {mutant.killed_by for mutant in BANK.values()}
    assert set(requirements_of_the_library_client()) <= named


def test_mutants_name_registered_requirements() -> None:
    """The ids that a mutant names are registered."""
    for mutant in BANK.values():
        assert mutant.also <= set(registry()), mutant
        assert mutant.killed_by in registry(), mutant
