"""Servers scripted over a socket: they do exactly what a test says, right or wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from hpack import Decoder, Encoder

from clients.wire.services import response
from pytest_grpcstream.clients.wire import framed
from pytest_grpcstream.wire.frames import HEADER, PREFACE, Flag, FrameType, frame, settings_payload

HEADERS: list[tuple[str, str]] = [(":status", "200"), ("content-type", "application/grpc")]
OK: list[tuple[str, str]] = [("grpc-status", "0")]


class Frame(NamedTuple):
    """A frame that the client sent."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def end_stream(self) -> bool:
        """Whether END_STREAM is set on DATA or HEADERS."""
        return self.kind in (FrameType.DATA, FrameType.HEADERS) and bool(self.flags & Flag.END_STREAM)


class Peer:
    """The server's side of one connection, for a script to use.

    Attributes:
        seen: every frame that was read.
        raw: every byte that was read.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.settimeout(30)
        self.socket = channel
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.seen: list[Frame] = []
        self.raw = b""
        self._buffer = b""

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the client closed the connection")
            self.raw += data
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def chunk(self) -> bytes:
        """The bytes that came after the last frame that was read, or the next ones."""
        taken, self._buffer = self._buffer or self.socket.recv(65536), b""
        return taken

    def read(self) -> Frame:
        """The next frame of the client."""
        high, low, kind, flags, stream_id = HEADER.unpack(self._take(9))
        got = Frame(kind, flags, stream_id, self._take(high << 8 | low))
        self.seen.append(got)
        return got

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Read up to the first frame that satisfies a predicate."""
        while True:
            got = self.read()
            if wanted(got):
                return got

    def until_kind(self, kind: int, *, ack: bool = False) -> Frame:
        """Read up to the first frame of a type, for SETTINGS and PING with or without ACK."""
        answered = kind in (FrameType.SETTINGS, FrameType.PING)
        return self.until(lambda one: one.kind == kind and (not answered or bool(one.flags & Flag.ACK) == ack))

    def until_closed(self) -> bytes:
        """Read until the client closes the connection and return the bytes that came."""
        got = self._buffer
        self._buffer = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                got += data
        return got

    def send(self, kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> None:
        """Send a frame."""
        self.socket.sendall(frame(kind, flags, stream_id, payload))

    def greet(self, settings: Iterable[tuple[int, int]] = ()) -> None:
        """Read the client's preface and SETTINGS, send SETTINGS and the acknowledgement."""
        assert self._take(len(PREFACE)) == PREFACE
        assert self.read().kind == FrameType.SETTINGS
        self.send(FrameType.SETTINGS, payload=settings_payload(settings))
        self.send(FrameType.SETTINGS, Flag.ACK)

    def accept(self, settings: Iterable[tuple[int, int]] = ()) -> int:
        """Greet, read a request up to its END_STREAM, and return its stream."""
        self.greet(settings)
        return self.until(lambda one: one.end_stream).stream_id

    def headers(
        self, stream_id: int, fields: Iterable[tuple[str | bytes, str | bytes]], *, end_stream: bool = False
    ) -> None:
        """Send a header block in one HEADERS frame."""
        flags = Flag.END_HEADERS | (Flag.END_STREAM if end_stream else 0)
        self.send(FrameType.HEADERS, flags, stream_id, self.encoder.encode(list(fields)))

    def message(self, stream_id: int, name: str = "m", value: int = 0, *, end_stream: bool = False) -> None:
        """Send a response message in one DATA frame."""
        payload = framed(response(name, value).SerializeToString())
        self.send(FrameType.DATA, Flag.END_STREAM if end_stream else 0, stream_id, payload)

    def answer(self, stream_id: int, count: int = 1) -> None:
        """Send a complete correct response with some messages."""
        self.headers(stream_id, HEADERS)
        for number in range(count):
            self.message(stream_id, "m", number)
        self.headers(stream_id, OK, end_stream=True)


Script: TypeAlias = Callable[[Peer], None]


@contextlib.contextmanager
def scripted(*scripts: Script, path: Path | None = None) -> Iterator[str]:
    """A server whose first connection runs the first script, and so on; the last one serves all that follow.

    Arguments:
        path: a unix socket to listen on instead of a port; the kernel buffers less for it than for TCP.

    A script that fails fails the test, unless it failed because the client disconnected.
    """
    listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0) if path is None else str(path))
    listener.listen()
    stopping = threading.Event()
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []
    channels: list[socket.socket] = []

    def run(script: Script, channel: socket.socket) -> None:
        try:
            with channel:
                script(Peer(channel))
        except OSError as error:
            if not stopping.is_set() and not isinstance(error, ConnectionError):
                failures.append(error)
        except BaseException as error:  # noqa: BLE001 - raised again by the test's thread
            failures.append(error)

    def accept() -> None:
        while True:
            channel, _ = listener.accept()
            if stopping.is_set():
                channel.close()
                return
            script = scripts[min(len(channels), len(scripts) - 1)]
            channels.append(channel)
            threads.append(threading.Thread(target=run, args=(script, channel), name="scripted-peer"))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, name="scripted-server")
    acceptor.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}" if path is None else f"unix:{path}"
    finally:
        stopping.set()
        with socket.socket(listener.family) as waking:  # the acceptor waits without a time limit
            waking.connect(listener.getsockname())
        acceptor.join(10)
        listener.close()
        for channel in channels:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(30)
    if failures:
        raise failures[0]


def hold(peer: Peer) -> None:
    """Read what the client sends until it disconnects."""
    peer.until_closed()


class Recorder:
    """A script that reads a request to its end, records its frames, and answers it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.peer: Peer | None = None

    def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        self.peer = peer
        stream_id = peer.accept()
        self.frames = [one for one in peer.seen if one.stream_id == stream_id]
        peer.answer(stream_id)
        hold(peer)

    @property
    def data(self) -> list[bytes]:
        """The payloads of the DATA frames, padding included."""
        return [one.payload for one in self.frames if one.kind == FrameType.DATA]
