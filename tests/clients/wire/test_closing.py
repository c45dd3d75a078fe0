"""Every way in which a connection ends, and targets that do not speak HTTP/2."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from clients.wire.peers import HEADERS, Peer, hold, scripted
from pytest_grpcstream.clients.wire import FrameType, Origin, WireClient
from pytest_grpcstream.errors import OperationTimeout, TargetError
from pytest_grpcstream.values import Code
from pytest_grpcstream.wire.transport import Transport

Connect = Callable[..., WireClient]


class _Witness:
    """A script that records how the client's side of TCP ended, and the bytes before that."""

    def __init__(self) -> None:
        self.saw = ""
        self.bytes = b""
        self.done = threading.Event()

    def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        peer.greet()
        peer.until_kind(FrameType.HEADERS)
        peer.send(0xBE)  # an unknown type, which is ignored: it shows the test that HEADERS have come
        try:
            while data := peer.socket.recv(65536):
                self.bytes += data
            self.saw = "FIN"
        except ConnectionResetError:
            self.saw = "RST"
        self.done.set()


@pytest.mark.parametrize(("way", "sees"), [("drop", "FIN"), ("reset", "RST"), ("close", "FIN")])
def test_a_connection_ends_by_fin_by_rst_or_by_goaway(connected: Connect, way: str, sees: str) -> None:
    """`drop` sends only a FIN, `reset` a RST, `close` a GOAWAY before the FIN; every RPC on it ends."""
    witness = _Witness()
    with scripted(witness) as address:
        stream = connected(address).route()
        assert stream.connection.wait(lambda: any(one.kind == 0xBE for one in stream.connection.frames))
        getattr(stream.connection, way)()
        ended = stream.await_end()
        assert (ended.origin, ended.status.code) == (Origin.CONNECTION_CLOSED, Code.UNAVAILABLE)
        assert stream.connection.closed is not None
        assert not stream.connection.closed.by_server
        assert witness.done.wait(5)
    assert witness.saw == sees
    assert (witness.bytes[3:4] == bytes([FrameType.GOAWAY])) == (way == "close")


def test_drop_sends_a_fin_even_with_unread_bytes() -> None:
    """Closing a socket with unread bytes sends a RST, so the FIN is sent before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with far:
        far.sendall(b"unread")
        transport = Transport(near)
        assert select.select([near], [], [], 5)[0]
        transport.drop()
        far.settimeout(5)
        assert far.recv(100) == b""


def test_a_half_closed_tcp_connection_can_still_be_read(connected: Connect) -> None:
    """After `shut_write` the server sees the FIN, and what it sends then is still read."""
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        seen.append(peer.until_closed())
        peer.answer(stream_id, 3)

    with scripted(script) as address:
        client = connected(address)
        with client.list("x", 3) as stream:
            assert stream.connection.await_settings_ack()
            stream.connection.shut_write()
            assert len(stream.collect()) == 3
            assert stream.status is not None
            assert stream.status.ok
        assert client.connection.await_close() is not None
    assert len(seen) == 1


@pytest.mark.parametrize("twice", [False, True])
def test_close_ends_the_thread_and_may_be_called_twice(grpcio_address: str, twice: bool) -> None:
    """After `close` no thread of the connection is left."""
    before = threading.active_count()
    client = WireClient(grpcio_address)
    stream = client.route()
    assert threading.active_count() > before
    client.close()
    if twice:
        client.close()
        stream.connection.drop()
        stream.connection.reset()
    assert not [one for one in threading.enumerate() if one.name == "grpcstream-wire"]
    assert stream.await_end().origin is Origin.CLIENT_CANCEL


def test_nothing_is_sent_on_a_closed_connection(grpcio_address: str, connected: Connect) -> None:
    """Operations on closed streams and connections do nothing and raise nothing."""
    client = connected(grpcio_address)
    stream = client.route()
    connection = client.connection
    connection.drop()
    assert stream.send("late", 1) is False
    stream.close_send()
    stream.reset()
    stream.data(b"x")
    stream.open_window(5)
    connection.send_ping()
    connection.send_settings()
    connection.goaway()
    connection.send_bytes(b"x")
    connection.open_window(1)
    assert connection.ping() is None
    with client.open("Route", connection=connection) as dead:
        assert dead.end().code == Code.UNAVAILABLE
    assert client.list("new", 1).collect() == [("new", 0)]


def test_a_fin_of_the_server_ends_every_rpc(connected: Connect) -> None:
    """Open RPCs end with UNAVAILABLE; responses that came before are still read."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        peer.message(stream_id, "last words", 1)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.recv() == ("last words", 1)
        assert stream.end().code == Code.UNAVAILABLE
        assert stream.origin is Origin.CONNECTION_CLOSED
        closed = stream.connection.await_close()
        assert closed is not None
        assert closed.by_server
        assert closed.reason == "the server closed the connection"


def test_a_reset_of_tcp_is_reported(connected: Connect) -> None:
    """A RST of the server is distinguished from a FIN."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert "the server reset the connection" in stream.await_end().status.message


def test_a_connection_lost_in_the_middle_of_a_frame_is_reported(connected: Connect) -> None:
    """The reason says that a frame was truncated."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.socket.sendall(b"\x00\x00\x64\x00\x00\x00\x00\x00\x01half")

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert "in the middle of a frame, after 13 bytes" in stream.await_end().status.message


# Targets that speak something else ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"speaks HTTP/1: it answered b'HTTP/1\.1 400 Bad Request'"),
        (b"\x15\x03\x01\x00\x02\x02\x46 and more", "the server speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the first frame of the server is not SETTINGS"),
        (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00........", "the first frame of the server is not SETTINGS: it is PING"),
        (b"\x00\x00\x00\x04\x01\x00\x00\x00\x00", "the first frame of the server is not SETTINGS"),
        (b"", "the server closed the connection"),
        (b"\x00\x00", "in the middle of a frame, after 2 bytes"),
    ],
)
def test_a_server_that_does_not_speak_http2_is_one_clear_error(connected: Connect, answer: bytes, verdict: str) -> None:
    """The error says what the server answered instead of SETTINGS, and nothing is left behind."""

    def script(peer: Peer) -> None:
        peer.socket.recv(1024)
        peer.socket.sendall(answer)

    with scripted(script) as address:
        client = connected(address)
        with pytest.raises(TargetError, match=verdict):
            client.connect()
        assert client.connections == []


def test_a_silent_server_is_one_clear_error(connected: Connect) -> None:
    """A server that accepts the connection and sends nothing is reported after the time limit."""
    with scripted(hold) as address:
        client = connected(address, timeout=0.2)
        began = time.monotonic()
        with pytest.raises(TargetError, match=r"sent no SETTINGS within 0\.2 s"):
            client.connect()
        assert time.monotonic() - began < 2


def test_await_settings_may_be_turned_off(connected: Connect) -> None:
    """Without ``await_settings`` the connection is usable at once, whatever the server sends."""
    with scripted(hold) as address:
        client = connected(address, await_settings=False)
        with client.route() as stream:
            stream.send("into the void", 1)
            with pytest.raises(OperationTimeout):
                stream.recv(timeout=0.1)
