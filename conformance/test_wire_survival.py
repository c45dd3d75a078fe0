"""Clients that do everything wrong: whatever becomes of their calls, the server goes on serving others."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from pytest_grpcstream import Code, Deviation, Point, verify
from pytest_grpcstream.clients.wire import ErrorCodes, FrameType, Shape, WireClient, framed
from pytest_grpcstream.errors import Verdict
from pytest_grpcstream.features import Traits
from pytest_grpcstream.wire_verify import asked, each, outcome

requirement = pytest.mark.grpcstream_requirement

SILENT = 50
"""Connections that say nothing or not enough."""
LOSSES = 10
"""Connections that are lost in each of the ways."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(194)
"""Something like the ClientHello with which TLS begins."""

STRANGERS = {
    "garbage": random.Random(20240229).randbytes(1024),
    "HTTP/1.1": b"POST /proto.StreamService/List HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n\x00\x00\x00\x00\x00",
    "TLS": HELLO,
    "nothing": b"",
}


@requirement("ROBUST-1")
def test_strangers_do_no_harm(
    grpcstream_wire: WireClient, grpcstream_traits: Traits, grpcstream_quiet: float
) -> None:
    for name, said in STRANGERS.items():
        with grpcstream_wire.fresh(preface=said, await_settings=False) as client:
            client.connect().await_close(grpcstream_quiet)
            verify.serves(grpcstream_wire, grpcstream_traits, f"while a client sends {name}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_traits, "after clients that do not speak HTTP/2")


@requirement("ROBUST-2")
def test_silent_connections_keep_nobody_out(grpcstream_wire: WireClient, grpcstream_traits: Traits) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(SILENT):
            # What stands before the preface is all that the server gets of it: the rest is never sent.
            client = stack.enter_context(silent(grpcstream_wire, PREFACE[: number % len(PREFACE)]))
            client.connect()
        verify.serves(grpcstream_wire, grpcstream_traits, f"beside {SILENT} connections that say nothing")
