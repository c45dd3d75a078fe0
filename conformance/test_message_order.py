"""Message order and integrity: every message arrives exactly once, in order and unchanged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Point, run_concurrently, verify
from pytest_grpcstream.clients.wire import Chunking, SettingCode, WireClient, chunking, framed

requirement = pytest.mark.grpcstream_requirement

MANY = 10_000
"""Messages in one call: more than fit into the flow-control window or queue of a usual server."""
REQUEST_LENGTH = 250
"""Characters in a request that is large enough for its own DATA frame."""
BURST = 100
"""Requests sent before any response is read; together they fit into every default window."""

NAMES = {
    "empty": "",
    "one": "a",
    "spaces": "  leading, trailing and  double  ",
    "controls": "tab\tline\nreturn\rnul\x00end",
    "composed": "caf\u00e9 cafe\u0301",
    "emoji": "\U0001f408\u200d\u2b1b \u263a \U0001f608",
    "right-to-left": "\u05e9\u05dc\u05d5\u05dd \u202etrebled\u202c",
    "percent": "100% %41 %zz",
    "byte order marks": "\ufeffmarked\ufeff",
    "case": "MiXeD CaSe \u0130\u0131\u00df",
    "long": "0123456789" * 2_000,
}

SPLITS: dict[str, Chunking] = {
    "one byte each": chunking.every(1),
    "seven bytes each": chunking.every(7),
    "all in one": chunking.joined,
    "prefixes alone": chunking.prefix_alone,
    "prefixes split": chunking.prefix_split,
    "end and next prefix together": chunking.straddling,
}
"""Ways to split messages into DATA frames."""
SIMULTANEOUS_CALLS = 32
"""Calls started in one write, unless the server limits concurrent streams to fewer."""
ROUNDS = 3
THREE = (Point("first", 1), Point("second " * 5, 2), Point("", 3))

# Order ------------------------------------------------------------------------------------------------------------


@requirement("ORD-1")
@pytest.mark.parametrize("value", [0, 1000, -3])
def test_list_responses_arrive_in_the_order_they_were_written(grpcstream: Client, value: int) -> None:
    with grpcstream.list("order", value) as stream:
        verify.list_answer(stream, Point("order", value))


@requirement("ORD-2", features=("echo",), observed_by=("record",))
def test_record_requests_are_read_in_the_order_they_were_sent(grpcstream: Client) -> None:
    # Every fiftieth text is sent twice in a row. All others differ, so any swap of two requests is visible.
    distinct = [number - number // 50 for number in range(500)]
    words = [f"{number}:{'x' * (number * 37 % 600)}" for number in distinct]
    with grpcstream.record() as stream:
        stream.send_all(Point(f"!echo {word}", 0) for word in words)
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "all requests in order")


@requirement("ORD-3", features=("echo",), observed_by=("duplex",))
def test_route_keeps_the_order_in_both_directions(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for start in range(0, 500, BURST):
            burst = [Point(f"text {number}", number * 7 - 500) for number in range(start, start + BURST)]
            stream.send_all(Point(f"!echo {text}", value) for text, value in burst)
            verify.echoes(stream, burst)
        stream.close_send()
        verify.eof(stream)


@requirement("ORD-8", observed_by=("duplex",))
def test_route_does_not_respond_before_a_request(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.route() as stream:
        verify.silence(stream, grpcstream_quiet, "the client has not sent a request")
        stream.send("first", 1)
        verify.answer(stream)
        verify.silence(stream, grpcstream_quiet, "the server has answered the only request")


# Every message once -----------------------------------------------------------------------------------------------


@requirement("ORD-4", observed_by=("duplex",))
def test_route_answers_each_of_many_requests_once(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        answers: list[Point | None] = []
        for _ in range(0, MANY, BURST):
            stream.send_all(Point("many", number) for number in range(BURST))
            answers += stream.take(BURST)
        stream.close_send()
        verify.eof(stream)
        verify.consecutive(stream, answers)


@requirement("ORD-4", features=("echo",), observed_by=("record",))
def test_record_reads_each_of_many_requests_once(grpcstream: Client) -> None:
    # Long requests: a server may treat thousands of unread tiny frames as an attack.
    words = [f"{number:0>{REQUEST_LENGTH}}" for number in range(MANY)]
    with grpcstream.record() as stream:
        stream.send(f"!echo {words[0]}")
        stream.send_all(Point(word, 1) for word in words[1:])
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "every request once")


@requirement("ORD-4", features=("repeat",), observed_by=("list",))
def test_list_delivers_each_of_many_responses_once(grpcstream: Client) -> None:
    point = Point(f"!repeat {MANY} many", -5)
    with grpcstream.list(point) as stream:
        verify.responses(stream, STREAM_SERVICE.list_responses(point, MANY))


@requirement("ORD-13", features=("repeat",))
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_list_repeats_as_often_as_it_was_asked_to(grpcstream: Client, count: int) -> None:
    point = Point(f"!repeat {count} again and again", 3)
    with grpcstream.list(point) as stream:
        verify.responses(stream, STREAM_SERVICE.list_responses(point, count))


@requirement("ORD-5", observed_by=("route",))
@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_route_reads_messages_however_they_are_split(grpcstream_wire: WireClient, cut: Chunking) -> None:
    with grpcstream_wire.route(greeting=False) as stream:
        stream.send_together(THREE, cut)
        stream.close_send()
        for _ in range(len(THREE) + grpcstream_wire.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("ORD-5", features=("echo",), observed_by=("record",))
@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_record_reads_messages_however_they_are_split(grpcstream_wire: WireClient, cut: Chunking) -> None:
    texts = ["first", "second " * 5, ""]
    with grpcstream_wire.record() as stream:
        stream.send_together([Point(f"!echo {text}", 1) for text in texts], cut)
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(texts), 3)], "all three requests")


# Unchanged content ------------------------------------------------------------------------------------------------


@requirement("ORD-6", observed_by=("list",))
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_list_returns_the_name_as_it_was_sent(grpcstream: Client, name: str) -> None:
    with grpcstream.list(name, 7) as stream:
        verify.list_answer(stream, Point(name, 7))


@requirement("ORD-6", features=("echo",), observed_by=("duplex",))
def test_route_echoes_names_and_values_as_they_were_sent(grpcstream: Client) -> None:
    values = (0, 1, -1, 127, 128, 2**31 - 1, -(2**31))
    points = [Point(name, values[place % len(values)]) for place, name in enumerate(NAMES.values())]
    points += [Point("value", value) for value in values]
    with grpcstream.route() as stream:
        for point in points:
            stream.send(f"!echo {point.name}", point.value)
            verify.echoes(stream, [point])
        stream.close_send()
        verify.eof(stream)


@requirement("ORD-6", features=("echo",), observed_by=("record",))
def test_record_joins_names_as_they_were_sent(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for name in NAMES.values():
            stream.send(f"!echo {name}")
        expected = Point(",".join(NAMES.values()), len(NAMES))
        verify.same(stream, [verify.only_answer(stream)], [expected], "all names unchanged")


@requirement("ORD-6", observed_by=("duplex",))
def test_route_answers_points_of_default_values(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for point in (Point("", 0), Point("", 1), Point("named", 0), Point("", 0)):
            stream.send(point)
            verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("ORD-11", observed_by=("list",))
def test_list_values_wrap_on_int32_overflow(grpcstream: Client) -> None:
    point = Point("wrap", 2**31 - 3)
    with grpcstream.list(point) as stream:
        verify.list_answer(stream, point)


@requirement("ORD-11", features=("repeat",), observed_by=("list",))
def test_repeated_values_wrap_on_int32_overflow(grpcstream: Client) -> None:
    point = Point("!repeat 9 wrap", 2**31 - 5)
    with grpcstream.list(point) as stream:
        verify.responses(stream, STREAM_SERVICE.list_responses(point, 9))


# Counting ---------------------------------------------------------------------------------------------------------


@requirement("ORD-12")
def test_every_route_counts_from_zero(grpcstream: Client) -> None:
    for _ in range(3):
        with grpcstream.route(greeting=False) as stream:
            for _ in range(5):
                stream.send("count", 100)
            stream.close_send()
            for _ in range(5 + grpcstream.greetings):
                verify.counted_answer(stream)
            verify.eof(stream)


@requirement("ORD-12", observed_by=("duplex",))
def test_a_route_counts_from_zero_after_a_cancelled_one(grpcstream: Client) -> None:
    for _ in range(3):
        with grpcstream.route() as cancelled:
            cancelled.send("count", 1)
            verify.answer(cancelled)
        with grpcstream.route() as stream:
            stream.send("count", 1)
            verify.counted_answer(stream)


@requirement("ORD-12", features=("repeat",), observed_by=("duplex",))
def test_the_route_counter_counts_responses_to_directives(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        stream.send("plain", 1)
        verify.counted_answer(stream)
        stream.send("!repeat 0 none", 60)
        three = Point("!repeat 3 times", 50)
        stream.send(three)
        verify.same(
            stream, stream.take(3), STREAM_SERVICE.list_responses(three, 3), "the responses to !repeat 0 and !repeat 3"
        )
        stream.send("plain again", 1)
        verify.counted_answer(stream)
        stream.close_send()
        verify.eof(stream)


# Concurrent calls -------------------------------------------------------------------------------------------------


@requirement("ORD-7", observed_by=("list", "record", "duplex"))
def test_a_hundred_concurrent_calls_never_mix(grpcstream: Client) -> None:
    echo = grpcstream.has("echo")
    repeat = grpcstream.has("repeat")

    def call_list(number: int) -> None:
        if repeat:
            point = Point(f"!repeat 30 list {number}", number)
            with grpcstream.list(point) as stream:
                verify.responses(stream, STREAM_SERVICE.list_responses(point, 30))
        for turn in range(3):
            point = Point(f"list {number}.{turn}", number * 1_000_003 + turn)
            with grpcstream.list(point) as stream:
                verify.list_answer(stream, point)

    def call_record(number: int) -> None:
        words = [f"record {number}.{turn}".ljust(REQUEST_LENGTH, ".") for turn in range(20)]
        with grpcstream.record() as stream:
            stream.send_all(Point(f"!echo {word}" if echo else word, 0) for word in words)
            got = verify.only_answer(stream)
            if echo:
                verify.same(stream, [got], [Point(",".join(words), len(words))], "its own requests")

    def call_route(number: int) -> None:
        with grpcstream.route() as stream:
            answers: list[Point | None] = []
            for _ in range(6):
                stream.send("route", number)
                answers += stream.take(1)
            for turn in range(6 if echo else 0):
                stream.send(f"!echo route {number}.{turn}", number)
                verify.echoes(stream, [Point(f"route {number}.{turn}", number)])
            stream.close_send()
            verify.eof(stream)
            verify.consecutive(stream, answers)

    calls = (call_list, call_record, call_route)
    run_concurrently([partial(calls[number % 3], number) for number in range(100)])


@requirement("ORD-7", features=("echo",), observed_by=("record",))
def test_calls_on_several_connections_never_mix(grpcstream: Client, grpcstream_connect: Callable[[], Client]) -> None:
    # In lockstep, so that all connections have streams with the same identifier open at the same time.
    clients = [grpcstream, grpcstream_connect(), grpcstream_connect()]
    for _ in range(3):
        streams = [client.record() for client in clients]
        for turn in range(3):
            for place, stream in enumerate(streams):
                stream.send(f"!echo {place}.{turn}")
        for place, stream in enumerate(streams):
            expected = Point(",".join(f"{place}.{turn}" for turn in range(3)), 3)
            verify.same(stream, [verify.only_answer(stream)], [expected], "its own requests")


@requirement("ORD-7", features=("echo",), observed_by=("record",))
def test_interleaved_message_fragments_of_two_calls_never_mix(grpcstream_wire: WireClient) -> None:
    texts = ["a" * 50, "b" * 60]
    messages = [framed(Point(f"!echo {text}", 1)) for text in texts]
    streams = [grpcstream_wire.open("Record") for _ in messages]
    for start, end in ((0, 3), (3, 20), (20, None)):
        for stream, message in zip(streams, messages, strict=True):
            stream.data(message[start:end])
    for stream, text in zip(streams, texts, strict=True):
        verify.same(stream, [verify.only_answer(stream)], [Point(text, 1)], "its own request")


def number_calls(client: WireClient) -> range:
    """Number the calls to start in one write: as many as the server allows, 32 at most."""
    limit = client.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, SIMULTANEOUS_CALLS)
    return range(min(limit, SIMULTANEOUS_CALLS))


@requirement("ORD-7", observed_by=("list",))
def test_lists_that_start_simultaneously_never_mix(grpcstream_wire: WireClient) -> None:
    # Only simultaneous calls reveal a handler that stores its request in shared state.
    for turn in range(ROUNDS):
        points = [Point(f"list {number}.{turn}", number * 1_000_003) for number in number_calls(grpcstream_wire)]
        with grpcstream_wire.connect().corked():
            streams = [grpcstream_wire.list(point) for point in points]
        for stream, point in zip(streams, points, strict=True):
            with stream:
                verify.list_answer(stream, point)


@requirement("ORD-7", features=("echo",), observed_by=("route",))
def test_routes_in_lockstep_never_mix(grpcstream_wire: WireClient) -> None:
    for turn in range(ROUNDS):
        numbers = number_calls(grpcstream_wire)
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
