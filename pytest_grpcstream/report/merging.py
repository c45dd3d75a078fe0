"""Several reports as one matrix in Markdown: requirements by targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_grpcstream.report.markdown import code, plain, table
from pytest_grpcstream.requirements import registry
from pytest_grpcstream.results import CHECKED, RED

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
    """The lines of the matrix.

    Arguments:
        reports: what was read; the columns.
        names: a name for each column.
    """
    verdicts = [{one["id"]: one["verdict"] for one in report["requirements"]} for report in reports]
    known = {one["id"]: one for report in reports for one in report["requirements"]}
    # What is inconclusive everywhere is no less red for that.
    told = {name for column in verdicts for name, verdict in column.items() if verdict in (*CHECKED, *RED)}
    rows = []
    for name in in_order(told):
        cells = [SYMBOLS.get(column.get(name) or "", MISSING) for column in verdicts]
        sentence = plain(registry()[name].sentence) if name in registry() else code(known[name]["sentence"])
        rows.append([name, known[name]["severity"], sentence, *cells])
    heads = [code(name) for name in _distinct(names)]
    yield from table(["requirement", "severity", "sentence", *heads], rows)
    yield ""
    seen = {verdict for column in verdicts for name, verdict in column.items() if name in told}
    legend = [f"{SYMBOLS[word]} {_MEANINGS[word]}" for word in SYMBOLS if word in seen]
    yield f"Legend: {', '.join([*legend, 'empty: not run'])}."
    yield ""
    yield from table(
        ["target", "verdict", "error-level requirements checked", "plugin", "ended"], _targets(reports, heads)
    )


def _targets(reports: Sequence[Mapping[str, Any]], heads: Sequence[str]) -> Iterator[list[str]]:
    for report, head in zip(reports, heads, strict=True):
        coverage = report["coverage"]
        yield [
            head,
            report["verdict"]["word"],
            f"{coverage['checked']} of {coverage['total']}",
            code(report["plugin"]["version"], 40),
            report["ended"] or "never",
        ]


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
