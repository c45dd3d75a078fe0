"""The metadata of the settings is sent with every call of both clients."""

from __future__ import annotations

import pytest

from tls.runs import HALF_CLOSE, Runner
from tls.servers import Guard, guarded_reference

KEY = "authorization"
TOKEN = "Bearer of-good-news"


def test_every_call_has_the_metadata(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that requires a token is tested like any other; the ini option and the option add up."""
    monkeypatch.setenv("NEWS", "of-good-news")
    runner.configure(grpcstream_metadata=["x-first: one value", "x-second: 2"])
    guard = Guard(KEY, TOKEN)
    with guarded_reference(guard) as address:
        options = [f"--grpcstream-metadata={KEY}: Bearer $NEWS", "--grpcstream-metadata=x-third:3"]
        outcome = runner.suite(address, *options, modules=(HALF_CLOSE,))
    outcome.passed("Half-close and full duplex", "[library]", "[wire]")
    for client, calls in guard.by_client().items():
        assert len(calls) > 10, client
        assert {(call[KEY], call["x-first"], call["x-second"], call["x-third"]) for call in calls} == {
            (TOKEN, "one value", "2", "3")
        }


def test_nothing_passes_without_the_metadata(runner: Runner) -> None:
    """Without the token, every test on the same server fails, over either client."""
    guard = Guard(KEY, TOKEN)
    with guarded_reference(guard) as address:
        outcome = runner.suite(address, modules=(HALF_CLOSE,))
    assert outcome.code == 1, outcome.everything
    assert "verdict: NOT conformant" in outcome.stdout
    assert " PASSED" not in outcome.stdout
    assert all(KEY not in call for calls in guard.by_client().values() for call in calls)


def test_served_servicer_gets_no_metadata(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token for the target of the run is not sent to a servicer that a test serves."""
    monkeypatch.setenv("NEWS", "of-good-news")
    runner.write(
        test_own="""
        import pytest
        from pytest_grpcstream.messages import StreamResponse

        SEEN = []

        class StreamService:
            def List(self, request, context):
                SEEN.append(dict(context.invocation_metadata()))
                yield StreamResponse()

            def Record(self, requests, context):
                return StreamResponse()

            Route = Record

        @pytest.fixture(scope="session")
        def grpcstream_target(grpcstream_serve):
            return grpcstream_serve(StreamService)

        def test_library(grpcstream):
            with grpcstream.list("anybody", 1) as stream:
                stream.collect()
            assert "authorization" not in SEEN.pop()

        def test_wire(grpcstream_wire):
            with grpcstream_wire.list("anybody", 1) as stream:
                stream.collect()
            assert "authorization" not in SEEN.pop()
        """
    )
    outcome = runner.run(f"--grpcstream-metadata={KEY}: Bearer $NEWS", "test_own.py")
    assert outcome.code == 0, outcome.everything
    assert "2 passed" in outcome.stdout
