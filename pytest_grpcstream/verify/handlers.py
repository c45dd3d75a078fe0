"""What a handler learns, asked of the server itself, and the pauses that give it time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import Failure
from pytest_grpcstream.values import Point
from pytest_grpcstream.verify.streams import fail_unless, ok, same

_PAUSES: Final = (1, 4, 12)
"""The pauses of `retry_with_longer_pauses`, as multiples of the first."""
_POLL: Final = 0.02
"""Seconds between two calls that ask whether something has happened."""


def pause(seconds: float) -> None:
    """Let a quiet time pass in which the server may do what it must not."""
    time.sleep(seconds)


def retry_with_longer_pauses(attempt: Callable[[float], None], quiet: float) -> None:
    """Try again with longer pauses what a server that is only slow would fail.

    Nothing shows when a Record has read a request, so the client can but wait before it goes on.

    Arguments:
        attempt: is given the seconds to wait.
        quiet: seconds of the first pause.
    """
    for factor in _PAUSES:
        try:
            attempt(quiet * factor)
        except Failure:
            if factor == _PAUSES[-1]:
                raise
        else:
            return


def query_cancelled(client: Client, token: str) -> bool:
    """Ask the server whether an RPC marked with the token was seen to end by its client's going away."""
    name = f"!cancelled {token}"
    with client.list(name) as stream:
        points = stream.collect()
        ok(stream)
        same(stream, [one and one._replace(value=0) for one in points], [Point(name, 0)], "the answer to !cancelled")
        value = points[0].value if points[0] is not None else -1
        fail_unless(value in (0, 1), "the value 0 or 1", str(value), stream)
        return value == 1


def await_cancellation(client: Client, token: str, stream: Stream, what: str) -> None:
    """The server sees within the time limit that the marked RPC ended by its client's going away.

    Arguments:
        stream: the marked RPC, for the report.
        what: what its client did: "the client's cancel".
    """
    due = time.monotonic() + client.timeout
    while not query_cancelled(client, token):
        if time.monotonic() > due:
            raise Failure(
                f"the handler learns of {what} within {client.timeout:g} s", "!cancelled still answers 0", stream
            )
        time.sleep(_POLL)
