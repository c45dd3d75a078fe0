"""The streams and connections of a test, from which its evidence is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_grpcstream.clients.wire import Connection
    from pytest_grpcstream.errors import RecordedStream
    from pytest_grpcstream.timeline import Event


@dataclass(frozen=True)
class Subject:
    """The streams and connections of a test.

    Attributes:
        streams: every stream that its clients remember, and the one that decided, the oldest first.
        connections: every connection of its wire clients, in the order in which they were made.
        deciding: the event that decided, None if no single one did.
    """

    streams: tuple[RecordedStream, ...]
    connections: tuple[Connection, ...]
    deciding: Event | None = None
