"""Reports that no run was needed for."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_grpcstream.report.building import RunProgress, build_report, describe_run
from pytest_grpcstream.report.encoding import encode_report
from pytest_grpcstream.report.reader import read
from pytest_grpcstream.report.values import Report
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.settings import Settings
from pytest_grpcstream.targets.address import parse
from pytest_grpcstream.verdicts.results import Results
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Verdict

DAY = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
SETTINGS = Settings(target=parse("one:1"), target_source="the option --grpcstream-target")


def make_report(*verdicts: tuple[str, ...], whole: bool = True, exit_code: int | None = 1, **more: Any) -> Report:
    """The report of a run whose tests came to these verdicts: requirement, verdict and optionally a reason.

    Arguments:
        more: other values of the results, and ``target``, ``strict``, ``client``, ``missing``: tests without a verdict.
    """
    target = more.pop("target", "one:1")
    settings = replace(SETTINGS, client=more.pop("client", None), strict=more.pop("strict", False))
    missing = more.pop("missing", ())
    results = Results(**more)
    for number, one in enumerate(verdicts):
        results.add(make_verdict(f"a.py::test_{number}[wire]", *one))
    ended = None if exit_code is None else DAY + datetime.timedelta(seconds=90)
    progress = RunProgress(ended, exit_code, frozenset([*results.verdicts, *missing]))
    report = build_report(describe_run(settings, DAY, whole=whole), results, progress, str)
    return replace(report, target=replace(report.target, text=target))


def make_verdict(nodeid: str, requirement: str, verdict: str, reason: str = "") -> TestVerdict:
    """The verdict on a test over the wire client."""
    assert requirement in registry()
    return TestVerdict(nodeid, requirement, "wire", Verdict(verdict), reason)


def as_json(report: Report) -> dict[str, Any]:
    """A report as plain values."""
    values: dict[str, Any] = json.loads(encode_report(report))
    return values


def write_report(path: Path, report: Report) -> Path:
    """Write a report as a run does."""
    path.write_text(encode_report(report), encoding="ascii")
    assert read(path) == report
    return path
