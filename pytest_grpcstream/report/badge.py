"""`badge.json`: the verdict as shields.io takes it from an endpoint (https://shields.io/badges/endpoint-badge)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_grpcstream.verdicts.results import FAILED


def badge(report: Mapping[str, Any]) -> dict[str, Any]:
    """The badge of a report. It says what was found wrong, and else no more than what was checked."""
    message, color = _message(report)
    return {"schemaVersion": 1, "label": "grpcstream", "message": message, "color": color}


def _message(report: Mapping[str, Any]) -> tuple[str, str]:
    counts, word = report["counts"], report["verdict"]["word"]
    if word == "not conformant":
        failed = sum(counts[one] for one in FAILED)
        parts = [f"{failed} failed"] * bool(failed)
        parts += [f"{counts['inconclusive']} inconclusive"] * bool(counts["inconclusive"])
        return ", ".join(parts) or "not conformant", "red"
    if word != "conformant":
        return {"none": "nothing checked"}.get(word, word), "lightgrey"
    parts = ["conformant" if report["whole"] else "conformant in part"]
    parts += [_count(counts["expected"], "expected failure")] * bool(counts["expected"])
    parts += [_count(counts["warned"], "warning")] * bool(counts["warned"])
    return ", ".join(parts), "brightgreen" if len(parts) == 1 else "green"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
