"""Several reports as one matrix in Markdown: requirements by targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_grpcstream.report.markdown import code, plain, table
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.results import CHECKED, RED

SYMBOLS: Final = {
    "passed": "✓",
    "warned": "!",
    "expected": "x",
    "failed": "✗",
    "changed": "Δ",
    "fixed": "↑",
    "flaky": "≈",
    "inconclusive": "?",
    "not applicable": "-",
}
MISSING: Final = " "
WIDE: Final = 8
"""Columns above which they are headed by numbers, so that a page has room for them."""
_MEANINGS: Final = {
    "passed": "passed",
    "warned": "warned",
    "expected": "fails as is expected",
    "failed": "failed",
    "changed": "is expected to fail, but in another way",
    "fixed": "is expected to fail, but passes",
    "flaky": "flaky",
    "inconclusive": "inconclusive",
    "not applicable": "not applicable",
}


def matrix(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """The lines of the matrix: the targets, then the requirements, without a row for what all of them passed.

    Arguments:
        reports: what was read; the columns.
        names: a name for each column.
    """
    verdicts = [{one["id"]: one["verdict"] for one in report["requirements"]} for report in reports]
    known = {one["id"]: one for report in reports for one in report["requirements"]}
    # What is inconclusive everywhere is no less red for that.
    told = {name for column in verdicts for name, verdict in column.items() if verdict in (*CHECKED, *RED)}
    passed = {name for name in told if all(column.get(name) == "passed" for column in verdicts)}
    rows = []
    for name in in_order(told - passed):
        cells = [SYMBOLS.get(column.get(name) or "", MISSING) for column in verdicts]
        sentence = plain(registry()[name].sentence) if name in registry() else code(known[name]["sentence"])
        rows.append([name, known[name]["severity"], sentence, *cells])
    targets = [code(name) for name in _distinct(names)]
    heads = [str(number) for number, _ in enumerate(targets, 1)] if len(targets) > WIDE else targets
    yield from _targets(reports, targets, heads)
    yield ""
    yield from table(["requirement", "severity", "sentence", *heads], rows)
    yield ""
    if passed:
        yield f"Passed by all: {', '.join(plain(name) for name in in_order(passed))}."
        yield ""
    seen = {verdict for column in verdicts for name, verdict in column.items() if name in told}
    legend = [f"{SYMBOLS[word]} {_MEANINGS[word]}" for word in SYMBOLS if word in seen]
    yield f"Legend: {', '.join([*legend, 'empty: not run'])}."


def _targets(reports: Sequence[Mapping[str, Any]], targets: Sequence[str], heads: Sequence[str]) -> list[str]:
    """The table of the targets; its first column is the head of each in the matrix, if that is not its name."""
    rows = []
    for report, target, head in zip(reports, targets, heads, strict=True):
        coverage = report["coverage"]
        rows.append(
            [
                *([head] if head != target else []),
                target,
                report["verdict"]["word"],
                f"{coverage['checked']} of {coverage['total']}",
                code(report["plugin"]["version"], 40),
                report["ended"] or "never",
            ]
        )
    numbered = ["column"] if len(targets) > WIDE else []
    return table([*numbered, "target", "verdict", "error-level requirements checked", "plugin", "ended"], rows)


def in_order(names: set[str]) -> list[str]:
    """Requirements in the order of the registry; those that it does not know come last."""
    known = list(registry())
    return [name for name in known if name in names] + sorted(names.difference(known))


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """The names of columns; of equal ones each after the first has a number."""
    seen: set[str] = set()
    for name in names:
        number, distinct = 1, name
        while distinct in seen:
            number += 1
            distinct = f"{name} ({number})"
        seen.add(distinct)
        yield distinct
