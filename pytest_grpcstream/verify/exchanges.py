"""The baseline exchanges, and the verdict that a server still serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.errors import Failure, StreamError, TargetError
from pytest_grpcstream.values import Point
from pytest_grpcstream.verify.streams import answer, fail_unless, list_answer, ok, only_answer, precondition, status


def baseline_list(client: Client) -> None:
    """A List with a plain name has the responses that the contract defines."""
    with client.list("plain", 1) as stream:
        list_answer(stream, Point("plain", 1))


def baseline_record(client: Client) -> None:
    """A Record with one request has exactly one response."""
    with client.record() as stream:
        stream.send("plain", 1)
        only_answer(stream)


def baseline_route(client: Client) -> None:
    """A Route with two requests and a half-close has two responses, three if it speaks first, and ends with OK."""
    with client.route(greeting=False) as stream:
        stream.send("plain", 1)
        stream.send("plain", 2)
        stream.close_send()
        count = len(stream.collect())
        ok(stream)
        fail_unless(count in (2, 3), "2 responses, or 3 if the server speaks first", f"{count} responses", stream)


def baseline_duplex(client: Client) -> None:
    """A Route responds before the half-close."""
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
    """The server goes on serving: each baseline exchange that worked at the beginning of the run still works.

    If the client does not know its target's capabilities, all of them must work.

    Arguments:
        what: the stimulus, for the message, such as "after a request without pt".
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
    """The server goes on serving on the same connection, as far as the client can see.

    Arguments:
        what: the stimulus, for the message.
    """
    serves(client, what)
    broken = client.broken_off()
    fail_unless(broken is None, f"{what}, the connection stays open", broken or "", client.streams[-1])
