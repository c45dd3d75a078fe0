"""`summary.md`: what somebody wants to see of a run on the page of a CI job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_grpcstream.report.markdown import code, plain, table
from pytest_grpcstream.requirements.registry import AREAS
from pytest_grpcstream.verdicts.results import FAILED, RED

FAILURES: Final = 50
WARNINGS: Final = 50
REASONS: Final = 20
"""What is listed at most; platforms cut or refuse a page that is long (GitHub: at 1 MiB)."""
COLUMNS: Final = ("passed", "failed", "inconclusive", "expected", "warned", "not applicable")

_TITLES: Final = {
    "conformant": "conformant",
    "not conformant": "NOT conformant",
    "none": "nothing could be checked",
    "incomplete": "incomplete",
}


def job_summary(report: Mapping[str, Any]) -> str:
    """The page about a report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"## gRPC streams: {_TITLES[report['verdict']['word']]}"
    yield ""
    yield plain(report["verdict"]["text"], 2000)
    yield ""
    yield from _facts(report)
    yield from _areas(report["tests"])
    yield from _failures(report)
    yield from _warnings(report)
    yield from _listed("Clients disagree", [_disagreement(one) for one in report["disagreements"]], REASONS)
    noticed = [code(text) for text in (*report["deaths"], *report["complaints"])]
    yield from _listed("Noticed beside the tests", noticed, REASONS)
    yield from _listed("Hints", [plain(text, 500) for text in report["hints"]], REASONS)
    yield from _coverage(report["coverage"])


def _facts(report: Mapping[str, Any]) -> Iterator[str]:
    target = report["target"]
    features = target["features"]
    facts = {
        "target": code(target["text"] or ""),
        "behind it": code(target["direct"] or ""),
        "features": plain(", ".join(features) or "none") if features is not None else "",
        "clients": plain(", ".join(report["clients"])),
        "plugin": plain(f"{report['plugin']['name']} {report['plugin']['version']}"),
        "started": code(report["started"]),
    }
    yield from table(["run", ""], [(name, text) for name, text in facts.items() if text])
    yield ""


def _areas(tests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counts: dict[str, dict[str, int]] = {}
    for test in tests:
        word = "failed" if test["verdict"] in FAILED else test["verdict"]
        count = counts.setdefault(test["requirement"].partition("-")[0], dict.fromkeys(COLUMNS, 0))
        count[word] += 1
    if counts:
        known = [area for area in AREAS if area in counts]
        rows = [[plain(AREAS[area]), *(str(counts[area][word] or "") for word in COLUMNS)] for area in known]
        yield from table(["tests by area", *COLUMNS], rows)
        yield ""


def _failures(report: Mapping[str, Any]) -> Iterator[str]:
    failing = sorted(
        (one for one in report["tests"] if one["verdict"] in RED), key=lambda one: RED.index(one["verdict"])
    )
    requirements = {one["id"]: one for one in report["requirements"]}
    if failing:
        yield f"### Failures ({len(failing)})"
        yield ""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for test in failing:
        groups.setdefault((test["verdict"], test["requirement"], test["reason"]), []).append(test)
    for test, *others in list(groups.values())[:FAILURES]:
        one = requirements[test["requirement"]]
        more = f" and {len(others)} more" if others else ""
        yield f"- **{one['id']}** {test['verdict']}: {plain(one['sentence'])}"
        yield f"  - test: {code(test['nodeid'].rpartition('::')[2])}{more}"
        if test["expected"] is not None and test["verdict"] == "failed":
            yield f"  - expected: {code(test['expected'], 500)}"
            yield f"  - actual: {code(test['actual'], 500)}"
        else:
            yield f"  - reason: {code(test['reason'], 500)}"
        if files := [name for name in (test["timeline"], test["pcap"]) if name is not None]:
            yield f"  - evidence: {', '.join(map(code, files))}"
    if len(groups) > FAILURES:
        yield f"- and {len(groups) - FAILURES} more, all of them in report.json"
    if failing:
        yield ""


def _warnings(report: Mapping[str, Any]) -> Iterator[str]:
    tests: dict[tuple[str, str], list[str]] = {}
    for test in report["tests"]:
        if test["verdict"] == "warned":
            name = test["nodeid"].rpartition("::")[2]
            tests.setdefault((test["requirement"], test["reason"]), []).append(name)
    told = [
        f"**{name}** {code(reason)}: {code(min(names))}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
        for (name, reason), names in tests.items()
    ]
    yield from _listed("Warnings", told, WARNINGS)


def _disagreement(one: Mapping[str, Any]) -> str:
    told = ", ".join(f"{client} {verdict}" for client, verdict in one["verdicts"].items())
    return f"**{one['requirement']}** {code(one['test'])}: {plain(told)}"


def _coverage(coverage: Mapping[str, Any]) -> Iterator[str]:
    yield f"### Coverage: {coverage['checked']} of {coverage['total']} error-level requirements checked"
    yield ""
    reasons = [f"{code(one['reason'])}: {', '.join(one['requirements'])}" for one in coverage["unchecked"]]
    for text in reasons[:REASONS]:
        yield f"- {text}"
    if len(reasons) > REASONS:
        yield f"- and {len(reasons) - REASONS} more reasons, all of them in report.json"
    if coverage["missing"]:
        yield f"- not selected, or not reached: {len(coverage['missing'])} requirements"


def _listed(title: str, entries: Sequence[str], limit: int) -> Iterator[str]:
    if entries:
        yield f"### {title} ({len(entries)})"
        yield ""
        yield from (f"- {entry}" for entry in entries[:limit])
        if len(entries) > limit:
            yield f"- and {len(entries) - limit} more, all of them in report.json"
        yield ""
