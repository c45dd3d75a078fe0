"""--grpcstream-repeat and --grpcstream-direct: several runs of a test, and one report."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.results import cases

either_way = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
NONE = "--grpcstream-features=none"
ONCE = "record_pairing::test_record_is_answered_exactly_once"


@either_way
def test_reruns_that_disagree_are_flaky(
    judge: Judge, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """The run fails, the counts of the verdicts are shown, and the test is reported once."""
    options = (NONE, "--grpcstream-repeat=4", "--junitxml=report.xml", *workers)
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


def test_reruns_that_agree_are_not_flaky(judge: Judge, reference: str, serve: Serve) -> None:
    """The report is the same as that of a single run."""
    options = (NONE, "--grpcstream-repeat=3")
    assert judge(reference, "record_pairing", options=options).ret == pytest.ExitCode.OK
    result = judge(
        serve("plugin.servicers:ListSkipsOne"),
        "message_order::test_list_responses_arrive_in_the_order_they_were_written",
        options=options,
    )
    assert result.parseoutcomes()["failed"] == 3
    result.stdout.no_fnmatch_line("* flaky: *")


def test_each_rerun_has_its_own_fixtures(run: Run, reference: str, pytester: pytest.Pytester) -> None:
    """Reruns share no client and no stream; a fixture of the module is set up once."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def shared():
            print("shared set up")
            return []

        @pytest.fixture
        def own():
            print("own set up")
            yield
            print("own torn down")

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_something(grpcstream, shared, own):
            shared.append(id(grpcstream))
            assert len(grpcstream.streams) == 0
            print(f"run {len(shared)}")

        def test_of_no_requirement(own):
            pass
        """
    )
    result = run(
        f"--grpcstream-target={reference}", "--grpcstream-client=wire", "--grpcstream-repeat=3", "-s", "-q", "."
    )
    result.assert_outcomes(passed=2)
    seen = [line.strip(".F ") for line in result.outlines if "set up" in line or "torn down" in line or "run " in line]
    assert "".join(seen).count("shared set up") == 1
    assert "".join(seen).count("own set up") == "".join(seen).count("own torn down") == 4
    assert "run 3" in "".join(seen)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1001"])
def test_invalid_number_of_runs_is_a_usage_error(run: Run, text: str) -> None:
    """It is not treated as 1."""
    result = run(f"--grpcstream-repeat={text}", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*Invalid repeat '{text}' from the option --grpcstream-repeat; expected a number *"])


@either_way
def test_difference_from_the_upstream_server_is_reported(
    judge: Judge, reference: str, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """A test that fails on the target and passes on the upstream server is shown with both verdicts."""
    options = (NONE, f"--grpcstream-direct={reference}", "--junitxml=report.xml", *workers)
    result = judge(serve("plugin.servicers:SeveralFaults"), "message_order", "survival_of_messages", options=options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "upstream     passed",
            "differs ORD-1: through the target: failed, expected *; upstream: passed [[]test_list_responses_*",
            "differs ROBUST-4: through the target: warned, expected *; upstream: passed [[]test_a_request_without_pt_*",
        ]
    )


def test_agreement_with_the_upstream_server_is_only_counted(judge: Judge, serve: Serve) -> None:
    """A warning that both share is not repeated; a failure that both share still fails the run."""
    upstream = serve("plugin.servicers:SeveralFaults")
    result = judge(upstream, "message_order", "survival_of_messages", options=(NONE, f"--grpcstream-direct={upstream}"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("differs *")
    result.stdout.no_fnmatch_line("warning ROBUST-4*")
    result.stdout.fnmatch_lines(["the same through the target and upstream, though not passed: * test(s)"])


def test_missing_upstream_server_ends_the_run(judge: Judge, reference: str) -> None:
    """With one message, like a missing target."""
    result = judge(reference, "record_pairing", options=(NONE, "--grpcstream-direct=127.0.0.1:1"))
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*127.0.0.1:1*"])


@pytest.mark.parametrize("client", ["library", "wire"])
def test_clients_and_streams_of_a_reported_test_are_released(
    run: Run, core: str, pytester: pytest.Pytester, client: str
) -> None:
    """A long run needs no more memory than a short one."""
    pytester.makepyfile(
        """
        import gc
        import pytest
        from pytest_grpcstream.clients.client import Client
        from pytest_grpcstream.clients.stream import Stream

        @pytest.mark.parametrize("number", range(5))
        def test_memory(grpcstream, number):
            gc.collect()
            assert sum(isinstance(one, Stream) for one in gc.get_objects()) == 0
            assert sum(isinstance(one, Client) for one in gc.get_objects()) == 1
            assert grpcstream.list("x").collect()
        """
    )
    options = (f"--grpcstream-target={core}", f"--grpcstream-client={client}", NONE)
    run(*options, ".").assert_outcomes(passed=5)
