"""Builds an implementation, or starts a proxy, and runs the suite over it, with its list of expected failures.

Run it as ``python implementations/gate.py NAME [options of pytest]``, with pytest-grpcstream installed. The file
``implementations/NAME/implementation.toml`` says what an implementation needs, how it is built and how it is started. A
proxy runs in front of the bundled reference, and each test runs on the reference too, to show where they differ. If a
program is missing, the gate is skipped and says so, with exit code 0.
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
"""The bundled reference, by the names of its gates."""
IMPLEMENTATIONS: Final = sorted(path.parent.name for path in HERE.glob("*/implementation.toml"))
WRONG: Final = ("nginx-proxy-pass", "haproxy-no-h2", "caddy-host-name")
"""Proxies that are set up wrongly on purpose: the verdict must be red, with a hint."""
NAMES: Final = (*REFERENCES, *IMPLEMENTATIONS, *PROXIES)
_VERSION: Final = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)")  # not the "go1.26.8" of a program in Go


@dataclass(frozen=True)
class Gate:
    """What to run.

    Attributes:
        name: one of `NAMES`.
        stack: what serves or forwards gRPC there, with ``{version}`` for its version.
        version: the command that prints the version, among other text.
        target: the target of the run.
        expect: the list of expected failures; the file may be missing.
        folder: where the build runs.
        build: the commands that build it.
        missing: programs that it needs and that are not installed; of each group one is enough.
        options: more options of pytest.
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
        """Why it cannot be run here, or nothing."""
        return f"needs {' and '.join(self.missing)}, which is not installed here" if self.missing else ""

    def run(self, options: Sequence[str]) -> int:
        """Build it, run the suite over it, and return the exit code.

        Raises:
            subprocess.CalledProcessError: it cannot be built.
        """
        for step in self.build:
            subprocess.run(step, cwd=self.folder, check=True)
        lists = [f"--grpcstream-expect={self.expect}"] if self.expect.exists() else []
        command = [
            *(sys.executable, "-m", "pytest", "-pno:cacheprovider", f"--grpcstream-target={self.target}"),
            *(f"--grpcstream-features={self.features}", *lists, *self.options, *options),
        ]
        # In an empty folder, so that pytest does not find the configuration of the checkout.
        with tempfile.TemporaryDirectory() as empty:
            code = subprocess.run(command, cwd=empty, check=False).returncode
        if self.name not in WRONG:
            return code
        right = "red, as it must be" if code == 1 else f"exit code {code}, but 1 is right"
        print(f"{self.name} is wrong on purpose: {right}")
        return int(code != 1)

    def titled(self) -> str:
        """The stack with its version, once it is built."""
        found = None
        with contextlib.suppress(OSError):
            done = subprocess.run(
                self.version, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            found = _VERSION.search(done.stdout)
        return self.stack.replace("{version}", found[1] if found else "of an unknown version")


def main(arguments: list[str]) -> int:
    """Run the gate that is named first and return its exit code."""
    if not arguments or arguments[0] not in NAMES:
        names = ", ".join(NAMES)
        print(f"usage: python {Path(__file__).name} NAME [options of pytest]; names are {names}", file=sys.stderr)
        return 2
    gate = named(arguments[0])
    if gate.skipped:
        print(f"skipped: {gate.name} {gate.skipped}")
        return 0
    return gate.run(arguments[1:])


def named(name: str) -> Gate:
    """The gate of a name."""
    if name in REFERENCES:
        version = (sys.executable, "-c", "import grpc; print(grpc.__version__)")
        return Gate(name, "grpcio {version}", version, REFERENCES[name], HERE / "no list")
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
