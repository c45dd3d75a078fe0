"""docs/generated/mutants.md lists every mutant, and the script that writes it detects a stale page."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPT: Final = Path("scripts", "kill_matrix.py")


def run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a checkout."""
    command = [sys.executable, str(root / SCRIPT), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_page_is_current() -> None:
    """docs/generated/mutants.md matches the banks."""
    outcome = run(ROOT, "--check")
    assert outcome.returncode == 0, outcome.stderr


def test_a_stale_or_missing_page_is_reported_and_written(tmp_path: Path) -> None:
    """--check exits with 1 and changes nothing; without it the page is written, identically every time."""
    (tmp_path / "docs" / "generated").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    shutil.copy(ROOT / SCRIPT, tmp_path / SCRIPT)
    page = tmp_path / "docs" / "generated" / "mutants.md"
    assert run(tmp_path, "--check").returncode == 1
    assert not page.exists()
    page.write_text("# Mutants\n", encoding="utf-8")
    outcome = run(tmp_path, "--check")
    assert (outcome.returncode, page.read_text(encoding="utf-8")) == (1, "# Mutants\n")
    assert "run python scripts/kill_matrix.py" in outcome.stderr
    assert run(tmp_path).returncode == 0
    assert page.read_bytes() == (ROOT / "docs" / "generated" / "mutants.md").read_bytes()


def test_text_is_escaped_in_tables() -> None:
    """Characters that Markdown would interpret are escaped; a name with underscores is unchanged."""
    spec = importlib.util.spec_from_file_location("kill_matrix", ROOT / SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.plain("RST_STREAM") == "RST_STREAM"
    assert module.plain("a|b <c> & [d] *e* `f` _g_ \\") == "a\\|b &lt;c&gt; &amp; \\[d\\] \\*e\\* \\`f\\` \\_g\\_ \\\\"
