"""Deadlines on the wire: grpc-timeout is the server's to keep, also when the client says nothing more."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import STREAM_SERVICE, Code, Deviation, Point, run_concurrently, verify
from pytest_grpcstream.clients.wire import ErrorCode, Origin, SettingCode, WireClient, WireStream

requirement = pytest.mark.grpcstream_requirement

MILLISECONDS = 300
SHORT = f"{MILLISECONDS}m"
BRIEF = {"1S": 1.0, "300m": 0.3, "300000u": 0.3, "99999999n": 0.1}
"""Timeouts in the units that can be short, and their seconds."""
LONG = ("1H", "5M", "30S", "60000m", "60000000u")
LIMITS = ("99999999H", "99999999M", "99999999S", "99999999m", "1000H", "1000000H")
EARLY = 0.02
"""Seconds by which a server's timer may run before the client's."""


def ends_at_its_deadline(stream: WireStream, least: float = MILLISECONDS / 1000) -> None:
    """The server ends the RPC by itself: with DEADLINE_EXCEEDED, or by RST_STREAM(CANCEL), and not before its time."""
    ended = stream.await_end()
    elapsed = stream.timeline.elapsed
    by_reset = ended.origin is Origin.RST_STREAM and ended.reset_code == ErrorCode.CANCEL
    if not by_reset and ended.server_status is not None and ended.server_status.code == Code.CANCELLED:
        raise Deviation("DEADLINE_EXCEEDED at the deadline", f"{ended}", stream)
    good = by_reset or (ended.server_status is not None and ended.server_status.code == Code.DEADLINE_EXCEEDED)
    verify.fail_unless(good, "DEADLINE_EXCEEDED or RST_STREAM(CANCEL) at the deadline", str(ended), stream)
    verify.fail_unless(
        elapsed >= least - EARLY,
        f"the end not before {least * 1000:.0f} ms",
        f"the end after {elapsed * 1000:.0f} ms",
        stream,
    )


def forever(client: WireClient) -> str:
    """A `!sleep` that outlasts every time limit of a test."""
    return f"!sleep {int(client.timeout * 4000)}"


@requirement("DEADL-14", features=("sleep",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_the_server_ends_a_slow_call_by_itself(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method, grpc_timeout=SHORT) as stream:
        stream.send(forever(grpcstream_wire))
        stream.close_send()
        ends_at_its_deadline(stream)


@requirement("DEADL-2")
def test_the_server_ends_a_record_that_waits_for_requests(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Record", grpc_timeout=SHORT) as stream:
        stream.send("only one", 1)
        ends_at_its_deadline(stream)


@requirement("DEADL-3", observed_by=("duplex",))
def test_the_server_ends_a_route_that_is_idle(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Route", grpc_timeout=SHORT) as stream:
        stream.send("only one", 1)
        verify.answer(stream)
        ends_at_its_deadline(stream)


@requirement("DEADL-4", features=("repeat",))
def test_the_server_ends_a_list_whose_window_is_shut(grpcstream_wire: WireClient) -> None:
    blocked = grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 10}, hold_windows=True)
    with blocked, blocked.open("List", grpc_timeout=SHORT) as stream:
        stream.send_last(f"!repeat 400 {'r' * 15_000}")
        ends_at_its_deadline(stream)
    verify.serves(grpcstream_wire, "after a deadline that passed while the window was shut")


@requirement("DEADL-11", features=("sleep",), observed_by=("duplex",))
def test_the_deadline_counts_after_responses_too(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.open("Route", grpc_timeout=SHORT) as stream:
        stream.send("answered at once", 1)
        verify.answer(stream)
        stream.send(forever(grpcstream_wire))
        ends_at_its_deadline(stream)


@requirement("DEADL-6", features=("sleep",))
def test_every_unit_that_is_short_enough_ends_a_call(grpcstream_wire: WireClient) -> None:
    def call(text: str, least: float) -> None:
        with grpcstream_wire.open("List", grpc_timeout=text) as stream:
            stream.send_last(forever(grpcstream_wire))
            ends_at_its_deadline(stream, least)

    run_concurrently([partial(call, text, seconds) for text, seconds in BRIEF.items()])


@requirement("DEADL-6", features=("sleep",), observed_by=("list",))
def test_every_unit_that_is_long_enough_leaves_a_call_alone(grpcstream_wire: WireClient) -> None:
    run_concurrently([partial(_in_time, grpcstream_wire, text) for text in LONG])


@requirement("DEADL-7", features=("sleep",), observed_by=("list",))
def test_the_largest_timeouts_mean_practically_never(grpcstream_wire: WireClient) -> None:
    run_concurrently([partial(_in_time, grpcstream_wire, text) for text in LIMITS])


def _in_time(client: WireClient, text: str) -> None:
    point = Point("!sleep 250", 1)
    with client.open("List", grpc_timeout=text) as stream:
        stream.send_last(point)
        points = stream.collect()
        ended = f"{stream.status} for grpc-timeout {text} after {stream.timeline.elapsed * 1000:.0f} ms"
        good = stream.status is not None and stream.status.ok
        verify.fail_unless(good, f"OK for a call of 250 ms with grpc-timeout {text}", ended, stream)
        verify.same(stream, points, STREAM_SERVICE.list_responses(point, len(points)), "the responses")


@requirement("DEADL-9", features=("sleep",))
@pytest.mark.parametrize("text", ["1n", "0n", "0S"])
def test_a_deadline_that_has_passed_already_ends_the_call_or_leaves_it_alone(
    grpcstream_wire: WireClient, text: str
) -> None:
    with grpcstream_wire.open("List", grpc_timeout=text) as stream:
        stream.send_last("!sleep 50")
        verify.status(
            stream,
            Code.DEADLINE_EXCEEDED,
            allowed=(Code.OK, Code.CANCELLED),
            tolerated={code: "an error, but not that of a deadline" for code in Code if code not in (0, 1, 4)},
        )
    verify.serves(grpcstream_wire.fresh(), f"after grpc-timeout {text}")


MALFORMED = ("", "100", "100x", "abc", "1.5S", "10 S", "-1S", "+5S", "123456789S")


@requirement("DEADL-10")
def test_a_malformed_timeout_does_no_harm(grpcstream_wire: WireClient) -> None:
    def call(text: str) -> None:
        with grpcstream_wire.fresh() as client, client.open("Record", grpc_timeout=text) as stream:
            stream.send_last("plain", 1)
            stream.end()

    run_concurrently([partial(call, text) for text in MALFORMED])
    verify.serves(grpcstream_wire, "after malformed values of grpc-timeout")


@requirement("DEADL-16", features=("sleep",))
def test_many_deadlines_pass_at_once(grpcstream_wire: WireClient) -> None:
    limit = grpcstream_wire.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, 100)
    streams = [grpcstream_wire.open("List", grpc_timeout="500m") for _ in range(min(100, limit))]
    for stream in streams:
        stream.send_last(forever(grpcstream_wire))
    for stream in streams:
        ended = stream.await_end()
        verify.fail_unless(not ended.status.ok, "an end at the deadline", str(ended), stream)
    verify.serves(grpcstream_wire, "after a hundred deadlines at once")
