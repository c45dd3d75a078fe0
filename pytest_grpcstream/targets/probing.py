"""Probes what a target can do: its optional features, its baseline calls, and whether its Route speaks first.

A server that lacks a directive treats it as an ordinary name. So a feature is present if the target reacts to its
directive differently than to an undefined one, over any of the methods. The requirements check
whether the reaction is correct. A server that rejects every directive alike has no feature.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Final, TypeAlias

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import Mismatch, OperationTimeout, StreamError, TargetError
from pytest_grpcstream.service import INITIAL_KEY, TRAILING_KEY
from pytest_grpcstream.values import EOF, Code, Metadata, Point
from pytest_grpcstream.verify import EXCHANGES

_UNDEFINED: Final = "!undefined"
"""A directive that the contract does not define: the control of every probe."""
_ATTEMPTS: Final = 3
"""Attempts at a baseline exchange that fails at once; one that times out is not repeated, it would only time out."""
_SLEEP_MS: Final = 150
"""Milliseconds that the probe of ``!sleep`` requests."""

Reaction: TypeAlias = tuple[object, ...]
"""What came back to a request, comparable with what came back to another one."""


def _read_reaction(stream: Stream, name: str) -> Reaction:
    """Read a stream to its end. The request's own name is masked, so that reactions to two names can be equal."""
    try:
        points = stream.collect(limit=2000)
    except StreamError as error:
        return (type(error).__name__,)
    assert stream.status is not None  # noqa: S101 - collect() returns at the end only
    shown = [
        (point.name.replace(name, "<name>"), point.value) if isinstance(point, Point) else None for point in points
    ]
    return (stream.status.code, *shown)


def _call_list(client: Client, name: str, value: int) -> Reaction:
    """Call List. Answers that differ in their number of responses only are equal: the server chooses it each time."""
    reaction = _call_counted_list(client, name, value)
    ordinary = (int(Code.OK), *(("<name>", value + place) for place in range(len(reaction) - 1)))
    return ("ordinary",) if len(reaction) > 1 and reaction == ordinary else reaction


def _call_counted_list(client: Client, name: str, value: int) -> Reaction:
    with client.list(name, value) as stream:
        return _read_reaction(stream, name)


def _call_record(client: Client, name: str, value: int) -> Reaction:
    with client.record() as stream:
        stream.send(name, value)
        stream.close_send()
        return _read_reaction(stream, name)


def _call_route(client: Client, name: str, value: int) -> Reaction:
    with client.route() as stream:
        stream.send(name, value)
        stream.close_send()
        return _read_reaction(stream, name)


_Call: TypeAlias = Callable[[Client, str, int], Reaction]


def _differs(client: Client, directive: str, value: int, *calls: _Call) -> bool:
    """Whether any of the calls reacts to a directive differently than to an undefined one."""
    word, _, rest = directive.partition(" ")
    control = f"{_UNDEFINED} {rest}" if rest else _UNDEFINED
    assert word != _UNDEFINED  # noqa: S101 - a control that equals the directive never differs

    def differs(call: _Call) -> bool:
        before = call(client, control, value)
        # A server whose reactions to the control vary, or time out, does not show that it knows the directive.
        return call(client, directive, value) != before and call(client, control, value) == before

    return any(map(differs, calls))


def _has_abort(client: Client) -> bool:
    return _differs(client, "!abort 0 probe", int(Code.NOT_FOUND), _call_route, _call_list, _call_record)


def _has_finish(client: Client) -> bool:
    return _differs(client, "!finish", 0, _call_route, _call_list)


def _has_repeat(client: Client) -> bool:
    counts = (3, 4, 11)
    # Every List has some number of responses, which may happen to be one of these counts, but not all of them.
    return any(_differs(client, f"!repeat {count} probe", 1000, _call_route) for count in counts) or all(
        len(_call_counted_list(client, f"!repeat {count} probe", 1000)) == count + 1 for count in counts
    )


def _has_echo(client: Client) -> bool:
    return _differs(client, "!echo probe", 4242, _call_route, _call_record)


def _has_sleep(client: Client) -> bool:
    def measure(call: _Call, name: str) -> float:
        began = time.monotonic()
        call(client, name, 0)
        return time.monotonic() - began

    def sleeps(call: _Call) -> bool:
        return measure(call, f"!sleep {_SLEEP_MS}") - measure(call, f"{_UNDEFINED} {_SLEEP_MS}") > _SLEEP_MS / 1250

    # Measured twice, so that one slow answer does not count as sleep.
    return any(sleeps(call) and sleeps(call) for call in (_call_list, _call_route))


def _has_watch(client: Client) -> bool:
    return _differs(client, f"!cancelled {uuid.uuid4().hex}", 5, _call_list)


def _has_metadata(client: Client) -> bool:
    sent = Metadata([(INITIAL_KEY, "probe"), (TRAILING_KEY, b"probe")])
    for method in ("List", "Record", "Route"):
        with client.open(method, metadata=sent) as stream:
            stream.send("probe", 0)
            stream.close_send()
            try:
                stream.collect()
            except StreamError:
                continue
            received = [*stream.initial_metadata, *(stream.trailing_metadata or ())]
            if any(key in (INITIAL_KEY, TRAILING_KEY) for key, _ in received):
                return True
    return False


_PROBES: Final[dict[str, Callable[[Client], bool]]] = {
    "abort": _has_abort,
    "finish": _has_finish,
    "repeat": _has_repeat,
    "echo": _has_echo,
    "sleep": _has_sleep,
    "watch": _has_watch,
    "metadata": _has_metadata,
}
"""How each optional feature (`pytest_grpcstream.capabilities.FEATURES`) is probed."""


def _route_speaks_first(client: Client) -> bool:
    """Whether Route sends a response before the first request, and before the half-close.

    A Route without requests that has no response at all shows at once that it does not; only the others are waited for.
    """
    with client.route() as stream:
        stream.close_send()
        if len(_read_reaction(stream, "")) == 1:
            return False
    with client.route() as stream:
        try:
            return stream.recv() is not EOF
        except StreamError:
            return False


def _lost_connection(mismatch: Mismatch) -> bool:
    """Whether the RPC ended because its connection was lost, as when the target dies."""
    status = None if mismatch.stream is None else mismatch.stream.status
    return status is not None and status.code == Code.UNAVAILABLE


class Prober:
    """Probes one target over one kind of client.

    A probe that crashes the target means: feature absent. The target is restarted for the next probe if that is
    possible.

    Arguments:
        connect: Opens a client with its own connection. Every probe gets one, so that none affects the next.
        discard_if_dead: Called after an error of the target; returns whether it had died and will be restarted.
    """

    def __init__(self, connect: Callable[[], Client], discard_if_dead: Callable[[], bool] = lambda: False) -> None:
        self._connect = connect
        self._discard_if_dead = discard_if_dead

    def find_features(self) -> frozenset[str]:
        """Probe which optional features the target has.

        Raises:
            TargetError: The target cannot be reached, or died and cannot be restarted.
        """
        return frozenset(name for name, probe in _PROBES.items() if self._succeeds(probe))

    def find_capabilities(self, features: frozenset[str], *, declared: bool) -> Capabilities:
        """Probe the baseline exchanges, and whether Route speaks first.

        Arguments:
            features: The optional features of the target.
            declared: Whether the features were declared instead of probed.

        Raises:
            TargetError: The target cannot be reached, or died and cannot be restarted.
        """
        tried = {name: self._try_exchange(exchange) for name, exchange in EXCHANGES.items()}
        failed = {name: failure for name, failure in tried.items() if failure is not None}
        return Capabilities(
            features=features,
            declared=declared,
            route_speaks_first=self._succeeds(_route_speaks_first),
            failed_exchanges=failed,
        )

    def _try_exchange(self, exchange: Callable[[Client], None]) -> str | None:
        """Return how an exchange failed in every attempt; None if one worked: requirements check what is flaky."""
        failure = ""
        for attempt in range(_ATTEMPTS):
            try:
                with self._connect() as client:
                    exchange(client)
            except OperationTimeout as timeout:
                return timeout.actual
            except Mismatch as mismatch:
                failure = mismatch.actual
                if not attempt and _lost_connection(mismatch):
                    self._discard_if_dead()
                continue
            except TargetError as error:
                failure = str(error)
                if not self._discard_if_dead():
                    raise
                continue
            return None
        return failure

    def _succeeds(self, probe: Callable[[Client], bool]) -> bool:
        """Run a probe; one that cannot even open its RPC, or that crashes the target, did not succeed."""
        try:
            with self._connect() as client:
                return probe(client)
        except StreamError:
            return False
        except TargetError:
            if not self._discard_if_dead():
                raise
            return False
