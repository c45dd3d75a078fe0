"""Builds an implementation and runs the suite over it, with its list of expected failures.

Run it as ``python implementations/gate.py NAME [options of pytest]``, with pytest-grpcstream installed. What NAME needs,
how it is built and how it is started stands in ``implementations/NAME/implementation.toml``. Where a needed program is not
installed the gate is skipped, with a word that says so; the exit code is 0 then.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Run the gate that is named first and return its exit code."""
    names = sorted(path.parent.name for path in HERE.glob("*/implementation.toml"))
    if not arguments or arguments[0] not in names:
        print(f"usage: python {Path(__file__).name} {{{','.join(names)}}} [options of pytest]", file=sys.stderr)
        return 2
    name, options = arguments[0], arguments[1:]
    folder = HERE / name
    told = tomllib.loads((folder / "implementation.toml").read_text(encoding="utf-8"))
    if missing := [program for program in told["needs"] if shutil.which(program) is None]:
        print(f"skipped: {name} needs {' and '.join(missing)}, which is not installed here")
        return 0
    for command in told["build"]:
        subprocess.run([sys.executable if word == "{python}" else word for word in command], cwd=folder, check=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-pno:cacheprovider",
        f"--grpcstream-target=exec:{told['start'].replace('{folder}', str(folder))}",
        "--grpcstream-features=all",
        f"--grpcstream-expect={folder / 'expect.toml'}",
        *options,
    ]
    # In a folder of its own, so that no pytest configuration of the checkout is found.
    with tempfile.TemporaryDirectory() as empty:
        return subprocess.run(command, cwd=empty, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
