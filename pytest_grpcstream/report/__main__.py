"""Work with reports: `merge` prints a matrix of requirements and targets, `diff` compares two runs."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pytest_grpcstream.report.comparing import compare_reports
from pytest_grpcstream.report.merging import render_matrix
from pytest_grpcstream.report.reader import ReportError, read

UNUSABLE: Final = 2
"""The exit code when a file is not a report; wrong usage has the same one."""
_REPORT_HELP: Final = "A report.json, or its folder"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # the symbols of a matrix, wherever it is piped to
    options = _parser().parse_args(arguments)
    try:
        if options.command == "merge":
            return _merge(options.reports, options.name)
        return _diff(options.old, options.new)
    except ReportError as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pytest_grpcstream.report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    merge = commands.add_parser("merge", help="Print a matrix of requirements and targets in Markdown")
    merge.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help=_REPORT_HELP)
    merge.add_argument("--name", action="append", default=[], help="Name of a column, in the order of the reports")
    diff = commands.add_parser("diff", help="Print what changed; the exit code is 1 if there is a regression")
    diff.add_argument("old", type=Path, metavar="OLD", help=_REPORT_HELP)
    diff.add_argument("new", type=Path, metavar="NEW", help=_REPORT_HELP)
    return parser


def _merge(paths: Sequence[Path], names: Sequence[str]) -> int:
    if len(names) > len(paths):
        sys.stderr.write(f"got {len(names)} names for {len(paths)} report(s); at most one --name per report is valid\n")
        return UNUSABLE
    reports = [read(path) for path in paths]
    defaults = [report.target.text or "no target" for report in reports]
    _print(render_matrix(reports, [*names, *defaults[len(names) :]]))
    return 0


def _diff(old: Path, new: Path) -> int:
    lines, has_regression = compare_reports(read(old), read(new))
    _print(lines)
    return int(has_regression)


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
