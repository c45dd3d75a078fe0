"""A server as fast as Python allows: it answers every RPC with precomputed DATA frames.

``python benchmarks/frame_server.py`` listens on a free port of the loopback address, prints the address, and serves one
connection after the other until it is killed. To a request of the name ``!repeat N TEXT`` it sends N responses, all of
them ``pt{name: as received, value: 1000}``. It obeys both windows and checks nothing else.
"""

from __future__ import annotations

import re
import select
import socket
import struct
from collections.abc import Iterator

from pytest_grpcstream.messages import StreamPoint, StreamResponse

DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME = 16_384
"""Bytes of a DATA frame: the largest size that every client accepts (RFC 9113, section 4.2)."""
BATCH = 16
"""Frames that are sent in one go, if the windows allow it."""


def main() -> None:
    """Serve one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("{}:{}".format(*listener.getsockname()), flush=True)
        while True:
            channel, _ = listener.accept()
            with channel:
                channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    _Connection(channel).run()
                except (ConnectionError, EOFError):
                    continue  # the client is done


class _Connection:
    """One connection, which serves one RPC at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._received = bytearray()
        self._window = 65_535  # of the connection; RFC 9113, section 6.9.2
        self._initial = 65_535
        self._streams: dict[int, int] = {}  # the windows of the open streams

    def run(self) -> None:
        """Serve until the client disconnects."""
        while len(self._received) < len(PREFACE):
            self._read()
        del self._received[: len(PREFACE)]
        self._channel.sendall(_frame(SETTINGS, 0, 0))
        requests: dict[int, bytes] = {}
        while True:
            for kind, flags, stream, payload in self._frames():
                if kind == HEADERS:
                    self._streams.setdefault(stream, self._initial)
                if kind == DATA:
                    requests[stream] = requests.get(stream, b"") + payload
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    self._answer(stream, requests.pop(stream, b""))
            self._read()

    def _read(self) -> None:
        data = self._channel.recv(65_536)
        if not data:
            raise EOFError
        self._received += data

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Every whole frame that was received; SETTINGS, PING and WINDOW_UPDATE are processed on the way."""
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + size:
                return
            kind, flags, stream = struct.unpack(">BBL", self._received[3:9])
            payload = bytes(self._received[9 : 9 + size])
            del self._received[: 9 + size]
            if kind == SETTINGS and not flags & ACK:
                self._set(payload)
            elif kind == PING and not flags & ACK:
                self._channel.sendall(_frame(PING, ACK, 0, payload))
            elif kind == WINDOW_UPDATE:
                self._grow(stream, int.from_bytes(payload, "big"))
            yield kind, flags, stream, payload

    def _set(self, payload: bytes) -> None:
        for code, value in struct.iter_unpack(">HL", payload):
            if code == INITIAL_WINDOW_SIZE:
                self._streams = {stream: window + value - self._initial for stream, window in self._streams.items()}
                self._initial = value
        self._channel.sendall(_frame(SETTINGS, ACK, 0))

    def _grow(self, stream: int, count: int) -> None:
        if stream:
            # Not for a stream that is over: its window would never be removed again.
            if stream in self._streams:
                self._streams[stream] += count
        else:
            self._window += count

    def _answer(self, stream: int, request: bytes) -> None:
        found = re.search(rb"!repeat ([0-9]+) [ -~]*", request)
        name, count = (found[0].decode(), int(found[1])) if found else ("", 1)
        message = StreamResponse(pt=StreamPoint(name=name, value=1000)).SerializeToString()
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        # The stream is periodic: the bytes at an offset are those at that offset modulo one message.
        pattern = memoryview(framed * (FRAME // len(framed) + 2))
        self._channel.sendall(
            _frame(HEADERS, END_HEADERS, stream, b"\x88" + _field("content-type", "application/grpc"))
        )
        total, sent = count * len(framed), 0
        while sent < total:
            batch: list[bytes | memoryview] = []
            while sent < total and len(batch) < 2 * BATCH:
                size = min(FRAME, total - sent, self._window, self._streams[stream])
                if size <= 0:
                    break
                start = sent % len(framed)
                batch += [_head(size, DATA, 0, stream), pattern[start : start + size]]
                sent += size
                self._window -= size
                self._streams[stream] -= size
            if batch:
                self._channel.sendall(b"".join(batch))
            # An exhausted window leaves nothing to do but wait.
            if not batch or select.select([self._channel], [], [], 0)[0]:
                self._read()
                for _ in self._frames():
                    continue
        self._channel.sendall(_frame(HEADERS, END_HEADERS | END_STREAM, stream, _field("grpc-status", "0")))
        del self._streams[stream]


def _head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return size.to_bytes(3, "big") + struct.pack(">BBL", kind, flags, stream)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _head(len(payload), kind, flags, stream) + payload


def _field(name: str, value: str) -> bytes:
    """A field without indexing (RFC 7541, section 6.2.2); both texts are short."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


if __name__ == "__main__":
    main()
