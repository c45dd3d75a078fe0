"""What a handler learns, asked of the server itself, and the pauses that give it time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Final

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import Failure
from pytest_grpcstream.values import Point
from pytest_grpcstream.verify.streams import answer, fail_unless, ok, same

_PAUSES: Final = (1, 4, 12)
"""The pauses of `retry_with_longer_pauses`, as multiples of the first."""
_POLL: Final = 0.02
"""Seconds between two calls that ask whether something has happened."""


def pause(seconds: float) -> None:
    """Wait, so that the server has the time to do something."""
    time.sleep(seconds)


def retry_with_longer_pauses(attempt: Callable[[float], None], quiet: float) -> None:
    """Retry with longer pauses an attempt that a slow server would fail.

    A client cannot see when a Record has read a request, so it can only wait before it goes on.

    Arguments:
        attempt: takes the seconds to wait.
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


def new_token() -> str:
    """A token for `!watch` that marks no other RPC."""
    return uuid.uuid4().hex


def endless_sleep(client: Client) -> str:
    """A `!sleep` that outlasts every time limit of a test."""
    return f"!sleep {int(client.timeout * 4000)}"


def watch(stream: Stream) -> str:
    """Mark an open Route with `!watch`, and return the token once its handler has read the mark."""
    token = new_token()
    stream.send(f"!watch {token}")
    answer(stream)
    return token


def query_cancelled(client: Client, token: str) -> bool:
    """Ask the server whether the handler of the RPC with this token saw its client go away (`!cancelled`)."""
    name = f"!cancelled {token}"
    with client.list(name) as stream:
        points = stream.collect()
        ok(stream)
        same(stream, [one and one._replace(value=0) for one in points], [Point(name, 0)], "the answer to !cancelled")
        value = points[0].value if points[0] is not None else -1
        fail_unless(value in (0, 1), "the value 0 or 1", str(value), stream)
        return value == 1


def await_cancellation(client: Client, token: str, stream: Stream, what: str) -> None:
    """The handler of the RPC with this token sees within the time limit that its client went away.

    Arguments:
        stream: that RPC, for the report.
        what: what its client did: "the client's cancel".
    """
    due = time.monotonic() + client.timeout
    while not query_cancelled(client, token):
        if time.monotonic() > due:
            raise Failure(
                f"the handler learns of {what} within {client.timeout:g} s", "!cancelled still answers 0", stream
            )
        time.sleep(_POLL)
