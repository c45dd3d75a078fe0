"""Connections: PING, coming back, many calls, large identifiers, and a client that closes half of TCP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_grpcstream import Deviation, verify
from pytest_grpcstream.clients.wire import Connection, FrameType, SettingCode, WireClient
from pytest_grpcstream.plugin.session import observe
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import PLAIN_REQUEST, asked, given_up, outcome, served, told, told_of

requirement = pytest.mark.grpcstream_requirement

PINGS = 20
CALLS = 300


def answers(connection: Connection, payload: bytes) -> int:
    """How many PINGs with these bytes the server has sent."""
    return sum(one.kind == FrameType.PING and not one.sent and one.content == payload for one in connection.frames)


@requirement("CONN-1")
def test_a_ping_is_answered_with_its_own_bytes(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    answered = connection.ping(b"\x00\xffping\r\n")
    actual = told_of(connection) if given_up(connection) else f"none within {connection.timeout:g} s"
    verify.fail_unless(answered is not None, "the answer to a PING, with the same 8 bytes", actual)


@requirement("CONN-1", needs=("list",))
def test_a_ping_is_answered_while_a_response_waits(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 1}, hold_windows=True) as client:
        stream = client.open("List")
        stream.send_last(PLAIN_REQUEST)
        stream.await_bytes(1)
        answered = client.connection.ping()
        verify.fail_unless(answered is not None, "the answer to a PING while a response waits", "none", stream)
        stream.open_window(1 << 20)
        verify.list_answer(stream, PLAIN_REQUEST)


@requirement("CONN-2")
def test_an_answer_to_no_ping_is_not_answered(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    connection = grpcstream_wire.connect()
    payload = connection.send_ping(b"unasked!", ack=True)
    connection.wait(lambda: given_up(connection), grpcstream_quiet)
    count = answers(connection, payload)
    verify.fail_unless(not count, "no answer to a PING with ACK", f"{count} of them")
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after the answer to a PING that was never sent")
    if given_up(connection):
        raise Deviation("the connection goes on after an answer to no PING", told_of(connection))


@requirement("CONN-3")
def test_too_many_pings_are_answered_ignored_or_punished(
    grpcstream_wire: WireClient,
    grpcstream_capabilities: Capabilities,
    grpcstream_quiet: float,
    request: pytest.FixtureRequest,
) -> None:
    connection = grpcstream_wire.connect()
    payloads = [connection.send_ping(number.to_bytes(8, "big")) for number in range(PINGS)]
    connection.wait(lambda: all(connection.answered(one) for one in payloads), grpcstream_quiet)
    connection.wait(lambda: given_up(connection), grpcstream_quiet)
    count = sum(connection.answered(one) for one in payloads)
    observe(request.node, f"{count} of {PINGS} PINGs in a row were answered; {told_of(connection)}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, f"after {PINGS} PINGs in a row")


LEAVINGS: dict[str, Callable[[Connection], None]] = {
    "GOAWAY and FIN": Connection.close,
    "FIN": Connection.drop,
    "RST": Connection.reset,
}


@requirement("CONN-12")
@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
def test_a_client_that_left_is_served_when_it_comes_back(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, leave: Callable[[Connection], None]
) -> None:
    for _ in range(3):
        with grpcstream_wire.open("Route") as stream:
            stream.send(PLAIN_REQUEST)
            leave(stream.connection)
        verify.serves(grpcstream_wire, grpcstream_capabilities, "on a new connection at once")


@requirement("CONN-13", needs=("record",))
def test_hundreds_of_calls_in_turn_are_served(grpcstream_wire: WireClient) -> None:
    for number in range(1, CALLS + 1):
        with asked(grpcstream_wire) as stream:
            served(stream, f"call {number} of {CALLS} served")


@requirement("CONN-14", needs=("record",))
def test_large_stream_identifiers_work(grpcstream_wire: WireClient) -> None:
    connection = grpcstream_wire.connect()
    for number in (1, 0x3FFF_FFFF, 0x7FFF_FFFF):
        stream = grpcstream_wire.open("Record", stream_id=number, connection=connection)
        stream.send_last(PLAIN_REQUEST)
        served(stream, f"the call on stream {number} served")


@requirement("CONN-15", needs=("record",))
def test_half_a_tcp_connection_finishes_its_calls_or_ends_them(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, request: pytest.FixtureRequest
) -> None:
    stream = asked(grpcstream_wire)
    stream.connection.shut_write()
    outcome(stream)
    observe(request.node, f"a Record whose client closed its side of TCP behind the half-close: {told(stream)}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a client that closed its side of TCP")
