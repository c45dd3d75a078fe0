"""Texts that a target sends are escaped, on the terminal and in reports."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.servicers import HOSTILE

HOSTILE_CHARACTERS = {char for char in HOSTILE if not char.isprintable()} - {"\n"}


def assert_escaped(result: pytest.RunResult) -> None:
    """No escape sequence, line break or change of direction of the text reaches the output, and the text is shown."""
    text = result.stdout.str() + result.stderr.str()
    assert not HOSTILE_CHARACTERS & set(text.replace("\r\n", "\n"))
    assert not [line for line in text.splitlines() if line.startswith("FAKED")]
    assert "\\x1b]0;owned\\x07\\x1b[2J\\nFAKED passed\\r\\u202e\\u2028end" in text


@pytest.mark.parametrize("options", [(), ("-n1",), ("-v", "--color=no", "-rA")], ids=["plain", "xdist", "verbose"])
def test_status_message_is_escaped(judge: Judge, serve: Serve, options: tuple[str, ...]) -> None:
    """In the report of the test, the timeline and the summary."""
    name = "record_pairing::test_record_is_answered_exactly_once[library-1]"
    result = judge(serve("plugin.servicers:HostileStatus"), name, options=("--grpcstream-features=none", *options))
    assert result.parseoutcomes() == {"failed": 1}
    assert_escaped(result)


def test_response_is_escaped(judge: Judge, serve: Serve) -> None:
    """Its name is quoted in the report of the test and in the timeline."""
    name = "message_order::test_list_responses_arrive_in_the_order_they_were_written[library-0]"
    result = judge(serve("plugin.servicers:HostileNames"), name)
    assert result.parseoutcomes() == {"failed": 1}
    assert_escaped(result)


def test_warning_is_escaped(judge: Judge, serve: Serve) -> None:
    """It is shown in the summary and as the reason of an xfail."""
    name = "survival_of_messages::test_a_request_without_pt_does_not_crash_the_server[library-List]"
    result = judge(
        serve("plugin.servicers:HostileWithoutPoint"), name, options=("--grpcstream-features=none", "-rx", "-v")
    )
    assert result.parseoutcomes() == {"xfailed": 1}
    assert_escaped(result)


def test_junit_report_is_well_formed(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """An XML parser reads it, and finds the escaped text."""
    name = "record_pairing::test_record_is_answered_exactly_once[library-1]"
    options = ("--grpcstream-features=none", "--junitxml=report.xml")
    judge(serve("plugin.servicers:HostileStatus"), name, options=options)
    [failure] = ElementTree.parse(pytester.path / "report.xml").iter("failure")
    assert "\\x1b]0;owned\\x07\\x1b[2J\\nFAKED" in f"{failure.text}"
    assert "FAKED" in failure.get("message", "")


def test_output_of_a_program_is_escaped(judge: Judge) -> None:
    """The message about a program that did not start shows what the program printed."""
    source = "from plugin.servicers import HOSTILE; print(HOSTILE); raise SystemExit(3)"
    result = judge(f"exec:{sys.executable} -c '{source}' {{port}}", "record_pairing")
    assert result.ret == 6
    text = result.stdout.str()
    assert not HOSTILE_CHARACTERS & set(text)
    assert "\\x1b]0;owned\\x07\\x1b[2J" in text


def test_timeline_of_a_users_own_test_is_escaped(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """The report of such a test shows the timeline, without a requirement."""
    pytester.makepyfile(
        """
        def test_own(grpcstream):
            with grpcstream.list("mine", 1) as stream:
                stream.collect()
                raise AssertionError
        """
    )
    result = run(f"--grpcstream-target={serve('plugin.servicers:HostileNames')}", ".")
    assert result.parseoutcomes() == {"failed": 1}
    assert_escaped(result)
