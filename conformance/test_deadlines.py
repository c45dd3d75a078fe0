"""Deadlines: a call ends when its deadline passes, its handler sees it, and other calls are not affected."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import Client, Code, Point, run_concurrently, verify
from pytest_grpcstream.clients.wire import SettingCode, WireClient
from pytest_grpcstream.verify.deadlines import ends_at_deadline

requirement = pytest.mark.grpcstream_requirement

SHORT = 0.3
"""A deadline in seconds that passes during a test, but is long enough for the call to reach its handler."""
EARLY = 0.03
"""Seconds by which a server's timer may fire before the client's."""
# If the server's timer fires first, it may end the call with RST_STREAM(CANCEL) (PROTOCOL-HTTP2.md, Client
# Cancellation). A client that does not check its clock reports that as CANCELLED.
RESET = (Code.CANCELLED,)
GENEROUS = 600.0
"""A deadline in seconds that does not pass during a test."""
SHORT_TEXT = "300m"
"""`SHORT` as a grpc-timeout header, for calls whose deadline only the server enforces."""


@requirement("DEADL-1", features=("sleep",))
def test_slow_calls_end_at_their_deadlines(grpcstream: Client) -> None:
    def call(method: str) -> None:
        with grpcstream.open(method, deadline=SHORT) as stream:
            stream.send(verify.endless_sleep(grpcstream))
            stream.close_send()
            verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
            elapsed = stream.timeline.elapsed
            verify.fail_unless(
                elapsed > SHORT - EARLY,
                f"the RPC ends after {SHORT:g} s or later",
                f"it ended after {elapsed:.3f} s",
                stream,
            )

    run_concurrently(partial(call, method) for method in ("List", "Record", "Route"))
    verify.unharmed(grpcstream, "after calls that exceeded their deadlines")


@requirement("DEADL-5", observed_by=("list", "record", "duplex"))
def test_a_deadline_does_not_disturb_calls_that_end_in_time(grpcstream: Client) -> None:
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
def test_a_deadline_does_not_disturb_slow_calls_that_end_in_time(grpcstream: Client) -> None:
    def call(deadline: float | None) -> None:
        point = Point("!sleep 250" if deadline else "!sleep 700", 3)
        with grpcstream.list(point, deadline=deadline) as stream:
            verify.list_answer(stream, point)

    run_concurrently(partial(call, deadline) for deadline in (30.0, GENEROUS, 360_000.0, None))


@requirement("DEADL-5", features=("echo",), observed_by=("record",))
def test_a_slow_record_without_a_deadline_is_not_ended(grpcstream: Client) -> None:
    words = [f"part {number}" for number in range(5)]
    with grpcstream.record() as stream:
        for word in words:
            stream.send(f"!echo {word}")
            verify.pause(0.15)
        verify.same(stream, [verify.only_answer(stream)], [Point(",".join(words), len(words))], "all requests")


@requirement("DEADL-13", observed_by=("duplex",))
def test_passed_deadlines_do_not_disturb_a_concurrent_call(grpcstream: Client) -> None:
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
    verify.unharmed(grpcstream, "after fifty calls that exceeded their deadlines")


# The handler ------------------------------------------------------------------------------------------------------


@requirement("DEADL-12", features=("watch",))
def test_the_handler_of_a_list_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    token = verify.new_token()
    with grpcstream.list(f"!watch {token}", deadline=SHORT) as stream:
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "its expired deadline")


@requirement("DEADL-12", features=("watch",))
def test_the_handler_of_a_record_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    token = verify.new_token()
    with grpcstream.record(deadline=SHORT) as stream:
        stream.send(f"!watch {token}")
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "its expired deadline")


@requirement("DEADL-12", features=("watch",), observed_by=("duplex",))
def test_the_handler_of_a_route_learns_that_the_deadline_passed(grpcstream: Client) -> None:
    with grpcstream.route(deadline=SHORT) as stream:
        token = verify.watch(stream)
        verify.status(stream, Code.DEADLINE_EXCEEDED, allowed=RESET)
        verify.await_cancellation(grpcstream, token, stream, "its expired deadline")


# Deadlines that only the server enforces --------------------------------------------------------------------------


@requirement("DEADL-14", features=("sleep",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_the_server_ends_a_slow_call_by_itself(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method, grpc_timeout=SHORT_TEXT) as stream:
        stream.send(verify.endless_sleep(grpcstream_wire))
        stream.close_send()
        ends_at_deadline(stream, SHORT)


@requirement("DEADL-2")
def test_the_server_ends_a_record_that_waits_for_requests(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Record", grpc_timeout=SHORT_TEXT) as stream:
        stream.send("only one", 1)
        ends_at_deadline(stream, SHORT)


@requirement("DEADL-3", observed_by=("duplex",))
def test_the_server_ends_an_idle_route(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Route", grpc_timeout=SHORT_TEXT) as stream:
        stream.send("only one", 1)
        verify.answer(stream)
        ends_at_deadline(stream, SHORT)


@requirement("DEADL-4", features=("repeat",))
def test_the_server_ends_a_list_blocked_by_an_exhausted_window(grpcstream_wire: WireClient) -> None:
    blocked = grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 10}, hold_windows=True)
    with blocked, blocked.open("List", grpc_timeout=SHORT_TEXT) as stream:
        stream.send_last(f"!repeat 400 {'r' * 15_000}")
        ends_at_deadline(stream, SHORT)
    verify.serves(grpcstream_wire, "after a deadline that passed while the flow-control window was exhausted")


@requirement("DEADL-11", features=("sleep",), observed_by=("duplex",))
def test_the_deadline_also_applies_after_responses(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Route", grpc_timeout=SHORT_TEXT) as stream:
        stream.send("answered at once", 1)
        verify.answer(stream)
        stream.send(verify.endless_sleep(grpcstream_wire))
        ends_at_deadline(stream, SHORT)


@requirement("DEADL-16", features=("sleep",))
def test_many_deadlines_pass_at_once(grpcstream_wire: WireClient) -> None:
    limit = grpcstream_wire.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, 100)
    streams = [grpcstream_wire.open("List", grpc_timeout="500m") for _ in range(min(100, limit))]
    for stream in streams:
        stream.send_last(verify.endless_sleep(grpcstream_wire))
    for stream in streams:
        ended = stream.await_end()
        verify.fail_unless(not ended.status.ok, "an error status at the deadline", str(ended), stream)
    verify.serves(grpcstream_wire, "after a hundred deadlines at once")
