"""`summary.md`: the page about a run that a CI job shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from pytest_grpcstream.report.markdown import escape, format_code, format_table
from pytest_grpcstream.report.values import CoverageInfo, DisagreementEntry, Report, RunWord, TestEntry
from pytest_grpcstream.requirements.registry import AREAS
from pytest_grpcstream.verdicts.verdict import Verdict

FAILURE_LIMIT: Final = 50
WARNING_LIMIT: Final = 50
REASON_LIMIT: Final = 20
"""Entries of a list at most; platforms cut or refuse a long page (GitHub: at 1 MiB)."""
COLUMNS: Final = (
    Verdict.PASSED,
    Verdict.FAILED,
    Verdict.INCONCLUSIVE,
    Verdict.EXPECTED,
    Verdict.WARNED,
    Verdict.NOT_APPLICABLE,
)
"""The columns of the table of areas; a run in which tests were not run has one for them too."""

_TITLES: Final = {
    RunWord.CONFORMANT: "conformant",
    RunWord.NOT_CONFORMANT: "NOT conformant",
    RunWord.NOTHING_CHECKED: "nothing could be checked",
    RunWord.INCOMPLETE: "incomplete",
}


def render_job_summary(report: Report) -> str:
    """The page about a report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"## gRPC streams: {_TITLES[report.verdict.word]}"
    yield ""
    yield escape(report.verdict.text, 2000)
    yield ""
    yield from _facts(report)
    yield from _areas(report.tests)
    yield from _failures(report)
    yield from _warnings(report)
    yield from _list("Clients disagree", [_disagreement(one) for one in report.disagreements], REASON_LIMIT)
    noticed = [format_code(text) for text in (*report.deaths, *report.complaints)]
    yield from _list("Found outside of the tests", noticed, REASON_LIMIT)
    yield from _list("Hints", [escape(text, 500) for text in report.hints], REASON_LIMIT)
    yield from _coverage(report.coverage)


def _facts(report: Report) -> Iterator[str]:
    features = report.target.features
    facts = {
        "target": format_code(report.target.text or ""),
        "upstream": format_code(report.target.direct or ""),
        "features": escape(", ".join(features) or "none") if features is not None else "",
        "clients": escape(", ".join(report.clients)),
        "plugin": escape(f"{report.plugin.name} {report.plugin.version}"),
        "started": format_code(report.started),
    }
    yield from format_table(["run", ""], [(name, text) for name, text in facts.items() if text])
    yield ""


def _areas(tests: Sequence[TestEntry]) -> Iterator[str]:
    counts: dict[str, Counter[Verdict]] = {}
    for test in tests:
        counts.setdefault(test.requirement.partition("-")[0], Counter())[test.verdict.column] += 1
    if counts:
        columns = [*COLUMNS, *[Verdict.NOT_RUN] * any(count[Verdict.NOT_RUN] for count in counts.values())]
        rows = [
            [escape(title), *(str(counts[area][column] or "") for column in columns)]
            for area, title in AREAS.items()
            if area in counts
        ]
        yield from format_table(["tests by area", *columns], rows)
        yield ""


def _failures(report: Report) -> Iterator[str]:
    failing = sorted((one for one in report.tests if one.verdict.is_red), key=lambda one: one.verdict.gravity)
    if not failing:
        return
    yield f"### Failures ({len(failing)})"
    yield ""
    sentences = {one.id: one.sentence for one in report.requirements}
    groups: dict[tuple[Verdict, str, str], list[TestEntry]] = {}
    for test in failing:
        groups.setdefault((test.verdict, test.requirement, test.reason), []).append(test)
    for tests in list(groups.values())[:FAILURE_LIMIT]:
        yield from _failure(tests, sentences[tests[0].requirement])
    if len(groups) > FAILURE_LIMIT:
        yield f"- and {len(groups) - FAILURE_LIMIT} more, all of them in report.json"
    yield ""


def _failure(tests: Sequence[TestEntry], sentence: str) -> Iterator[str]:
    """The entry about tests that fail for the same reason."""
    test, *others = tests
    yield f"- **{test.requirement}** {test.verdict}: {escape(sentence)}"
    yield f"  - test: {format_code(test.name)}{f' and {len(others)} more' if others else ''}"
    if test.expected is not None and test.actual is not None and test.verdict is Verdict.FAILED:
        yield f"  - expected: {format_code(test.expected, 500)}"
        yield f"  - actual: {format_code(test.actual, 500)}"
    else:
        yield f"  - reason: {format_code(test.reason, 500)}"
    if files := [name for name in (test.timeline, test.pcap) if name is not None]:
        yield f"  - evidence: {', '.join(map(format_code, files))}"


def _warnings(report: Report) -> Iterator[str]:
    tests: dict[tuple[str, str], list[str]] = {}
    for test in report.tests:
        if test.verdict is Verdict.WARNED:
            tests.setdefault((test.requirement, test.reason), []).append(test.name)
    entries = []
    for (requirement, reason), names in tests.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        entries.append(f"**{requirement}** {format_code(reason)}: {format_code(min(names))}{more}")
    yield from _list("Warnings", entries, WARNING_LIMIT)


def _disagreement(one: DisagreementEntry) -> str:
    verdicts = ", ".join(f"{client} {verdict}" for client, verdict in one.verdicts.items())
    return f"**{one.requirement}** {format_code(one.test)}: {escape(verdicts)}"


def _coverage(coverage: CoverageInfo) -> Iterator[str]:
    yield f"### Coverage: {coverage.checked} of {coverage.total} error-level requirements checked"
    yield ""
    reasons = [f"{format_code(one.reason)}: {', '.join(one.requirements)}" for one in coverage.unchecked]
    for text in reasons[:REASON_LIMIT]:
        yield f"- {text}"
    if len(reasons) > REASON_LIMIT:
        yield f"- and {len(reasons) - REASON_LIMIT} more reasons, all of them in report.json"
    if coverage.missing:
        yield f"- not selected, or not reached: {len(coverage.missing)} requirements"


def _list(title: str, entries: Sequence[str], limit: int) -> Iterator[str]:
    if entries:
        yield f"### {title} ({len(entries)})"
        yield ""
        yield from (f"- {entry}" for entry in entries[:limit])
        if len(entries) > limit:
            yield f"- and {len(entries) - limit} more, all of them in report.json"
        yield ""
