"""The registry, the tests of the suite and the banks of mutants agree with each other."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from mutants.bank import all_mutants
from pytest_grpcstream import conformance
from pytest_grpcstream.capabilities import EXCHANGES, FEATURES
from pytest_grpcstream.requirements.registry import AREAS, RISKS, registry
from pytest_grpcstream.requirements.spec_links import links
from wire_mutants.bank import MUTANTS

ROOT: Final = Path(__file__).resolve().parents[2]


def named() -> Iterator[tuple[str, list[Any]]]:
    """Yield every test of the suite by name, with its requirement markers: its own, or those of its parameters."""
    for info in pkgutil.iter_modules(conformance.__path__):
        module = importlib.import_module(f"{conformance.__name__}.{info.name}")
        for name, one in vars(module).items():
            if name.startswith("test_"):
                yield f"{info.name}::{name}", [mark for mark in marks(one) if mark.name == "grpcstream_requirement"]


def marks(test: Any) -> Iterator[Any]:
    """Yield the markers of a test and of its parameters."""
    for mark in getattr(test, "pytestmark", []):
        yield mark
        if mark.name == "parametrize":
            for value in mark.args[1]:
                yield from getattr(value, "marks", ())


TESTS: Final = dict(named())
MARKS: Final = [mark for found in TESTS.values() for mark in found]


def test_every_requirement_has_a_test() -> None:
    """Each requirement in the registry is checked by at least one test, and each test checks one of the registry."""
    assert set(registry()) == {mark.args[0] for mark in MARKS}


@pytest.mark.parametrize("name", TESTS)
def test_every_test_has_a_requirement(name: str) -> None:
    """A test names an existing requirement, existing features and existing exchanges."""
    assert TESTS[name]
    for mark in TESTS[name]:
        assert mark.args[0] in registry()
        assert set(mark.kwargs) <= {"features", "observed_by"}
        assert set(mark.kwargs.get("features", ())) <= {*FEATURES}
        assert set(mark.kwargs.get("observed_by", ())) <= {*EXCHANGES}


def test_a_requirement_needs_what_all_its_tests_need() -> None:
    """The features in the registry are those that every test of the requirement needs."""
    features: dict[str, set[str]] = {}
    for mark in MARKS:
        own = {*mark.kwargs.get("features", ())}
        features[mark.args[0]] = features.get(mark.args[0], own) & own
    assert {name: set(one.features) for name, one in registry().items()} == features


def test_entries_are_complete() -> None:
    """Each has a known area, severity, level and risk, a full sentence, and a source with a link or a known kind."""
    for one in registry().values():
        assert one.area in AREAS, one
        assert one.severity in ("error", "warning", "info"), one
        assert one.level in ("MUST", "SHOULD", "MAY"), one
        assert one.risk in RISKS, one
        assert one.only in ("", "tls", "mtls"), one
        assert one.sentence.endswith("."), one
        assert [*links(one.source)] or one.source.startswith(("contract", "common practice")), one


def test_sentences_are_unique() -> None:
    """No two requirements have the same sentence."""
    assert len({one.sentence for one in registry().values()}) == len(registry())


def test_every_error_level_requirement_has_a_mutant() -> None:
    """A mutant proves that the suite detects its violation; the broken servers of TLS are in tests/tls."""
    killers = {one.killed_by for one in all_mutants()} | {one.killed_by for one in MUTANTS.values()}
    severe = {one.id for one in registry().values() if one.severity == "error" and not one.only}
    assert severe - killers == set()


def test_the_table_in_the_documentation_is_current() -> None:
    """docs/generated/requirements.md is what the registry says."""
    script = ROOT / "scripts" / "generate_requirements.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True, timeout=60)
