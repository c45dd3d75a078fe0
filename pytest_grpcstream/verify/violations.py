"""Calls of every kind, and the verdict that their responses do not violate rules of the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import Rule, WireClient, WireStream
from pytest_grpcstream.errors import OperationTimeout
from pytest_grpcstream.service import INITIAL_KEY, TRAILING_KEY
from pytest_grpcstream.values import Point

_METADATA: Final = ((INITIAL_KEY, "initial"), (TRAILING_KEY, b"\x00\xff"))
_PLAIN: Final = (("List", Point("plain", 1)), ("Record", Point("plain", 1)), ("Route", Point("plain", 1)))
_WITH: Final[Mapping[str, Iterable[tuple[str, Point]]]] = {
    "abort": (
        ("List", Point("!abort 0 100% caf\u00e9 \U0001f608", 5)),
        ("List", Point("!abort 2 later", 13)),
        ("Record", Point("!abort 0 at once", 9)),
        ("Route", Point("!abort 0 at once", 9)),
    ),
    "finish": (("List", Point("!finish", 0)), ("Record", Point("!finish", 0)), ("Route", Point("!finish", 0))),
    "repeat": (("List", Point("!repeat 0 none", 0)), ("Route", Point("!repeat 40 " + "r" * 1000, 0))),
}
"""Calls that need an optional feature."""


def make_calls(client: WireClient) -> list[WireStream]:
    """Make calls of every kind that the target supports, in sequence, and stop at the first that does not end."""
    calls = [*_PLAIN, *(call for feature, more in _WITH.items() if client.has(feature) for call in more)]
    streams = []
    for method, request in calls:
        stream = client.open(method, metadata=_METADATA)
        stream.send(request)
        stream.close_send()
        streams.append(stream)
        try:
            stream.end()
        except OperationTimeout:
            break
    return streams


def get_responses(client: WireClient) -> list[WireStream]:
    """Make a call of every kind, and return those that ended, with whatever status.

    EOF-7 judges whether they end. If none does, the other requirements are inconclusive.
    """
    ended = [stream for stream in make_calls(client) if stream.ended is not None]
    verify.precondition(bool(ended), "a plain List that ends", "it did not end")
    return ended


def no_violations(client: WireClient, streams: Iterable[WireStream], *rules: Rule) -> None:
    """The server violated none of these rules on any connection of the client.

    A `Failure` has the first stream with a violation.
    """
    found = [one for connection in client.connections for one in connection.violations.of(*rules)]
    violating = next((stream for stream in streams if stream.violations.of(*rules)), None)
    verify.no_findings(map(str, found), f"no {rules[0].words}", violating)
