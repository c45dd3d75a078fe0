"""What a target is like: which optional features it has and whether its Route speaks first; found out once per run.

A server without a directive treats it as an ordinary name. So a feature is there if the target answers its directive
in another way than it answers a word that nobody defined, by any of the methods; what the answer is worth is then for
the requirements to judge, not for this module. A server that refuses every word alike has no feature.
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
"""A word that the contract does not define: the control of every probe."""
_TRIES: Final = 3
"""Times that a plain exchange is tried which fails at once; one that hangs would only cost the same time again."""
_NAP_MS: Final = 150
"""Milliseconds that the probe of `!sleep` asks for."""

Reaction: TypeAlias = tuple[object, ...]


def _reaction(stream: Stream, name: str) -> Reaction:
    """What came back, with the request's own name taken out so that reactions can be compared."""
    try:
        points = stream.collect(limit=2000)
    except StreamError as error:
        return (type(error).__name__,)
    assert stream.status is not None  # noqa: S101 - collect() returns at the end only
    shown = [
        (point.name.replace(name, "<name>"), point.value) if isinstance(point, Point) else None for point in points
    ]
    return (stream.status.code, *shown)


def _by_list(client: Client, name: str, value: int) -> Reaction:
    with client.list(name, value) as stream:
        reaction = _reaction(stream, name)
    # The server chooses how many responses a List has, and may choose each time.
    usual = (int(Code.OK), *(("<name>", value + place) for place in range(len(reaction) - 1)))
    return ("usual",) if len(reaction) > 1 and reaction == usual else reaction


def _counted_by_list(client: Client, name: str, value: int) -> Reaction:
    with client.list(name, value) as stream:
        return _reaction(stream, name)


def _by_record(client: Client, name: str, value: int) -> Reaction:
    with client.record() as stream:
        stream.send(name, value)
        stream.close_send()
        return _reaction(stream, name)


def _by_route(client: Client, name: str, value: int) -> Reaction:
    with client.route() as stream:
        stream.send(name, value)
        stream.close_send()
        return _reaction(stream, name)


_Method: TypeAlias = Callable[[Client, str, int], Reaction]


def _differs(client: Client, text: str, value: int, *methods: _Method) -> bool:
    word, _, rest = text.partition(" ")
    control = f"{_UNDEFINED} {rest}" if rest else _UNDEFINED
    assert word != _UNDEFINED  # noqa: S101 - the control must not be what is asked for

    def differs(method: _Method) -> bool:
        usual = method(client, control, value)
        # What answers now this and now that, or nothing in time, does not show by it that it knows a directive.
        return method(client, text, value) != usual and method(client, control, value) == usual

    return any(map(differs, methods))


def _has_abort(client: Client) -> bool:
    return _differs(client, "!abort 0 probe", int(Code.NOT_FOUND), _by_route, _by_list, _by_record)


def _has_finish(client: Client) -> bool:
    return _differs(client, "!finish", 0, _by_route, _by_list)


def _has_repeat(client: Client) -> bool:
    counts = (3, 4, 11)
    # A List has some number of responses in any case, and may happen to have what one of them asks for.
    return any(_differs(client, f"!repeat {count} probe", 1000, _by_route) for count in counts) or all(
        len(_counted_by_list(client, f"!repeat {count} probe", 1000)) == count + 1 for count in counts
    )


def _has_echo(client: Client) -> bool:
    return _differs(client, "!echo probe", 4242, _by_route, _by_record)


def _has_sleep(client: Client) -> bool:
    def seconds(method: _Method, name: str) -> float:
        began = time.monotonic()
        method(client, name, 0)
        return time.monotonic() - began

    def slept(method: _Method) -> bool:
        return seconds(method, f"!sleep {_NAP_MS}") - seconds(method, f"{_UNDEFINED} {_NAP_MS}") > _NAP_MS / 1250

    # Twice, so that one slow answer is not taken for sleep.
    return any(slept(method) and slept(method) for method in (_by_list, _by_route))


def _has_watch(client: Client) -> bool:
    return _differs(client, f"!cancelled {uuid.uuid4().hex}", 5, _by_list)


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
            back = [*stream.initial_metadata, *(stream.trailing_metadata or ())]
            if any(key in (INITIAL_KEY, TRAILING_KEY) for key, _ in back):
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


def _is_eager(client: Client) -> bool:
    """Whether a Route has a response before any request, and before the half-close too.

    Most have none in any case, which shows at once; only for the others it has to be waited for.
    """
    with client.route() as stream:
        stream.close_send()
        if len(_reaction(stream, "")) == 1:
            return False
    with client.route() as stream:
        try:
            return stream.recv() is not EOF
        except StreamError:
            return False


def _lost(verdict: Mismatch) -> bool:
    """Whether all that is known of an RPC is that its connection was lost, as when the target dies."""
    status = None if verdict.stream is None else verdict.stream.status
    return status is not None and status.code == Code.UNAVAILABLE


class Prober:
    """Asks a target what it can do.

    A target that dies of a question has answered it with no, if it can be started again for the next.

    Arguments:
        connect: opens a client on a connection of its own; every question gets one, so that none spoils the next.
        revive: after an error of the target: whether it had died and can be asked again.
    """

    def __init__(self, connect: Callable[[], Client], revive: Callable[[], bool] = lambda: False) -> None:
        self._connect = connect
        self._revive = revive

    def features(self) -> frozenset[str]:
        """Find out which optional features the target has.

        Raises:
            TargetError: it is not there, or died and cannot be started again.
        """
        return frozenset(name for name, question in _PROBES.items() if self._answers(question))

    def capabilities(self, features: frozenset[str], *, declared: bool) -> Capabilities:
        """Find out what the target is like by this kind of client.

        Arguments:
            features: the optional features that it has.
            declared: whether they were declared, not found out.

        Raises:
            TargetError: it is not there, or died and cannot be started again.
        """
        tried = {name: self._failure(exchange) for name, exchange in EXCHANGES.items()}
        broken = {name: failure for name, failure in tried.items() if failure is not None}
        return Capabilities(
            features=features, declared=declared, route_speaks_first=self._answers(_is_eager), failed_exchanges=broken
        )

    def _failure(self, exchange: Callable[[Client], None]) -> str | None:
        """How an exchange failed at last, or None: what only fails now and then is for the requirements to judge."""
        failure = ""
        for turn in range(_TRIES):
            try:
                with self._connect() as client:
                    exchange(client)
            except OperationTimeout as timeout:
                return timeout.actual
            except Mismatch as verdict:
                failure = verdict.actual
                if not turn and _lost(verdict):
                    self._revive()
                continue
            except TargetError as error:
                failure = str(error)
                if not self._revive():
                    raise
                continue
            return None
        return failure

    def _answers(self, question: Callable[[Client], bool]) -> bool:
        """Whether a question is answered with yes; where no RPC can be opened to ask it, it is not."""
        try:
            with self._connect() as client:
                return question(client)
        except StreamError:
            return False
        except TargetError:
            if not self._revive():
                raise
            return False
