"""Message sizes: messages arrive whole whatever their size, or are refused for it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

import pytest

from pytest_grpcstream import Client, Code, Deviation, NotApplicable, Point, Status, StatusError, verify
from pytest_grpcstream.targets.probing import Capabilities

requirement = pytest.mark.grpcstream_requirement

KIB, MIB = 1024, 1024 * 1024
AROUND = (16_377, 16_384, 16_391, 65_528, 65_535, 65_543, 200_000)
"""Sizes around an HTTP/2 frame (16384) and a default window (65535), and one over several windows."""

# statuscodes.md names RESOURCE_EXHAUSTED; these stacks refuse too, each in its own word.
OTHER_LIMITS = {
    Code.OUT_OF_RANGE: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.INVALID_ARGUMENT: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.INTERNAL: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.UNKNOWN: "a refusal, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.CANCELLED: "the call was cut, but a message over the limit is RESOURCE_EXHAUSTED",
    Code.UNAVAILABLE: "the connection was cut, but a message over the limit is RESOURCE_EXHAUSTED",
}


@functools.cache
def sized(size: int) -> str:
    """A text of that many characters in which a missing or moved part shows."""
    return "".join(f"{place:-<63d}|" for place in range(0, size, 64))[:size]


@requirement("SIZE-9", needs=("echo", "duplex"))
def test_route_echoes_messages_around_frame_and_window_sizes(
    grpcstream: Client, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.route() as stream:
        verify.greeting(stream, grpcstream_capabilities)
        for size in AROUND:
            stream.send(f"!echo {sized(size)}", size)
            verify.echoes(stream, [Point(sized(size), size)])
        stream.close_send()
        verify.eof(stream)


@requirement("SIZE-9", needs=("echo", "record"))
def test_record_joins_messages_around_frame_and_window_sizes(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for size in AROUND:
            stream.send(f"!echo {sized(size)}", size)
        expected = Point(",".join(sized(size) for size in AROUND), len(AROUND))
        verify.same(stream, [verify.only_answer(stream)], [expected], "all requests whole")


@requirement("SIZE-9", needs=("list",))
@pytest.mark.parametrize("size", [16_384, 65_535])
def test_list_returns_names_around_frame_and_window_sizes(grpcstream: Client, size: int) -> None:
    point = Point(sized(size), size)
    with grpcstream.list(point) as stream:
        verify.list_answer(stream, point)


def _refused(point: str, stream_status: str) -> Deviation:
    return Deviation(f"{point} handled whole", f"{stream_status}: the target has a smaller limit")


@requirement("SIZE-5", needs=("record", "duplex"))
def test_record_and_route_take_messages_of_one_mebibyte(
    grpcstream: Client, grpcstream_capabilities: Capabilities
) -> None:
    text = sized(MIB)
    with grpcstream.record() as record:
        record.send(text, 1)
        record.close_send()
        points = record.collect()
        if record.status is not None and record.status.code == Code.RESOURCE_EXHAUSTED:
            raise _refused("1 MiB", str(record.status))
        verify.ended_ok(record)
        verify.fail_unless(len(points) == 1, "one response", str(len(points)), record)
    with grpcstream.route() as route:
        verify.greeting(route, grpcstream_capabilities)
        route.send(text, 1)
        verify.answer(route)
        route.close_send()
        verify.eof(route)


def _echoed(client: Client, capabilities: Capabilities, method: str, text: str) -> Status | None:
    """Whether a text comes back whole: None if it does, the status if the server refuses its size."""
    with client.open(method) as stream:
        if method == "Route":
            verify.greeting(stream, capabilities)
        stream.send(f"!echo {text}", 1)
        stream.close_send()
        points = stream.collect()
        if stream.status is not None and stream.status.code == Code.RESOURCE_EXHAUSTED:
            return stream.status
        verify.same(stream, [verify.echo(point) for point in points], [Point(text, 1)], "the echo")
        verify.ended_ok(stream)
    return None


@requirement("SIZE-5", needs=("echo", "record", "duplex"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_messages_of_one_mebibyte_are_echoed_whole(
    grpcstream: Client, grpcstream_capabilities: Capabilities, method: str
) -> None:
    refusal = _echoed(grpcstream, grpcstream_capabilities, method, sized(MIB))
    if refusal is not None:
        raise _refused("1 MiB", str(refusal))


@requirement("SIZE-5", needs=("repeat", "list"))
def test_list_sends_messages_of_one_mebibyte(grpcstream: Client) -> None:
    point = Point(f"!repeat 2 {sized(MIB)}", 1)
    with grpcstream.list(point) as stream:
        points = stream.collect()
        if stream.status is not None and stream.status.code == Code.RESOURCE_EXHAUSTED:
            raise _refused("1 MiB", str(stream.status))
        verify.same(stream, points, verify.counted(point, 2), "the responses")
        verify.ended_ok(stream)


@requirement("SIZE-5", needs=("echo", "record", "duplex"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_messages_near_the_usual_limit_are_echoed_whole(
    grpcstream: Client, grpcstream_capabilities: Capabilities, method: str
) -> None:
    if _echoed(grpcstream, grpcstream_capabilities, method, sized(MIB * 7 // 2)) is not None:
        raise NotApplicable("the target refuses messages of 3.5 MiB")


@requirement("SIZE-7", needs=("record",))
def test_the_limit_is_one_per_message(grpcstream: Client) -> None:
    text = sized(2 * MIB)
    with grpcstream.record() as first:
        first.send(text, 1)
        first.close_send()
        if first.end().code == Code.RESOURCE_EXHAUSTED:
            raise NotApplicable("the target refuses a single message of 2 MiB")
        verify.ended_ok(first)
    with grpcstream.record() as stream:
        for number in range(4):
            stream.send(text, number)
        verify.only_answer(stream)


@requirement("SIZE-2")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_message_of_five_mebibytes_is_handled_or_refused(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], grpcstream_capabilities: Capabilities, method: str
) -> None:
    # A List would send what it is given at least once, so it is told to send it just once if it can be.
    name = sized(5 * MIB)
    if method == "List" and "repeat" in grpcstream_capabilities.features:
        name = f"!repeat 1 {name}"
    with grpcstream.open(method) as stream:
        stream.send(name, 1)
        stream.close_send()
        first = None
        with contextlib.suppress(StatusError):
            first = stream.recv()
        status = stream.end()
        verify.serves(grpcstream_connect(), grpcstream_capabilities, "after a message of 5 MiB")
        if status.ok:
            whole = method != "List" or first == Point(name, 1)
            verify.fail_unless(whole, "the message handled whole", "a response of other content", stream)
        else:
            verify.status(stream, Code.RESOURCE_EXHAUSTED, tolerated=OTHER_LIMITS)


@requirement("SIZE-2", needs=("duplex",))
def test_route_answers_what_came_before_an_oversize_message(
    grpcstream: Client, grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.route() as stream:
        verify.greeting(stream, grpcstream_capabilities)
        for number in range(2):
            stream.send("before", number)
            verify.answer(stream)
        stream.send(sized(5 * MIB), 1)
        stream.close_send()
        verify.status(stream, Code.RESOURCE_EXHAUSTED, allowed=(Code.OK,), tolerated=OTHER_LIMITS)
        answered = stream.received - grpcstream_capabilities.route_speaks_first
        if stream.status is not None and stream.status.ok:
            verify.fail_unless(answered == 3, "3 answers and OK", f"{answered} answers and OK", stream)
