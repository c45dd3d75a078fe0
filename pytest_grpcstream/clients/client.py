"""The client interface: RPCs are opened on it, and every one of them is a `Stream`."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self, TypeAlias

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import Failure, OperationTimeout, StatusError
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import EOF, Metadata, MetadataValue, Point

_KEPT_STREAMS: Final = 50
"""Streams that a client remembers after their end, for reports."""


def read_response(stream: Stream, expected: str) -> Point | None:
    """Read the next response of a stream, where a response is what the test expects.

    Arguments:
        expected: the response in words, such as "response 0 of Route".

    Raises:
        Failure: the RPC ended instead, or nothing arrived within the stream's time limit.
    """
    try:
        got = stream.recv()
    except StatusError as error:
        raise Failure(expected, f"the RPC ended with {error.status}", stream) from error
    except OperationTimeout as error:
        raise Failure(expected, error.actual, stream) from error
    if got is EOF:
        raise Failure(expected, f"the RPC ended with OK after {stream.received} response(s)", stream)
    return got


class Client(abc.ABC):
    """A connection to a StreamService on which RPCs are opened.

    Attributes:
        kind: the name of the client beneath: ``library``.
        timeout: seconds that one operation on a stream may take.
        capabilities: what the target can do, or None if it is not known. A client of a requirement's test knows it.
        streams: those that may still be open, and the last that ended; the newest last.
    """

    kind: str

    def __init__(self, *, timeout: float, capabilities: Capabilities | None = None) -> None:
        self.timeout = timeout
        self.capabilities = capabilities
        self.streams: list[Stream] = []
        self._crowd = 2 * _KEPT_STREAMS

    @abc.abstractmethod
    def _open(self, path: str, metadata: Metadata, deadline: float | None) -> Stream:
        """Start an RPC."""

    @abc.abstractmethod
    def _disconnect(self) -> None:
        """Close the connection."""

    @property
    def greetings(self) -> int:
        """The responses that a Route of the target sends before any request: 1 if it speaks first, else 0."""
        return int(self.capabilities is not None and self.capabilities.route_speaks_first)

    def has(self, feature: str) -> bool:
        """Whether the target is known to have an optional feature (`FEATURES`)."""
        return self.capabilities is not None and feature in self.capabilities.features

    def open(
        self,
        method: str,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
        greeting: bool = True,
    ) -> Stream:
        """Start an RPC: a method of StreamService by its name, or any RPC by its path (``/package.Service/Method``).

        Arguments:
            method: ``List``, ``Record``, ``Route`` or a path.
            metadata: pairs of key and value, ``bytes`` for ``-bin`` keys, sent with the request headers.
            deadline: seconds after which the RPC is over, sent to the server as ``grpc-timeout``.
            greeting: whether a Route of a target that is known to speak first is opened up to that response, so that
                the responses that the caller reads answer requests. Without it the greeting is left unread.

        Raises:
            Failure: the greeting did not arrive.
        """
        stream = self._open(STREAM_SERVICE.path(method), Metadata(metadata), deadline)
        self._remember(stream)
        if greeting:
            self._read_greeting(stream)
        return stream

    def _read_greeting(self, stream: Stream) -> None:
        if self.greetings and stream.method == STREAM_SERVICE.path("Route"):
            read_response(stream, "response 0 of Route")

    def _remember(self, stream: Stream) -> None:
        """Add a stream, and forget those that ended long ago, so that a client of many calls stays small."""
        self.streams.append(stream)
        if len(self.streams) < self._crowd:
            return
        recent = self.streams[-_KEPT_STREAMS:]
        self.streams = [one for one in self.streams[:-_KEPT_STREAMS] if one.status is None] + recent
        self._crowd = 2 * len(self.streams)

    def list(
        self,
        name: str | Point | None,
        value: int = 0,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
    ) -> Stream:
        """Start a List: its one request is sent and this side half-closed."""
        stream = self.open("List", metadata=metadata, deadline=deadline)
        stream.send(name, value)
        stream.close_send()
        return stream

    def record(self, *, metadata: Iterable[tuple[str, MetadataValue]] = (), deadline: float | None = None) -> Stream:
        """Start a Record."""
        return self.open("Record", metadata=metadata, deadline=deadline)

    def route(
        self,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
        greeting: bool = True,
    ) -> Stream:
        """Start a Route; for ``greeting`` see `open`."""
        return self.open("Route", metadata=metadata, deadline=deadline, greeting=greeting)

    def broken_off(self) -> str | None:
        """How the server broke off a connection of this client, in words, or None.

        A graceful shutdown (GOAWAY with NO_ERROR) does not count. Only the wire client sees its connections.
        """
        return None

    def enhance_your_calm(self) -> str | None:
        """How the server ended a connection because this client had reset many streams on it, in words, or None.

        RFC 9113, section 10.5, lets a server treat that as an attack, and answer with ENHANCE_YOUR_CALM.
        """
        return None

    def close(self) -> None:
        """Cancel every RPC that is still open and close the connection. Calling it twice is fine."""
        for stream in self.streams:
            stream.close()
        self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Connect: TypeAlias = Callable[[], Client]
"""A factory of clients that each have a connection of their own."""
