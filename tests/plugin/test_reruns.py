"""--grpcstream-repeat and --grpcstream-direct: more than one run of a test, and one report."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.results import cases

either_way = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
WITHOUT = "--grpcstream-features=none"
ONCE = "record_pairing::test_record_is_answered_exactly_once"


@either_way
def test_what_fails_only_now_and_then_is_flaky(
    judge: Judge, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """It is red, says how often it came to which verdict, and is one test in every report."""
    options = (WITHOUT, "--grpcstream-repeat=4", "--junitxml=report.xml", *workers)
    result = judge(serve("plugin.servicers:EverySecondRecord"), ONCE, options=options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"passed": 3, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            "PAIR-1 flaky: 2 of 4 *ed, 2 of 4 *ed",
            "flaky PAIR-1: 2 of 4 *ed, 2 of 4 *ed; expected *[[]test_record_is_answered_exactly_once[[]library-7[]][]]",
            "verdict: NOT conformant: flaky: PAIR-1",
        ]
    )
    assert len(cases(pytester.path / "report.xml")) == 4


def test_what_always_comes_to_one_verdict_is_not_flaky(judge: Judge, reference: str, serve: Serve) -> None:
    """Its report is as if it had run once."""
    options = (WITHOUT, "--grpcstream-repeat=3")
    assert judge(reference, "record_pairing", options=options).ret == pytest.ExitCode.OK
    result = judge(
        serve("plugin.servicers:ListSkipsOne"),
        "message_order::test_list_responses_arrive_in_the_order_they_were_written",
        options=options,
    )
    assert result.parseoutcomes()["failed"] == 3
    result.stdout.no_fnmatch_line("* flaky: *")


def test_each_turn_has_fixtures_of_its_own(run: Run, reference: str, pytester: pytest.Pytester) -> None:
    """A connection or a stream of one turn is not that of the next; what a module shares is set up once."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def shared():
            print("shared is made")
            return []

        @pytest.fixture
        def own():
            print("own is made")
            yield
            print("own is gone")

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_something(grpcstream, shared, own):
            shared.append(id(grpcstream))
            assert len(grpcstream.streams) == 0
            print(f"turn {len(shared)}")

        def test_of_no_requirement(own):
            pass
        """
    )
    result = run(
        f"--grpcstream-target={reference}", "--grpcstream-client=wire", "--grpcstream-repeat=3", "-s", "-q", "."
    )
    result.assert_outcomes(passed=2)
    seen = [line.strip(".F ") for line in result.outlines if "made" in line or "gone" in line or "turn" in line]
    assert "".join(seen).count("shared is made") == 1
    assert "".join(seen).count("own is made") == "".join(seen).count("own is gone") == 4
    assert "turn 3" in "".join(seen)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1001"])
def test_a_wrong_number_is_a_usage_error(run: Run, text: str) -> None:
    """It is not taken for once."""
    result = run(f"--grpcstream-repeat={text}", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*Invalid repeat '{text}' from the option --grpcstream-repeat; expected a number *"])


@either_way
def test_the_hop_that_did_it_is_named(
    judge: Judge, reference: str, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """A test that fails through the target and passes behind it is told with both verdicts."""
    options = (WITHOUT, f"--grpcstream-direct={reference}", "--junitxml=report.xml", *workers)
    result = judge(serve("plugin.servicers:SeveralFaults"), "message_order", "survival", options=options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "upstream     passed",
            "differs ORD-1: through the target: failed, expected *; upstream: passed [[]test_list_responses_*",
            "differs ROBUST-4: through the target: warned, expected *; upstream: passed [[]test_a_request_without_pt_*",
        ]
    )


def test_what_is_the_same_on_both_is_not_held_against_the_hop(judge: Judge, serve: Serve) -> None:
    """It is counted, and a warning that is the same is not told again; a failure fails the run still."""
    behind = serve("plugin.servicers:SeveralFaults")
    result = judge(behind, "message_order", "survival", options=(WITHOUT, f"--grpcstream-direct={behind}"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("differs *")
    result.stdout.no_fnmatch_line("warning ROBUST-4*")
    result.stdout.fnmatch_lines(["the same through the target and upstream, though not passed: * test(s)"])


def test_a_target_behind_that_is_missing_ends_the_run(judge: Judge, reference: str) -> None:
    """It is one message, as for the target itself."""
    result = judge(reference, "record_pairing", options=(WITHOUT, "--grpcstream-direct=127.0.0.1:1"))
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*127.0.0.1:1*"])


@pytest.mark.parametrize("client", ["library", "wire"])
def test_nothing_of_a_test_is_kept_when_it_was_reported(
    run: Run, core: str, pytester: pytest.Pytester, client: str
) -> None:
    """A long run needs no more memory than a short one: clients, streams and timelines go with their tests."""
    pytester.makepyfile(
        """
        import gc
        import pytest
        from pytest_grpcstream.clients.client import Client
        from pytest_grpcstream.clients.stream import Stream

        @pytest.mark.parametrize("number", range(5))
        def test_lives(grpcstream, number):
            gc.collect()
            assert sum(isinstance(one, Stream) for one in gc.get_objects()) == 0
            assert sum(isinstance(one, Client) for one in gc.get_objects()) == 1
            assert grpcstream.list("x").collect()
        """
    )
    options = (f"--grpcstream-target={core}", f"--grpcstream-client={client}", WITHOUT)
    run(*options, ".").assert_outcomes(passed=5)
