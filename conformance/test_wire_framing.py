"""Framing of requests: where DATA frames begin and end says nothing, where messages end says all."""

from __future__ import annotations

import pytest

from pytest_grpcstream import STREAM_SERVICE, Code, Deviation, OperationTimeout, Point, verify
from pytest_grpcstream.clients.wire import (
    Chunking,
    Headers,
    Origin,
    SettingCode,
    WireClient,
    WireStream,
    chunking,
    framed,
)

requirement = pytest.mark.grpcstream_requirement

CUTS: dict[str, Chunking] = {
    "one byte each": chunking.every(1),
    "seven bytes each": chunking.every(7),
    "all in one": chunking.joined,
    "prefixes alone": chunking.prefix_alone,
    "prefixes split": chunking.prefix_split,
    "end and next prefix together": chunking.straddling,
}
CROWD = 32
"""Calls that begin in one write; fewer where the server allows fewer."""
TURNS = 3
THREE = (Point("first", 1), Point("second " * 5, 2), Point("", 3))

# Both are the client's fault told by the server; which code it is the specification leaves open.
FRAMING_ERRORS = (Code.UNKNOWN, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED, Code.CANCELLED, Code.UNAVAILABLE)


@requirement("ORD-5", observed_by=("route",))
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_route_reads_messages_however_they_are_cut(grpcstream_wire: WireClient, cut: Chunking) -> None:
    with grpcstream_wire.route(greeting=False) as stream:
        stream.send_together(THREE, cut)
        stream.close_send()
        for _ in range(len(THREE) + grpcstream_wire.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("ORD-5", features=("echo",), observed_by=("record",))
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_record_reads_messages_however_they_are_cut(grpcstream_wire: WireClient, cut: Chunking) -> None:
    texts = ["first", "second " * 5, ""]
    with grpcstream_wire.record() as stream:
        stream.send_together([Point(f"!echo {text}", 1) for text in texts], cut)
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(texts), 3)], "all three requests")


@requirement("ORD-7", features=("echo",), observed_by=("record",))
def test_parts_of_messages_of_two_calls_never_mix(grpcstream_wire: WireClient) -> None:
    texts = ["a" * 50, "b" * 60]
    messages = [framed(Point(f"!echo {text}", 1)) for text in texts]
    streams = [grpcstream_wire.open("Record") for _ in messages]
    for start, end in ((0, 3), (3, 20), (20, None)):
        for stream, message in zip(streams, messages, strict=True):
            stream.data(message[start:end])
    for stream, text in zip(streams, texts, strict=True):
        verify.same(stream, [verify.only_answer(stream)], [Point(text, 1)], "its own request")


def crowd(client: WireClient) -> range:
    """The numbers of calls that are begun in one write."""
    limit = client.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, CROWD)
    return range(min(limit, CROWD))


@requirement("ORD-7", observed_by=("list",))
def test_lists_that_begin_at_the_same_moment_never_mix(grpcstream_wire: WireClient) -> None:
    # Where a handler keeps its request in a place that it shares, only calls that run side by side can show it.
    for turn in range(TURNS):
        points = [Point(f"list {number}.{turn}", number * 1_000_003) for number in crowd(grpcstream_wire)]
        with grpcstream_wire.connect().corked():
            streams = [grpcstream_wire.list(point) for point in points]
        for stream, point in zip(streams, points, strict=True):
            with stream:
                verify.list_answer(stream, point)


@requirement("ORD-7", features=("echo",), observed_by=("route",))
def test_routes_that_run_in_step_never_mix(grpcstream_wire: WireClient) -> None:
    for turn in range(TURNS):
        numbers = crowd(grpcstream_wire)
        points = [[Point(f"route {number}.{turn}", step) for step in range(3)] for number in numbers]
        with grpcstream_wire.connect().corked():
            streams = [grpcstream_wire.route(greeting=False) for _ in numbers]
            for step in range(3):
                for stream, own in zip(streams, points, strict=True):
                    stream.send(f"!echo {own[step].name}", step)
            for stream in streams:
                stream.close_send()
        for stream, own in zip(streams, points, strict=True):
            with stream:
                for _ in range(grpcstream_wire.greetings):
                    verify.answer(stream)
                verify.echoes(stream, own)
                verify.eof(stream)


@requirement("EOF-2", observed_by=("record",))
def test_end_stream_on_the_last_message_is_the_half_close(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("before", 1)
        stream.send_last("last", 2)
        verify.only_answer(stream)


@requirement("EOF-2", features=("echo",), observed_by=("record",))
def test_the_message_that_shares_its_frame_with_the_half_close_counts(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send("!echo before")
        stream.send_last("!echo last")
        verify.same(stream, [verify.only_answer(stream)], [Point("before,last", 2)], "both requests")


@requirement("EOF-3", observed_by=("route",))
def test_an_empty_frame_with_end_stream_is_the_half_close_and_no_message(grpcstream_wire: WireClient) -> None:
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
            raise Deviation("the answer, or an error of this stream", f"the connection ended: {stream.ended}", stream)
    verify.serves(grpcstream_wire, "after request trailers")


def _no_error(stream: WireStream) -> None:
    """An error is a warning, since nothing is lost without a word; a wrong answer with OK is a failure."""
    ended = stream.await_end()
    if not ended.status.ok:
        raise Deviation("empty DATA frames ignored", f"the RPC ended with {ended}", stream)


@requirement("EOF-11", observed_by=("route",))
@pytest.mark.parametrize("first", ["at once", "after a while"])
def test_empty_frames_between_messages_are_nothing(
    grpcstream_wire: WireClient, grpcstream_quiet: float, first: str
) -> None:
    with grpcstream_wire.route(greeting=False) as stream:
        stream.data(b"")
        if first == "after a while":
            verify.pause(grpcstream_quiet)
        stream.send_together(THREE, chunking.spaced())
        stream.data(b"")
        stream.close_send()
        _no_error(stream)
        for _ in range(len(THREE) + grpcstream_wire.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("EOF-11", features=("echo",), observed_by=("record",))
def test_empty_frames_in_a_record_are_nothing(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        stream.send_together([Point(f"!echo {text}", 1) for text in "abc"], chunking.spaced(chunking.every(3)))
        stream.close_send()
        _no_error(stream)
        verify.same(stream, [verify.only_answer(stream)], [Point("a,b,c", 3)], "all three requests")


TRUNCATED = {
    "in the prefix": framed(Point("whole", 1)) + framed(Point("cut", 2))[:3],
    "behind the prefix": framed(Point("whole", 1)) + framed(Point("cut", 2))[:5],
    "in the message": framed(Point("whole", 1)) + framed(Point("cut", 2))[:8],
}


def _not_ok(stream: WireStream) -> None:
    verify.status(stream, Code.INTERNAL, allowed=FRAMING_ERRORS)


@requirement("EOF-9")
@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED)
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_request_that_ends_in_the_middle_of_a_message_is_an_error(
    grpcstream_wire: WireClient, method: str, data: bytes
) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.write(data, end_stream=True)
        _not_ok(stream)
    with grpcstream_wire.open(method) as later:
        later.write(data)
        later.close_send()
        _not_ok(later)
    verify.serves(grpcstream_wire.fresh(), "after a truncated request")


def _refused_for_its_number(stream: WireStream) -> None:
    verify.status(stream, Code.UNIMPLEMENTED, allowed=(Code.INTERNAL, Code.UNKNOWN), tolerated=_OTHERS)


_OTHERS: dict[Code, str] = {
    code: "an error, but one of UNIMPLEMENTED, INTERNAL and UNKNOWN is usual"
    for code in Code
    if code not in (Code.OK, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNKNOWN)
}


@requirement("CARD-1")
def test_a_list_without_a_request_is_an_error(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("List") as stream:
        stream.close_send()
        try:
            stream.end()
        except OperationTimeout as error:
            # No gRPC client sends this, so that nobody waits for the answer but this test.
            raise Deviation("an error", error.actual, stream) from error
        _refused_for_its_number(stream)


@requirement("CARD-2", observed_by=("list",))
@pytest.mark.parametrize("cut", [chunking.one_each, chunking.joined], ids=["two frames", "one frame"])
def test_a_list_with_two_requests_is_an_error(grpcstream_wire: WireClient, cut: Chunking) -> None:
    with grpcstream_wire.open("List") as stream:
        stream.send_together([Point("first", 1), Point("second", 50)], cut, end_stream=True)
        points = stream.collect()
        if stream.status is not None and stream.status.ok:
            verify.same(
                stream,
                points,
                STREAM_SERVICE.list_responses(Point("first", 1), len(points)),
                "responses to the first request",
            )
            raise Deviation("an error", "OK, and the second request ignored", stream)
        _refused_for_its_number(stream)


@requirement("HALF-6", features=("echo",), observed_by=("record",))
def test_a_message_after_the_half_close_is_not_delivered(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        with grpcstream_wire.connection.corked():
            stream.send_last("!echo in time")
            stream.data(framed(Point("!echo too late", 1)))
        try:
            points = stream.collect()
        except OperationTimeout:
            # RFC 9113 section 5.4.1: the server may make it an error of the whole connection.
            verify.precondition(bool(grpcstream_wire.connection.goaways), "an answer or GOAWAY", "neither came", stream)
        else:
            if stream.status is not None and stream.status.ok:
                verify.same(stream, points, [Point("in time", 1)], "the answer to the request in time")
    verify.serves(grpcstream_wire.fresh(), "after a message behind the half-close")
