"""docs/findings.md and docs/generated/timelines.md: findings on other stacks, each with its smallest test."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = ROOT / "docs" / "findings.md"
TIMELINES = ROOT / "docs" / "generated" / "timelines.md"
SMALLEST = ROOT / "implementations" / "findings"
LISTS = sorted([*ROOT.glob("implementations/*/expect.toml"), *ROOT.glob("implementations/proxies/expect/*.toml")])


@pytest.mark.parametrize("path", LISTS, ids=lambda path: str(path.relative_to(ROOT / "implementations")))
def test_every_expected_failure_is_explained(path: Path) -> None:
    """Each expected failure has its own explanation or link, and the page names its cause."""
    page = FINDINGS.read_text(encoding="utf-8")
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("expect", []):
        assert entry.get("why") or entry.get("link"), entry
        explained = entry["link"] if entry["id"] == "*" else entry["id"]
        assert explained in page, f"docs/findings.md does not mention {explained}"


def test_every_smallest_test_passes_on_the_reference() -> None:
    """It requires nothing that a correct server does not do, so a failure elsewhere is a fault of the stack."""
    command = [sys.executable, "-P", "-m", "pytest", str(SMALLEST), "--on=reference", "-k", "not grpcio_refuses"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=200)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert re.search(r"\b1\d passed\b", done.stdout)


def test_every_smallest_test_has_its_timeline() -> None:
    """The page generated from these tests contains all of them."""
    page = TIMELINES.read_text(encoding="utf-8")
    for path in sorted(SMALLEST.glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for gate, requirement in re.findall(r'@pytest\.mark\.finding\("(.+?)", "(.+?)"', text):
            assert f"\n### {requirement} on {gate}\n" in page
        for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE):
            assert f"\ndef {name}(" in page


def test_every_timeline_is_linked_by_its_finding() -> None:
    """The anchors are those that GitHub derives from headings."""
    headings = re.findall(r"^### (.+)$", TIMELINES.read_text(encoding="utf-8"), re.MULTILINE)
    linked = re.findall(r"timelines\.md#([\w-]+)\)", FINDINGS.read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(heading.lower().replace(" ", "-") for heading in headings)
