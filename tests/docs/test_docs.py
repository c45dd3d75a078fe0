"""What the documentation says is true: its examples run, its options exist, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_grpcstream.requirements.registry import AREAS, registry

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
NAMED_BLOCK = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"--grpcstream-[a-z-]+")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
REQUIREMENT = re.compile(rf"\b(?:{'|'.join(AREAS)})-\d+\b")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, apart from the project's own settings."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("name", ["README.md", "docs/writing-tests.md"])
def test_every_example_of_a_test_passes(tmp_path: Path, name: str) -> None:
    """The examples of a page, put into files of the names that they have, are a project whose tests pass."""
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
def test_every_option_that_is_named_exists(page: Path, pytestconfig: pytest.Config) -> None:
    """An option that a page names is one that pytest knows."""
    named = set(OPTION.findall(page.read_text(encoding="utf-8")))
    known = {f"--{dest.replace('_', '-')}" for dest in vars(pytestconfig.option) if dest.startswith("grpcstream_")}
    assert named <= known


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to another file of the repository finds it."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "docs/reference-warnings.md"])
def test_every_requirement_that_is_named_exists(name: str) -> None:
    """The requirements that a page names are registered."""
    assert set(REQUIREMENT.findall((ROOT / name).read_text(encoding="utf-8"))) <= set(registry())


def test_the_page_of_what_is_covered_names_every_requirement() -> None:
    """What the page calls a part of the suite is what the registry holds, and nothing of that is called left out."""
    text = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    inside, outside = text.split("## Not a requirement of its own")
    assert set(REQUIREMENT.findall(inside)) == set(registry())
    assert not {line.split("|")[1].strip() for line in outside.splitlines() if line.startswith("| ")} & set(registry())
