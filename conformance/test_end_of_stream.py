"""End of stream: each side's end is seen by the other, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from pytest_grpcstream import EOF, Client, Deviation, Point, verify

requirement = pytest.mark.grpcstream_requirement


@requirement("EOF-1")
def test_list_ends_with_ok_after_its_last_response(grpcstream: Client) -> None:
    with grpcstream.list("end", 1) as stream:
        count = sum(1 for _ in stream)
        verify.fail_unless(count >= 1, "at least one response", "none, then OK", stream)
        verify.fail_unless(stream.recv() is EOF, "the end of the stream for good", "something after it", stream)


@requirement("EOF-17", features=("finish",))
def test_a_list_that_finishes_early_has_no_responses(grpcstream: Client) -> None:
    with grpcstream.list("!finish", 3) as stream:
        verify.responses(stream, [], "no responses")


@requirement("EOF-5", observed_by=("duplex",))
def test_a_pause_does_not_end_a_route(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.route() as stream:
        stream.send("before the pause", 1)
        verify.answer(stream)
        verify.silence(stream, grpcstream_quiet, "the client only pauses")
        stream.send("after the pause", 2)
        verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("EOF-5", features=("echo",), observed_by=("record",))
def test_a_pause_does_not_end_a_record(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.record() as stream:
        stream.send("!echo before")
        verify.silence(stream, grpcstream_quiet, "the client only pauses")
        stream.send("!echo after")
        verify.same(stream, [verify.only_answer(stream)], [Point("before,after", 2)], "both requests")


@requirement("EOF-13")
def test_a_route_without_requests_ends_with_ok(grpcstream: Client) -> None:
    with grpcstream.route(greeting=False) as stream:
        stream.close_send()
        for _ in range(grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("EOF-14")
def test_a_record_without_requests_is_answered(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        stream.close_send()
        points = stream.collect()
        if stream.status is not None and not stream.status.ok:
            raise Deviation("one response, then OK", f"an error in its place: {stream.status}", stream)
        verify.fail_unless(
            len(points) == 1, "exactly one response, then OK", f"{len(points)} responses, then OK", stream
        )
