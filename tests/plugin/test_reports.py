"""The reports of tests of requirements: each carries its verdict, also from one process to another."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pytest_grpcstream.plugin.reports import (
    attach_verdict,
    redact_report,
    show_expected,
    show_failure,
    show_passed,
    text_of,
    update_verdict,
    verdict_of,
)
from pytest_grpcstream.verdicts.test_verdict import Evidence, TestVerdict, UpstreamVerdict
from pytest_grpcstream.verdicts.verdict import Verdict

NODEID = "pytest_grpcstream/conformance/test_message_order.py::test_order[wire]"
MINIMAL = TestVerdict(NODEID, "ORD-1", "wire", Verdict.PASSED)
FULL = TestVerdict(
    nodeid=NODEID,
    requirement="ORD-1",
    client="wire",
    verdict=Verdict.CHANGED,
    reason="it's changed: \\x1b \u2028 \N{SNOWMAN} \ud800",
    expected="3",
    actual="4",
    target="127.0.0.1:1",
    features=("abort", "echo"),
    observed=("one", "two"),
    expectations=(0, 7),
    evidence=Evidence("timelines/a.jsonl", "pcap/a.pcap", "cut"),
    upstream=UpstreamVerdict(Verdict.NOT_RUN, "down"),
    failure="4",
    late_death="it died",
    budget_note="capped",
)


def new_report(**more: Any) -> pytest.TestReport:
    """A report of a test that passed."""
    values: dict[str, Any] = {"keywords": {}, "outcome": "passed", "longrepr": None, "when": "call"}
    return pytest.TestReport(NODEID, ("test_message_order.py", 1, "test_order"), **{**values, **more})


def send(config: pytest.Config, report: pytest.TestReport) -> pytest.TestReport:
    """A report as another process gets it, in the plain values of JSON."""
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    plain = json.loads(json.dumps(data))
    received: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=plain)
    return received


# Verdicts ---------------------------------------------------------------------------------------------------------


def test_report_has_no_verdict_of_its_own() -> None:
    """Tests without a requirement, and phases without a verdict, have none."""
    assert verdict_of(new_report()) is None


def test_attached_verdict_is_not_an_attribute_of_the_report() -> None:
    """Other plugins that copy or serialize reports see nothing of it."""
    report = new_report()
    before = {name: repr(value) for name, value in vars(report).items()}
    attach_verdict(report, FULL)
    assert verdict_of(report) is FULL
    assert {name: repr(value) for name, value in vars(report).items()} == before


def test_update_changes_some_fields() -> None:
    """The earlier verdict is replaced, and not modified."""
    report = new_report()
    attach_verdict(report, MINIMAL)
    updated = update_verdict(report, verdict=Verdict.FLAKY, reason="1 of 2 failed")
    assert verdict_of(report) is updated
    assert (updated.nodeid, updated.verdict, updated.reason) == (NODEID, Verdict.FLAKY, "1 of 2 failed")
    assert MINIMAL.verdict is Verdict.PASSED


@pytest.mark.parametrize("verdict", [MINIMAL, FULL], ids=["minimal", "full"])
def test_verdict_survives_the_way_to_another_process(pytestconfig: pytest.Config, verdict: TestVerdict) -> None:
    """Every field is the same, and of the same type."""
    report = new_report(user_properties=[("requirement", "ORD-1")], sections=[("out", "text")])
    attach_verdict(report, verdict)
    received = send(pytestconfig, report)
    assert verdict_of(received) == verdict
    assert repr(verdict_of(received)) == repr(verdict)
    assert type(getattr(verdict_of(received), "verdict", None)) is Verdict


def test_received_report_has_no_trace_of_its_verdict(pytestconfig: pytest.Config) -> None:
    """It is the report that a test without a requirement would have sent."""
    report = new_report()
    attach_verdict(report, FULL)
    received = send(pytestconfig, report)
    assert vars(received) == vars(send(pytestconfig, new_report()))
    assert received.user_properties == []


def test_report_without_a_verdict_is_sent_as_pytest_sends_it(pytestconfig: pytest.Config) -> None:
    """Nothing is added to it."""
    data = pytestconfig.hook.pytest_report_to_serializable(config=pytestconfig, report=new_report())
    assert not [key for key in data if "grpcstream" in key]
    assert verdict_of(send(pytestconfig, new_report())) is None


# Secrets ----------------------------------------------------------------------------------------------------------


def test_redacted_report_hides_the_secret_in_every_text(pytestconfig: pytest.Config) -> None:
    """Those of pytest and those of the verdict."""
    report = new_report(
        outcome="failed", longrepr="a secret", sections=[("out", "a secret")], user_properties=[("seen", "a secret")]
    )
    test = TestVerdict(
        NODEID,
        "ORD-1",
        "wire",
        Verdict.FAILED,
        reason="a secret",
        expected="a secret",
        actual="a secret",
        target="a secret",
        observed=("a secret",),
        evidence=Evidence(note="a secret"),
        upstream=UpstreamVerdict(Verdict.FAILED, "a secret"),
        failure="a secret",
        late_death="a secret",
        budget_note="a secret",
    )
    attach_verdict(report, test)
    redacted = redact_report(pytestconfig, report, lambda text: text.replace("secret", "***"))
    shown = msgspec.json.encode(verdict_of(redacted)).decode()
    assert shown.count("a ***") == shown.count("***") == 10
    assert "secret" not in shown + repr(vars(redacted))
    assert redacted.longrepr == "a ***"


@pytest.mark.parametrize("secret", ["failed", "ORD-1", "wire", "test_order"])
def test_secret_that_is_a_word_of_the_plugin_breaks_no_verdict(pytestconfig: pytest.Config, secret: str) -> None:
    """What a verdict is looked up by stays as it is."""
    report = new_report()
    test = TestVerdict(
        NODEID, "ORD-1", "wire", Verdict.FAILED, upstream=UpstreamVerdict(Verdict.FAILED, ""), reason=f"a {secret}"
    )
    attach_verdict(report, test)
    redacted = verdict_of(redact_report(pytestconfig, report, lambda text: text.replace(secret, "***")))
    assert redacted is not None
    assert (redacted.nodeid, redacted.requirement, redacted.client) == (NODEID, "ORD-1", "wire")
    assert (redacted.verdict, redacted.upstream, redacted.reason) == (Verdict.FAILED, test.upstream, "a ***")


# What pytest shows ------------------------------------------------------------------------------------------------


def test_expected_failure_is_an_xfail() -> None:
    """Its reason is shown, with the text about the failure if there is one."""
    report = new_report(outcome="failed", longrepr="before")
    show_expected(report, "ORD-1, expected: 4")
    assert (report.outcome, report.wasxfail, text_of(report)) == ("skipped", "ORD-1, expected: 4", "before")
    show_expected(report, "ORD-1: 4", "after")
    assert (report.wasxfail, text_of(report)) == ("ORD-1: 4", "after")


def test_failure_replaces_an_xfail() -> None:
    """An expected failure that has changed fails the run."""
    report = new_report()
    show_expected(report, "ORD-1: 4")
    show_failure(report, "ORD-1 changed")
    assert (report.outcome, text_of(report)) == ("failed", "ORD-1 changed")
    assert not hasattr(report, "wasxfail")


def test_text_replaces_the_exception_that_a_test_raised() -> None:
    """A user reads the text, without the lines of the test."""
    report = new_report(outcome="failed")
    try:
        raise ZeroDivisionError("raised")
    except ZeroDivisionError as error:
        show_passed(report, "what was observed", error)
    assert report.outcome == "passed"
    assert "what was observed" in text_of(report)
    assert "ZeroDivisionError" not in text_of(report)


@pytest.mark.parametrize("longrepr", [None, ("file.py", 1, "Skipped: why")])
def test_report_without_a_failure_has_no_text(longrepr: object) -> None:
    """The reason of a skip is not one."""
    assert text_of(new_report(longrepr=longrepr)) == ""
