"""The client interface: it opens RPCs, and each RPC is a `Stream`."""

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
"""Ended streams that a client keeps for reports."""


def read_response(stream: Stream, expected: str) -> Point | None:
    """Read the next response of a stream; fail if there is none.

    Arguments:
        expected: the response, for the message, such as "response 0 of Route".

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
        kind: the name of the implementation: ``library`` or ``wire``.
        timeout: seconds that one operation on a stream may take.
        capabilities: those of the target, or None if unknown. They are known in tests of a requirement.
        streams: the streams that may still be open and the last ones that ended, oldest first.
    """

    kind: str

    def __init__(self, *, timeout: float, capabilities: Capabilities | None = None) -> None:
        self.timeout = timeout
        self.capabilities = capabilities
        self.streams: list[Stream] = []
        self._prune_at = 2 * _KEPT_STREAMS

    @abc.abstractmethod
    def _open(self, path: str, metadata: Metadata, deadline: float | None) -> Stream:
        """Start an RPC."""

    @abc.abstractmethod
    def _disconnect(self) -> None:
        """Close the connection."""

    @property
    def greetings(self) -> int:
        """The number of responses that the target's Route sends before any request: 1 if it speaks first, else 0."""
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
        """Start an RPC, given as a method of StreamService or as a path (``/package.Service/Method``).

        Arguments:
            method: ``List``, ``Record``, ``Route`` or a path.
            metadata: pairs of key and value, ``bytes`` for ``-bin`` keys, sent with the request headers.
            deadline: seconds from now, sent to the server as ``grpc-timeout``.
            greeting: whether to read the first response of a Route if the target is known to speak first. All further
                responses then answer requests. If False, the greeting stays unread.

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
        """Add a stream, and drop old ended ones to limit memory."""
        self.streams.append(stream)
        if len(self.streams) < self._prune_at:
            return
        recent = self.streams[-_KEPT_STREAMS:]
        self.streams = [one for one in self.streams[:-_KEPT_STREAMS] if one.status is None] + recent
        self._prune_at = 2 * len(self.streams)

    def list(
        self,
        name: str | Point | None,
        value: int = 0,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
    ) -> Stream:
        """Start a List: send its one request and half-close."""
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
        """How the server aborted a connection of this client, or None.

        A graceful shutdown (GOAWAY with NO_ERROR) does not count. Only the wire client sees its connections.
        """
        return None

    def enhance_your_calm(self) -> str | None:
        """How the server ended a connection because this client had reset many streams on it, or None.

        RFC 9113, section 10.5, lets a server treat that as an attack and respond with ENHANCE_YOUR_CALM.
        """
        return None

    def close(self) -> None:
        """Cancel all open RPCs and close the connection. A second call does nothing."""
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
"""Creates clients, each with its own connection."""
