"""implementations/matrix.py: the page of all gates, written from existing reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from reports.documents import make_report, write_report

MATRIX = Path(__file__).resolve().parents[2] / "implementations" / "matrix.py"


def matrix(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script as tox does."""
    command = [sys.executable, str(MATRIX), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)


def gate(folder: Path, name: str, **about: object) -> Path:
    """Write what is known of a gate, and return its folder."""
    (folder / name).mkdir()
    (folder / name / "gate.json").write_text(json.dumps(about), encoding="utf-8")
    return folder / name


def test_page_is_written_from_existing_reports(tmp_path: Path) -> None:
    """A red gate makes the exit code 1; a gate that was skipped, or is wrong on purpose, has no column."""
    write_report(
        gate(tmp_path, "go-grpc", stack="grpc-go 1.2.3", code=0) / "report.json", make_report(("ORD-1", "passed"))
    )
    write_report(gate(tmp_path, "nginx", stack="nginx 4.5", code=1) / "report.json", make_report(("ORD-1", "failed")))
    write_report(
        gate(tmp_path, "caddy-host-name", stack="Caddy 2.1", code=0) / "report.json", make_report(("ORD-1", "failed"))
    )
    gate(tmp_path, "envoy", skipped="envoy not installed")
    page = tmp_path / "page.md"
    done = matrix(f"--reports={tmp_path}", f"--page={page}")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "1 of 4 gates red: nginx\n"
    lines = page.read_text(encoding="utf-8").splitlines()
    assert "| go-grpc | grpc-go 1.2.3 | green |" in lines
    assert "| nginx | nginx 4.5 | red, exit code 1 |" in lines
    assert "| caddy-host-name | Caddy 2.1 | red, as expected: misconfigured on purpose |" in lines
    assert "| envoy | | skipped: envoy not installed |" in lines
    assert "| haproxy | | not run |" in lines
    assert "| requirement | severity | sentence | <code>go-grpc</code> | <code>nginx</code> |" in lines


def test_unknown_gate_is_wrong_usage(tmp_path: Path) -> None:
    """Nothing is run for a mistyped name."""
    done = matrix("go-grcp", f"--reports={tmp_path}")
    assert done.returncode == 2
    assert "unknown gate go-grcp; choose from reference, " in done.stderr
