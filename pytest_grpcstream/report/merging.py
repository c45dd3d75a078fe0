"""Several reports as one matrix in Markdown: requirements by targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pytest_grpcstream.report.markdown import escape, format_code, format_table
from pytest_grpcstream.report.values import Report
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.verdict import Verdict

SYMBOLS: Final = {
    Verdict.PASSED: "✓",
    Verdict.WARNED: "!",
    Verdict.EXPECTED: "x",
    Verdict.FAILED: "✗",
    Verdict.CHANGED: "Δ",
    Verdict.FIXED: "↑",
    Verdict.FLAKY: "≈",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_APPLICABLE: "-",
}
"""The symbol of every verdict in the matrix, in the order of the legend; what was not run has an empty cell."""
EMPTY: Final = " "
HEADING_LIMIT: Final = 8
"""Columns that are headed by their names at most; more are headed by numbers, so that a page has room for them."""
_MEANINGS: Final = {
    Verdict.EXPECTED: "expected failure",
    Verdict.CHANGED: "failed for an unexpected reason",
    Verdict.FIXED: "expected failure that passes",
}
"""What the legend says of a verdict whose word is not enough."""


def render_matrix(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    """The lines of the matrix: the targets, then the requirements, without a row for what all of them passed.

    Arguments:
        reports: the columns.
        names: a name for each column.
    """
    columns = [{one.id: one.verdict for one in report.requirements} for report in reports]
    known = {one.id: one for report in reports for one in report.requirements}
    # A requirement that is inconclusive everywhere fails the runs, so it has a row.
    seen = {name for column in columns for name, verdict in column.items() if verdict and _has_row(verdict)}
    passed = {name for name in seen if all(column.get(name) is Verdict.PASSED for column in columns)}
    rows = []
    for name in sort_requirements(seen - passed):
        sentence = escape(registry()[name].sentence) if name in registry() else format_code(known[name].sentence)
        rows.append([name, known[name].severity, sentence, *(_symbol(column.get(name)) for column in columns)])
    targets = [format_code(name) for name in _number_duplicates(names)]
    heads = [str(number) for number, _ in enumerate(targets, 1)] if len(targets) > HEADING_LIMIT else targets
    yield from _targets(reports, targets, heads)
    yield ""
    yield from format_table(["requirement", "severity", "sentence", *heads], rows)
    yield ""
    if passed:
        yield f"Passed by all: {', '.join(escape(name) for name in sort_requirements(passed))}."
        yield ""
    verdicts = {verdict for column in columns for name, verdict in column.items() if name in seen}
    legend = [
        f"{symbol} {_MEANINGS.get(verdict, verdict)}" for verdict, symbol in SYMBOLS.items() if verdict in verdicts
    ]
    yield f"Legend: {', '.join([*legend, 'empty: not run'])}."


def _has_row(verdict: Verdict) -> bool:
    return verdict.is_checked or verdict.is_red


def _symbol(verdict: Verdict | None) -> str:
    return EMPTY if verdict is None else SYMBOLS.get(verdict, EMPTY)


def _targets(reports: Sequence[Report], targets: Sequence[str], heads: Sequence[str]) -> list[str]:
    """The table of the targets; its first column is the head of each in the matrix, if that is not its name."""
    rows = []
    for report, target, head in zip(reports, targets, heads, strict=True):
        rows.append(
            [
                *([head] if head != target else []),
                target,
                report.verdict.word,
                f"{report.coverage.checked} of {report.coverage.total}",
                format_code(report.plugin.version, 40),
                report.ended or "never",
            ]
        )
    numbered = ["column"] if len(targets) > HEADING_LIMIT else []
    return format_table([*numbered, "target", "verdict", "error-level requirements checked", "plugin", "ended"], rows)


def sort_requirements(names: set[str]) -> list[str]:
    """Requirements in the order of the registry; those that it does not know come last."""
    known = list(registry())
    return [name for name in known if name in names] + sorted(names.difference(known))


def _number_duplicates(names: Sequence[str]) -> Iterator[str]:
    """The names of columns; of equal ones each after the first gets a number."""
    seen: set[str] = set()
    for name in names:
        number, distinct = 1, name
        while distinct in seen:
            number += 1
            distinct = f"{name} ({number})"
        seen.add(distinct)
        yield distinct
