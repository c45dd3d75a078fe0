"""The verdict that a server keeps a deadline by itself."""

from __future__ import annotations

from typing import Final

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import ErrorCode, Origin, WireStream
from pytest_grpcstream.errors import Deviation
from pytest_grpcstream.values import Code

_EARLY: Final = 0.02
"""Seconds by which a server's timer may run before the client's."""


def ends_at_deadline(stream: WireStream, least: float) -> None:
    """The server ends the RPC by itself: with DEADLINE_EXCEEDED or RST_STREAM(CANCEL), and not before the deadline.

    Arguments:
        least: the deadline, in seconds after the start of the RPC.

    Raises:
        Failure: the RPC ended in another way or too early.
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
        f"the end not before {least * 1000:.0f} ms",
        f"the end after {elapsed * 1000:.0f} ms",
        stream,
    )
