"""The JUnit report names the requirement of each test."""

from __future__ import annotations

import pytest

from plugin.conftest import Judge, Serve
from plugin.results import cases


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["plain", "xdist"])
def test_each_test_names_its_requirement(
    judge: Judge, serve: Serve, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    """Its id, its level and its severity are properties of the test, whatever the verdict."""
    judge(
        serve("plugin.servicers:UnknownWithoutPoint"),
        "survival_of_messages",
        "validity_of_requests::test_unusual_encodings_are_understood",
        options=("--grpcstream-features=none", "--junitxml=report.xml", *options),
    )
    found = cases(pytester.path / "report.xml")
    warned = found["test_a_request_without_pt_does_not_crash_the_server[library-List]"]
    assert warned.properties == {"requirement": "ROBUST-4", "level": "MUST (contract)", "severity": "error"}
    assert (warned.verdict, warned.message.partition(": ")[0]) == ("warned", "ROBUST-4")
    passed = found["test_a_request_without_pt_does_not_harm_later_calls[library]"]
    assert (passed.verdict, passed.properties["requirement"]) == ("passed", "ROBUST-4")
    mild = found["test_unusual_encodings_are_understood[library-value before name]"]
    assert (mild.properties["requirement"], mild.properties["severity"]) == ("WIRE-18", "warning")
    assert all({"requirement", "level", "severity"} <= set(case.properties) for case in found.values())


def test_failure_message_begins_with_the_verdict(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """A list of failures can be read at a glance."""
    judge(
        serve("plugin.servicers:ListSkipsOne"),
        "message_order::test_list_responses_arrive_in_the_order_they_were_written",
        options=("--grpcstream-features=none", "--junitxml=report.xml"),
    )
    found = cases(pytester.path / "report.xml")
    assert found
    for case in found.values():
        assert case.verdict == "failed"
        assert case.message.startswith("ORD-1 failed: expected responses to ('order', ")
