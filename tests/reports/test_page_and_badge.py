"""summary.md and badge.json: the page and the badge about a run."""

from __future__ import annotations

import json

import pytest

from plugin.conftest import Serve
from pytest_grpcstream.report.badge import render_badge
from pytest_grpcstream.report.job_summary import render_job_summary
from pytest_grpcstream.report.markdown import escape, format_code, format_table
from pytest_grpcstream.report.reader import read
from pytest_grpcstream.report.values import Report
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.verdict import Verdict
from reports.conftest import EITHER_WAY
from reports.conftest import Report as RunReport
from reports.documents import make_report


@EITHER_WAY
def test_page_has_failures_and_coverage(report: RunReport, serve: Serve, workers: tuple[str, ...]) -> None:
    """A table by area, failures with expected and actual, warnings, coverage, and the files of evidence."""
    found = report(serve("plugin.servicers:SeveralFaults"), "message_order", "survival_of_messages", options=workers)
    page = found.texts()["summary.md"].splitlines()
    assert page[0] == "## gRPC streams: NOT conformant"
    assert page[2] == found.report["verdict"]["text"]
    head = "| tests by area | passed | failed | inconclusive | expected | warned | not applicable |"
    assert head in page
    [row] = [line for line in page if line.startswith("| Survival |")]
    tests = [one for one in found.tests.values() if one["requirement"].startswith("ROBUST-")]
    words = ("passed", "failed", "inconclusive", "expected", "warned", "not applicable")
    counts = [sum(one["verdict"] == word for one in tests) for word in words]
    assert [int(cell.strip() or 0) for cell in row.split("|")[2:-1]] == counts
    place = page.index(f"- **ORD-1** failed: {registry()['ORD-1'].sentence}")
    assert page[place + 1].startswith("  - test: <code>test_list_responses_arrive_in_the_order_they_were_written&#91;")
    assert page[place + 2].startswith("  - expected: <code>responses to ('order', ")
    assert page[place + 3].startswith("  - actual: <code>3 in total, from index 2: ('order', ")
    assert page[place + 4].startswith("  - evidence: <code>timelines/test_list_responses")
    assert any(line.startswith("### Warnings (") for line in page)
    assert any(line.startswith("- **ROBUST-4** <code>expected ") for line in page)
    coverage = found.report["coverage"]
    title = f"### Coverage: {coverage['checked']} of {coverage['total']} error-level requirements checked"
    assert title in page
    assert "- <code>not applicable: the target has no echo</code>: ORD-2, ORD-3" in page
    assert json.loads(found.texts()["badge.json"]) == render_badge(read(found.folder))


def test_page_stays_short_whatever_fails() -> None:
    """Entries that are left out are counted; tests that fail for one reason are one entry."""
    page = render_job_summary(
        make_report(*(("ORD-1", "failed", f"reason {number} {'<' * 900}") for number in range(400)))
    )
    assert len(page) < 500_000
    assert "- and 350 more, all of them in report.json\n" in page
    page = render_job_summary(make_report(*[("ORD-1", "inconclusive", "one reason")] * 400))
    assert page.count("- **ORD-1** inconclusive: ") == 1
    assert " and 399 more\n" in page
    page = render_job_summary(
        make_report(*(("ORD-1", "warned", f"reason {number}") for number in range(400)), exit_code=0)
    )
    assert "### Warnings (400)\n" in page
    assert "- and 350 more, all of them in report.json\n" in page


def test_page_hints_at_causes_of_failures() -> None:
    """The report guesses at a proxy that is set up wrongly too; a passing run has no hints."""
    reason = "the RPC ended with UNAVAILABLE 'HTTP status 502, content-type text/html'"
    report = make_report(("ORD-1", "failed", reason), ("EOF-1", "failed", reason), ("EOF-2", "warned", reason))
    [hint] = report.hints
    assert "proto h2" in hint
    assert hint.endswith("(2 failures of this kind)")
    assert f"### Hints (1)\n\n- {escape(hint)}\n" in render_job_summary(report)
    assert "Hints" not in render_job_summary(make_report(("ORD-1", "warned", reason), exit_code=0))


@pytest.mark.parametrize("verdict", Verdict)
def test_page_lists_exactly_the_red_verdicts_as_failures(verdict: Verdict) -> None:
    """A page can be made of any verdict."""
    page = render_job_summary(
        make_report(("ORD-1", verdict, "why"), deaths={"it died": None}, complaints=["no such test"])
    )
    red = verdict in ("failed", "changed", "fixed", "flaky", "inconclusive")
    assert ("### Failures (1)" in page) is red
    assert (" | not run |" in page) is (verdict == "not run")
    assert (f"- **ORD-1** {verdict}: " in page) is red
    assert "- <code>it died</code>\n- <code>no such test</code>\n" in page


@pytest.mark.parametrize(
    ("report", "message", "color"),
    [
        (make_report(("ORD-1", "passed"), exit_code=0), "conformant", "brightgreen"),
        (make_report(("ORD-1", "passed"), whole=False, exit_code=0), "conformant in part", "brightgreen"),
        (
            make_report(("ORD-1", "passed"), *[("ORD-2", "warned")] * 26, exit_code=0),
            "conformant, 26 warnings",
            "green",
        ),
        (make_report(("ORD-1", "passed"), ("ORD-2", "warned"), exit_code=0), "conformant, 1 warning", "green"),
        (make_report(("ORD-1", "expected"), exit_code=0), "conformant, 1 expected failure", "green"),
        (
            make_report(*[("ORD-1", word) for word in ("failed", "changed", "flaky")], ("ORD-2", "warned")),
            "3 failed",
            "red",
        ),
        (make_report(("ORD-1", "failed"), ("ORD-2", "inconclusive")), "1 failed, 1 inconclusive", "red"),
        (make_report(("ORD-1", "inconclusive"), exit_code=None), "1 inconclusive", "red"),
        (make_report(("ORD-1", "passed"), deaths={"it died": None}), "not conformant", "red"),
        (make_report(("ORD-1", "passed"), exit_code=None), "incomplete", "lightgrey"),
        (make_report(("ORD-1", "passed"), missing=["a.py::other"], exit_code=0), "incomplete", "lightgrey"),
        (make_report(("ORD-1", "passed"), exit_code=2), "incomplete", "lightgrey"),
        (make_report(("ORD-1", "not applicable"), exit_code=0), "nothing checked", "lightgrey"),
        (make_report(exit_code=5), "nothing checked", "lightgrey"),
    ],
)
def test_badge_has_the_verdict_of_the_run(report: Report, message: str, color: str) -> None:
    """It is green only if the run came to its end and found nothing wrong."""
    assert render_badge(report) == {"schemaVersion": 1, "label": "grpcstream", "message": message, "color": color}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("snake_case and a - b", "snake_case and a - b"),
        ("_em_ **b** ~~s~~", "&#95;em&#95; &#42;&#42;b&#42;&#42; &#126;&#126;s&#126;&#126;"),
        ("<b>&amp;`|", "&#60;b&#62;&#38;amp;&#96;&#124;"),
        ("http://a www.b WWW.c", "http&#58;//a www&#46;b WWW&#46;c"),
        ("@you #1 [x](y) \\", "&#64;you &#35;1 &#91;x&#93;(y) &#92;"),
        ("a\nb\x1b\u202e\ud800", "a&#92;nb&#92;x1b&#92;u202e&#92;ud800"),
        ("é中", "é中"),
    ],
)
def test_active_characters_become_references(text: str, shown: str) -> None:
    """They are shown as they are, and have no effect."""
    assert escape(text) == shown
    assert format_code(text) == f"<code>{shown}</code>"


def test_code_keeps_spaces_and_is_limited() -> None:
    """Two spaces stay two; a text that is cut says how long it was."""
    assert format_code(" a  b ") == "<code>&#160;a&#160; b&#160;</code>"
    assert format_code("x" * 301) == f"<code>{'x' * 300}... (301 characters)</code>"
    assert format_code("") == ""
    assert format_table(["a", "b"], [["1", ""]]) == ["| a | b |", "| --- | --- |", "| 1 |  |"]
