"""End of stream: each side sees when the other has finished, and treats nothing else as the end."""

from __future__ import annotations

import pytest

from pytest_grpcstream import EOF, STREAM_SERVICE, Client, Code, Deviation, Point, Status, verify
from pytest_grpcstream.clients.wire import ErrorCode, Headers, Origin, Rule, WireClient, WireStream, chunking, framed
from pytest_grpcstream.verify.completion import SIZES, WINDOWS, SizeLimits, Window, describe_losses, with_window
from pytest_grpcstream.verify.violations import get_responses, make_calls, no_violations

requirement = pytest.mark.grpcstream_requirement

OK = Status(Code.OK)
ABORTED = Status(Code.ABORTED, "by the server")
COUNT = 3
"""Responses of a call; all of them must arrive before its end."""
THREE = (Point("first", 1), Point("second " * 5, 2), Point("", 3))
FRAMING_ERRORS = (Code.UNKNOWN, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED, Code.CANCELLED, Code.UNAVAILABLE)
"""Codes accepted besides INTERNAL for a truncated message, because the specification does not name one."""
TRUNCATED = {
    "in the prefix": framed(Point("whole", 1)) + framed(Point("cut", 2))[:3],
    "behind the prefix": framed(Point("whole", 1)) + framed(Point("cut", 2))[:5],
    "in the message": framed(Point("whole", 1)) + framed(Point("cut", 2))[:8],
}

# The end of the requests ------------------------------------------------------------------------------------------


@requirement("EOF-5", observed_by=("duplex",))
def test_a_pause_does_not_end_a_route(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.route() as stream:
        stream.send("before the pause", 1)
        verify.answer(stream)
        verify.silence(stream, grpcstream_quiet, "the client pauses without half-closing")
        stream.send("after the pause", 2)
        verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("EOF-5", features=("echo",), observed_by=("record",))
def test_a_pause_does_not_end_a_record(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.record() as stream:
        stream.send("!echo before")
        verify.silence(stream, grpcstream_quiet, "the client pauses without half-closing")
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
            raise Deviation("one response, then OK", f"the RPC ended with {stream.status}", stream)
        verify.fail_unless(
            len(points) == 1, "exactly one response, then OK", f"{len(points)} responses, then OK", stream
        )


@requirement("EOF-2", observed_by=("record",))
def test_end_stream_on_the_last_message_is_the_half_close(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("before", 1)
        stream.send_last("last", 2)
        verify.only_answer(stream)


@requirement("EOF-2", features=("echo",), observed_by=("record",))
def test_a_message_with_end_stream_is_delivered(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("!echo before")
        stream.send_last("!echo last")
        verify.same(stream, [verify.only_answer(stream)], [Point("before,last", 2)], "both requests")


@requirement("EOF-3", observed_by=("route",))
def test_an_empty_frame_with_end_stream_ends_a_route(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.route(greeting=False) as stream:
        for number in range(2):
            stream.send("message", number)
        stream.close_send()
        for _ in range(2 + grpcstream_wire.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("EOF-3", observed_by=("record",))
def test_an_empty_frame_with_end_stream_ends_a_record(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("message", 1)
        stream.close_send()
        verify.only_answer(stream)


@requirement("EOF-4")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_headers_with_end_stream_are_a_request_without_messages(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method, end_stream=True, greeting=False) as stream:
        stream.end()


@requirement("EOF-10", observed_by=("record",))
def test_request_trailers_end_the_request(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("message", 1)
        stream.close_send_by_trailers(Headers([("x-trailer", "1")]))
        stream.end()
        if stream.origin in (Origin.CONNECTION_CLOSED, Origin.GOAWAY):
            raise Deviation(
                "a response or an error on this stream only", f"the connection ended: {stream.ended}", stream
            )
    verify.serves(grpcstream_wire, "after request trailers")


@requirement("EOF-8", features=("watch",))
@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.NO_ERROR], ids=["CANCEL", "NO_ERROR"])
def test_reset_is_not_treated_as_half_close(grpcstream_wire: WireClient, grpcstream_quiet: float, code: int) -> None:
    def reset_record(pause: float) -> None:
        token = verify.new_token()
        with grpcstream_wire.open("Record") as stream:
            stream.send(f"!watch {token}")
            verify.pause(pause)
            stream.reset(code)
            verify.await_cancellation(grpcstream_wire, token, stream, "a reset of a Record before its half-close")

    verify.retry_with_longer_pauses(reset_record, grpcstream_quiet)


# What is not an end -----------------------------------------------------------------------------------------------


def expect_ok(stream: WireStream) -> None:
    """The RPC ends with OK. An error is only a warning: the client sees it, so no message is lost silently."""
    ended = stream.await_end()
    if not ended.status.ok:
        raise Deviation("empty DATA frames ignored", f"the RPC ended with {ended}", stream)


@requirement("EOF-11", observed_by=("route",))
@pytest.mark.parametrize("first", ["at once", "after a while"])
def test_empty_frames_between_messages_are_ignored(
    grpcstream_wire: WireClient, grpcstream_quiet: float, first: str
) -> None:
    with grpcstream_wire.route(greeting=False) as stream:
        stream.data(b"")
        if first == "after a while":
            verify.pause(grpcstream_quiet)
        stream.send_together(THREE, chunking.spaced())
        stream.data(b"")
        stream.close_send()
        expect_ok(stream)
        for _ in range(len(THREE) + grpcstream_wire.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("EOF-11", features=("echo",), observed_by=("record",))
def test_empty_frames_in_a_record_are_ignored(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send_together([Point(f"!echo {text}", 1) for text in "abc"], chunking.spaced(chunking.every(3)))
        stream.close_send()
        expect_ok(stream)
        verify.same(stream, [verify.only_answer(stream)], [Point("a,b,c", 3)], "all three requests")


@requirement("EOF-9")
@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED)
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_request_that_ends_in_the_middle_of_a_message_is_an_error(
    grpcstream_wire: WireClient, method: str, data: bytes
) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.write(data, end_stream=True)
        verify.status(stream, Code.INTERNAL, allowed=FRAMING_ERRORS)
    with grpcstream_wire.open(method) as later:
        later.write(data)
        later.close_send()
        verify.status(later, Code.INTERNAL, allowed=FRAMING_ERRORS)
    verify.serves(grpcstream_wire.fresh(), "after a truncated request")


# The end of the responses -----------------------------------------------------------------------------------------


@requirement("EOF-1")
def test_list_ends_with_ok_after_its_last_response(grpcstream: Client) -> None:
    with grpcstream.list("end", 1) as stream:
        count = sum(1 for _ in stream)
        verify.fail_unless(count >= 1, "at least one response", "none, then OK", stream)
        verify.fail_unless(stream.recv() is EOF, "nothing after the end of the stream", "another response", stream)


@requirement("EOF-17", features=("finish",))
def test_a_list_that_finishes_at_once_has_no_responses(grpcstream: Client) -> None:
    with grpcstream.list("!finish", 3) as stream:
        verify.responses(stream, [], "no responses")


@requirement("EOF-7")
def test_every_response_ends_with_trailers_that_have_a_status(grpcstream_wire: WireClient) -> None:
    calls = make_calls(grpcstream_wire)
    no_violations(grpcstream_wire, calls, Rule.END_STREAM_ON_DATA, Rule.NO_STATUS)
    for stream in calls:
        ended = stream.ended
        good = ended is not None and ended.origin in (Origin.TRAILERS, Origin.TRAILERS_ONLY)
        seen = f"no end within {stream.timeout:g} s" if ended is None else str(ended)
        verify.fail_unless(good, "trailers from the server at the end of the stream", seen, stream)


@requirement("EOF-6")
def test_the_server_sends_nothing_after_the_end_of_a_response(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    responses = get_responses(grpcstream_wire)
    grpcstream_wire.connection.watch(grpcstream_quiet)
    no_violations(grpcstream_wire, responses, Rule.AFTER_END_STREAM, Rule.AFTER_RST_STREAM)


@requirement("EOF-15")
def test_a_response_begins_with_one_block_of_headers(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(
        grpcstream_wire,
        responses,
        Rule.DATA_BEFORE_HEADERS,
        Rule.NO_HTTP_STATUS,
        Rule.SECOND_HEADERS,
        Rule.PSEUDO_FIELD,
    )


@requirement("EOF-16", features=("repeat", "abort"), observed_by=("list",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("status", [OK, ABORTED], ids=["OK", "an error"])
def test_a_list_loses_nothing_at_its_end(grpcstream_wire: WireClient, window: Window, status: Status) -> None:
    wrong, limits = list[str](), SizeLimits()
    for size_name, size in SIZES.items():
        # !abort also sends its text as the status message, which must stay small: send more responses instead.
        count = COUNT if status.ok else max(COUNT, min(size // 40, 1700))
        name = f"!repeat {COUNT} {'m' * size}" if status.ok else f"!abort {count} {status.message}"
        point = Point(name, Code.ABORTED)
        expected = STREAM_SERVICE.list_responses(point if status.ok else point._replace(value=0), count)
        with with_window(grpcstream_wire, window) as client, client.open("List") as stream:
            stream.send_last(point)
            window(stream)
            found = list(describe_losses(stream, expected, status))
            if not limits.refuse(size_name, stream):
                wrong += [f"{size_name}: {one}" for one in found]
    verify.no_findings(wrong, f"all responses and the server's {status}", stream)
    limits.warn()
