"""Message sizes: a message of any size arrives complete, or is refused for its size."""

from __future__ import annotations

import contextlib
import functools

import pytest

from pytest_grpcstream import (
    STREAM_SERVICE,
    Client,
    Code,
    Connect,
    Deviation,
    NotApplicable,
    Point,
    Status,
    StatusError,
    verify,
)
from pytest_grpcstream.clients.wire import ErrorCode, Origin, WireClient, chunking, framed
from pytest_grpcstream.verify.wire import Outcome, await_outcome, describe, encode_request_of, expect_refusal

requirement = pytest.mark.grpcstream_requirement

MIB = 1 << 20
AROUND = (16_377, 16_384, 16_391, 65_528, 65_535, 65_543, 200_000)
"""Sizes around an HTTP/2 frame (16384) and a default window (65535), and one of several windows."""
USUAL_LIMIT = 4 * MIB
"""The largest message that gRPC libraries accept by default."""
OVER = 5 * MIB
FRAME = 16_384
"""Bytes per DATA frame of a large message, so that the server reads the first frames while the rest is sent."""

# statuscodes.md specifies RESOURCE_EXHAUSTED. Some stacks refuse with another code.
OTHER_LIMITS = {
    Code.OUT_OF_RANGE: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.INVALID_ARGUMENT: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.INTERNAL: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.UNKNOWN: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.CANCELLED: "the call was cut off, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.UNAVAILABLE: "the connection was cut off, but a message over the limit is RESOURCE_EXHAUSTED",
}


@functools.cache
def text_of(size: int) -> str:
    """A text of this many characters in which a missing or misplaced part shows."""
    return "".join(f"{place:-<63d}|" for place in range(0, size, 64))[:size]


# Around frames and windows ----------------------------------------------------------------------------------------


@requirement("SIZE-9", features=("echo",), observed_by=("duplex",))
def test_route_echoes_messages_around_frame_and_window_sizes(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for size in AROUND:
            stream.send(f"!echo {text_of(size)}", size)
            verify.echoes(stream, [Point(text_of(size), size)])
        stream.close_send()
        verify.eof(stream)


@requirement("SIZE-9", features=("echo",), observed_by=("record",))
def test_record_joins_messages_around_frame_and_window_sizes(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for size in AROUND:
            stream.send(f"!echo {text_of(size)}", size)
        expected = Point(",".join(text_of(size) for size in AROUND), len(AROUND))
        verify.same(stream, [verify.only_answer(stream)], [expected], "all requests complete")


@requirement("SIZE-9", observed_by=("list",))
@pytest.mark.parametrize("size", [16_384, 65_535])
def test_list_returns_names_around_frame_and_window_sizes(grpcstream: Client, size: int) -> None:
    point = Point(text_of(size), size)
    with grpcstream.list(point) as stream:
        verify.list_answer(stream, point)


# Large messages ---------------------------------------------------------------------------------------------------


def smaller_limit(status: Status | None) -> Deviation:
    """The deviation of a server that refuses a message of 1 MiB for its size."""
    return Deviation("1 MiB accepted", f"{status}: the target has a smaller limit")


@requirement("SIZE-5", observed_by=("record", "duplex"))
def test_record_and_route_accept_messages_of_one_mebibyte(grpcstream: Client) -> None:
    text = text_of(MIB)
    with grpcstream.record() as record:
        record.send(text, 1)
        record.close_send()
        points = record.collect()
        if record.status is not None and record.status.code == Code.RESOURCE_EXHAUSTED:
            raise smaller_limit(record.status)
        verify.ok(record)
        verify.fail_unless(len(points) == 1, "one response", str(len(points)), record)
    with grpcstream.route() as route:
        route.send(text, 1)
        verify.answer(route)
        route.close_send()
        verify.eof(route)


def echoes_completely(client: Client, method: str, text: str) -> Status | None:
    """The server echoes a text completely. Return None, or the status if the server refuses the text for its size."""
    with client.open(method) as stream:
        stream.send(f"!echo {text}", 1)
        stream.close_send()
        points = stream.collect()
        if stream.status is not None and stream.status.code == Code.RESOURCE_EXHAUSTED:
            return stream.status
        verify.same(stream, [STREAM_SERVICE.strip_echo(point) for point in points], [Point(text, 1)], "the echo")
        verify.ok(stream)
    return None


@requirement("SIZE-5", features=("echo",), observed_by=("record", "duplex"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_messages_of_one_mebibyte_are_echoed_completely(grpcstream: Client, method: str) -> None:
    refusal = echoes_completely(grpcstream, method, text_of(MIB))
    if refusal is not None:
        raise smaller_limit(refusal)


@requirement("SIZE-5", features=("repeat",), observed_by=("list",))
def test_list_sends_messages_of_one_mebibyte(grpcstream: Client) -> None:
    point = Point(f"!repeat 2 {text_of(MIB)}", 1)
    with grpcstream.list(point) as stream:
        points = stream.collect()
        if stream.status is not None and stream.status.code == Code.RESOURCE_EXHAUSTED:
            raise smaller_limit(stream.status)
        verify.same(stream, points, STREAM_SERVICE.list_responses(point, 2), "the responses")
        verify.ok(stream)


@requirement("SIZE-5", features=("echo",), observed_by=("record", "duplex"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_messages_near_the_usual_limit_are_echoed_completely(grpcstream: Client, method: str) -> None:
    if echoes_completely(grpcstream, method, text_of(MIB * 7 // 2)) is not None:
        raise NotApplicable("the target refuses messages of 3.5 MiB")


@requirement("SIZE-7", observed_by=("record",))
def test_the_limit_applies_to_each_message(grpcstream: Client) -> None:
    text = text_of(2 * MIB)
    with grpcstream.record() as first:
        first.send(text, 1)
        first.close_send()
        if first.end().code == Code.RESOURCE_EXHAUSTED:
            raise NotApplicable("the target refuses a single message of 2 MiB")
        verify.ok(first)
    with grpcstream.record() as stream:
        for number in range(4):
            stream.send(text, number)
        verify.only_answer(stream)


@requirement("SIZE-8", features=("echo",), observed_by=("record",))
def test_a_response_above_4_mib_is_complete_or_refused(grpcstream_wire: WireClient) -> None:
    texts = [letter * (2 * MIB) for letter in "abc"]
    with grpcstream_wire.open("Record") as stream:
        for text in texts:
            stream.send_together([Point(f"!echo {text}", 1)], chunking.every(FRAME))
        stream.close_send()
        points = stream.collect()
        ended = stream.ended
        if ended is not None and ended.origin in (Origin.TRAILERS, Origin.TRAILERS_ONLY) and not ended.status.ok:
            verify.status(stream, Code.RESOURCE_EXHAUSTED)
        else:
            verify.ok(stream)
            verify.same(stream, points, [Point(",".join(texts), 3)], "a response of 6 MiB")
    verify.serves(grpcstream_wire, "after a response of 6 MiB")


# Over the limit ---------------------------------------------------------------------------------------------------


@requirement("SIZE-2")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_message_of_five_mebibytes_is_processed_or_refused(
    grpcstream: Client, grpcstream_connect: Connect, method: str
) -> None:
    # A List sends its name back at least once. With `repeat` it can be asked to send it only once.
    name = text_of(5 * MIB)
    if method == "List" and grpcstream.has("repeat"):
        name = f"!repeat 1 {name}"
    with grpcstream.open(method) as stream:
        stream.send(name, 1)
        stream.close_send()
        first = None
        with contextlib.suppress(StatusError):
            first = stream.recv()
        status = stream.end()
        verify.serves(grpcstream_connect(), "after a message of 5 MiB")
        if status.ok:
            complete = method != "List" or first == Point(name, 1)
            verify.fail_unless(complete, "the message processed completely", "a response of other content", stream)
        else:
            verify.status(stream, Code.RESOURCE_EXHAUSTED, tolerated=OTHER_LIMITS)


@requirement("SIZE-2", observed_by=("duplex",))
def test_route_answers_the_requests_before_an_oversize_message(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for number in range(2):
            stream.send("before", number)
            verify.answer(stream)
        stream.send(text_of(5 * MIB), 1)
        stream.close_send()
        verify.status(stream, Code.RESOURCE_EXHAUSTED, allowed=(Code.OK,), tolerated=OTHER_LIMITS)
        if stream.status is not None and stream.status.ok:
            count = stream.received - grpcstream.greetings
            verify.fail_unless(count == 3, "3 answers and OK", f"{count} answers and OK", stream)


def accepts(client: WireClient, size: int) -> bool:
    """Whether a Record accepts a message of this size. If it does not, the server must refuse it."""
    with client.fresh() as own, own.open("Record") as stream:
        stream.send_together([encode_request_of(size)], chunking.every(FRAME), end_stream=True)
        if await_outcome(stream) is Outcome.SERVED:
            return True
        expect_refusal(stream, f"RESOURCE_EXHAUSTED, or OK, for a message of {size} bytes")
        return False


@requirement("SIZE-1", observed_by=("record",))
def test_a_message_of_exactly_the_limit_is_accepted(grpcstream_wire: WireClient) -> None:
    if accepts(grpcstream_wire, USUAL_LIMIT + 1):
        raise NotApplicable(f"the limit of the target is not {USUAL_LIMIT} bytes: it accepts one more")
    if accepts(grpcstream_wire, USUAL_LIMIT):
        return
    if not accepts(grpcstream_wire, USUAL_LIMIT - 8):
        raise NotApplicable(f"the limit of the target is not {USUAL_LIMIT} bytes: it does not accept 8 less")
    raise Deviation(
        f"a message of {USUAL_LIMIT} bytes accepted, like one of {USUAL_LIMIT - 8} bytes",
        "the server counts the prefix or one byte too many",
    )


@requirement("SIZE-3", observed_by=("record",))
def test_a_message_over_the_limit_is_refused_by_its_prefix(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.open("Record") as stream:
        stream.write(framed(b"", length=OVER))
        if await_outcome(stream, grpcstream_quiet * 4) is Outcome.NOTHING and accepts(grpcstream_wire, OVER):
            raise NotApplicable(f"the target has no limit below {OVER} bytes")
        if await_outcome(stream) is Outcome.NOTHING:
            raise Deviation(f"an error for a prefix that announces {OVER} bytes", describe(stream), stream)
        expect_refusal(stream, "RESOURCE_EXHAUSTED")
    verify.serves(grpcstream_wire.fresh(), f"after a prefix that announces {OVER} bytes")


@requirement("SIZE-4")
def test_a_prefix_that_announces_4_gib_does_not_crash_the_server(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    for length in (2**32 - 1, 2**31):
        with grpcstream_wire.fresh() as client, client.open("Record") as stream:
            stream.write(framed(b"and some bytes", length=length))
            await_outcome(stream, grpcstream_quiet)
            stream.reset(ErrorCode.CANCEL)
            verify.serves(client, f"after a prefix that announces {length} bytes")
    verify.serves(grpcstream_wire, "after prefixes that announce more bytes than follow")
