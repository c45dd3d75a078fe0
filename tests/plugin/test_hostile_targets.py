"""What a target sends cannot act on the terminal or in the report of whoever tests it."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.servicers import HOSTILE

HOSTILE_CHARACTERS = {char for char in HOSTILE if not char.isprintable()} - {"\n"}


def harmless(result: pytest.RunResult) -> None:
    """Nothing of the text acts: no escape sequence, no line of its own, no change of direction."""
    text = result.stdout.str() + result.stderr.str()
    assert not HOSTILE_CHARACTERS & set(text.replace("\r\n", "\n"))
    assert not [line for line in text.splitlines() if line.startswith("FAKED")]
    assert "\\x1b]0;owned\\x07\\x1b[2J\\nFAKED passed\\r\\u202e\\u2028end" in text


@pytest.mark.parametrize("options", [(), ("-n1",), ("-v", "--color=no", "-rA")], ids=["plain", "xdist", "verbose"])
def test_a_status_message_is_escaped(judge: Judge, serve: Serve, options: tuple[str, ...]) -> None:
    """In the report, the timeline, the summary and the names of tests."""
    name = "record_pairing::test_record_is_answered_exactly_once[library-1]"
    result = judge(serve("plugin.servicers:HostileStatus"), name, options=("--grpcstream-features=none", *options))
    assert result.parseoutcomes() == {"failed": 1}
    harmless(result)


def test_a_response_is_escaped(judge: Judge, serve: Serve) -> None:
    """Its name is quoted, in the report and in the timeline."""
    name = "message_order::test_list_responses_arrive_in_the_order_they_were_written[library-0]"
    result = judge(serve("plugin.servicers:HostileNames"), name)
    assert result.parseoutcomes() == {"failed": 1}
    harmless(result)


def test_a_warning_is_escaped(judge: Judge, serve: Serve) -> None:
    """It stands in the summary and in the reason of the expected failure."""
    name = "survival_of_messages::test_a_request_without_pt_does_not_crash_the_server[library-List]"
    result = judge(
        serve("plugin.servicers:HostileWithoutPoint"), name, options=("--grpcstream-features=none", "-rx", "-v")
    )
    assert result.parseoutcomes() == {"xfailed": 1}
    harmless(result)


def test_the_junit_report_is_well_formed(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """A report in XML can be read, and has the text escaped in it."""
    name = "record_pairing::test_record_is_answered_exactly_once[library-1]"
    options = ("--grpcstream-features=none", "--junitxml=report.xml")
    judge(serve("plugin.servicers:HostileStatus"), name, options=options)
    [failure] = ElementTree.parse(pytester.path / "report.xml").iter("failure")
    assert "\\x1b]0;owned\\x07\\x1b[2J\\nFAKED" in f"{failure.text}"
    assert "FAKED" in failure.get("message", "")


def test_the_output_of_a_program_is_escaped(judge: Judge) -> None:
    """What a program printed before it did not start is shown in lines of its own, and does nothing else."""
    source = "from plugin.servicers import HOSTILE; print(HOSTILE); raise SystemExit(3)"
    result = judge(f"exec:{sys.executable} -c '{source}' {{port}}", "record_pairing")
    assert result.ret == 6
    text = result.stdout.str()
    assert not HOSTILE_CHARACTERS & set(text)
    assert "\\x1b]0;owned\\x07\\x1b[2J" in text


def test_a_timeline_of_one_s_own_test_is_escaped(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """Tests of one's own show timelines too."""
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
    harmless(result)
