"""The wheel contains the four folders as one import package, and nothing else."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import email.policy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "pytest_grpcstream": "pytest_grpcstream",
    "conformance": "pytest_grpcstream/conformance",
    "proto": "pytest_grpcstream/proto",
    "reference_impl": "pytest_grpcstream/reference_impl",
}
OFFLINE = ["--no-build-isolation", "--no-deps", "--no-index"]
SHIPPED = {".binpb", ".json", ".proto", ".py", ".pyi", ".toml", ".typed"}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, because setuptools leaves a build folder behind whose content ends up in the next wheel."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "venv", "node_modules")
    return Path(shutil.copytree(ROOT, copy, ignore=unwanted))


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel without network access, and return the root of its content."""
    folder = tmp_path_factory.mktemp("wheel")
    run = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", folder, source],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout
    [built] = folder.glob("*.whl")
    return zipfile.Path(built)


@pytest.fixture(scope="session")
def dist_info(wheel: zipfile.Path) -> zipfile.Path:
    """Return the wheel's one .dist-info folder."""
    [folder] = (entry for entry in wheel.iterdir() if entry.name.endswith(".dist-info"))
    return folder


def test_the_wheel_contains_every_file_of_the_four_folders(source: Path, wheel: zipfile.Path) -> None:
    """Every module and data file of the four folders is shipped in its place, and no other file is."""
    expected = {
        f"{place}/{path.relative_to(source / folder).as_posix()}"
        for folder, place in PLACES.items()
        for path in (source / folder).rglob("*")
        if path.suffix in SHIPPED
    }
    actual = {name for name in wheel.root.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert actual == expected


@pytest.mark.parametrize(
    "name",
    [
        "conformance/__init__.py",
        "conformance/requirements.toml",
        "messages.pyi",
        "plugin/__init__.py",
        "proto/stream.proto",
        "py.typed",
        "reference_impl/__init__.py",
        "reference_impl/__main__.py",
        "stream.binpb",
    ],
)
def test_the_wheel_contains_what_is_accessed_by_name(wheel: zipfile.Path, name: str) -> None:
    """Each file that pytest, the plugin, a user or a type checker accesses by name is in the wheel."""
    assert (wheel / "pytest_grpcstream" / name).is_file()


def test_it_installs_one_top_level_package(wheel: zipfile.Path, dist_info: zipfile.Path) -> None:
    """Nothing is installed beside pytest_grpcstream; a top-level proto would overwrite that of proto-plus."""
    assert {entry.name for entry in wheel.iterdir()} == {"pytest_grpcstream", dist_info.name}


def test_its_entry_point_is_the_plugin(dist_info: zipfile.Path) -> None:
    """Pytest finds the plugin by one entry point named grpcstream."""
    entry_points = configparser.ConfigParser()
    entry_points.read_string((dist_info / "entry_points.txt").read_text(encoding="utf-8"))
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "pytest11": {"grpcstream": "pytest_grpcstream.plugin"}
    }


def test_its_metadata_matches_the_project(source: Path, dist_info: zipfile.Path) -> None:
    """Name, version, supported Pythons, licence, dependencies and README are in the wheel's metadata."""
    project: dict[str, Any] = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = _parse((dist_info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Name"] == "pytest-grpcstream"
    assert metadata["Version"] == project["version"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert (dist_info / "licenses" / "LICENSE").is_file()
    unconditional = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert unconditional == set(project["dependencies"])
    assert metadata.get_payload() == (source / "README.md").read_text(encoding="utf-8")


def _parse(metadata: str) -> email.message.Message:
    """Read core metadata: headers, and the description as the payload."""
    return email.parser.Parser(policy=email.policy.compat32).parsestr(metadata)
