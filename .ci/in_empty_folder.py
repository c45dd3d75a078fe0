"""Run a command in a new empty folder, outside of every checkout, like a user who has only installed the wheel.

Run it as ``python in_empty_folder.py COMMAND [ARGUMENT ...]``; it exits with the command's exit code.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile


def main() -> int:
    """Run the command and return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(sys.argv[1:], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
