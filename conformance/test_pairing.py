"""Record: many requests, the half-close, one response, OK (SendAndClose and CloseAndRecv)."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Client, Code, Point, Stream, verify

requirement = pytest.mark.grpcstream_requirement

SIZES = (27_182, 8, 1_828, 45_904)
"""The message sizes of the gRPC interop test client_streaming."""


@requirement("PAIR-1")
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_record_is_answered_exactly_once(grpcstream: Client, count: int) -> None:
    with grpcstream.record() as stream:
        for number in range(count):
            stream.send("pair", number)
        verify.only_answer(stream)


@requirement("PAIR-2", observed_by=("record",))
def test_record_is_not_answered_before_the_half_close(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.record() as stream:
        # Some hundred, since a server may take a number of requests for enough.
        stream.send_all(Point(name, number) for number, name in enumerate(("not yet", "", "not yet") * 150))
        verify.silence(stream, grpcstream_quiet, "the client has not half-closed")
        verify.only_answer(stream)


@requirement("PAIR-7", features=("echo",), observed_by=("record",))
def test_record_answers_for_every_request_up_to_the_half_close(grpcstream: Client) -> None:
    words = [str(place) * size for place, size in enumerate(SIZES)]
    with grpcstream.record() as stream:
        for word in words:
            stream.send(f"!echo {word}")
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "all four requests")


@requirement("PAIR-7", features=("echo",), observed_by=("record",))
def test_record_counts_requests_that_are_no_directives(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for name in ("plain", "!echo text", "plain too"):
            stream.send(name, 1)
        verify.same(stream, [verify.only_answer(stream)], [Point("plain,text,plain too", 3)], "all three requests")


def _answered_early(stream: Stream) -> None:
    """One response and OK arrive, although this side is not half-closed."""
    points = stream.collect()
    verify.ok(stream)
    verify.fail_unless(len(points) == 1, "exactly one response, then OK", f"{len(points)} responses, then OK", stream)


@requirement("PAIR-9", features=("finish",), observed_by=("record",))
@pytest.mark.parametrize("before", [0, 3])
def test_record_that_finishes_early_is_answered_without_the_half_close(grpcstream: Client, before: int) -> None:
    with grpcstream.record() as stream:
        for number in range(before):
            stream.send("before", number)
        stream.send("!finish")
        _answered_early(stream)


@requirement("PAIR-9", features=("finish",), observed_by=("record",))
def test_record_finishes_early_while_the_client_goes_on_sending(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        stream.send("!finish")
        for number in range(200):
            stream.send("late" * 50, number)
        _answered_early(stream)
    verify.unharmed(grpcstream, "after a Record that finished early")


@requirement("PAIR-11", features=("echo",), observed_by=("record",))
def test_a_record_knows_nothing_of_those_before(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.record() as abandoned:
        abandoned.send("!echo abandoned")
        verify.pause(grpcstream_quiet)
        abandoned.cancel()
    # More than one: the server may learn of the cancel only while the first of them is under way.
    for words in (["a", "b", "c"], ["d"], ["e"], ["f", "g"], ["h"]):
        with grpcstream.record() as stream:
            for word in words:
                stream.send(f"!echo {word}")
            verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "its own requests")


@requirement("PAIR-11", features=("echo", "abort"), observed_by=("record",))
def test_a_record_knows_nothing_of_those_that_failed(grpcstream: Client) -> None:
    for words in (["a"], ["b", "c", "d"]):
        with grpcstream.record() as failed:
            for word in words:
                failed.send(f"!echo {word}")
            failed.send("!abort 0 in the middle", Code.ABORTED)
            verify.status(failed, Code.ABORTED)
        _echoes_its_own(grpcstream)


def _echoes_its_own(client: Client) -> None:
    with client.record() as stream:
        stream.send("!echo fresh")
        verify.same(stream, [verify.only_answer(stream)], [Point("fresh", 1)], "its own request")
