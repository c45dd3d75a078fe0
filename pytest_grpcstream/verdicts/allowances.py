"""Allowances: a failure that results from what a correct server may do becomes a warning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.stream import Stream


@dataclass(frozen=True)
class Circumstances:
    """What a test did before it failed: all that decides whether an allowance applies.

    Attributes:
        clients: the clients of the test.
        serves: whether the target can do any baseline exchange; without one there is no allowance.
        stream_limit: asks the server for SETTINGS_MAX_CONCURRENT_STREAMS, if the client of the test does not report
            that it waited for a free stream; None if it does.
    """

    clients: Sequence[Client]
    serves: bool
    stream_limit: Callable[[], int | None] | None = None

    @property
    def streams(self) -> list[Stream]:
        """Every stream that the clients remember."""
        return [stream for client in self.clients for stream in client.streams]


def find_allowance(failed: Exception, circumstances: Circumstances) -> Mismatch | None:
    """The warning that replaces the failure of a test, or None if no allowance applies."""
    if (limited := _concurrency_limited(failed, circumstances)) is not None:
        return limited
    if not isinstance(failed, Mismatch) or not circumstances.serves:
        return None
    return _not_processed(failed, circumstances.streams) or _enhance_your_calm(failed, circumstances.clients)


def _concurrency_limited(failed: Exception, circumstances: Circumstances) -> ConcurrencyLimited | None:
    """Whether the test failed because the server allows fewer concurrent streams than the test had open.

    The wire client reports that. grpcio silently queues such calls, so nothing arrives.
    """
    causes = _causes(failed)
    if reported := next((one for one in causes if isinstance(one, ConcurrencyLimited)), None):
        return reported
    timeout = next((one for one in causes if isinstance(one, OperationTimeout)), None)
    if timeout is None or timeout.stream is None or circumstances.stream_limit is None:
        return None
    beside = _count_open_beside(timeout.stream, circumstances.streams)
    limit = circumstances.stream_limit() if beside else None
    if limit is None or limit not in FEW_STREAMS or limit > beside:
        return None
    actual = f"{timeout.actual}; SETTINGS_MAX_CONCURRENT_STREAMS is {limit}, and {beside} other calls were open"
    return ConcurrencyLimited(timeout.expected, actual, timeout.stream)


def _not_processed(failed: Mismatch, streams: Iterable[Stream]) -> NotProcessed | None:
    """Whether the server shut a connection down gracefully before it processed a call of the test."""
    found = next(((stream, why) for stream in streams if (why := stream.not_processed)), None)
    if found is None:
        return None
    stream, why = found
    return NotProcessed(failed.expected, f"{failed.actual}; a call was not processed and can be retried: {why}", stream)


def _enhance_your_calm(failed: Mismatch, clients: Iterable[Client]) -> EnhanceYourCalm | None:
    """Whether the server throttled the test, which had reset many streams on one connection."""
    why = next((why for client in clients if (why := client.enhance_your_calm())), None)
    if why is None:
        return None
    actual = f"{failed.actual}; the server throttled the test (ENHANCE_YOUR_CALM): {why}"
    return EnhanceYourCalm(failed.expected, actual, failed.stream)


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and everything that caused it."""
    causes = [error]
    while (further := causes[-1].__cause__ or causes[-1].__context__) is not None and further not in causes:
        causes.append(further)
    return causes


def _count_open_beside(stream: RecordedStream, others: Iterable[Stream]) -> int:
    """How many other streams were open at the same time; grpcio starts them on the wire in an order of its own."""
    ended = stream.over or math.inf
    return sum(
        one.timeline.began < ended and (one.over or math.inf) > stream.timeline.began
        for one in others
        if one is not stream
    )
