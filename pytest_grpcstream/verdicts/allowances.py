"""What a server may do to a test without a fault of its own: a failure that comes of it is a warning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_grpcstream.errors import (
    FEW_STREAMS,
    ConcurrencyLimited,
    EnhanceYourCalm,
    Mismatch,
    NotProcessed,
    OperationTimeout,
    RecordedStream,
)
from pytest_grpcstream.plugin.session import Run, clients_of, streams_of, target_of

if TYPE_CHECKING:
    import pytest

    from pytest_grpcstream.clients.stream import Stream


def excuse(run: Run, item: pytest.Item, failed: Exception) -> Mismatch | None:
    """The warning in place of the failure of a test, or None where the target has no excuse."""
    if (room := _crowded(run, item, failed)) is not None:
        return room
    # A server that does no plain exchange at all has no excuse.
    kept = target_of(item)
    if kept is None or not isinstance(failed, Mismatch) or not kept.capabilities(run.kind_of(item)).working_exchanges:
        return None
    return _withdrawn(item, failed) or _alarmed(item, failed)


def _crowded(run: Run, item: pytest.Item, failed: Exception) -> ConcurrencyLimited | None:
    """Whether the cause of a failure is that the server allows fewer concurrent calls than the test had open.

    The wire client says so. grpcio keeps such calls back without a word, so that nothing comes.
    """
    causes = _causes(failed)
    if room := next((one for one in causes if isinstance(one, ConcurrencyLimited)), None):
        return room
    kept, late = target_of(item), next((one for one in causes if isinstance(one, OperationTimeout)), None)
    if kept is None or late is None or late.stream is None or run.kind_of(item) != "library":
        return None
    beside = _open_beside(late.stream, streams_of(item))
    limit = run.connector.stream_limit(kept) if beside else None
    if limit is None or limit not in FEW_STREAMS or limit > beside:
        return None
    seen = f"{late.actual}; SETTINGS_MAX_CONCURRENT_STREAMS is {limit}, and {beside} other calls were open"
    return ConcurrencyLimited(late.expected, seen, late.stream)


def _withdrawn(item: pytest.Item, failed: Mismatch) -> NotProcessed | None:
    """Whether a call of the test was not taken, because the server ended the connection in peace."""
    found = next(((stream, why) for stream in streams_of(item) if (why := stream.withdrawn)), None)
    if found is None:
        return None
    stream, why = found
    return NotProcessed(failed.expected, f"{failed.actual}; one call was not taken, to be sent again: {why}", stream)


def _alarmed(item: pytest.Item, failed: Mismatch) -> EnhanceYourCalm | None:
    """Whether the server ended a connection to calm the test, which had reset many streams on it."""
    why = next((why for client in clients_of(item) if (why := client.alarmed())), None)
    if why is None:
        return None
    return EnhanceYourCalm(
        failed.expected, f"{failed.actual}; the server took the test for an attack: {why}", failed.stream
    )


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and all that it was raised for."""
    causes = [error]
    while (further := causes[-1].__cause__ or causes[-1].__context__) is not None and further not in causes:
        causes.append(further)
    return causes


def _open_beside(stream: RecordedStream, others: Iterable[Stream]) -> int:
    """How many other streams were open while a stream was; grpcio begins them on the wire in an order of its own."""
    ended = stream.over or math.inf
    return sum(
        one.timeline.began < ended and (one.over or math.inf) > stream.timeline.began
        for one in others
        if one is not stream
    )
