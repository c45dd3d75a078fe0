"""Fixtures of the tests of reports: runs of pytest that write a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugin.conftest import Run, Serve, _clean_environment, core, reference, run, serve
from reports.reading import load

__all__ = ["_clean_environment", "core", "reference", "run", "serve"]

EITHER_WAY = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])


@dataclass(frozen=True)
class Reported:
    """A run that wrote a report, and its files.

    Attributes:
        result: the run.
        folder: the folder of the report.
        report: its content, which is valid.
    """

    result: pytest.RunResult
    folder: Path
    report: dict[str, Any]

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """The tests by their names."""
        return {one["nodeid"].rpartition("::")[2]: one for one in self.report["tests"]}

    @property
    def requirements(self) -> dict[str, dict[str, Any]]:
        """The requirements by their ids."""
        return {one["id"]: one for one in self.report["requirements"]}

    def texts(self) -> dict[str, str]:
        """Every file of the report by its relative name, each byte as one character."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes().decode("latin-1") for path in files}


Report = Callable[..., Reported]


@pytest.fixture
def report(run: Run, pytester: pytest.Pytester) -> Report:
    """Run some modules of the suite with a report in the folder ``out``, over both clients.

    Arguments of what it returns: the target, the modules without ``test_`` or ids of tests in them, options.
    """

    def start(target: str, *names: str, options: tuple[str, ...] = ()) -> Reported:
        modules = [f"pytest_grpcstream.conformance.test_{name}" for name in names]
        features = () if any("features" in option for option in options) else ("--grpcstream-features=none",)
        result = run(
            f"--grpcstream-target={target}", "--grpcstream-report=out", *features, *options, "--pyargs", *modules
        )
        folder = pytester.path / "out"
        return Reported(result, folder, load(folder / "report.json"))

    return start


@pytest.fixture(scope="session")
def serve_hostile(serve: Serve) -> Serve:
    """Start one of the servicers of these tests, by its name."""
    return lambda name: serve(f"reports.servicers:{name}")
