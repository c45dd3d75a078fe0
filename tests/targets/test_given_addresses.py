"""A given address is checked once; a failed check raises one sentence within its time limit."""

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
    """The message about an address, which must come within the time limit."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start(address, timeout=0.5)
    assert time.monotonic() - began < 5
    assert len(str(failed.value).splitlines()) == 1
    return str(failed.value)


def test_given_server_is_never_stopped(start: Start) -> None:
    """The launcher checks that the server answers, and does not stop it."""
    with bytes_server() as address:
        running = start(address)
        assert running.description == f"already running at {address}"
        assert not running.launched
        running.stop()
        assert running.exit_reason() is None
        assert accepts(address)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6_address_is_reached(start: Start) -> None:
    """An IPv6 address is written in brackets, as in a URL."""
    with bytes_server(host="::1") as address:
        assert address.startswith("[::1]:")
        assert start(address).address == address


@pytest.mark.parametrize("prefix", ["unix:", "unix://"])
def test_unix_socket_is_reached(start: Start, tmp_path: Path, prefix: str) -> None:
    """Both notations are grpcio's own, so clients use the address unchanged."""
    handle = serve(servicers.Plain, "plain", f"unix:{tmp_path}/socket")
    try:
        running = start(f"{prefix}{tmp_path}/socket")
        assert running.address == f"{prefix}{tmp_path}/socket"
        assert name_of(running.address) == "class"
    finally:
        handle.stop(0)


def test_port_where_nothing_listens_is_refused(start: Start) -> None:
    """The message has the reason of the operating system."""
    address = closed_port()
    assert refused(start, address) == f"nothing answers at {address}: Connection refused"


def test_missing_unix_socket_is_refused(start: Start, tmp_path: Path) -> None:
    """A path without a file, and a file without a listener, have different reasons."""
    address = f"unix:{tmp_path}/socket"
    assert refused(start, address) == f"nothing answers at {address}: No such file or directory"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as abandoned:
        abandoned.bind(f"{tmp_path}/socket")
    assert refused(start, address) == f"nothing answers at {address}: Connection refused"


def test_unix_socket_path_may_be_too_long(start: Start, tmp_path: Path) -> None:
    """The operating system limits the length; the message has its reason."""
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
        # SETTINGS must be on stream 0 (RFC 9113, section 6.5).
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x01", "does not speak HTTP/2: it answered b'\\x00\\x00\\x00"),
    ],
    ids=["HTTP/1", "TLS", "mute", "almost mute", "closes", "resets", "other", "PING first", "SETTINGS on a stream"],
)
def test_other_protocol_is_named(start: Start, greeting: bytes, message: str) -> None:
    """The message shows what the server answered, without escape sequences."""
    with bytes_server(greeting) as address:
        shown = refused(start, address)
    assert shown.startswith(f"{address} {message}")
    assert shown.isprintable()


@pytest.fixture
def tls_address() -> Iterator[str]:
    """A server that speaks HTTP/2 over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    with bytes_server(context=context) as address:
        yield address


def test_tls_server_is_recognised(start: Start, tls_address: str) -> None:
    """A TLS server answers the plaintext preface with an alert, which the message explains."""
    assert refused(start, tls_address).startswith(f"{tls_address} speaks TLS")
