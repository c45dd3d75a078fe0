"""Half-close and full duplex on Route: either side may finish first, and no message is lost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Code, OperationTimeout, Point, Status, run_concurrently, verify
from pytest_grpcstream.clients.wire import WireClient, framed
from pytest_grpcstream.verify.completion import SIZES, WINDOWS, SizeLimits, Window, describe_losses, with_window

requirement = pytest.mark.grpcstream_requirement

KIB = "k" * 1024
COUNT = 3
"""Responses of a call; all of them must arrive before its end."""


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


@requirement("HALF-11", features=("repeat",), observed_by=("route",))
def test_a_half_close_before_reading_loses_nothing(grpcstream: Client, grpcstream_quiet: float) -> None:
    point = Point(f"!repeat 400 {KIB * 16}", 0)
    with grpcstream.route() as stream:
        stream.send(point)
        stream.close_send()
        verify.pause(grpcstream_quiet)
        verify.responses(stream, STREAM_SERVICE.list_responses(point, 400), "6.4 MB of responses, read after a pause")


@requirement("HALF-6", features=("echo",), observed_by=("record",))
def test_a_message_after_the_half_close_is_not_delivered(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.record() as stream:
        with grpcstream_wire.connection.corked():
            stream.send_last("!echo in time")
            stream.data(framed(Point("!echo too late", 1)))
        try:
            points = stream.collect()
        except OperationTimeout:
            # RFC 9113 section 5.4.1: the server may treat it as a connection error.
            verify.precondition(
                bool(grpcstream_wire.connection.goaways), "a response or GOAWAY", "neither arrived", stream
            )
        else:
            if stream.status is not None and stream.status.ok:
                verify.same(stream, points, [Point("in time", 1)], "the response to the request before the half-close")
    verify.serves(grpcstream_wire.fresh(), "after a message sent after the half-close")


# Full duplex ------------------------------------------------------------------------------------------------------


@requirement("HALF-4")
def test_route_answers_each_request_before_the_next(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        for number in range(20):
            stream.send("ping", number)
            verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


@requirement("HALF-4", features=("echo",), observed_by=("duplex",))
def test_route_does_not_buffer_answers(grpcstream: Client) -> None:
    # Sizes around those of usual buffers: a server that buffers would hold one of these responses back.
    with grpcstream.route() as stream:
        for size in (500, 1_500, 3_000, 6_000, 12_000):
            stream.send(f"!echo {'m' * size}", size)
            verify.answer(stream)
        stream.close_send()
        verify.eof(stream)


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


# Who ends first ---------------------------------------------------------------------------------------------------


@requirement("HALF-5", features=("finish",), observed_by=("route",))
@pytest.mark.parametrize("before", [0, 1, 50])
def test_route_can_finish_before_the_half_close(grpcstream: Client, before: int) -> None:
    with grpcstream.route(greeting=False) as stream:
        for number in range(before):
            stream.send("before", number)
        stream.send("!finish")
        for _ in range(before + grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)


@requirement("HALF-5", features=("finish",), observed_by=("route",))
def test_route_can_finish_while_the_client_keeps_sending(grpcstream: Client) -> None:
    with grpcstream.route(greeting=False) as stream:
        stream.send("before", 1)
        stream.send("!finish")
        for number in range(200):
            stream.send("late" * 50, number)
        for _ in range(1 + grpcstream.greetings):
            verify.answer(stream)
        verify.eof(stream)
    verify.unharmed(grpcstream, "after a Route that finished early")


@dataclass(frozen=True)
class Ending:
    """How a Route ends: the last request, whether the client half-closes, and the expected status."""

    last: str
    half_close: bool
    status: Status


OK = Status(Code.OK)
ABORTED = Status(Code.ABORTED, "by the server")
ENDINGS = {
    "the client half-closes": Ending("", True, OK),
    "the server finishes first": Ending("!finish", False, OK),
    "the server finishes after the half-close": Ending("!finish", True, OK),
    "the server aborts first": Ending("!abort 0 by the server", False, ABORTED),
    "the server aborts after the half-close": Ending("!abort 0 by the server", True, ABORTED),
}


@requirement("HALF-12", features=("repeat", "finish", "abort"), observed_by=("route",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_route_loses_nothing_at_its_end(
    grpcstream_wire: WireClient,
    ending: Ending,
    window: Window,
) -> None:
    wrong, limits = list[str](), SizeLimits()
    for size_name, size in SIZES.items():
        point = Point(f"!repeat {COUNT} {'m' * size}", 5)
        with with_window(grpcstream_wire, window) as client, client.open("Route", greeting=False) as stream:
            stream.send(point)
            if ending.last:
                stream.send(ending.last, Code.ABORTED)
            if ending.half_close:
                stream.close_send()
            window(stream)
            expected, skip = STREAM_SERVICE.list_responses(point, COUNT), grpcstream_wire.greetings
            found = list(describe_losses(stream, expected, ending.status, skip))
            if not limits.refuse(size_name, stream):
                wrong += [f"{size_name}: {one}" for one in found]
    verify.no_findings(wrong, f"all {COUNT} responses, then {ending.status} from the server", stream)
    limits.warn()
