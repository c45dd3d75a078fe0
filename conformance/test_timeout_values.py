"""Values of grpc-timeout: the server respects every unit, and malformed values do no harm."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import STREAM_SERVICE, Code, Point, run_concurrently, verify
from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.verify.deadlines import ends_at_deadline

requirement = pytest.mark.grpcstream_requirement

BRIEF = {"1S": 1.0, "300m": 0.3, "300000u": 0.3, "99999999n": 0.1}
"""Timeouts in the units that allow short ones, each with its earliest end in seconds."""
LONG = ("1H", "5M", "30S", "60000m", "60000000u")
LIMITS = ("99999999H", "99999999M", "99999999S", "99999999m", "1000H", "1000000H")
MALFORMED = ("", "100", "100x", "abc", "1.5S", "10 S", "-1S", "+5S", "123456789S")


@requirement("DEADL-6", features=("sleep",))
def test_short_timeouts_in_every_unit_end_a_call(grpcstream_wire: WireClient) -> None:
    def call(text: str, least: float) -> None:
        with grpcstream_wire.open("List", grpc_timeout=text) as stream:
            stream.send_last(verify.endless_sleep(grpcstream_wire))
            ends_at_deadline(stream, least)

    run_concurrently([partial(call, text, seconds) for text, seconds in BRIEF.items()])


def expect_ok_after_sleep(client: WireClient, text: str) -> None:
    """A List whose handler sleeps for 250 ms ends with OK under this grpc-timeout."""
    point = Point("!sleep 250", 1)
    with client.open("List", grpc_timeout=text) as stream:
        stream.send_last(point)
        points = stream.collect()
        ended = f"{stream.status} for grpc-timeout {text} after {stream.timeline.elapsed * 1000:.0f} ms"
        good = stream.status is not None and stream.status.ok
        verify.fail_unless(good, f"OK for a call of 250 ms with grpc-timeout {text}", ended, stream)
        verify.same(stream, points, STREAM_SERVICE.list_responses(point, len(points)), "the responses")


@requirement("DEADL-6", features=("sleep",), observed_by=("list",))
def test_long_timeouts_in_every_unit_do_not_end_a_call(grpcstream_wire: WireClient) -> None:
    run_concurrently([partial(expect_ok_after_sleep, grpcstream_wire, text) for text in LONG])


@requirement("DEADL-7", features=("sleep",), observed_by=("list",))
def test_the_largest_timeouts_do_not_end_a_call(grpcstream_wire: WireClient) -> None:
    run_concurrently([partial(expect_ok_after_sleep, grpcstream_wire, text) for text in LIMITS])


@requirement("DEADL-9", features=("sleep",))
@pytest.mark.parametrize("text", ["1n", "0n", "0S"])
def test_an_expired_deadline_ends_the_call_or_is_ignored(grpcstream_wire: WireClient, text: str) -> None:
    with grpcstream_wire.open("List", grpc_timeout=text) as stream:
        stream.send_last("!sleep 50")
        verify.status(
            stream,
            Code.DEADLINE_EXCEEDED,
            allowed=(Code.OK, Code.CANCELLED),
            tolerated={code: "an error, but not DEADLINE_EXCEEDED" for code in Code if code not in (0, 1, 4)},
        )
    verify.serves(grpcstream_wire.fresh(), f"after grpc-timeout {text}")


@requirement("DEADL-10")
def test_a_malformed_timeout_does_no_harm(grpcstream_wire: WireClient) -> None:
    def call(text: str) -> None:
        with grpcstream_wire.fresh() as client, client.open("Record", grpc_timeout=text) as stream:
            stream.send_last("plain", 1)
            stream.end()

    run_concurrently([partial(call, text) for text in MALFORMED])
    verify.serves(grpcstream_wire, "after malformed values of grpc-timeout")
