"""summary.md and badge.json: what a reader of a CI job sees first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugin.conftest import Serve
from pytest_grpcstream.report.badge import badge
from pytest_grpcstream.report.job_summary import job_summary
from pytest_grpcstream.report.markdown import code, plain, table
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.results import VERDICTS
from reports.conftest import EITHER_WAY, Report
from reports.documents import made


@EITHER_WAY
def test_the_page_tells_what_failed_and_what_was_checked(
    report: Report, serve: Serve, workers: tuple[str, ...]
) -> None:
    """Table by area, failures with what was expected and seen, warnings, coverage, and where the evidence is."""
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
    assert page[place + 3].startswith("  - actual: <code>3 in all, from number 2 on ('order', ")
    assert page[place + 4].startswith("  - evidence: <code>timelines/test_list_responses")
    assert any(line.startswith("### Warnings (") for line in page)
    assert any(line.startswith("- **ROBUST-4** <code>expected ") for line in page)
    coverage = found.report["coverage"]
    title = f"### Coverage: {coverage['checked']} of {coverage['total']} error-level requirements checked"
    assert title in page
    assert "- <code>not applicable: the target has no echo</code>: ORD-2, ORD-3" in page
    assert json.loads(found.texts()["badge.json"]) == badge(found.report)


def test_a_page_stays_short_whatever_fails() -> None:
    """What is left out is counted; what fails for one reason is one entry."""
    page = job_summary(made(*(("ORD-1", "failed", f"reason {number} {'<' * 900}") for number in range(400))))
    assert len(page) < 500_000
    assert "- and 350 more, all of them in report.json\n" in page
    page = job_summary(made(*[("ORD-1", "inconclusive", "one reason")] * 400))
    assert page.count("- **ORD-1** inconclusive: ") == 1
    assert " and 399 more\n" in page
    page = job_summary(made(*(("ORD-1", "warned", f"reason {number}") for number in range(400)), exit_code=0))
    assert "### Warnings (400)\n" in page
    assert "- and 350 more, all of them in report.json\n" in page


def test_the_page_says_what_failures_may_come_from() -> None:
    """A proxy that is set up wrongly is guessed in the report too, and a passing run has no hints."""
    reason = "the RPC ended with UNAVAILABLE 'HTTP status 502, content-type text/html'"
    report = made(("ORD-1", "failed", reason), ("EOF-1", "failed", reason), ("EOF-2", "warned", reason))
    [hint] = report["hints"]
    assert "proto h2" in hint
    assert hint.endswith("(2 failures look like that)")
    assert f"### Hints (1)\n\n- {plain(hint)}\n" in job_summary(report)
    assert "Hints" not in job_summary(made(("ORD-1", "warned", reason), exit_code=0))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_its_place(verdict: str) -> None:
    """A page can be made of any, and what is red stands among the failures."""
    page = job_summary(made(("ORD-1", verdict, "why"), deaths={"it died": None}, complaints=["no such test"]))
    red = verdict in ("failed", "changed", "fixed", "flaky", "inconclusive")
    assert ("### Failures (1)" in page) is red
    assert (f"- **ORD-1** {verdict}: " in page) is red
    assert "- <code>it died</code>\n- <code>no such test</code>\n" in page


@pytest.mark.parametrize(
    ("report", "message", "color"),
    [
        (made(("ORD-1", "passed"), exit_code=0), "conformant", "brightgreen"),
        (made(("ORD-1", "passed"), whole=False, exit_code=0), "conformant in part", "brightgreen"),
        (made(("ORD-1", "passed"), *[("ORD-2", "warned")] * 26, exit_code=0), "conformant, 26 warnings", "green"),
        (made(("ORD-1", "passed"), ("ORD-2", "warned"), exit_code=0), "conformant, 1 warning", "green"),
        (made(("ORD-1", "expected"), exit_code=0), "conformant, 1 expected failure", "green"),
        (made(*[("ORD-1", word) for word in ("failed", "changed", "flaky")], ("ORD-2", "warned")), "3 failed", "red"),
        (made(("ORD-1", "failed"), ("ORD-2", "inconclusive")), "1 failed, 1 inconclusive", "red"),
        (made(("ORD-1", "inconclusive"), exit_code=None), "1 inconclusive", "red"),
        (made(("ORD-1", "passed"), deaths={"it died": None}), "not conformant", "red"),
        (made(("ORD-1", "passed"), exit_code=None), "incomplete", "lightgrey"),
        (made(("ORD-1", "passed"), missing=["a.py::other"], exit_code=0), "incomplete", "lightgrey"),
        (made(("ORD-1", "passed"), exit_code=2), "incomplete", "lightgrey"),
        (made(("ORD-1", "not applicable"), exit_code=0), "nothing checked", "lightgrey"),
        (made(exit_code=5), "nothing checked", "lightgrey"),
    ],
)
def test_the_badge_says_no_more_than_the_run(report: dict[str, Any], message: str, color: str) -> None:
    """Green is for what came to its end and found nothing wrong."""
    assert badge(report) == {"schemaVersion": 1, "label": "grpcstream", "message": message, "color": color}


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
def test_active_characters_are_references(text: str, shown: str) -> None:
    """They are shown as what they are, and mean nothing."""
    assert plain(text) == shown
    assert code(text) == f"<code>{shown}</code>"


def test_code_keeps_spaces_and_has_a_limit() -> None:
    """Two spaces stay two; a long text is cut and says so."""
    assert code(" a  b ") == "<code>&#160;a&#160; b&#160;</code>"
    assert code("x" * 301) == f"<code>{'x' * 300}... (301 characters)</code>"
    assert code("") == ""
    assert table(["a", "b"], [["1", ""]]) == ["| a | b |", "| --- | --- |", "| 1 |  |"]
