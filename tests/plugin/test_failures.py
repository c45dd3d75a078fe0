"""The report of a failing test: requirement, expected, actual, timeline, and the command that repeats it."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from plugin.conftest import TESTS, Judge, Run, Serve

NONE = "--grpcstream-features=none"
ORDER = "message_order::test_list_responses_arrive_in_the_order_they_were_written"


def repeat_commands(result: pytest.RunResult) -> list[str]:
    """The commands that a run prints."""
    return [line.removeprefix("repeat with  ") for line in result.outlines if line.startswith("repeat with ")]


def test_failure_shows_requirement_timeline_and_command(judge: Judge, serve: Serve) -> None:
    """In this order; the deciding event is marked."""
    address = serve("plugin.servicers:ListSkipsOne")
    result = judge(address, f"{ORDER}[library-1000]")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(
        [
            "ORD-1 failed: expected responses to ('order', 1000): 3 in total, from index 2: ('order', 1002); "
            "actual: 3 in total, from index 2: ('order', 1003)",
            "",
            "requirement  The responses of a List arrive in the order in which the handler wrote them.",
            "             MUST (gRPC), severity error; grpc.io, *",
            "expected     responses to ('order', 1000): 3 in total, from index 2: ('order', 1002)",
            "actual       3 in total, from index 2: ('order', 1003)",
            "timeline     <LibraryStream /proto.StreamService/List OK, 1 sent, 3 received>",
            " *ms -> headers /proto.StreamService/List",
            " * ms -> message ('order', 1000) [[]12 bytes[]]",
            " * ms -> half-close",
            " * ms <- message ('order', 1000) [[]12 bytes[]]",
            " * ms <- message ('order', 1001) [[]12 bytes[]]",
            " * ms <- message ('order', 1003) [[]12 bytes[]]",
            "> * ms <- end OK",
            "repeat with  pytest --grpcstream-target=*",
        ],
        consecutive=True,
    )


def test_failure_shows_no_source_code(judge: Judge, serve: Serve) -> None:
    """The code of the suite and of grpcio does not help the author of a server."""
    text = judge(serve("plugin.servicers:ListSkipsOne"), f"{ORDER}[library-0]").stdout.str()
    assert "Traceback" not in text
    assert not re.search(r"\.py:\d", text)
    assert "def test_" not in text
    assert not re.search(r"^E  ", text, re.MULTILINE)


def test_command_repeats_one_test(judge: Judge, run: Run, serve: Serve) -> None:
    """Run as printed, it comes to the same verdict on the same test."""
    result = judge(
        serve("plugin.servicers:ListSkipsOne"), ORDER, options=(NONE, "--grpcstream-timeout=4", "--grpcstream-strict")
    )
    commands = repeat_commands(result)
    assert len(commands) == result.parseoutcomes()["failed"] > 1
    words = shlex.split(commands[0])
    assert words[0] == "pytest"
    again = run(*words[1:])
    assert again.ret == pytest.ExitCode.TESTS_FAILED
    assert again.parseoutcomes() == {"failed": 1}
    assert repeat_commands(again) == commands[:1]


def test_command_of_a_strict_run_repeats_its_verdict(judge: Judge, run: Run, serve: Serve) -> None:
    """A warning that failed the run also fails when it is repeated."""
    name = "survival_of_messages::test_a_request_without_pt_does_not_crash_the_server"
    options = (NONE, "--grpcstream-strict", "--grpcstream-client=wire", "--grpcstream-quiet=0.1")
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), f"{name}[wire-List]", options=options)
    [command] = repeat_commands(result)
    assert {*options} <= {*shlex.split(command)}
    again = run(*shlex.split(command)[1:])
    assert again.parseoutcomes() == {"failed": 1}


def test_command_quotes_the_target_for_the_shell(judge: Judge, run: Run) -> None:
    """The target has quotes and blanks of its own."""
    target = f"exec:{sys.executable} -c 'from plugin.program import main; main(\"ListSkipsOne\")' {{port}}"
    result = judge(target, f"{ORDER}[library-0]")
    [command] = repeat_commands(result)
    again = run(*shlex.split(command)[1:])
    assert again.parseoutcomes() == {"failed": 1}
    assert f"--grpcstream-target={target}" in shlex.split(command)


def test_failed_prerequisite_makes_a_requirement_inconclusive(judge: Judge, serve: Serve) -> None:
    """The run fails; the report is short, and explains how the prerequisite failed."""
    result = judge(serve("plugin.servicers:ListSkipsOne"), "message_order::test_list_returns_the_name_as_it_was_sent")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reported = [line for line in result.outlines if line.startswith("ORD-6 ")]
    assert len(reported) == result.parseoutcomes()["failed"]
    [line] = set(reported)
    assert line.startswith(
        "ORD-6 inconclusive: could not be observed: prerequisite failed: a List that answers a plain name: "
    )
    assert "from index 2" in line  # how the prerequisite failed
    assert len(repeat_commands(result)) == len(reported)
    assert "timeline " not in result.stdout.str()
    result.stdout.fnmatch_lines(["verdict: NOT conformant: inconclusive: ORD-6"])


def test_own_test_of_a_requirement_is_judged_like_the_suite(run: Run, pytester: pytest.Pytester, serve: Serve) -> None:
    """Its report is the same, and its command names the test by its own id."""
    pytester.makepyfile(
        test_own="""
        import pytest
        from pytest_grpcstream import Point, verify

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_order(grpcstream):
            with grpcstream.list("mine", 1) as stream:
                verify.list_answer(stream, Point("mine", 1))
        """
    )
    result = run(f"--grpcstream-target={serve('plugin.servicers:ListSkipsOne')}", NONE, "test_own.py")
    assert result.parseoutcomes() == {"failed": 2}
    assert [shlex.split(command)[-1] for command in repeat_commands(result)] == [
        "test_own.py::test_order[wire]",
        "test_own.py::test_order[library]",
    ]


def test_error_in_a_test_keeps_its_traceback(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """Only mismatches are rewritten; a bug in a test is reported by pytest."""
    pytester.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_order(grpcstream):
            raise ZeroDivisionError("a bug")
        """
    )
    result = run(f"--grpcstream-target={core}", NONE, "--grpcstream-client=library", "test_own.py")
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines([">  *raise ZeroDivisionError*", "verdict: NOT conformant: failed: ORD-1"])


def test_unknown_requirement_is_a_usage_error(run: Run, pytester: pytest.Pytester) -> None:
    """The message names the test, before anything runs."""
    pytester.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1000")
        def test_order(): pass
        """
    )
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *test_order: unknown requirement 'ORD-1000' in the marker grpcstream_requirement"]
    )


def test_target_that_dies_in_a_fixture_is_restarted(run: Run, pytester: pytest.Pytester) -> None:
    """The test of that fixture fails, and the next test calls a new server."""
    pytester.makepyfile(
        """
        import contextlib
        import pytest
        from pytest_grpcstream import StreamError

        @pytest.fixture
        def deadly(grpcstream_wire):
            with contextlib.suppress(StreamError), grpcstream_wire.list(None) as stream:
                stream.end()
            grpcstream_wire.fresh().connect()

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_of_the_fixture(deadly):
            pass

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_after(grpcstream):
            with grpcstream.list("alive", 1) as stream:
                assert len(stream.collect()) == 3
        """
    )
    result = run("--grpcstream-target=plugin.servicers:ExitsWithoutPoint", "--grpcstream-features=none", ".")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert (outcomes.get("errors"), outcomes.get("passed")) == (1, 2)
    result.stdout.fnmatch_lines(["ORD-1 failed: expected the target still serves after this test; actual: *"])


@pytest.mark.parametrize("client", ["library", "wire"])
def test_target_that_dies_when_it_is_probed_is_judged(judge: Judge, client: str) -> None:
    """The probe is not a test, so the target is restarted and tested."""
    result = judge(
        "plugin.servicers:ExitsOnList",
        f"{ORDER}[{client}-0]",
        "record_pairing::test_record_is_answered_exactly_once",
        options=(f"--grpcstream-client={client}",),
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"failed": 1, "passed": 4}
    result.stdout.fnmatch_lines(["grpcstream: *features found: none*", "ORD-1 failed: *it exited with code 7"])


def test_address_that_dies_when_it_is_probed_ends_the_run(judge: Judge, serve: Serve) -> None:
    """The run cannot restart it, and says that it was running at first."""
    result = judge(serve("plugin.servicers:ExitsOnList"), ORDER, options=("--grpcstream-client=wire",))
    assert result.ret == 6
    result.stdout.fnmatch_lines(["! *the target exited while its features were being probed: 127.0.0.1:* !"])


@pytest.mark.parametrize("client", ["library", "wire"])
def test_low_limit_of_concurrent_streams_is_a_warning(judge: Judge, serve: Serve, client: str) -> None:
    """The warning shows the limit, also over grpcio, which silently queues further calls."""
    server = shlex.join([sys.executable, str(TESTS / "wire_servers" / "serve.py"), "--variant", "one-stream"])
    result = judge(
        serve(f"exec:{server} --port {{port}}"),
        "cancellation::test_a_cancel_after_a_response_does_no_harm",
        "record_pairing::test_record_is_answered_exactly_once",
        options=(f"--grpcstream-client={client}", "--grpcstream-features=repeat", "--grpcstream-timeout=1"),
    )
    assert result.ret == pytest.ExitCode.OK
    outcomes = result.parseoutcomes()
    assert (outcomes["xfailed"], "failed" in outcomes) == (1, False)
    result.stdout.fnmatch_lines(["warning CANCEL-5: *SETTINGS_MAX_CONCURRENT_STREAMS is 1, and 1 * open*"])


def test_missing_responses_are_reported_with_the_status(judge: Judge, serve: Serve) -> None:
    """It shows whether a proxy reset the stream or the server ended the call."""
    test = "message_order::test_list_repeats_as_often_as_it_was_asked_to[library-1000]"
    result = judge(serve("plugin.servicers:ListBreaksOff"), test, options=("--grpcstream-features=repeat",))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    end = "the RPC ended with UNAVAILABLE 'the hop is gone'"
    result.stdout.fnmatch_lines([f"actual       2 in total, from index 2: nothing more; {end}"])


def test_server_that_accepts_no_call_fails(judge: Judge, serve: Serve, tmp_path: Path) -> None:
    """The target cannot be probed, and the run still comes to a verdict."""
    program = tmp_path / "none.py"
    program.write_text(
        "from wire_servers import connection, frames, serve\n"
        "connection.Connection.SETTINGS = {frames.Setting.MAX_CONCURRENT_STREAMS: 0}\n"
        "serve.main()\n"
    )
    target = serve(f"exec:{shlex.join([sys.executable, str(program)])} --port {{port}}")
    options = ("--grpcstream-client=wire", "--grpcstream-timeout=0.3")
    result = judge(target, "record_pairing", options=options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "PAIR-1 failed: expected room for one more stream *SETTINGS_MAX_CONCURRENT_STREAMS is 0, and 0 streams *",
            "verdict: NOT conformant: failed: PAIR-1; inconclusive: PAIR-2",
        ]
    )
