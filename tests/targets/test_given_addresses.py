"""A given address is looked at once, and what is wrong there is one sentence, within its time limit."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from pytest_grpcstream import TargetError
from pytest_grpcstream.targets.serving import serve
from pytest_grpcstream.wire.sockets import accepts
from targets import servicers
from targets.conftest import Start
from targets.scripted import CLOSE, RESET, bytes_server, closed_port
from targets.test_servicers import name_of


def refused(start: Start, address: str) -> str:
    """What is said about an address, which must not take longer than its time limit."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start(address, timeout=0.5)
    assert time.monotonic() - began < 5
    assert len(str(failed.value).splitlines()) == 1
    return str(failed.value)


def test_a_server_that_somebody_started_is_never_stopped(start: Start) -> None:
    """The launcher looks whether it is there, and leaves it alone at the end."""
    with bytes_server() as address:
        running = start(address)
        assert running.description == f"already running at {address}"
        assert not running.launched
        running.stop()
        assert running.exit_reason() is None
        assert accepts(address)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_ipv6_address_is_reached(start: Start) -> None:
    """It is written in brackets, as in a URL."""
    with bytes_server(host="::1") as address:
        assert address.startswith("[::1]:")
        assert start(address).address == address


@pytest.mark.parametrize("prefix", ["unix:", "unix://"])
def test_a_unix_socket_is_reached(start: Start, tmp_path: Path, prefix: str) -> None:
    """Both ways to write one are grpcio's own, so clients can use the address as it is."""
    handle = serve(servicers.Plain, "plain", f"unix:{tmp_path}/socket")
    try:
        running = start(f"{prefix}{tmp_path}/socket")
        assert running.address == f"{prefix}{tmp_path}/socket"
        assert name_of(running.address) == "class"
    finally:
        handle.stop(0)


def test_a_port_where_nothing_listens(start: Start) -> None:
    """A connection that is refused."""
    address = closed_port()
    assert refused(start, address) == f"nothing answers at {address}: Connection refused"


def test_a_unix_socket_that_is_not_there(start: Start, tmp_path: Path) -> None:
    """A path where there is no file, and one where there is no listener."""
    address = f"unix:{tmp_path}/socket"
    assert refused(start, address) == f"nothing answers at {address}: No such file or directory"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as abandoned:
        abandoned.bind(f"{tmp_path}/socket")
    assert refused(start, address) == f"nothing answers at {address}: Connection refused"


def test_a_path_that_is_too_long_for_a_unix_socket(start: Start, tmp_path: Path) -> None:
    """The system has a limit, and its reason is told."""
    address = f"unix:{tmp_path}/{'x' * 200}"
    assert refused(start, address) == f"nothing answers at {address}: AF_UNIX path too long"


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>",
            "speaks HTTP/1, not HTTP/2: it answered b'HTTP/1.1 400 Bad Request'",
        ),
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "speaks TLS",
        ),
        (
            b"",
            "accepts connections but answered the HTTP/2 connection preface with nothing within 0.5 s",
        ),
        (
            b"\x00\x00",
            "accepts connections but answered the HTTP/2 connection preface with only b'\\x00\\x00' within 0.5 s",
        ),
        (CLOSE, "closed the connection after the HTTP/2 connection preface"),
        (RESET, "dropped the HTTP/2 connection preface: Connection reset by peer"),
        (b"220 mail.example.test ESMTP\x1b[31m\n", "does not speak HTTP/2: it answered b'220 mail"),
        # A PING is a good frame, but RFC 9113, section 3.4, asks for SETTINGS as the first one.
        (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8), "does not speak HTTP/2: it answered b'\\x00\\x00\\x08"),
        # SETTINGS on stream 1 is none.
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x01", "does not speak HTTP/2: it answered b'\\x00\\x00\\x00"),
    ],
    ids=["HTTP/1", "TLS", "mute", "almost mute", "closes", "resets", "other", "PING first", "SETTINGS on a stream"],
)
def test_a_port_that_speaks_something_else(start: Start, greeting: bytes, message: str) -> None:
    """What was heard there is named, and a text that came from there cannot act on a terminal."""
    with bytes_server(greeting) as address:
        told = refused(start, address)
    assert told.startswith(f"{address} {message}")
    assert told.isprintable()


@pytest.fixture
def tls_address() -> Iterator[str]:
    """A server that speaks HTTP/2, by TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    with bytes_server(context=context) as address:
        yield address


def test_a_port_that_speaks_tls(start: Start, tls_address: str) -> None:
    """A real handshake answers the plaintext preface with an alert, which is recognised."""
    assert refused(start, tls_address).startswith(f"{tls_address} speaks TLS")
