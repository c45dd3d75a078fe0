"""Check that no module exceeds 400 lines.

Run it as ``python scripts/lint/module_length.py``; it exits with 1 and names each module that is longer. A module that
grows past the limit is split by responsibility, not by size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = (
    "benchmarks",
    "conformance",
    "implementations",
    "pytest_grpcstream",
    "reference_impl",
    "scripts",
    "tests",
)
LIMIT: Final = 400
"""Lines of a module, blank lines and comments included."""


def main(arguments: list[str] | None = None) -> int:
    """Print each module that is too long and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the checkout (default: this one)")
    root = parser.parse_args(arguments).root
    found = list(too_long(root))
    for path, lines in found:
        print(f"{path.relative_to(root)}: {lines} lines; the limit is {LIMIT}: split it by responsibility")
    return int(bool(found))


def too_long(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield each module of a checkout that exceeds the limit, and how many lines it has."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LIMIT:
                yield path, lines


if __name__ == "__main__":
    sys.exit(main())
