"""Asks the server whether a handler saw its client cancel, and pauses to give handlers time."""

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
"""Seconds between two queries of `!cancelled`."""


def pause(seconds: float) -> None:
    """Wait, to give the server time to act."""
    time.sleep(seconds)


def retry_with_longer_pauses(attempt: Callable[[float], None], quiet: float) -> None:
    """Retry an attempt with longer pauses, because a slow server may fail the first ones.

    A client cannot see when a Record has read a request, so it can only wait before it goes on.

    Arguments:
        attempt: a function that takes the seconds to wait.
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
    """A unique token for `!watch`."""
    return uuid.uuid4().hex


def endless_sleep(client: Client) -> str:
    """A `!sleep` that outlasts every time limit of a test."""
    return f"!sleep {int(client.timeout * 4000)}"


def watch(stream: Stream) -> str:
    """Mark an open Route with `!watch`, and return the token after its handler has read the directive."""
    token = new_token()
    stream.send(f"!watch {token}")
    answer(stream)
    return token


def query_cancelled(client: Client, token: str) -> bool:
    """Ask the server (`!cancelled`) whether the handler of the RPC with this token saw its client cancel or vanish."""
    name = f"!cancelled {token}"
    with client.list(name) as stream:
        points = stream.collect()
        ok(stream)
        same(stream, [one and one._replace(value=0) for one in points], [Point(name, 0)], "the response to !cancelled")
        value = points[0].value if points[0] is not None else -1
        fail_unless(value in (0, 1), "the value 0 or 1 in the response to !cancelled", str(value), stream)
        return value == 1


def await_cancellation(client: Client, token: str, stream: Stream, what: str) -> None:
    """The handler of the RPC with this token sees the end of its client's call within the time limit.

    Arguments:
        stream: that RPC, for the report.
        what: what the client did, for the message, such as "the client's cancel".
    """
    due = time.monotonic() + client.timeout
    while not query_cancelled(client, token):
        if time.monotonic() > due:
            raise Failure(
                f"the handler learns of {what} within {client.timeout:g} s", "!cancelled still answers 0", stream
            )
        time.sleep(_POLL)
