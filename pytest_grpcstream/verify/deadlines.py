"""The verdict that a server enforces a deadline by itself."""

from __future__ import annotations

from typing import Final

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import ErrorCode, Origin, WireStream
from pytest_grpcstream.errors import Deviation
from pytest_grpcstream.values import Code

_EARLY: Final = 0.02
"""Seconds by which a server's timer may fire before the client's."""


def ends_at_deadline(stream: WireStream, least: float) -> None:
    """The server ends the RPC with DEADLINE_EXCEEDED or RST_STREAM(CANCEL), not before the deadline.

    Arguments:
        least: the deadline, in seconds after the start of the RPC.

    Raises:
        Failure: the RPC ended too early or with another status.
        Deviation: it ended with CANCELLED.
    """
    ended = stream.await_end()
    elapsed = stream.timeline.elapsed
    by_reset = ended.origin is Origin.RST_STREAM and ended.reset_code == ErrorCode.CANCEL
    if not by_reset and ended.server_status is not None and ended.server_status.code == Code.CANCELLED:
        raise Deviation("DEADLINE_EXCEEDED at the deadline", f"{ended}", stream)
    good = by_reset or (ended.server_status is not None and ended.server_status.code == Code.DEADLINE_EXCEEDED)
    verify.fail_unless(good, "DEADLINE_EXCEEDED or RST_STREAM(CANCEL) at the deadline", str(ended), stream)
    verify.fail_unless(
        elapsed >= least - _EARLY,
        f"the RPC ends after {least * 1000:.0f} ms or later",
        f"it ended after {elapsed * 1000:.0f} ms",
        stream,
    )
