"""`badge.json`: the verdict in the form that shields.io reads (https://shields.io/badges/endpoint-badge)."""

from __future__ import annotations

from typing import Any

from pytest_grpcstream.report.values import Report, RunWord
from pytest_grpcstream.verdicts.verdict import Verdict


def render_badge(report: Report) -> dict[str, Any]:
    """The badge of a report. It is green only for a run that came to its end and found nothing wrong."""
    message, color = _message(report)
    return {"schemaVersion": 1, "label": "grpcstream", "message": message, "color": color}


def _message(report: Report) -> tuple[str, str]:
    counts, word = report.counts, report.verdict.word
    if word is RunWord.NOT_CONFORMANT:
        failed = sum(count for verdict, count in counts.items() if verdict.is_failure)
        inconclusive = counts[Verdict.INCONCLUSIVE]
        parts = [f"{failed} failed"] * bool(failed) + [f"{inconclusive} inconclusive"] * bool(inconclusive)
        return ", ".join(parts) or word.value, "red"
    if word is not RunWord.CONFORMANT:
        return "nothing checked" if word is RunWord.NOTHING_CHECKED else word.value, "lightgrey"
    parts = ["conformant" if report.whole else "conformant in part"]
    parts += [_count(counts[Verdict.EXPECTED], "expected failure")] * bool(counts[Verdict.EXPECTED])
    parts += [_count(counts[Verdict.WARNED], "warning")] * bool(counts[Verdict.WARNED])
    return ", ".join(parts), "brightgreen" if len(parts) == 1 else "green"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
