"""The command line: ``python -m pytest_grpcstream.report merge REPORT...`` and ``diff OLD NEW``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pytest_grpcstream.report.comparing import comparison
from pytest_grpcstream.report.merging import matrix
from pytest_grpcstream.report.reader import ReportError, read

NO_REPORT: Final = 2
"""The exit code when a file is no report; wrong usage has the same one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # the symbols of a matrix, wherever it is piped to
    options = _parser().parse_args(arguments)
    try:
        if options.command == "merge":
            return _merge(options.reports, options.name)
        return _diff(options.old, options.new)
    except ReportError as error:
        sys.stderr.write(f"{error}\n")
        return NO_REPORT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pytest_grpcstream.report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    merge = commands.add_parser("merge", help="Print a matrix of requirements and targets in Markdown")
    merge.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="A report.json, or its folder")
    merge.add_argument("--name", action="append", default=[], help="Name of a column, in the order of the reports")
    diff = commands.add_parser("diff", help="Print what changed; the exit code is 1 if something got worse")
    diff.add_argument("old", type=Path, metavar="OLD", help="A report.json, or its folder")
    diff.add_argument("new", type=Path, metavar="NEW", help="A report.json, or its folder")
    return parser


def _merge(paths: Sequence[Path], names: Sequence[str]) -> int:
    if len(names) > len(paths):
        sys.stderr.write(f"there are {len(names)} names for {len(paths)} report(s)\n")
        return NO_REPORT
    reports = [read(path) for path in paths]
    own = [report["target"]["text"] or "no target" for report in reports]
    _print(matrix(reports, [*names, *own[len(names) :]]))
    return 0


def _diff(old: Path, new: Path) -> int:
    lines, worse = comparison(read(old), read(new))
    _print(lines)
    return int(worse)


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
