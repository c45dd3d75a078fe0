"""Runs the shipped suite against a target, as a user would, and reads the outcome."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).resolve().parent.parent
"""The folder from which `servers` and `mutants` are imported."""
FULL: Final = bool(os.environ.get("GRPCSTREAM_TESTS_FULL"))
"""Whether every server gets the whole suite; otherwise only part of it, which is minutes faster."""
LIMIT: Final = 540
"""Seconds that one run of the suite may take."""
SMOKE: Final = frozenset({"ORD-1", "ORD-12", "EOF-1", "EOF-13", "EOF-14", "PAIR-1", "HALF-1", "HALF-4", "META-9"})
"""Requirements whose tests every broken server meets: quick ones, for every RPC."""


@dataclass
class Outcome:
    """The outcome of a run.

    Attributes:
        code: pytest's exit code.
        output: pytest's output.
        failed: the ids of requirements that failed, each with its first verdict.
        open: the ids of inconclusive requirements, each with its first verdict.
        warned: the ids of requirements with a warning, each with its first verdict.
        passed: how many tests passed.
        skipped: the reasons of skipped tests.
    """

    code: int
    output: str
    failed: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    warned: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    skipped: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """All verdicts and the end of the output, for the message of a failing test."""
        wrong = [f"failed  {text}" for text in self.failed.values()]
        wrong += [f"open  {text}" for text in self.open.values()]
        wrong += [f"warned  {text}" for text in self.warned.values()]
        return "\n".join([f"exit code {self.code}, {self.passed} passed", *wrong, "", self.output[-6000:]])


def run_suite(target: str, folder: Path, *options: str, import_from: Path | None = None) -> Outcome:
    """Run the suite in an empty folder.

    Arguments:
        target: the value of --grpcstream-target.
        folder: where to run it.
        options: additional pytest options.
        import_from: another folder from which the target can import.
    """
    report = folder / "report.xml"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GRPCSTREAM_", "PYTEST_"))}
    places = [str(TESTS)] if import_from is None else [str(TESTS), str(import_from)]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            f"--grpcstream-target={target}",
            f"--junitxml={report}",
            "-pno:cacheprovider",
            "--tb=short",
            *options,
        ],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(places)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=LIMIT,
        check=False,
    )
    outcome = Outcome(run.returncode, run.stdout)
    if report.exists():
        _read(report, outcome)
    return outcome


def only(*requirements: str) -> tuple[str, ...]:
    """The pytest options that select the tests of these requirements."""
    return "-pmutants.selecting", f"--requirements={','.join(sorted(requirements))}"


Started = Callable[[str], "Future[Outcome]"]
"""Returns the outcome of a server by its name."""


def side_by_side(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, outcome_of: Callable[[str, Path], Outcome]
) -> Iterator[Started]:
    """Yield the outcomes of the servers that a module's tests need, run two at a time in the order of the tests.

    Arguments:
        outcome_of: runs the suite against the named server in a folder.
    """
    names = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(1 if FULL else min(2, os.cpu_count() or 1)) as pool:
        futures = {name: pool.submit(outcome_of, name, factory.mktemp(name)) for name in names}
        yield futures.__getitem__
        for future in futures.values():
            future.cancel()


def _read(report: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(report).iter("testcase"):
        properties = {one.get("name"): one.get("value", "") for one in case.iter("property")}
        requirement = properties.get("requirement", "")
        wrong = next((case.find(tag) for tag in ("failure", "error") if case.find(tag) is not None), None)
        skipped = case.find("skipped")
        if wrong is not None:
            text = (wrong.get("message") or wrong.text or "").splitlines()[0]
            verdicts = outcome.open if f"{requirement} inconclusive" in text else outcome.failed
            verdicts.setdefault(requirement, f"{case.get('name')}: {text}")
        elif skipped is not None and skipped.get("type") == "pytest.xfail":
            outcome.warned.setdefault(requirement, f"{case.get('name')}: {skipped.get('message')}")
        elif skipped is not None:
            outcome.skipped.append(skipped.get("message") or "")
        else:
            outcome.passed += 1
