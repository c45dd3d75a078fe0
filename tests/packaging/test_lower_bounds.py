"""The lower bound of every dependency is a tested version."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_lower_bound_is_what_the_min_env_installs() -> None:
    """The min env of tox.ini pins each dependency of the package, extras included, to its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = dict(line.split(">=") for requirement in requirements for line in requirement)

    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    pins = dict(line.split("==") for line in tox["testenv:min"]["deps"].split())

    assert {name: _padded(bound) for name, bound in bounds.items()} == pins


def _padded(version: str) -> str:
    """Return the version with three numbers, as in a pin."""
    return ".".join([*version.split("."), "0", "0"][:3])
