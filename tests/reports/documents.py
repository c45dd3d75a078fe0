"""Reports that no run was needed for."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from pytest_grpcstream.report.document import Course, document

from pytest_grpcstream.report.files import dumped
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.settings import Settings
from pytest_grpcstream.targets.security import PLAINTEXT
from pytest_grpcstream.verdicts.results import Results

DAY = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def made(*verdicts: tuple[str, ...], whole: bool = True, exit_code: int | None = 1, **more: Any) -> dict[str, Any]:
    """The report of a run whose tests came to these verdicts: requirement, verdict and, if there is one, reason.

    Arguments:
        more: other values of the results, and ``target``, ``strict``, ``client``, ``missing``: tests without a verdict.
    """
    entries = {f"a.py::test_{number}[wire]": entry(*one) for number, one in enumerate(verdicts)}
    settings = Settings(
        target=more.pop("target", "one:1"),
        target_source="the option --grpcstream-target",
        features=None,
        client=more.pop("client", None),
        timeout=5,
        quiet=0.2,
        startup_timeout=20,
        strict=more.pop("strict", False),
        security=PLAINTEXT,
    )
    tests = {*entries, *more.pop("missing", ())}
    ended = None if exit_code is None else DAY + datetime.timedelta(seconds=90)
    course = Course(DAY, ended, exit_code, frozenset(tests), whole)
    return document(settings, Results(verdicts=entries, **more), course)


def entry(requirement: str, verdict: str, reason: str = "") -> dict[str, Any]:
    """What is known of a test."""
    assert requirement in registry()
    return {"id": requirement, "verdict": verdict, "reason": reason, "client": "wire", "target": "", "used": []}


def put(path: Path, report: dict[str, Any]) -> Path:
    """Write a report as a run does."""
    path.write_text(dumped(report), encoding="ascii")
    assert json.loads(path.read_text()) == report
    return path
