"""The suite is proved: each mutant is killed by its own requirement and by nothing unrelated.

By default a mutant meets the tests of its own requirement and a few others; with GRPCSTREAM_TESTS_FULL=1 in the
environment it meets the whole suite, which takes an hour.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from mutants.bank import all_mutants
from mutants.base import Mutant
from pytest_grpcstream import conformance
from pytest_grpcstream.requirements import registry
from servers.running import FULL, LIMIT, Outcome, run_suite

BANK: Final = {one.__name__: one for one in all_mutants()}
SMOKE: Final = frozenset({"ORD-1", "ORD-12", "EOF-1", "EOF-13", "EOF-14", "PAIR-1", "HALF-1", "HALF-4", "META-9"})
"""Requirements whose tests every mutant meets: quick ones, of every RPC."""

WITHOUT_MUTANT: Final = dict.fromkeys(("TLS-1", "TLS-3", "TLS-5"), "the servers that break it are in tests/tls")
"""Requirements that no mutant is there for, each with the reason."""


def outcome_of(mutant: type[Mutant], folder: Path) -> Outcome:
    """Run the suite, or a part of it, against a mutant."""
    options = ["--grpcstream-client=library", "--grpcstream-timeout=4"]
    if not FULL:
        options += ["--grpcstream-features=all"]
        options += ["-pmutants.selecting", f"--requirements={','.join(sorted(SMOKE | {mutant.killed_by}))}"]
    return run_suite(mutant.target(), folder, *options)


Started = Callable[[str], "Future[Outcome]"]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The outcomes of the mutants that this session asks for, run two at a time and in the order of the tests."""
    names = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(1 if FULL else min(2, os.cpu_count() or 1)) as pool:
        futures = {name: pool.submit(outcome_of, BANK[name], tmp_path_factory.mktemp(name)) for name in names}
        yield futures.__getitem__
        for future in futures.values():
            future.cancel()


@pytest.mark.timeout(LIMIT * 2)
@pytest.mark.parametrize("name", BANK)
def test_a_mutant_is_killed_by_its_own_requirement_only(name: str, outcomes: Started) -> None:
    """A server that is broken in one way fails the requirement that it breaks, and no unrelated one."""
    mutant, outcome = BANK[name], outcomes(name).result()
    mild = mutant.warned or registry()[mutant.killed_by].severity != "error"
    killers = {**outcome.failed, **outcome.warned} if mild else outcome.failed
    assert mutant.killed_by in killers, f"{mutant.killed_by} did not notice: {mutant.__doc__}\n{outcome.told()}"
    unrelated = {*outcome.failed, *outcome.warned} - {mutant.killed_by} - mutant.also
    assert not unrelated, f"{sorted(unrelated)} failed as well: {mutant.__doc__}\n{outcome.told()}"


def requirements_of_the_library_client() -> Iterator[str]:
    """The requirements that tests without the wire client name."""
    for info in pkgutil.iter_modules(conformance.__path__):
        if info.name.startswith("test_") and not info.name.startswith("test_wire_"):
            module = importlib.import_module(f"{conformance.__name__}.{info.name}")
            for one in vars(module).values():
                marks = getattr(one, "pytestmark", [])
                yield from (mark.args[0] for mark in marks if mark.name == "grpcstream_requirement")


def test_every_requirement_has_a_mutant() -> None:
    """A requirement that nothing can break is none; the few without a mutant are listed with their reasons."""
    named = {mutant.killed_by for mutant in BANK.values()}
    assert set(requirements_of_the_library_client()) - named == set(WITHOUT_MUTANT)


def test_mutants_name_requirements_that_there_are() -> None:
    """What a mutant names is registered."""
    for mutant in BANK.values():
        assert mutant.also <= set(registry()), mutant
        assert mutant.killed_by in registry(), mutant
