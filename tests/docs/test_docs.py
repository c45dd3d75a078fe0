"""The documentation is correct: its examples run, its options and links exist, its numbers match."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_grpcstream import conformance
from pytest_grpcstream.capabilities import EXCHANGES, FEATURES
from pytest_grpcstream.requirements.registry import AREAS, registry

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
COVERAGE = ROOT / "docs" / "coverage.md"
NAMED_BLOCK = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"--grpcstream-[a-z-]+")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
REQUIREMENT = re.compile(rf"\b(?:{'|'.join(AREAS)})-\d+\b")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, isolated from the project's own settings."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("name", ["README.md", "docs/writing-tests.md"])
def test_every_example_of_a_test_passes(tmp_path: Path, name: str) -> None:
    """The examples of a page, saved under the file names they carry, form a project whose tests pass."""
    blocks = list(NAMED_BLOCK.finditer((ROOT / name).read_text(encoding="utf-8")))
    assert blocks
    for block in blocks:
        (tmp_path / block["name"]).write_text(block["code"], encoding="utf-8")
    tests = sum(block["code"].count("\ndef test_") + block["code"].startswith("def test_") for block in blocks)
    target = [] if (tmp_path / "conftest.py").exists() else ["--grpcstream-target=reference"]
    result = run(tmp_path, *target, ".")
    assert f"{tests} passed" in result.stdout, result.stdout
    assert result.returncode == 0


@pages
def test_every_option_named_exists(page: Path, pytestconfig: pytest.Config) -> None:
    """Pytest knows every option that a page names."""
    named = set(OPTION.findall(page.read_text(encoding="utf-8")))
    known = {f"--{dest.replace('_', '-')}" for dest in vars(pytestconfig.option) if dest.startswith("grpcstream_")}
    assert named <= known


@pages
def test_every_linked_file_exists(page: Path) -> None:
    """The target of every link to a file of the repository exists."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pages
def test_every_requirement_named_exists(page: Path) -> None:
    """The requirements that a page names are registered, except candidates that were rejected."""
    _, _, left_out = section("Not a requirement of its own").partition("| --- |")
    candidates = {line.split("|")[1].strip() for line in left_out.splitlines() if line.startswith("| ")}
    assert not candidates & set(registry())
    assert set(REQUIREMENT.findall(page.read_text(encoding="utf-8"))) <= {*registry(), *candidates}


def test_the_failure_on_the_first_page_is_up_to_date() -> None:
    """It shows the requirement's sentence and the number of requirements as the registry has them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\nrequirement  {registry()['HALF-4'].sentence}\n" in text
    total = sum(one.severity == "error" and not one.only for one in registry().values())
    assert re.search(rf"\nerror-level requirements checked: \d+ of {total}\n", text)


def test_the_arguments_of_the_requirement_marker_are_listed() -> None:
    """The page for writers of tests names every feature and every baseline exchange."""
    text = (ROOT / "docs" / "writing-tests.md").read_text(encoding="utf-8")
    assert [name for name in (*FEATURES, *EXCHANGES) if f"`{name}`" not in text] == []


def test_the_number_of_candidates_is_right() -> None:
    """Every candidate of the catalogue is in the suite or is listed with the reason why it is not."""
    text = COVERAGE.read_text(encoding="utf-8")
    added = set(REQUIREMENT.findall(section("Added since")))
    assert added <= set(registry())
    listed = [line for line in section("Not a requirement of its own").splitlines() if line.startswith("| ")]
    head = 2  # the column names and the line below them
    found = re.search(r"a catalogue of (\d+) candidate requirements", text)
    assert found is not None
    assert len(registry()) - len(added) + len(listed) - head == int(found[1])


def test_the_stress_requirements_are_listed() -> None:
    """The page lists the requirements whose tests run only with -m stress."""
    marked = set()
    for info in pkgutil.iter_modules(conformance.__path__):
        module = importlib.import_module(f"{conformance.__name__}.{info.name}")
        for one in [one for name, one in vars(module).items() if name.startswith("test_")]:
            own = [*marks(module), *marks(one)]
            if any(mark.name == "grpcstream_stress" for mark in own):
                marked |= {mark.args[0] for mark in own if mark.name == "grpcstream_requirement"}
    assert set(REQUIREMENT.findall(section("Stress"))) == marked


def test_every_module_named_exists() -> None:
    """The modules that the page for contributors names are modules of the package."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walks = text.partition("## Three walks")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z_]+/[a-z_/]+)`", walks)
    assert "wire/transport" in named
    missing = [name for name in named if not (ROOT / "pytest_grpcstream" / f"{name}.py").exists()]
    assert missing == []


def section(title: str) -> str:
    """Return a section of docs/coverage.md."""
    return COVERAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]


def marks(one: Any) -> Iterator[Any]:
    """Yield the markers of a module or of a test, including those of its parameters."""
    for mark in getattr(one, "pytestmark", []):
        yield mark
        if mark.name == "parametrize":
            for value in mark.args[1]:
                yield from getattr(value, "marks", ())
