"""The values of metadata never appear in any output, even if the server sends them back and tests fail."""

from __future__ import annotations

import secrets

import pytest

from tls.runs import HALF_CLOSE, Runner
from tls.servers import talkative

PIECE = 8
"""Characters of a secret that must not appear together in any output: messages show parts of long values."""
OPTION = "--grpcstream-metadata=authorization: Bearer $TOKEN"
FAILING = """
    import pytest
    from pytest_grpcstream import EOF

    @pytest.fixture(params=["grpcstream", "grpcstream_wire"])
    def stream(request):
        with request.getfixturevalue(request.param).list("the name", 1) as opened:
            yield opened

    def test_name(stream):
        assert stream.recv() == ("the name", 1)

    def test_status_error(stream):
        while stream.recv() is not EOF:
            pass

    def test_status(stream):
        stream.collect()
        assert str(stream.status) == "OK"

    def test_metadata(stream):
        stream.collect()
        assert list(stream.initial_metadata) == list(stream.trailing_metadata)[::-1] == []

    def test_printed(stream, record_property):
        points = stream.collect()
        print("printed", points, stream.status, stream.initial_metadata, stream.timeline.render())
        record_property("seen", str(stream.status))
        raise ValueError(f"raised {stream.status}")

    def test_skipped(stream):
        stream.collect()
        pytest.skip(f"skipped {stream.status}")

    @pytest.mark.xfail(reason="not yet")
    def test_expected(stream):
        stream.collect()
        pytest.fail(f"failed {stream.status}")
"""


@pytest.fixture(params=[20, 400], ids=["short", "long"])
def token(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret in the environment, with characters that Python and gRPC escape; messages shorten the long one."""
    made = secrets.token_hex(request.param // 2)
    made = f"{made[:10]}'\\%{made[10:]}"
    monkeypatch.setenv("TOKEN", made)
    return made


def assert_hidden(token: str, text: str) -> None:
    """Assert that a text has asterisks instead of a secret, and no part of the secret."""
    assert "***" in text, text
    pieces = (token[at : at + PIECE] for at in range(len(token) - PIECE + 1))
    assert [piece for piece in pieces if piece in text] == []


@pytest.mark.parametrize("workers", ["", "-n2"], ids=["alone", "xdist"])
def test_failing_user_tests_hide_the_value(runner: Runner, token: str, workers: str) -> None:
    """Assertions, errors, locals, output, skips, properties and timelines are shown without the secret."""
    runner.write(test_failing=FAILING)
    with talkative() as address:
        outcome = runner.run(
            f"--grpcstream-target={address}",
            OPTION,
            "-rA",
            "--showlocals",
            "-vv",
            *filter(None, [workers]),
            "test_failing.py",
        )
    assert outcome.code == 1, outcome.everything
    assert "10 failed, 2 skipped, 2 xfailed" in outcome.stdout
    for shown in (
        "the name of ***",
        "not with ***",
        "x-initial",
        "x-trailing",
        "raised PERMISSION",
        "skipped PERMISSION",
    ):
        assert shown in outcome.stdout
    assert_hidden(token, outcome.stdout)
    assert_hidden(token, outcome.report)
    assert token not in outcome.stderr


def test_failing_requirements_hide_the_value(runner: Runner, token: str) -> None:
    """The verdicts of the suite, and their timelines over both clients, are shown without the secret."""
    with talkative() as address:
        outcome = runner.suite(address, OPTION, "-rA", modules=(HALF_CLOSE,))
    assert outcome.code == 1, outcome.everything
    assert "verdict: NOT conformant" in outcome.stdout
    assert_hidden(token, outcome.stdout)
    assert_hidden(token, outcome.report)


def test_output_of_a_target_hides_the_value(runner: Runner, token: str) -> None:
    """The last output of a target that logs its metadata and dies is shown without the secret."""
    runner.write(
        mortal="""
        import os
        from pytest_grpcstream.messages import StreamPoint, StreamResponse

        class StreamService:
            def List(self, request, context):
                yield StreamResponse(pt=StreamPoint(name=request.pt.name, value=request.pt.value))

            def Record(self, requests, context):
                return StreamResponse(pt=StreamPoint(name=str(len(list(requests)))))

            def Route(self, requests, context):
                for number, request in enumerate(requests):
                    if request.pt.name == "ping" and number:
                        print("the last words:", dict(context.invocation_metadata())["authorization"], flush=True)
                        os._exit(3)
                    yield StreamResponse(pt=StreamPoint(name="Route", value=number))
        """
    )
    test = f"{HALF_CLOSE}::test_route_answers_each_request_before_the_next"
    outcome = runner.suite("mortal:StreamService", OPTION, modules=(test,))
    assert outcome.code == 1, outcome.everything
    assert "expected the target still serves after this test" in outcome.stdout
    assert "the last words: ***" in outcome.stdout
    assert_hidden(token, outcome.stdout)
    assert_hidden(token, outcome.report)


def test_passing_run_does_not_mention_the_metadata(runner: Runner, token: str) -> None:
    """Header, summary and report of a run do not mention the metadata."""
    outcome = runner.suite("reference", OPTION, modules=(HALF_CLOSE,))
    outcome.passed("Half-close and full duplex")
    assert token[:PIECE] not in outcome.everything
    assert "***" not in outcome.everything
