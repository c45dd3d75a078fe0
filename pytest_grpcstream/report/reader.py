"""Reads reports back, and trusts nothing in them before it was checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from pytest_grpcstream.errors import Error
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.files import REPORT, VERDICTS
from pytest_grpcstream.report.values import SCHEMA, Report
from pytest_grpcstream.report.verdict_log import recover_report

SIZE_LIMIT: Final = 256 << 20
"""Bytes of a report that is read at most."""
_PROBLEM_LIMIT: Final = 300
"""Characters of the text about what is wrong with a file."""


class ReportError(Error):
    """Raised when a file is not a report, or a report of another version."""


@dataclass(frozen=True)
class _Versioned:
    """What a report of any version has."""

    schema: Any = None


def read(path: Path) -> Report:
    """Read a report: a `report.json`, or the folder that has one.

    A folder without a `report.json` is that of a run that goes on, or that was killed. Its `verdicts.jsonl` gives the
    report of what was known then; that report is not complete.

    Raises:
        ReportError: it cannot be read, or is not a report that this version knows; the message is one line.
    """
    if path.is_dir():
        path = path / (VERDICTS if not (path / REPORT).exists() and (path / VERDICTS).exists() else REPORT)
    shown = one_line(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ReportError(f"{shown} cannot be read: {error.strerror}") from None
    if len(content) > SIZE_LIMIT:
        raise ReportError(f"{shown} is not a report: it has more than {SIZE_LIMIT} bytes")
    logged = path.name == VERDICTS
    try:
        version = msgspec.json.decode(content.partition(b"\n")[0] if logged else content, type=_Versioned).schema
        if isinstance(version, int) and version > SCHEMA:
            number = one_line(str(version), 40)
            raise ReportError(f"{shown} has schema {number}; this version of pytest-grpcstream reads up to {SCHEMA}")
        return recover_report(content) if logged else msgspec.json.decode(content, type=Report)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ReportError(f"{shown} is not a report: {one_line(str(error), _PROBLEM_LIMIT)}") from None
