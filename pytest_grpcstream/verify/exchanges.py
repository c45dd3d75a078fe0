"""The baseline exchanges, and the verdict that a server goes on serving them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.errors import Failure, StreamError, TargetError
from pytest_grpcstream.values import Point
from pytest_grpcstream.verify.streams import answer, fail_unless, list_answer, ok, only_answer, precondition, status


def baseline_list(client: Client) -> None:
    """A List of a plain name answers as the contract says."""
    with client.list("plain", 1) as stream:
        list_answer(stream, Point("plain", 1))


def baseline_record(client: Client) -> None:
    """A Record of one request is answered once."""
    with client.record() as stream:
        stream.send("plain", 1)
        only_answer(stream)


def baseline_route(client: Client) -> None:
    """A Route of two requests and the half-close has two responses, three if it speaks first, and ends with OK."""
    with client.route(greeting=False) as stream:
        stream.send("plain", 1)
        stream.send("plain", 2)
        stream.close_send()
        count = len(stream.collect())
        ok(stream)
        fail_unless(count in (2, 3), "2 responses, or 3 of a server that speaks first", str(count), stream)


def baseline_duplex(client: Client) -> None:
    """A Route answers before the half-close."""
    with client.route(greeting=False) as stream:
        for number in range(2):
            stream.send("plain", number)
            answer(stream)
        stream.close_send()
        status(stream)


EXCHANGES: Final[dict[str, Callable[[Client], None]]] = {
    "list": baseline_list,
    "record": baseline_record,
    "route": baseline_route,
    "duplex": baseline_duplex,
}
"""The baseline exchanges, see `pytest_grpcstream.capabilities.EXCHANGES`."""


def serves(client: Client, what: str) -> None:
    """The server goes on serving: each baseline exchange that worked at first works now.

    Where the client does not know what its target can do, all of them must work.

    Arguments:
        what: what happened before, for the message: "after a request without pt".
    """
    wanted = f"{what}, the server goes on serving new calls"
    working = frozenset(EXCHANGES) if client.capabilities is None else client.capabilities.working_exchanges
    precondition(bool(working), "a server that can do a baseline exchange", "none worked at the beginning of the run")
    for name in sorted(working):
        try:
            EXCHANGES[name](client)
        except (Failure, StreamError) as error:
            raise Failure(wanted, f"a baseline exchange ({name}): {error.actual}", error.stream) from error
        except TargetError as error:
            raise Failure(wanted, str(error)) from error


def unharmed(client: Client, what: str) -> None:
    """The server goes on serving, and on the same connection as far as the client can see.

    Arguments:
        what: what happened before, for the message.
    """
    serves(client, what)
    broken = client.broken_off()
    fail_unless(broken is None, f"{what}, the connection goes on", broken or "", client.streams[-1])
