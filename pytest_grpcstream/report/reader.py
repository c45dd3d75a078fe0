"""Reads a `report.json` back, and believes nothing of it before it was checked."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pytest_grpcstream.errors import Error
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.files import REPORT
from pytest_grpcstream.report.validation import Validator

LARGEST: Final = 256 << 20
"""Bytes of a report that is read at most."""
SCHEMA: Final = 1


class ReportError(Error):
    """Raised when a file is no report, or one of another version."""


def read(path: Path) -> dict[str, Any]:
    """Read a report: a file, or the folder that has it.

    Raises:
        ReportError: it cannot be read, or is no report that this version knows; the message is one line.
    """
    if path.is_dir():
        path = path / REPORT
    shown = one_line(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ReportError(f"{shown} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ReportError(f"{shown} is no report: it has more than {LARGEST} bytes")
    try:
        report = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{shown} is no report: it is not JSON: {one_line(str(error), 200)}") from None
    version = report.get("schema") if isinstance(report, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA:
        raise ReportError(f"{shown} has schema {version}; this version of pytest-grpcstream reads up to {SCHEMA}")
    problem = next(Validator(schema()).problems(report), None)
    if problem is not None:
        raise ReportError(f"{shown} is no report: {one_line(problem, 300)}")
    valid: dict[str, Any] = report
    return valid


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    text = (resources.files("pytest_grpcstream.report") / "schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
