"""What a test has used, as far as it shows what happened: its streams and connections, and what its target is like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from pytest_grpcstream.plugin.session import clients_of, target_of

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.wire import Connection, WireClient
    from pytest_grpcstream.errors import Mismatch, RecordedStream
    from pytest_grpcstream.timeline import Event


@dataclass(frozen=True)
class Subject:
    """What a test has used.

    Attributes:
        streams: every stream that its clients remember, and the one that decided, the oldest first.
        connections: every connection of its wire clients, in the order in which they were made.
        deciding: the event that decided, None if no single one did.
    """

    streams: tuple[RecordedStream, ...]
    connections: tuple[Connection, ...]
    deciding: Event | None = None

    @classmethod
    def of(cls, item: pytest.Item, error: Mismatch | None) -> Subject:
        """What a test has used up to now, when it raised ``error``."""
        clients = list(_all_clients(clients_of(item)))
        streams: list[RecordedStream] = [stream for client in clients for stream in client.streams]
        connections = [one for client in clients for one in _connections(client)]
        if error is not None and error.stream is not None and error.stream not in streams:
            # It may be a stream of a client that was not the test's own, such as the one of the look at the target.
            streams.append(error.stream)
            connection = getattr(error.stream, "connection", None)
            if connection is not None and connection not in connections:
                connections.append(connection)
        deciding = None if error is None else error.deciding
        return cls(
            tuple(sorted(streams, key=lambda stream: -stream.timeline.elapsed)),
            tuple(sorted(connections, key=lambda connection: -connection.timeline.elapsed)),
            deciding,
        )


def _all_clients(clients: Iterable[Client]) -> Iterator[Client]:
    """Clients of a test, and those that they have made."""
    for client in clients:
        yield client
        if client.kind == "wire":
            yield from _all_clients(cast("WireClient", client).descendants)


def _connections(client: Client) -> list[Connection]:
    return cast("WireClient", client).connections if client.kind == "wire" else []


def features_of(item: pytest.Item) -> list[str] | None:
    """The optional features of the target of a test, None while they are not known; nothing is found out for it."""
    target = target_of(item)
    features = None if target is None else target.known_features
    return None if features is None else sorted(features)
