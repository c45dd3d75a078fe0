"""Measure what the plugin costs a pytest run that does not use it.

``python benchmarks/idle_plugin.py`` runs one trivial test repeatedly, alternately with the installed plugin and with
``-p no:grpcstream``, and measures how long importing the plugin takes after importing pytest.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TypeAlias

from measuring import machine, spread, table

MODULE = "pytest_grpcstream.plugin"
IMPORT = f"""
import time, pytest
began, spent = time.perf_counter(), time.process_time()
import {MODULE}
print((time.perf_counter() - began) * 1000, (time.process_time() - spent) * 1000)
"""

Times: TypeAlias = tuple[float, float]
"""Milliseconds: of wall-clock time, and of processor time, which other programs disturb less."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what the idle plugin costs a pytest run")
    parser.add_argument("--runs", type=int, default=20, help="Runs of each kind (default: %(default)s)")
    runs = parser.parse_args().runs
    print(f"One trivial test, {runs} runs with and without the plugin alternately.\n{machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_trivial.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        _run(folder)  # writes the bytecode that the other runs read
        pairs = [(_run(folder, "-pno:grpcstream"), _run(folder)) for _ in range(runs)]
        imports = [_import_time(folder) for _ in range(runs)]
    without, with_plugin = ([pair[place] for pair in pairs] for place in (0, 1))
    rows = [
        ["pytest -p no:grpcstream", *_both(without)],
        ["pytest", *_both(with_plugin)],
        ["difference of a pair", *_both([(b[0] - a[0], b[1] - a[1]) for a, b in pairs])],
        ["difference of the least", *(f"{_least(with_plugin, at) - _least(without, at):.1f} ms" for at in (0, 1))],
        [f"import of {MODULE}", *_both(imports)],
    ]
    table(["median (least to most) of", "time", "processor time"], rows)


def _both(times: list[Times]) -> list[str]:
    return [spread([one[at] for one in times], "ms") for at in (0, 1)]


def _least(times: list[Times], at: int) -> float:
    return min(one[at] for one in times)


def _run(folder: str, *options: str) -> Times:
    """Milliseconds that a run takes, from the start of its process to the end."""
    command = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", *options]
    began, spent = time.perf_counter(), _spent()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000, (_spent() - spent) * 1000


def _spent() -> float:
    """Seconds of processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _import_time(folder: str) -> Times:
    """Milliseconds that importing the plugin takes after pytest was imported."""
    run = subprocess.run([sys.executable, "-c", IMPORT], cwd=folder, check=True, capture_output=True, text=True)
    elapsed, spent = run.stdout.split()
    return float(elapsed), float(spent)


if __name__ == "__main__":
    main()
