"""Record: many requests, the half-close, one response, OK (SendAndClose and CloseAndRecv)."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Client, Code, Point, Stream, StreamError, verify
from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.verify.completion import SIZES, WINDOWS, SizeLimits, Window, with_window

requirement = pytest.mark.grpcstream_requirement

INTEROP_SIZES = (27_182, 8, 1_828, 45_904)
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
        # Several hundred requests, because a server may respond after some fixed number of them.
        stream.send_all(Point(name, number) for number, name in enumerate(("not yet", "", "not yet") * 150))
        verify.silence(stream, grpcstream_quiet, "the client has not half-closed")
        verify.only_answer(stream)


@requirement("PAIR-7", features=("echo",), observed_by=("record",))
def test_record_answers_for_every_request_up_to_the_half_close(grpcstream: Client) -> None:
    words = [str(place) * size for place, size in enumerate(INTEROP_SIZES)]
    with grpcstream.record() as stream:
        for word in words:
            stream.send(f"!echo {word}")
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "all four requests")


@requirement("PAIR-7", features=("echo",), observed_by=("record",))
def test_record_counts_requests_that_are_not_directives(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for name in ("plain", "!echo text", "plain too"):
            stream.send(name, 1)
        verify.same(stream, [verify.only_answer(stream)], [Point("plain,text,plain too", 3)], "all three requests")


# An early end -----------------------------------------------------------------------------------------------------


def expect_one_response(stream: Stream) -> None:
    """One response and OK arrive. This does not half-close the stream."""
    points = stream.collect()
    verify.ok(stream)
    verify.fail_unless(len(points) == 1, "exactly one response, then OK", f"{len(points)} responses, then OK", stream)


@requirement("PAIR-9", features=("finish",), observed_by=("record",))
@pytest.mark.parametrize("before", [0, 3])
def test_record_can_finish_before_the_half_close(grpcstream: Client, before: int) -> None:
    with grpcstream.record() as stream:
        for number in range(before):
            stream.send("before", number)
        stream.send("!finish")
        expect_one_response(stream)


@requirement("PAIR-9", features=("finish",), observed_by=("record",))
def test_record_can_finish_while_the_client_keeps_sending(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        stream.send("!finish")
        for number in range(200):
            stream.send("late" * 50, number)
        expect_one_response(stream)
    verify.unharmed(grpcstream, "after a Record that finished early")


@requirement("PAIR-13", features=("finish",))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_stream_that_ended_early_is_reset_without_error(
    grpcstream_wire: WireClient, method: str, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send("!finish")
        verify.status(stream)
        code = stream.await_reset(grpcstream_quiet)
        got = "no RST_STREAM" if code is None else f"RST_STREAM with error code {code}"
        verify.fail_unless(
            code == 0, "RST_STREAM(NO_ERROR) after a complete response without a half-close", got, stream
        )


@requirement("PAIR-10", features=("finish",))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_requests_after_an_early_end_are_discarded(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send("!finish")
        verify.status(stream)
        for _ in range(10):
            stream.data(b"\x00" * 1000)
    verify.serves(grpcstream_wire, "after DATA on a stream that the server had ended")
    verify.fail_unless(
        len(grpcstream_wire.connections) == 1,
        "the connection stays open after DATA on a stream that the server had ended",
        f"the connection ended: {grpcstream_wire.connections[0].closed or 'GOAWAY'}",
        stream,
    )


@requirement("PAIR-14", features=("finish", "echo"), observed_by=("record",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("early", [False, True], ids=["after the half-close", "before it"])
def test_a_record_loses_nothing_at_its_end(grpcstream_wire: WireClient, window: Window, early: bool) -> None:
    wrong, limits = list[str](), SizeLimits()
    for size_name, size in SIZES.items():
        with with_window(grpcstream_wire, window) as client, client.open("Record") as stream:
            stream.send(f"!echo {'m' * size}")
            if early:
                stream.send("!finish")
            else:
                stream.close_send()
            window(stream)
            try:
                got = stream.collect()
            except StreamError as error:
                wrong.append(f"{size_name}: {error.expected}, but {error.actual}")
                continue
            if limits.refuse(size_name, stream):
                continue
            whole = len(got) == 1 and got[0] is not None and (early or got[0] == Point("m" * size, 1))
            ended = stream.ended
            if not whole or ended is None or ended.server_status is None or not ended.server_status.ok:
                wrong.append(
                    f"{size_name}: {len(got)} responses{'' if whole else ' (expected one complete response)'}, {ended}"
                )
    verify.no_findings(wrong, "one complete response, then OK from the server", stream)
    limits.warn()


# One Record after another -----------------------------------------------------------------------------------------


@requirement("PAIR-11", features=("echo",), observed_by=("record",))
def test_a_record_shares_no_state_with_cancelled_ones(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.record() as cancelled:
        cancelled.send("!echo abandoned")
        verify.pause(grpcstream_quiet)
        cancelled.cancel()
    # Several calls, because the server may process the cancel only during the first one.
    for words in (["a", "b", "c"], ["d"], ["e"], ["f", "g"], ["h"]):
        with grpcstream.record() as stream:
            for word in words:
                stream.send(f"!echo {word}")
            verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "its own requests")


@requirement("PAIR-11", features=("echo", "abort"), observed_by=("record",))
def test_a_record_shares_no_state_with_failed_ones(grpcstream: Client) -> None:
    for words in (["a"], ["b", "c", "d"]):
        with grpcstream.record() as failed:
            for word in words:
                failed.send(f"!echo {word}")
            failed.send("!abort 0 in the middle", Code.ABORTED)
            verify.status(failed, Code.ABORTED)
        with grpcstream.record() as stream:
            stream.send("!echo fresh")
            verify.same(stream, [verify.only_answer(stream)], [Point("fresh", 1)], "its own request")
