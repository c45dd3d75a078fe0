"""Connections: PING, reconnecting, idle connections, many calls in a row and large stream identifiers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_grpcstream import STREAM_SERVICE, Deviation, Observe, verify
from pytest_grpcstream.clients.wire import Connection, FrameType, SettingCode, WireClient
from pytest_grpcstream.verify.wire import (
    await_outcome,
    describe,
    describe_connection,
    expect_served,
    has_connection_error,
    send_record,
)

requirement = pytest.mark.grpcstream_requirement

PINGS = 20
CALLS = 300
IDLE = 10.0
"""Seconds without a frame."""


# PING -------------------------------------------------------------------------------------------------------------


@requirement("CONN-1")
def test_a_ping_is_answered_with_the_same_payload(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    answer = connection.ping(b"\x00\xffping\r\n")
    broken = has_connection_error(connection)
    actual = describe_connection(connection) if broken else f"none within {connection.timeout:g} s"
    verify.fail_unless(answer is not None, "the answer to a PING, with the same 8 bytes", actual)


@requirement("CONN-1", observed_by=("list",))
def test_a_ping_is_answered_while_a_response_waits(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 1}, hold_windows=True) as client:
        stream = client.open("List")
        stream.send_last(STREAM_SERVICE.plain)
        stream.await_bytes(1)
        answer = client.connection.ping()
        verify.fail_unless(answer is not None, "the answer to a PING while a response waits", "none", stream)
        stream.open_window(1 << 20)
        verify.list_answer(stream, STREAM_SERVICE.plain)


@requirement("CONN-2")
def test_an_unexpected_ping_acknowledgement_is_not_answered(
    grpcstream_wire: WireClient, grpcstream_quiet: float
) -> None:
    connection = grpcstream_wire.connect()
    payload = connection.send_ping(b"unasked!", ack=True)
    connection.wait(lambda: has_connection_error(connection), grpcstream_quiet)
    answers = [
        one for one in connection.frames if one.kind == FrameType.PING and not one.sent and one.content == payload
    ]
    verify.fail_unless(not answers, "no answer to a PING with ACK", f"{len(answers)} of them")
    verify.serves(grpcstream_wire, "after the acknowledgement of a PING that was never sent")
    if has_connection_error(connection):
        expected = "the connection goes on after an unexpected PING acknowledgement"
        raise Deviation(expected, describe_connection(connection))


@requirement("CONN-3")
def test_excessive_pings_are_answered_or_ignored_or_end_the_connection(
    grpcstream_wire: WireClient, grpcstream_quiet: float, grpcstream_observe: Observe
) -> None:
    connection = grpcstream_wire.connect()
    payloads = [connection.send_ping(number.to_bytes(8, "big")) for number in range(PINGS)]
    connection.wait(lambda: all(connection.answered(one) for one in payloads), grpcstream_quiet)
    connection.wait(lambda: has_connection_error(connection), grpcstream_quiet)
    count = sum(connection.answered(one) for one in payloads)
    grpcstream_observe(f"{count} of {PINGS} PINGs in a row were answered; {describe_connection(connection)}")
    verify.serves(grpcstream_wire.fresh(), f"after {PINGS} PINGs in a row")


# Clients that leave or are idle -----------------------------------------------------------------------------------

LEAVINGS: dict[str, Callable[[Connection], None]] = {
    "GOAWAY and FIN": Connection.close,
    "FIN": Connection.drop,
    "RST": Connection.reset,
}


@requirement("CONN-12")
@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
def test_a_client_that_reconnects_is_served(grpcstream_wire: WireClient, leave: Callable[[Connection], None]) -> None:
    for _ in range(3):
        with grpcstream_wire.open("Route") as stream:
            stream.send(STREAM_SERVICE.plain)
            leave(stream.connection)
        verify.serves(grpcstream_wire, "on a new connection at once")


@requirement("CONN-15", observed_by=("record",))
def test_a_half_closed_tcp_connection_completes_or_ends_its_calls(
    grpcstream_wire: WireClient, grpcstream_observe: Observe
) -> None:
    stream = send_record(grpcstream_wire)
    stream.connection.shut_write()
    await_outcome(stream)
    grpcstream_observe(f"a Record whose client closed its side of TCP after the half-close: {describe(stream)}")
    verify.serves(grpcstream_wire.fresh(), "after a client that closed its side of TCP")


@pytest.mark.grpcstream_stress
@pytest.mark.stress
@requirement("CONN-9", observed_by=("record",))
def test_an_idle_connection_stays_usable(grpcstream_wire: WireClient) -> None:
    expect_served(send_record(grpcstream_wire))
    connection = grpcstream_wire.connection
    connection.watch(IDLE)
    verify.fail_unless(connection.usable, f"the connection open after {IDLE:g} s", "it is closed")
    expect_served(send_record(grpcstream_wire), f"a call served after {IDLE:g} s")


# Many calls -------------------------------------------------------------------------------------------------------


@requirement("CONN-13", observed_by=("record",))
def test_hundreds_of_consecutive_calls_are_served(grpcstream_wire: WireClient) -> None:
    for number in range(1, CALLS + 1):
        with send_record(grpcstream_wire) as stream:
            expect_served(stream, f"call {number} of {CALLS} served")


@requirement("CONN-14", observed_by=("record",))
def test_large_stream_identifiers_work(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    for number in (1, 0x3FFF_FFFF, 0x7FFF_FFFF):
        stream = grpcstream_wire.open("Record", stream_id=number, connection=connection)
        stream.send_last(STREAM_SERVICE.plain)
        expect_served(stream, f"the call on stream {number} served")
