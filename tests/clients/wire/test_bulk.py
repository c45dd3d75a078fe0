"""Long streams: memory stays flat, and windows are given back in few frames."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from clients.wire.peers import HEADERS, OK, Peer, hold, scripted
from clients.wire.services import response
from pytest_grpcstream.clients.wire import FrameType, WireClient, framed
from pytest_grpcstream.values import EOF
from pytest_grpcstream.wire.frames import frame

Connect = Callable[..., WireClient]

COUNT = 20_000
MESSAGE = framed(response("m", 1).SerializeToString())
BATCH = 500


def _stream_many(peer: Peer) -> None:
    """Send many small messages, one in each frame, as the windows allow."""
    stream_id = peer.accept()
    peer.headers(stream_id, HEADERS)
    windows = {0: 65_535, stream_id: 65_535}
    batch = frame(FrameType.DATA, 0, stream_id, MESSAGE) * BATCH
    for _ in range(COUNT // BATCH):
        while min(windows.values()) < BATCH * len(MESSAGE):
            update = peer.until_kind(FrameType.WINDOW_UPDATE)
            windows[update.stream_id] += int.from_bytes(update.payload, "big")
        peer.socket.sendall(batch)
        for which in windows:
            windows[which] -= BATCH * len(MESSAGE)
    peer.headers(stream_id, OK, end_stream=True)
    hold(peer)


def test_a_long_stream_is_read_in_flat_memory(connected: Connect) -> None:
    """Of thousands of messages only the events that a timeline keeps remain."""
    with scripted(_stream_many) as address:
        client = connected(address, byte_log=0)
        with client.list("x", 1) as stream:
            count = len(stream.take(5000))
            tracemalloc.start()
            try:
                while stream.recv() is not EOF:
                    count += 1
                kept, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert count == COUNT
        assert kept < 1 << 20
        assert peak < 4 << 20


def test_windows_are_given_back_by_halves(connected: Connect) -> None:
    """One WINDOW_UPDATE is sent for each half of a window that was read, not for every message."""
    with scripted(_stream_many) as address:
        client = connected(address, byte_log=1 << 22)
        with client.list("x", 1) as stream:
            assert stream.end().ok
        sent = client.connection.byte_log.sent()
        updates = sent.count(b"\x00\x00\x04\x08\x00")
        assert updates <= 2 * (COUNT * len(MESSAGE) // 32_767 + 1)
        assert not client.connection.violations
