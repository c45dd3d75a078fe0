"""Half-close and full duplex on Route: either side may finish first, and neither loses anything by it."""

from __future__ import annotations

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Point, run_concurrently, verify

requirement = pytest.mark.grpcstream_requirement

KIB = "k" * 1024


@requirement("HALF-1")
@pytest.mark.parametrize("count", [1, 100])
def test_all_answers_arrive_after_the_half_close(grpcstream: Client, count: int) -> None:
    with grpcstream.route(greeting=False) as stream:
        for number in range(count):
            stream.send("" if number % 7 == 3 else "due", number)
        stream.close_send()
        for _ in range(count + grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("HALF-3", features=("sleep",), observed_by=("route",))
def test_the_half_close_does_not_cancel_a_slow_answer(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        stream.send("!sleep 200")
        stream.close_send()
        verify.answer(stream)
        verify.eof(stream)


@requirement("HALF-4")
def test_route_answers_each_request_before_the_next(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for number in range(20):
            stream.send("ping", number)
            verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("HALF-4", features=("echo",), observed_by=("duplex",))
def test_route_keeps_back_no_answer_for_its_size(grpcstream: Client) -> None:
    # Buffers of a usual size, which hold what fits until there is more.
    with grpcstream.route() as stream:
        for size in (500, 1_500, 3_000, 6_000, 12_000):
            point = Point(f"!echo {'m' * size}", size)
            stream.send(point)
            verify.point(stream, point)
        stream.close_send()
        verify.eof(stream)


@requirement("HALF-5", features=("finish",), observed_by=("route",))
@pytest.mark.parametrize("before", [0, 1, 50])
def test_route_that_finishes_early_ends_without_the_half_close(grpcstream: Client, before: int) -> None:
    with grpcstream.route(greeting=False) as stream:
        for number in range(before):
            stream.send("before", number)
        stream.send("!finish")
        for _ in range(before + grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("HALF-5", features=("finish",), observed_by=("route",))
def test_route_finishes_early_while_the_client_goes_on_sending(grpcstream: Client) -> None:
    with grpcstream.route(greeting=False) as stream:
        stream.send("before", 1)
        stream.send("!finish")
        for number in range(200):
            stream.send("late" * 50, number)
        for _ in range(1 + grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)
    verify.unharmed(grpcstream, "after a Route that finished early")


@requirement("HALF-8", features=("echo",), observed_by=("duplex",))
def test_both_sides_send_large_volumes_at_once(grpcstream: Client) -> None:
    points = [Point(f"{number} {KIB * 16}", number) for number in range(128)]
    with grpcstream.route() as stream:

        def write() -> None:
            for point in points:
                stream.send(f"!echo {point.name}", point.value)
            stream.close_send()

        def read() -> None:
            verify.echoes(stream, points)
            verify.eof(stream)

        run_concurrently([read, write])


@requirement("HALF-11", features=("repeat",), observed_by=("route",))
def test_a_half_close_before_reading_loses_nothing(grpcstream: Client, grpcstream_quiet: float) -> None:
    point = Point(f"!repeat 400 {KIB * 16}", 0)
    with grpcstream.route() as stream:
        stream.send(point)
        stream.close_send()
        verify.pause(grpcstream_quiet)
        verify.responses(stream, STREAM_SERVICE.list_responses(point, 400), "6.4 MB of responses, read late")
