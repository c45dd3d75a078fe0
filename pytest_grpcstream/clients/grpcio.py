"""The library client: streams on grpcio, the library that applications use."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import grpc

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import MANY_RESETS
from pytest_grpcstream.values import Code, Ended, Metadata, MetadataValue, Received, Status

WAITING: Final = 64
"""Requests that may be queued for flow control before `Stream.send` blocks."""

CHANNEL_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # Give each channel its own connection: by default, grpcio shares one between all channels of the process.
    ("grpc.use_local_subchannel_pool", 1),
    # Ignore proxies that environment variables name: the suite must reach the target directly.
    ("grpc.enable_http_proxy", 0),
    # The suite judges the server's first answer, so it does not retry.
    ("grpc.enable_retries", 0),
    # The suite tests the target's size limits, so the client has none (metadata: 1 MiB).
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1 << 20),
    ("grpc.absolute_max_metadata_size", 1 << 20),
    # Reconnect quickly to a restarted server.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
)

_GRACEFUL_GOAWAY: Final = "GOAWAY received; Error code: 0"
_CALM_GOAWAY: Final = "GOAWAY received; Error code: 11"


class _Requests(Iterator[bytes]):
    """The request iterator that grpcio reads: it blocks until a request, the half-close or the end of the RPC."""

    def __init__(self) -> None:
        self._queued: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._space = threading.Condition()
        self._blocked = 0
        self._over = False

    def __next__(self) -> bytes:
        message = self._queued.get()
        if self._blocked:
            with self._space:
                self._space.notify_all()
        if message is None or self._over:
            raise StopIteration
        return message

    def put(self, message: bytes, timeout: float) -> bool | None:
        if self._queued.qsize() >= WAITING and not self._wait_for_space(timeout):
            return None
        if self._over:
            return False
        self._queued.put(message)
        return True

    def _wait_for_space(self, timeout: float) -> bool:
        with self._space:
            self._blocked += 1
            try:
                return self._space.wait_for(lambda: self._queued.qsize() < WAITING or self._over, timeout)
            finally:
                self._blocked -= 1

    def half_close(self) -> None:
        self._queued.put(None)

    def stop(self) -> None:
        """Release grpcio's thread and a blocked sender; no further request is accepted."""
        self._over = True
        self._queued.put(None)
        with self._space:
            self._space.notify_all()


class _Responses:
    """Reads responses from a grpcio call in its own thread, and only as many as were requested.

    It never reads ahead by itself, so the test controls flow control: an unread stream stays unread.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._wanted: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._arrived: queue.SimpleQueue[Received | Ended] = queue.SimpleQueue()
        self._outstanding = 0
        self._thread: threading.Thread | None = None

    def want(self, count: int) -> None:
        missing = count - self._outstanding
        if missing <= 0:
            return
        self._outstanding += missing
        self._wanted.put(missing)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="grpcstream-responses", daemon=True)
            self._thread.start()

    def get(self, timeout: float) -> Received | Ended | None:
        if self._outstanding == 0:
            self.want(1)
        try:
            arrived = self._arrived.get(timeout=timeout)
        except queue.Empty:
            return None
        self._outstanding -= 1
        return arrived

    def stop(self, timeout: float) -> None:
        self._wanted.put(0)
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while count := self._wanted.get():
            for _ in range(count):
                arrived = self._read()
                self._arrived.put(arrived)
                if isinstance(arrived, Ended):
                    return

    def _read(self) -> Received | Ended:
        try:
            return Received(next(self._call), time.monotonic())
        except (StopIteration, grpc.RpcError):
            at = time.monotonic()
        call = self._call
        return Ended(
            Status(int(call.code().value[0]), call.details() or ""),
            Metadata(call.initial_metadata() or ()),
            Metadata(call.trailing_metadata() or ()),
            at,
        )


class LibraryStream(Stream):
    """An RPC on a `grpc.Channel`."""

    def __init__(
        self, channel: grpc.Channel, path: str, metadata: Metadata, deadline: float | None, *, timeout: float
    ) -> None:
        super().__init__(path, timeout=timeout)
        self._requests = _Requests()
        self.timeline.add("client", "headers", path + (f" deadline {deadline:g} s" if deadline is not None else ""))
        # Call every method as bidirectional streaming: it is the same on the wire, and the test, not grpcio, detects a
        # missing or an extra response.
        method: Any = channel.stream_stream(path, request_serializer=None, response_deserializer=None)
        self._call = method(self._requests, timeout=deadline, metadata=tuple(metadata))
        self._responses = _Responses(self._call)
        if not self._call.add_callback(self._requests.stop):
            self._requests.stop()

    @property
    def not_processed(self) -> str | None:
        """The reason if a server did not process this RPC because it shut down gracefully, otherwise None.

        grpcio reports it only by the text that it uses for streams above the last one of a GOAWAY with NO_ERROR.
        """
        status = self.status
        if status is None or self.received or status.code != Code.UNAVAILABLE or _GRACEFUL_GOAWAY not in status.message:
            return None
        return str(status)

    def _write(self, message: bytes, timeout: float) -> bool | None:
        return self._requests.put(message, timeout)

    def _half_close(self) -> None:
        self._requests.half_close()

    def _prefetch(self, count: int) -> None:
        self._responses.want(count)

    def _read(self, timeout: float) -> Received | Ended | None:
        return self._responses.get(timeout)

    def _await_headers(self, timeout: float) -> Metadata | None:
        got: list[Metadata] = []

        def wait() -> None:
            got.append(Metadata(self._call.initial_metadata() or ()))

        # grpcio has no time limit here; the thread ends with the RPC at the latest.
        waiter = threading.Thread(target=wait, name="grpcstream-headers", daemon=True)
        waiter.start()
        waiter.join(timeout)
        return got[0] if got else None

    def _cancel(self) -> None:
        self._call.cancel()

    def _release(self) -> None:
        self._requests.stop()
        self._responses.stop(self.timeout)


class LibraryClient(Client):
    """A client on a `grpc.Channel`.

    Arguments:
        channel: the channel; it may have credentials and interceptors.
        timeout: seconds that one operation on a stream may take.
        metadata: sent with every RPC, before the RPC's own metadata; timelines do not show it.
        owned: whether `close` also closes the channel.
        capabilities: those of the target, if known.
    """

    kind = "library"

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        timeout: float = 5.0,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        owned: bool = False,
        capabilities: Capabilities | None = None,
    ) -> None:
        super().__init__(timeout=timeout, capabilities=capabilities)
        self.channel = channel
        self._metadata = Metadata(metadata)
        self._owned = owned
        self._opened = 0

    def _open(self, path: str, metadata: Metadata, deadline: float | None) -> Stream:
        self._opened += 1
        combined = Metadata([*self._metadata, *metadata])
        return LibraryStream(self.channel, path, combined, deadline, timeout=self.timeout)

    def enhance_your_calm(self) -> str | None:
        """How the server ended a connection because many streams were reset on it, or None.

        grpcio does not report its resets, so the number of opened streams is the upper bound.
        """
        if self._opened < MANY_RESETS:
            return None
        ends = (stream.status for stream in self.streams)
        return next((str(end) for end in ends if end is not None and _CALM_GOAWAY in end.message), None)

    def _disconnect(self) -> None:
        if self._owned:
            self.channel.close()


def _host(authority: str) -> str:
    return authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None = None, authority: str | None = None
) -> grpc.Channel:
    """Open a channel with its own connection to ``host:port`` or ``unix:path``.

    Arguments:
        credentials: TLS credentials, None for plaintext.
        authority: the ``:authority`` of every request, and the name that the server's certificate must have.
    """
    options: list[tuple[str, str | int]] = list(CHANNEL_OPTIONS)
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    if credentials is None:
        return grpc.insecure_channel(address, options=options)
    if authority is not None:
        options.append(("grpc.ssl_target_name_override", _host(authority)))
    return grpc.secure_channel(address, credentials, options=options)
