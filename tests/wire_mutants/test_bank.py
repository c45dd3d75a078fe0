"""The wire client's part of the suite is proved: each mutant is killed by its own requirement and by nothing unrelated.

By default a mutant meets the tests of its own requirement and a few others; with GRPCSTREAM_TESTS_FULL=1 in the
environment it meets the whole suite, which takes hours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from pytest_grpcstream.requirements import registry
from servers.running import FULL, LIMIT, Outcome, run_suite
from wire_mutants.bank import MUTANTS
from wire_servers.test_variants import serve

SMOKE: Final = frozenset({"ORD-1", "ORD-12", "EOF-1", "EOF-13", "EOF-14", "PAIR-1", "HALF-1", "HALF-4", "META-9"})
"""Requirements whose tests every mutant meets: quick ones, of every RPC."""


def outcome_of(name: str, folder: Path) -> Outcome:
    """Run the suite, or a part of it, against a mutant."""
    options = ["--grpcstream-timeout=3", *(["-mgrpcstream_stress"] if MUTANTS[name].stress else [])]
    if not FULL:
        wanted = SMOKE | {MUTANTS[name].killed_by}
        options += ["--grpcstream-client=wire", "--grpcstream-features=all"]
        options += ["-pmutants.selecting", f"--requirements={','.join(sorted(wanted))}"]
    return run_suite(serve("--mutant", name), folder, *options)


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
        futures = {name: pool.submit(outcome_of, name, tmp_path_factory.mktemp(name)) for name in names}
        yield futures.__getitem__
        for future in futures.values():
            future.cancel()


@pytest.mark.timeout(LIMIT * 2)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_its_own_requirement_only(name: str, outcomes: Started) -> None:
    """A server that is broken in one way on the wire fails the requirement that it breaks, and no unrelated one."""
    mutant, outcome = MUTANTS[name], outcomes(name).result()
    assert mutant.killed_by in registry(), f"{mutant.killed_by} is no requirement of the suite"
    mild = mutant.warned or registry()[mutant.killed_by].severity != "error"
    killers = {**outcome.failed, **outcome.warned} if mild else outcome.failed
    assert mutant.killed_by in killers, f"{mutant.killed_by} did not notice: {mutant.__doc__}\n{outcome.told()}"
    unrelated = {*outcome.failed, *outcome.warned} - {mutant.killed_by} - mutant.also
    assert not unrelated, f"{sorted(unrelated)} failed as well: {mutant.__doc__}\n{outcome.told()}"


def test_mutants_name_requirements_that_there_are() -> None:
    """What a mutant names is registered, and it names nothing twice."""
    for mutant in MUTANTS.values():
        assert mutant.killed_by in registry(), mutant
        assert mutant.also <= set(registry()), mutant
        assert mutant.killed_by not in mutant.also, mutant
