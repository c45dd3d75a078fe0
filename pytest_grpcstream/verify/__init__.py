"""Verdicts about streams: each says what was expected, looks, and raises what the requirement's report is made of.

The functions read the stream they are given. They raise `Failure` when the target is wrong and `Deviation` when a
specification advises against what it did; operations on the stream raise their own `StreamError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import (
    Deviation,
    Failure,
    Inconclusive,
    OperationTimeout,
    StatusError,
    StreamError,
    TargetError,
)
from pytest_grpcstream.escape import printable
from pytest_grpcstream.values import EOF, Code, Eof, Metadata, MetadataValue, Point, Status, code_name

if TYPE_CHECKING:
    from pytest_grpcstream.capabilities import Capabilities

_PATIENCE: Final = (1, 4, 12)
_POLL: Final = 0.02
"""Seconds between two questions whether something has happened."""
ECHO: Final = "!echo "
_SHOWN: Final = 5
"""Points on each side of the first difference that a message shows."""


def wrapped(value: int) -> int:
    """A number in int32 arithmetic: it wraps at 2**31."""
    return (value + 2**31) % 2**32 - 2**31


def counted(point: Point, count: int) -> list[Point]:
    """What List answers to a request: ``count`` points of its name, the k-th with its value + k, from 0."""
    return [Point(point.name, wrapped(point.value + number)) for number in range(count)]


def _show(point: Point | Eof | None) -> str:
    return "a response without pt" if point is None else str(point)


def fail_unless(good: bool, expected: str, actual: str, stream: Stream | None = None) -> None:
    """Fail with these words unless ``good``."""
    if not good:
        raise Failure(expected, actual, stream)


def reached(good: bool, what: str, actual: str, stream: Stream | None = None) -> None:
    """Leave the requirement open, never green, unless what must come before it happened."""
    if not good:
        raise Inconclusive(what, actual, stream)


def status(
    stream: Stream,
    code: int = Code.OK,
    message: str | None = None,
    *,
    allowed: Collection[int] = (),
    tolerated: Mapping[Code, str] | None = None,
) -> Status:
    """The RPC ends, after whatever responses, with a status.

    Arguments:
        code: the status code that the requirement names.
        message: the status message that must come with it, or None if it does not matter.
        allowed: other codes that are as good, because the specification leaves them open.
        tolerated: other codes that are a warning, each with the reason.
    """
    stream.collect()
    ended = stream.status
    assert ended is not None  # noqa: S101 - collect() returns at the end only
    wanted = " or ".join(code_name(one) for one in (code, *allowed))
    if message is not None:
        wanted += f" {printable(message)}"
    if tolerated and ended.code in tolerated:
        raise Deviation(f"the status {wanted}", f"{ended} ({tolerated[Code(ended.code)]})", stream)
    fail_unless(ended.code in (code, *allowed), f"the status {wanted}", str(ended), stream)
    fail_unless(message is None or ended.message == message, f"the status {wanted}", str(ended), stream)
    return ended


def responses(stream: Stream, expected: Sequence[Point | None], what: str = "the responses") -> None:
    """The RPC has exactly these responses up to its end, and ends with OK."""
    points = stream.collect(limit=len(expected) + 1000)
    same(stream, points, expected, what)
    ended_ok(stream)


def ended_ok(stream: Stream) -> None:
    """The RPC whose end was read ended with OK."""
    assert stream.status is not None, "read to the end first"  # noqa: S101 - misuse by the caller
    fail_unless(stream.status.ok, "the status OK after the last response", str(stream.status), stream)


def same(stream: Stream, actual: Sequence[Point | None], expected: Sequence[Point | None], what: str) -> None:
    """Two sequences of responses are equal; the message shows the first difference, and how too few ended."""
    if list(actual) == list(expected):
        return
    place = next(
        (index for index, (got, want) in enumerate(zip(actual, expected, strict=False)) if got != want),
        min(len(actual), len(expected)),
    )

    def around(points: Sequence[Point | None]) -> str:
        shown = ", ".join(_show(point) for point in points[place : place + _SHOWN])
        return (shown or "nothing more") + (", ..." if len(points) > place + _SHOWN else "")

    cut_short = stream.status is not None and len(actual) < len(expected)
    raise Failure(
        f"{what}: {len(expected)} in all, from number {place} on {around(expected)}",
        f"{len(actual)} in all, from number {place} on {around(actual)}"
        + (f"; the RPC ended with {stream.status}" if cut_short else ""),
        stream,
    )


def list_answer(stream: Stream, point: Point) -> list[Point | None]:
    """A List answers as the contract says: at least one response, the k-th with the request's value + k, then OK."""
    points = stream.collect()
    ended_ok(stream)
    fail_unless(len(points) >= 1, f"at least one response to {point}", "none, then OK", stream)
    same(stream, points, counted(point, len(points)), f"responses to {point}")
    return points


def point(stream: Stream, expected: Point) -> None:
    """The next response is exactly this point."""
    got = _response(stream, str(expected))
    fail_unless(got == expected, f"the response {expected}", _show(got), stream)


def answer(stream: Stream) -> None:
    """The next response of a Route arrives, whatever is in it."""
    _response(stream, f"response {stream.received} of Route")


def counted_answer(stream: Stream) -> None:
    """The next response of a Route has ``pt`` and counts the responses that were sent before it on the stream."""
    number = stream.received
    got = _response(stream, f"response {number} of Route")
    if not isinstance(got, Point):
        raise Failure(f"response {number} of Route with a pt", _show(got), stream)
    fail_unless(got.value == number, f"the value {number} in response {number} of Route", str(got), stream)


def consecutive(stream: Stream, points: Sequence[Point | None]) -> None:
    """Responses of a Route count up by one, from wherever they began."""
    first = points[0].value if points and points[0] is not None else 0
    got = [None if one is None else Point("", one.value) for one in points]
    same(stream, got, counted(Point("", first), len(points)), "values that count up by one")


def _response(stream: Stream, what: str) -> Point | Eof | None:
    try:
        got = stream.recv()
    except StatusError as error:
        raise Failure(what, f"the RPC ended with {error.status}", stream) from error
    except OperationTimeout as error:
        raise Failure(what, error.actual, stream) from error
    fail_unless(got is not EOF, what, f"the RPC ended with OK after {stream.received} response(s)", stream)
    return got


def only_answer(stream: Stream) -> Point:
    """A half-closed Record has exactly one response, which has ``pt``, and ends with OK."""
    stream.close_send()
    got = stream.collect()
    ended_ok(stream)
    fail_unless(len(got) == 1, "exactly one response, then OK", f"{len(got)} responses, then OK", stream)
    if got[0] is None:
        raise Failure("a response with a pt", "a response without pt", stream)
    return got[0]


def echo(point: Point | None) -> Point | None:
    """What a Route answered to ``!echo TEXT``, as TEXT and value.

    The contract says "the same pt"; a server may take that for the pt as it was sent or for its TEXT.
    """
    return None if point is None else point._replace(name=point.name.removeprefix(ECHO))


def echoes(stream: Stream, expected: Sequence[Point]) -> None:
    """The next responses of a Route answer ``!echo`` requests with these texts and values."""
    same(stream, [echo(got) for got in stream.take(len(expected))], expected, "every request echoed in order")


def greeting(stream: Stream, capabilities: Capabilities) -> None:
    """A Route that speaks first has sent its first response before any request; read it, so that answers follow."""
    if capabilities.route_speaks_first:
        answer(stream)


def eof(stream: Stream) -> None:
    """Nothing more comes but the end of the RPC with OK."""
    got = stream.collect(limit=1000)
    fail_unless(
        not got, "the end of the stream", f"{len(got)} more response(s), first {_show((got or [None])[0])}", stream
    )
    ended_ok(stream)


def silent(stream: Stream, seconds: float, why: str) -> None:
    """Neither a response nor the end arrives for ``seconds``."""
    try:
        got = stream.recv(timeout=seconds)
    except OperationTimeout:
        return
    except StatusError as error:
        raise Failure(f"nothing for {seconds:g} s: {why}", f"the RPC ended with {error.status}", stream) from error
    actual = "the RPC ended with OK" if got is EOF else f"the response {_show(got)}"
    raise Failure(f"nothing for {seconds:g} s: {why}", actual, stream)


def carries(stream: Stream, where: str, metadata: Metadata | None, key: str, expected: Sequence[MetadataValue]) -> None:
    """Metadata has exactly these values for a key, in this order."""
    got = (metadata or Metadata()).all(key)
    shown = ", ".join(printable(value, 60) for value in got) or "no such key"
    wanted = ", ".join(printable(value, 60) for value in expected) or "none"
    fail_unless(got == list(expected), f"{where} with {key}: {wanted}", shown, stream)


def plain_list(client: Client) -> None:
    """A List of a plain name answers as the contract says."""
    with client.list("plain", 1) as stream:
        list_answer(stream, Point("plain", 1))


def plain_record(client: Client) -> None:
    """A Record of one request is answered once."""
    with client.record() as stream:
        stream.send("plain", 1)
        only_answer(stream)


def plain_route(client: Client) -> None:
    """A Route of two requests and the half-close has two responses, three if it speaks first, and ends with OK."""
    with client.route() as stream:
        stream.send("plain", 1)
        stream.send("plain", 2)
        stream.close_send()
        count = len(stream.collect())
        ended_ok(stream)
        fail_unless(count in (2, 3), "2 responses, or 3 of a server that speaks first", str(count), stream)


def plain_duplex(client: Client) -> None:
    """A Route answers before the half-close."""
    with client.route() as stream:
        for number in range(2):
            stream.send("plain", number)
            answer(stream)
        stream.close_send()
        status(stream)


EXCHANGES: Final[dict[str, Callable[[Client], None]]] = {
    "list": plain_list,
    "record": plain_record,
    "route": plain_route,
    "duplex": plain_duplex,
}
"""The baseline exchanges, see `pytest_grpcstream.capabilities.EXCHANGES`."""


def serves(client: Client, capabilities: Capabilities, what: str) -> None:
    """The server goes on serving: whatever plain exchange it could do at first it can do now.

    Arguments:
        what: what happened before, for the message: "after a request without pt".
    """
    wanted = f"{what}, the server goes on serving new calls"
    reached(
        bool(capabilities.working_exchanges),
        "a server that can do a plain exchange",
        "none worked at the beginning of the run",
    )
    for name in sorted(capabilities.working_exchanges):
        try:
            EXCHANGES[name](client)
        except (Failure, StreamError) as error:
            raise Failure(wanted, f"a plain exchange ({name}): {error.actual}", error.stream) from error
        except TargetError as error:
            raise Failure(wanted, str(error)) from error


def unharmed(client: Client, capabilities: Capabilities, what: str) -> None:
    """The server goes on serving, and on the same connection as far as that can be seen.

    Arguments:
        what: what happened before, for the message.
    """
    serves(client, capabilities, what)
    broken = client.broken_off()
    fail_unless(broken is None, f"{what}, the connection goes on", broken or "", client.streams[-1])


def pause(seconds: float) -> None:
    """Let a quiet time pass in which the server may do what it must not."""
    time.sleep(seconds)


def counted_as_cancelled(client: Client, token: str) -> bool:
    """Ask the server whether an RPC marked with the token was seen to end by its client's going away."""
    name = f"!cancelled {token}"
    with client.list(name) as stream:
        points = stream.collect()
        ended_ok(stream)
        same(stream, [one and one._replace(value=0) for one in points], [Point(name, 0)], "the answer to !cancelled")
        value = points[0].value if points[0] is not None else -1
        fail_unless(value in (0, 1), "the value 0 or 1", str(value), stream)
        return value == 1


def noticed(client: Client, token: str, stream: Stream, what: str) -> None:
    """The server sees within the time limit that the marked RPC ended by its client's going away.

    Arguments:
        stream: the marked RPC, for the report.
        what: what its client did: "the client's cancel".
    """
    due = time.monotonic() + client.timeout
    while not counted_as_cancelled(client, token):
        if time.monotonic() > due:
            raise Failure(
                f"the handler learns of {what} within {client.timeout:g} s", "!cancelled still answers 0", stream
            )
        time.sleep(_POLL)


def with_patience(attempt: Callable[[float], None], quiet: float) -> None:
    """Try again with longer pauses what a server that is only slow would fail.

    Nothing shows when a Record has read a request, so the client can but wait before it goes on.

    Arguments:
        attempt: is given the seconds to wait.
        quiet: seconds of the first pause.
    """
    for factor in _PATIENCE:
        try:
            attempt(quiet * factor)
        except Failure:
            if factor == _PATIENCE[-1]:
                raise
        else:
            return


def nothing_wrong(findings: Iterable[str], expected: str, stream: Stream | None = None) -> None:
    """Fail with all findings at once, if there are any."""
    wrong = list(findings)
    fail_unless(
        not wrong, expected, "; ".join(wrong[:20]) + (f"; and {len(wrong) - 20} more" if wrong[20:] else ""), stream
    )
