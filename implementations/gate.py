"""Builds an implementation, or starts a proxy, and runs the suite over it, with its list of expected failures.

Run it as ``python implementations/gate.py NAME [pytest options]``, with pytest-grpcstream installed. What an
implementation needs and how it is built and started is defined in ``implementations/NAME/implementation.toml``. A proxy
runs in front of the bundled reference, and each test also runs on the reference, to show where they differ. If a needed
program is not installed, the gate reports that it is skipped and exits with 0.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxies.run import PROXIES, NotInstalledError, program

HERE: Final = Path(__file__).resolve().parent
REFERENCES: Final = {"reference": "reference", "reference-aio": "reference:aio"}
"""The targets of the bundled reference, by the names of their gates."""
IMPLEMENTATIONS: Final = sorted(path.parent.name for path in HERE.glob("*/implementation.toml"))
WRONG: Final = ("nginx-proxy-pass", "haproxy-no-h2", "caddy-host-name")
"""Proxies that are misconfigured on purpose: the gate must be red, with a hint."""
NAMES: Final = (*REFERENCES, *IMPLEMENTATIONS, *PROXIES)
_VERSION: Final = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)")  # does not match "go1.26.8" in the output of Go programs


@dataclass(frozen=True)
class Gate:
    """What to run.

    Attributes:
        name: one of `NAMES`.
        stack: the name of the gRPC server or proxy, with ``{version}`` for its version.
        version: the command whose output contains the version.
        target: the target of the run.
        expect: the path of the list of expected failures, which may be absent.
        folder: where the build runs.
        build: the commands that build it.
        missing: needed programs that are not installed; one of each group is enough.
        options: additional pytest options.
        features: the features that the target is declared to have.
    """

    name: str
    stack: str
    version: tuple[str, ...]
    target: str
    expect: Path
    folder: Path = HERE
    build: tuple[tuple[str, ...], ...] = ()
    missing: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    features: str = "all"

    @property
    def skipped(self) -> str:
        """Why it cannot run here, or an empty text."""
        return f"{' and '.join(self.missing)} not installed" if self.missing else ""

    def run(self, options: Sequence[str]) -> int:
        """Build it, run the suite over it, and return the exit code.

        Raises:
            subprocess.CalledProcessError: the build failed.
        """
        for step in self.build:
            subprocess.run(step, cwd=self.folder, check=True)
        lists = [f"--grpcstream-expect={self.expect}"] if self.expect.exists() else []
        command = [
            *(sys.executable, "-m", "pytest", "-pno:cacheprovider", f"--grpcstream-target={self.target}"),
            *(f"--grpcstream-features={self.features}", *lists, *self.options, *options),
        ]
        # In an empty folder, so that pytest does not find a configuration of the checkout.
        with tempfile.TemporaryDirectory() as empty:
            code = subprocess.run(command, cwd=empty, check=False).returncode
        if self.name not in WRONG:
            return code
        outcome = "red, as expected" if code == 1 else f"exit code {code}, expected 1"
        print(f"{self.name} is misconfigured on purpose: {outcome}")
        return int(code != 1)

    def title(self) -> str:
        """The stack with its version, known once it is built."""
        found = None
        with contextlib.suppress(OSError):
            done = subprocess.run(
                self.version, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            found = _VERSION.search(done.stdout)
        return self.stack.replace("{version}", found[1] if found else "of an unknown version")


def main(arguments: list[str]) -> int:
    """Run the gate named by the first argument and return its exit code."""
    if not arguments or arguments[0] not in NAMES:
        names = ", ".join(NAMES)
        print(f"usage: python {Path(__file__).name} NAME [pytest options]; NAME is one of {names}", file=sys.stderr)
        return 2
    gate = named(arguments[0])
    if gate.skipped:
        print(f"{gate.name} skipped: {gate.skipped}")
        return 0
    return gate.run(arguments[1:])


def named(name: str) -> Gate:
    """The gate of a name."""
    if name in REFERENCES:
        version = (sys.executable, "-c", "import grpc; print(grpc.__version__)")
        return Gate(name, "grpcio {version}", version, REFERENCES[name], HERE / "no-list")
    return _proxy(name) if name in PROXIES else _implementation(name)


def _implementation(name: str) -> Gate:
    folder = HERE / name
    settings = tomllib.loads((folder / "implementation.toml").read_text(encoding="utf-8"))
    build = (tuple(sys.executable if word == "{python}" else word for word in command) for command in settings["build"])
    return Gate(
        name=name,
        stack=settings["stack"],
        version=tuple(settings["version"]),
        target=f"exec:{settings['start'].replace('{folder}', shlex.quote(str(folder)))}",
        expect=folder / "expect.toml",
        folder=folder,
        build=tuple(build),
        missing=tuple(one for one in settings["needs"] if shutil.which(one) is None),
        features=settings.get("features", "all"),
    )


def _proxy(name: str) -> Gate:
    folder, proxy = HERE / "proxies", PROXIES[name]
    command, missing = proxy.programs[0], ""
    try:
        command = program(proxy)
    except NotInstalledError:
        missing = " or ".join(proxy.programs)
    return Gate(
        name=name,
        stack=proxy.stack,
        version=(command, *proxy.version),
        target=f"exec:{shlex.join([sys.executable, str(folder / 'run.py'), name])} --port {{port}}",
        expect=folder / "expect" / f"{name}.toml",
        missing=(missing,) if missing else (),
        options=("--grpcstream-direct=reference",),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
