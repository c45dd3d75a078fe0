"""The header and the summary of a run."""

from __future__ import annotations

import itertools

import pytest

from plugin.conftest import Judge, Run, Serve

NONE = "--grpcstream-features=none"


def summary(result: pytest.RunResult) -> list[str]:
    """The lines of the summary."""
    place = next(number for number, line in enumerate(result.outlines) if " grpcstream =" in line)
    lines = result.outlines[place + 1 :]
    return list(itertools.takewhile(lambda line: not line.startswith("="), lines))


def test_run_begins_with_its_target(run: Run, core: str) -> None:
    """Its source is shown before the collection, its features before the first test."""
    result = run(f"--grpcstream-target={core}", "--grpcstream-client=library", "-k", "test_record_pairing")
    result.stdout.fnmatch_lines(
        [
            f"grpcstream: target {core} (from the option --grpcstream-target)",
            "collected *",
            f"grpcstream: already running at {core}; features found: none; without: abort, finish, repeat, *",
            "pytest_grpcstream/conformance/test_record_pairing.py *",
        ]
    )


def test_quiet_run_ends_with_its_verdict(judge: Judge, core: str) -> None:
    """-q does not hide whether the target conforms."""
    result = judge(core, "end_of_stream", options=(NONE, "-q", "-q"))
    assert summary(result)[-1] == "verdict: conformant in all that was checked"


def test_summary_has_a_table_the_coverage_and_a_verdict(judge: Judge, serve: Serve) -> None:
    """Each area has its counts; each unchecked requirement has a reason; the verdict names the failures."""
    result = judge(
        serve("plugin.servicers:RouteMute"), "half_close", "record_pairing", options=(NONE, "--grpcstream-timeout=0.2")
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = summary(result)
    assert lines[0].startswith("target: already running at 127.0.0.1:")
    assert " ".join(lines[2].split()) == "passed failed warned expected not applicable inconclusive"
    rows = {line[:37].strip(): [int(cell.replace("-", "0")) for cell in line[37:].split()] for line in lines[3:5]}
    half_close, pairing = rows["Half-close and full duplex"], rows["Record: SendAndClose and CloseAndRecv"]
    passed, failed, warned, expected, skipped, inconclusive = map(sum, zip(half_close, pairing, strict=True))
    assert {"passed": passed, "failed": failed, "skipped": skipped} == result.parseoutcomes()
    assert (warned, expected, inconclusive, pairing[1]) == (0, 0, 0, 0)
    [checked] = [line for line in lines if line.startswith("error-level requirements checked: ")]
    assert int(checked.split()[3]) < int(checked.split()[5])
    assert [line for line in lines if line.startswith("  not applicable: the target has no echo: PAIR-7")]
    assert [line for line in lines if line.startswith("  not selected, or not reached: ")]
    assert lines[-1].startswith("verdict: NOT conformant: failed: HALF-1, ")


def test_run_in_which_nothing_applies_says_so(judge: Judge, core: str) -> None:
    """Its verdict is neither conformant nor NOT conformant."""
    result = judge(core, "half_close::test_both_sides_send_large_volumes_at_once")
    assert result.parseoutcomes() == {"skipped": 1}
    assert summary(result)[-1] == "verdict: none, nothing could be checked"


def test_disagreement_of_the_clients_is_reported(judge: Judge, serve: Serve) -> None:
    """A server that fails over one client only has a different kind of problem."""
    result = judge(
        serve("plugin.servicers:WrongForGrpcio"),
        "message_order::test_list_responses_arrive_in_the_order_they_were_written",
        options=(NONE, "--grpcstream-client=both"),
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reported = [line for line in summary(result) if line.startswith("clients disagree about ORD-1 ")]
    assert reported
    assert all(line.endswith(": library failed, wire passed") for line in reported)


def test_observation_is_reported(judge: Judge, reference: str) -> None:
    """A requirement of severity info passes, and the summary shows what was observed."""
    name = "validity_of_requests::test_a_similar_content_type_is_refused_or_accepted"
    result = judge(reference, name, options=(NONE, "--grpcstream-client=wire", "--grpcstream-strict"))
    assert result.ret == pytest.ExitCode.OK
    assert [line for line in summary(result) if line.startswith("observed WIRE-8: application/grpc+unknown: ")]


def test_run_without_requirements_has_no_summary(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """A user's own tests end like those of any other run."""
    pytester.makepyfile("def test_own(grpcstream): assert len(grpcstream.list('x').collect()) == 3")
    result = run(f"--grpcstream-target={core}", ".")
    result.assert_outcomes(passed=1)
    assert " grpcstream =" not in result.stdout.str()
    assert "verdict:" not in result.stdout.str()
