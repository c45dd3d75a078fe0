"""Check the import contracts of pyproject.toml on the package as it is installed.

Run it as ``python scripts/lint/imports.py``; it exits with 1 if a contract is broken. Two of the package's folders lie
elsewhere in the checkout, so the script copies all of them to their places in a temporary folder, where import-linter
finds one package. Nothing is imported: the dependencies need not be installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Check the contracts and return import-linter's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the checkout (default: this one)")
    root = parser.parse_args(arguments).root.resolve()
    with tempfile.TemporaryDirectory() as folder:
        assemble(root, Path(folder))
        command = [str(Path(sysconfig.get_path("scripts"), "lint-imports")), "--no-cache", "--no-logo"]
        # The temporary folder comes first, before an editable install of the same package.
        environment = {**os.environ, "PYTHONPATH": folder}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def assemble(root: Path, folder: Path) -> None:
    """Copy the modules of a checkout into a folder as setuptools installs them, and pyproject.toml beside them."""
    shutil.copy(root / "pyproject.toml", folder)
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    places: dict[str, str] = settings["tool"]["setuptools"]["package-dir"]
    for package, source in places.items():
        for module in sorted((root / source).rglob("*.py")):
            place = folder.joinpath(*package.split("."), module.relative_to(root / source))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, place)


if __name__ == "__main__":
    sys.exit(main())
