"""Deadlines: a call ends when its time is over, the handler learns of it, and calls in time are left alone."""

from __future__ import annotations

import uuid
from functools import partial

import pytest

from pytest_grpcstream import Client, Code, Point, run_concurrently, verify

requirement = pytest.mark.grpcstream_requirement

SHORT = 0.3
"""Seconds: a deadline that passes during a test, and long enough for a call to reach its handler first."""
EARLY = 0.03
"""Seconds by which a server's timer may run before the client's."""
# The server may end the call by RST_STREAM(CANCEL) when its own timer is the first (PROTOCOL-HTTP2.md, Client
# Cancellation), and a client that does not look at its clock then calls it cancelled.
RESET = (Code.CANCELLED,)
GENEROUS = 600.0
"""Seconds: a deadline that never passes during a test."""


@requirement("DEADL-1", features=("sleep",))
def test_slow_calls_end_at_their_deadlines(grpcstream: Client) -> None:
    def call(method: str) -> None:
        with grpcstream.open(method, deadline=SHORT) as stream:
            stream.send(f"!sleep {int(grpcstream.timeout * 4000)}")
            stream.close_send()
            verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
            elapsed = stream.timeline.elapsed
            verify.fail_unless(
                elapsed > SHORT - EARLY, f"the end not before {SHORT:g} s", f"the end after {elapsed:.3f} s", stream
            )

    run_concurrently(partial(call, method) for method in ("List", "Record", "Route"))
    verify.unharmed(grpcstream, "after calls that ran into their deadlines")


@requirement("DEADL-5", observed_by=("list", "record", "duplex"))
def test_calls_in_time_are_not_disturbed_by_a_deadline(grpcstream: Client) -> None:
    with grpcstream.list("in time", 1, deadline=GENEROUS) as listing:
        verify.list_answer(listing, Point("in time", 1))
    with grpcstream.record(deadline=GENEROUS) as record:
        record.send("in time", 1)
        verify.only_answer(record)
    with grpcstream.route(deadline=GENEROUS) as route:
        for number in range(5):
            route.send("in time", number)
            verify.answer(route)
        route.close_send()
        verify.eof(route)


@requirement("DEADL-5", features=("sleep",), observed_by=("list",))
def test_slow_calls_in_time_are_not_disturbed_by_their_deadlines(grpcstream: Client) -> None:
    def call(deadline: float | None) -> None:
        point = Point("!sleep 250" if deadline else "!sleep 700", 3)
        with grpcstream.list(point, deadline=deadline) as stream:
            verify.list_answer(stream, point)

    run_concurrently(partial(call, deadline) for deadline in (30.0, GENEROUS, 360_000.0, None))


@requirement("DEADL-5", features=("echo",), observed_by=("record",))
def test_a_record_without_a_deadline_may_take_its_time(grpcstream: Client) -> None:
    words = [f"part {number}" for number in range(5)]
    with grpcstream.record() as stream:
        for word in words:
            stream.send(f"!echo {word}")
            verify.pause(0.15)
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "all requests")


@requirement("DEADL-12", features=("watch",))
def test_the_handler_of_a_list_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    token = uuid.uuid4().hex
    with grpcstream.list(f"!watch {token}", deadline=SHORT) as stream:
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "the end of its deadline")


@requirement("DEADL-12", features=("watch",))
def test_the_handler_of_a_record_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    token = uuid.uuid4().hex
    with grpcstream.record(deadline=SHORT) as stream:
        stream.send(f"!watch {token}")
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "the end of its deadline")


@requirement("DEADL-12", features=("watch",), observed_by=("duplex",))
def test_the_handler_of_a_route_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    token = uuid.uuid4().hex
    with grpcstream.route(deadline=SHORT) as stream:
        stream.send(f"!watch {token}")
        verify.answer(stream)
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "the end of its deadline")


@requirement("DEADL-13", observed_by=("duplex",))
def test_passed_deadlines_do_not_disturb_a_call_beside_them(grpcstream: Client) -> None:
    with grpcstream.route(deadline=GENEROUS) as sibling:
        sibling.send("before", 1)
        verify.answer(sibling)
        expiring = [grpcstream.route(deadline=SHORT, greeting=False) for _ in range(50)]
        for stream in expiring:
            verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        sibling.send("after", 2)
        verify.answer(sibling)
        sibling.close_send()
        verify.eof(sibling)
    verify.unharmed(grpcstream, "after fifty calls that ran into their deadlines")
