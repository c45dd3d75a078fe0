"""Survival of connections that do not speak HTTP/2, are silent or get lost: the server keeps serving other clients."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from pytest_grpcstream import Client, Connect, Failure, StreamError, verify
from pytest_grpcstream.clients.wire import Connection, FrameType, WireClient, framed
from pytest_grpcstream.verify.wire import open_bare_connection

requirement = pytest.mark.grpcstream_requirement

SILENT = 50
"""Connections that send nothing or not enough."""
LOSSES = 10
"""Connections that are lost in each way."""

OTHER_PROTOCOLS = {
    "garbage": random.Random(9113).randbytes(1024),
    "HTTP/1.1": b"POST /proto.StreamService/List HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
    "the beginning of TLS": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(194),
}


@requirement("ROBUST-1")
@pytest.mark.parametrize("sent", OTHER_PROTOCOLS.values(), ids=OTHER_PROTOCOLS)
def test_other_protocols_do_no_harm(grpcstream_wire: WireClient, sent: bytes) -> None:
    with open_bare_connection(grpcstream_wire, sent):
        verify.serves(grpcstream_wire, "beside a client that does not speak HTTP/2")
    verify.serves(grpcstream_wire.fresh(), "after a client that does not speak HTTP/2")


@requirement("ROBUST-2")
def test_silent_connections_do_not_keep_others_out(grpcstream_wire: WireClient) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(SILENT):
            stack.enter_context(open_bare_connection(grpcstream_wire, preface[: number % len(preface)]))
        verify.serves(grpcstream_wire, f"beside {SILENT} connections that send no complete preface")


def begin_frame(client: WireClient) -> None:
    """Send the first bytes of a frame that announces more."""
    client.connection.send_bytes(b"\x00\x01\x00\x00\x00\x00\x00\x00\x01only")


def begin_header_block(client: WireClient) -> None:
    """Send the first fields of a header block without its end."""
    client.connection.send_frame(FrameType.HEADERS, b"\x83\x86", stream_id=1)


def begin_message(client: WireClient) -> None:
    """Send the first bytes of a message that announces more."""
    client.open("Record").data(framed(b"only", length=1000))


BEGINNINGS = {"in a frame": begin_frame, "in a header block": begin_header_block, "in a message": begin_message}


@requirement("ROBUST-3")
@pytest.mark.parametrize("begin", BEGINNINGS.values(), ids=BEGINNINGS)
def test_lost_connections_do_no_harm(grpcstream_wire: WireClient, begin: Callable[[WireClient], None]) -> None:
    for _ in range(LOSSES):
        with grpcstream_wire.fresh() as client:
            begin(client)
            client.connection.reset()
    verify.serves(grpcstream_wire, f"after {LOSSES} connections that were lost")


@requirement("ROBUST-15")
@pytest.mark.parametrize("leave", [Connection.drop, Connection.close], ids=["FIN", "GOAWAY and FIN"])
def test_unfinished_headers_do_no_harm(grpcstream_wire: WireClient, leave: Callable[[Connection], None]) -> None:
    for _ in range(LOSSES):
        with grpcstream_wire.fresh() as client:
            begin_header_block(client)
            leave(client.connection)
    verify.serves(grpcstream_wire, f"after {LOSSES} header blocks without an end")


@requirement("ROBUST-14", observed_by=("duplex",))
def test_vanished_clients_leave_the_server_responsive(grpcstream: Client, grpcstream_connect: Connect) -> None:
    most = 20
    for _ in range(5):
        client = grpcstream_connect()
        for number in range(most):
            try:
                route, record = client.route(), client.record()
                for stream in (route, record):
                    stream.send("vanishing", number)
                verify.answer(route)
            except (Failure, StreamError):
                # LOAD-1 checks how many calls a server serves at a time. Here all of them vanish, however many.
                verify.precondition(number > 0, "an open Route and an open Record", "none")
                most = number
                break
        client.close()
    verify.serves(grpcstream, "after five clients vanished with up to forty open calls each")
