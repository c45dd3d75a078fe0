"""Builds an implementation, or starts a proxy, and runs the suite over it, with its list of expected failures.

Run it as ``python implementations/gate.py NAME [options of pytest]``, with pytest-grpcstream installed. What an
implementation needs, how it is built and how it is started stands in ``implementations/NAME/implementation.toml``. A
proxy runs in front of the bundled reference, and each test runs on the reference too, to show where they differ. Where
a needed program is not installed the gate is skipped, with a word that says so; the exit code is 0 then.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxies.run import PROXIES

HERE: Final = Path(__file__).resolve().parent
WRONG: Final = ("nginx-proxy-pass", "haproxy-no-h2", "caddy-host-name")
"""Proxies that are set up wrongly, on purpose: the verdict must be red, with a hint."""


@dataclass(frozen=True)
class Gate:
    """What to run.

    Attributes:
        missing: programs that it needs and that are not installed; of each group one is enough.
        target: the target of the run.
        expect: the list of expected failures.
        options: more options of pytest.
        features: what the target is said to have.
    """

    missing: tuple[str, ...]
    target: str
    expect: Path
    options: tuple[str, ...] = ()
    features: str = "all"


def main(arguments: list[str]) -> int:
    """Run the gate that is named first and return its exit code."""
    implementations = sorted(path.parent.name for path in HERE.glob("*/implementation.toml"))
    if not arguments or arguments[0] not in (*implementations, *PROXIES):
        names = ", ".join((*implementations, *PROXIES))
        print(f"usage: python {Path(__file__).name} NAME [options of pytest]; names are {names}", file=sys.stderr)
        return 2
    name, options = arguments[0], arguments[1:]
    gate = _proxy(name) if name in PROXIES else _implementation(name)
    if gate.missing:
        print(f"skipped: {name} needs {' and '.join(gate.missing)}, which is not installed here")
        return 0
    lists = [f"--grpcstream-expect={gate.expect}"] if gate.expect.exists() else []
    command = [
        *(sys.executable, "-m", "pytest", "-pno:cacheprovider", f"--grpcstream-target=exec:{gate.target}"),
        *(f"--grpcstream-features={gate.features}", *lists, *gate.options, *options),
    ]
    # In a folder of its own, so that no pytest configuration of the checkout is found.
    with tempfile.TemporaryDirectory() as empty:
        code = subprocess.run(command, cwd=empty, check=False).returncode
    if name not in WRONG:
        return code
    print(f"{name} is wrong on purpose: {'red, as it must be' if code == 1 else f'exit code {code}, but 1 is right'}")
    return int(code != 1)


def _implementation(name: str) -> Gate:
    folder = HERE / name
    told = tomllib.loads((folder / "implementation.toml").read_text(encoding="utf-8"))
    missing = tuple(program for program in told["needs"] if shutil.which(program) is None)
    for command in () if missing else told["build"]:
        subprocess.run([sys.executable if word == "{python}" else word for word in command], cwd=folder, check=True)
    target = told["start"].replace("{folder}", shlex.quote(str(folder)))
    return Gate(missing, target, folder / "expect.toml", features=told.get("features", "all"))


def _proxy(name: str) -> Gate:
    folder = HERE / "proxies"
    programs = PROXIES[name].programs
    missing = () if any(map(shutil.which, programs)) else (" or ".join(programs),)
    target = f"{shlex.join([sys.executable, str(folder / 'run.py'), name])} --port {{port}}"
    return Gate(missing, target, folder / "expect" / f"{name}.toml", ("--grpcstream-direct=reference",))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
