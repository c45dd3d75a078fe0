"""Servers that flood, never stop, never answer, or vanish: bounded memory, a clear error, and no hang."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.wire.peers import HEADERS, OK, Peer, hold, scripted
from clients.wire.services import response
from pytest_grpcstream.clients.wire import Flag, FrameType, Origin, Rule, SettingCode, WireClient, WireStream, framed
from pytest_grpcstream.errors import OperationTimeout, TargetError
from pytest_grpcstream.values import EOF
from pytest_grpcstream.wire.frames import frame

Connect = Callable[..., WireClient]

MESSAGE = framed(response("m", 0).SerializeToString())

FLOOD = 4 << 20
"""Bytes that a flooding server sends before it gives up."""


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails the test if Python held more than 8 MiB at any time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20, f"{peak >> 20} MiB were held"


def flood(peer: Peer, unit: bytes, total: int = FLOOD) -> None:
    """Send the same bytes repeatedly."""
    block = unit * max(1, 65_536 // len(unit))
    for _ in range(total // len(block)):
        peer.socket.sendall(block)


def flooding(unit: Callable[[int], bytes]) -> Callable[[Peer], None]:
    """A server that answers a request with a flood of frames, and does not read."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        flood(peer, unit(stream_id))
        hold(peer)

    return script


HARMLESS = {
    "empty DATA": lambda stream_id: frame(FrameType.DATA, 0, stream_id),
    "PRIORITY": lambda stream_id: frame(FrameType.PRIORITY, 0, stream_id, bytes(5)),
    "WINDOW_UPDATE": lambda _: frame(FrameType.WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big")),
    "unknown frames": lambda stream_id: frame(0xFA, 0xFF, stream_id, b"x" * 100),
    "GOAWAY": lambda _: frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", 2**31 - 1, 0)),
    "PING answers": lambda _: frame(FrameType.PING, Flag.ACK, 0, bytes(8)),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", HARMLESS)
def test_a_flood_that_needs_no_answer_is_ignored(connected: Connect, name: str) -> None:
    """The frames are counted and dropped; an operation meanwhile times out."""
    with scripted(flooding(HARMLESS[name])) as address, connected(address).list("x", 1) as stream:
        began = time.monotonic()
        with pytest.raises(OperationTimeout):
            stream.recv(timeout=0.3)
        assert time.monotonic() - began < 3
        assert stream.ended is None


@pytest.mark.parametrize("kind", [FrameType.PING, FrameType.SETTINGS])
def test_a_flood_whose_answers_are_not_read_ends_the_connection(connected: Connect, kind: int, tmp_path: Path) -> None:
    """PING and SETTINGS are answered until too many answers wait; then the connection is closed."""
    payload = bytes(8) if kind == FrameType.PING else b""

    def script(peer: Peer) -> None:
        peer.accept()
        flood(peer, frame(kind, 0, 0, payload), 64 << 20)

    with scripted(script, path=tmp_path / "s") as address, connected(address, timeout=20).list("x", 1) as stream:
        ended = stream.await_end()
        assert ended.origin is Origin.CONNECTION_CLOSED
        assert [one.rule for one in stream.connection.violations] == [Rule.FLOOD]


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("size", [0, 1, 16_384])
def test_an_endless_header_block_ends_the_connection(connected: Connect, size: int) -> None:
    """The number of CONTINUATION frames and the size of the block are limited."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.send(FrameType.HEADERS, 0, stream_id, b"")
        flood(peer, frame(FrameType.CONTINUATION, 0, stream_id, bytes(size)))
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CONNECTION_CLOSED
        (violation,) = stream.connection.violations
        assert violation.rule in (Rule.FLOOD, Rule.HEADER_BLOCK_SIZE)


@pytest.mark.usefixtures("bounded")
def test_a_small_block_that_decodes_to_a_huge_one_ends_the_connection(connected: Connect) -> None:
    """The size of the decoded field lines is limited, so that indexing one large entry repeatedly is."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        entry = peer.encoder.encode([("x-large", "y" * 3900)])
        index = b"\xbe"  # the newest entry of the dynamic table
        peer.send(FrameType.HEADERS, Flag.END_HEADERS, stream_id, b"\x88" + entry + index * 12_000)
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CONNECTION_CLOSED
        assert [one.rule for one in stream.connection.violations] == [Rule.HEADER_BLOCK_SIZE]


@pytest.mark.usefixtures("bounded")
def test_endless_headers_are_ignored(connected: Connect) -> None:
    """Further header blocks are violations, of which only the first ones are kept."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        flood(peer, frame(FrameType.HEADERS, Flag.END_HEADERS, stream_id, b"\x0f\x10\x01v"), 1 << 16)
        peer.headers(stream_id, OK, end_stream=True)
        hold(peer)

    with scripted(script) as address, connected(address, timeout=20).list("x", 1) as stream:
        assert stream.recv() is EOF
        assert len(stream.violations) > 4000
        assert len(list(stream.violations)) == 200
        assert str(stream.violations).endswith("more")


@pytest.mark.usefixtures("bounded")
def test_endless_unread_messages_stop_at_the_window(connected: Connect) -> None:
    """The first byte beyond the window ends the connection."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        flood(peer, frame(FrameType.DATA, 0, stream_id, framed(response("m", 0).SerializeToString())))
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CONNECTION_CLOSED
        assert [one.rule for one in stream.connection.violations] == [Rule.STREAM_OVERRUN]
        assert stream.response.messages <= 65_535 // len(MESSAGE)


def test_endless_empty_messages_on_a_huge_window_stop_at_the_buffer(connected: Connect) -> None:
    """The buffer's limit holds even if a test opened the window wide."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        flood(peer, frame(FrameType.DATA, 0, stream_id, framed(b"") * 1000))
        hold(peer)

    options = {"settings": {SettingCode.INITIAL_WINDOW_SIZE: 2**31 - 1}, "buffer": 1 << 20}
    with scripted(script) as address, connected(address, **options).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CONNECTION_CLOSED
        assert [one.rule for one in stream.connection.violations] == [Rule.FLOOD]
        assert stream.response.messages < 20_000


@pytest.mark.usefixtures("bounded")
def test_an_endless_message_is_refused_by_its_prefix(connected: Connect) -> None:
    """A prefix of 4 GiB takes no memory, however much follows."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        peer.send(FrameType.DATA, 0, stream_id, b"\x00\xff\xff\xff\xff")
        peer.until_kind(FrameType.RST_STREAM)
        for _ in range(3):
            peer.send(FrameType.DATA, 0, stream_id, bytes(16_000))
        peer.send(FrameType.PING, payload=b"the end!")
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CLIENT_REFUSED
        stream.connection.wait(lambda: any(one.content == b"the end!" for one in stream.connection.frames))
        assert stream.connection.closed is None


@pytest.mark.usefixtures("bounded")
def test_a_gzip_bomb_is_refused(connected: Connect) -> None:
    """A message that decompresses to more than the limit is never decompressed completely."""
    bomb = _bomb()

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, [*HEADERS, ("grpc-encoding", "gzip")])
        for start in range(0, len(bomb), 16_000):
            peer.send(FrameType.DATA, 0, stream_id, bomb[start : start + 16_000])
        hold(peer)

    with scripted(script) as address, connected(address, buffer=1 << 20).list("x", 1) as stream:
        ended = stream.await_end()
        assert (ended.origin, ended.status.code) == (Origin.CLIENT_REFUSED, 8)
        assert stream.violations.of(Rule.MESSAGE_SIZE)


def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    packed = b"".join(packer.compress(bytes(1 << 16)) for _ in range(512)) + packer.flush()
    return framed(packed, compressed=1)


def test_a_server_that_never_answers_does_not_hang_the_client(connected: Connect) -> None:
    """Every operation times out, and closing takes no time."""

    def script(peer: Peer) -> None:
        peer.greet()
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        began = time.monotonic()
        with client.route() as stream:
            stream.send("anybody?", 1)
            for wait in (
                lambda: stream.recv(timeout=0.05),
                lambda: stream.headers(timeout=0.05),
                lambda: stream.await_end(timeout=0.05),
            ):
                with pytest.raises(OperationTimeout):
                    wait()
            assert stream.await_reset(timeout=0.05) is None
            assert stream.await_bytes(1, timeout=0.05) == 0
            assert stream.await_frame(FrameType.DATA, timeout=0.05) is None
            connection = stream.connection
            assert connection.ping(timeout=0.05) is None
            assert connection.await_goaway(timeout=0.05) is None
            assert connection.await_close(timeout=0.05) is None
        client.close()
        assert time.monotonic() - began < 3


def test_a_server_that_stops_reading_does_not_hang_the_client(connected: Connect) -> None:
    """When TCP is full, sending times out although the windows are open; closing takes no time."""
    stop = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.INITIAL_WINDOW_SIZE, 2**31 - 1)])
        peer.send(FrameType.WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big"))
        stop.wait(20)

    with scripted(script) as address:
        client = connected(address, timeout=0.5)
        stream = client.record()
        stream.connection.wait(lambda: stream.connection.send_window > 1 << 20)
        with pytest.raises(OperationTimeout, match="flow control"):
            _send_on(stream, 40)
        began = time.monotonic()
        client.close()
        assert time.monotonic() - began < 2
        stop.set()


def _send_on(stream: WireStream, count: int) -> None:
    for number in range(count):
        stream.send("x" * (1 << 20), number)


STAGES: dict[str, Callable[[Peer], None]] = {
    "at once": lambda _: None,
    "after the preface": lambda peer: peer.greet(),
    "after HEADERS": lambda peer: _until(peer, FrameType.HEADERS),
    "after DATA": lambda peer: _until(peer, FrameType.DATA),
    "after the request": lambda peer: _respond(peer, 0),
    "after the headers": lambda peer: _respond(peer, 1),
    "in a header block": lambda peer: _respond(peer, 0, frame(FrameType.HEADERS, 0, 1, b"\x88")),
    "in a frame": lambda peer: _respond(peer, 1, frame(FrameType.DATA, 0, 1, MESSAGE)[:11]),
    "in a message": lambda peer: _respond(peer, 1, frame(FrameType.DATA, 0, 1, MESSAGE[:7])),
    "after a message": lambda peer: _respond(peer, 1, frame(FrameType.DATA, 0, 1, MESSAGE)),
    "after GOAWAY": lambda peer: _respond(peer, 1, frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", 1, 2))),
}


def _until(peer: Peer, kind: int) -> None:
    peer.greet()
    peer.until_kind(kind)


def _respond(peer: Peer, headers: int, more: bytes = b"") -> None:
    stream_id = peer.accept()
    if headers:
        peer.headers(stream_id, HEADERS)
    peer.socket.sendall(more)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_vanishes_at_any_stage_ends_every_rpc(connected: Connect, stage: str, reset: bool) -> None:
    """Closed or reset at any point, the connection counts as lost, and the RPC ends with UNAVAILABLE, never with OK."""

    def script(peer: Peer) -> None:
        STAGES[stage](peer)
        if reset:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scripted(script) as address:
        client = connected(address)
        began = time.monotonic()
        if stage == "at once":
            with pytest.raises(TargetError):
                client.connect()
        else:
            with client.list("x", 1) as stream:
                ended = stream.await_end()
                assert (ended.origin, ended.status.code) == (Origin.CONNECTION_CLOSED, 14)
                assert stream.end().code == 14
        assert time.monotonic() - began < 3


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("seed", range(20))
def test_garbage_ends_the_connection_with_a_clear_error(connected: Connect, seed: int) -> None:
    """Random bytes, random frames and damaged responses neither hang nor crash the client's thread."""
    chance = random.Random(seed)

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        for _ in range(50):
            size = chance.choice([0, 1, 4, 5, 6, 8, 40, 300])
            kind = chance.choice([*range(10), 0xBE])
            where = chance.choice([0, stream_id, stream_id, stream_id + 2, 2])
            peer.send(kind, chance.randrange(256), where, chance.randbytes(size))
        peer.socket.sendall(chance.randbytes(1000))

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        ended = stream.await_end()
        assert ended.status.code != 0
        closed = stream.connection.await_close()
        assert closed is not None
        assert closed.reason
        assert stream.connection.crash is None
        assert stream.timeline.render(around=1000).replace("\n", "").isprintable()
