"""Verdicts about one stream: each reads the stream and compares the responses with the requirement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from pytest_grpcstream.clients.client import read_response
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.errors import Deviation, Failure, Inconclusive, OperationTimeout, StatusError
from pytest_grpcstream.escape import printable
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import EOF, Code, Eof, Metadata, MetadataValue, Point, Status, code_name

_SHOWN: Final = 5
"""Responses that a message shows, beginning with the first difference."""


def _show(point: Point | Eof | None) -> str:
    return "a response without pt" if point is None else str(point)


def fail_unless(good: bool, expected: str, actual: str, stream: Stream | None = None) -> None:
    """Raise `Failure` with these texts unless ``good``."""
    if not good:
        raise Failure(expected, actual, stream)


def precondition(good: bool, what: str, actual: str, stream: Stream | None = None) -> None:
    """Mark the requirement as inconclusive unless the precondition holds."""
    if not good:
        raise Inconclusive(what, actual, stream)


def no_findings(findings: Iterable[str], expected: str, stream: Stream | None = None) -> None:
    """Fail with all findings at once, if there are any."""
    wrong = list(findings)
    fail_unless(
        not wrong, expected, "; ".join(wrong[:20]) + (f"; and {len(wrong) - 20} more" if wrong[20:] else ""), stream
    )


def status(
    stream: Stream,
    code: int = Code.OK,
    message: str | None = None,
    *,
    allowed: Collection[int] = (),
    tolerated: Mapping[Code, str] | None = None,
) -> Status:
    """The RPC ends with a status, after any number of responses.

    Arguments:
        code: the status code that the requirement names.
        message: the status message that must come with it, or None if it does not matter.
        allowed: other codes that pass, because the specification allows them.
        tolerated: other codes that raise `Deviation`, each with the reason.
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
    ok(stream)


def ok(stream: Stream) -> None:
    """The RPC, whose end has been read, ended with OK."""
    assert stream.status is not None, "read to the end first"  # noqa: S101 - misuse by the caller
    fail_unless(stream.status.ok, "the status OK after the last response", str(stream.status), stream)


def same(stream: Stream, actual: Sequence[Point | None], expected: Sequence[Point | None], what: str) -> None:
    """Two sequences of responses are equal.

    The message shows the first difference, and the status if responses are missing.
    """
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
        f"{what}: {len(expected)} in total, from index {place}: {around(expected)}",
        f"{len(actual)} in total, from index {place}: {around(actual)}"
        + (f"; the RPC ended with {stream.status}" if cut_short else ""),
        stream,
    )


def list_answer(stream: Stream, point: Point) -> list[Point | None]:
    """A List answers as the contract says: at least one response, the k-th with the request's value + k, then OK."""
    points = stream.collect()
    ok(stream)
    fail_unless(len(points) >= 1, f"at least one response to {point}", "none, then OK", stream)
    same(stream, points, STREAM_SERVICE.list_responses(point, len(points)), f"responses to {point}")
    return points


def point(stream: Stream, expected: Point) -> None:
    """The next response is exactly this point."""
    got = read_response(stream, str(expected))
    fail_unless(got == expected, f"the response {expected}", _show(got), stream)


def answer(stream: Stream) -> None:
    """The next response of a Route arrives; its content does not matter."""
    read_response(stream, f"response {stream.received} of Route")


def counted_answer(stream: Stream) -> None:
    """The next response of a Route has ``pt`` and counts the responses that were sent before it on the stream."""
    number = stream.received
    got = read_response(stream, f"response {number} of Route")
    if not isinstance(got, Point):
        raise Failure(f"response {number} of Route with pt", _show(got), stream)
    fail_unless(got.value == number, f"the value {number} in response {number} of Route", str(got), stream)


def consecutive(stream: Stream, points: Sequence[Point | None]) -> None:
    """The values of the responses of a Route increase by one, starting with any value."""
    first = points[0].value if points and points[0] is not None else 0
    got = [None if one is None else Point("", one.value) for one in points]
    same(stream, got, STREAM_SERVICE.list_responses(Point("", first), len(points)), "values that increase by one")


def only_answer(stream: Stream) -> Point:
    """A half-closed Record has exactly one response, which has ``pt``, and ends with OK."""
    stream.close_send()
    got = stream.collect()
    ok(stream)
    fail_unless(len(got) == 1, "exactly one response, then OK", f"{len(got)} responses, then OK", stream)
    if got[0] is None:
        raise Failure("a response with pt", "a response without pt", stream)
    return got[0]


def echoes(stream: Stream, expected: Sequence[Point]) -> None:
    """The next responses of a Route answer ``!echo`` requests with these texts and values."""
    got = [STREAM_SERVICE.strip_echo(one) for one in stream.take(len(expected))]
    same(stream, got, expected, "every request echoed in order")


def eof(stream: Stream) -> None:
    """The RPC ends with OK and without another response."""
    got = stream.collect(limit=1000)
    fail_unless(
        not got, "the end of the stream", f"{len(got)} more response(s), the first: {_show((got or [None])[0])}", stream
    )
    ok(stream)


def silence(stream: Stream, seconds: float, why: str) -> None:
    """Neither a response nor the end arrives for ``seconds``."""
    try:
        got = stream.recv(timeout=seconds)
    except OperationTimeout:
        return
    except StatusError as error:
        raise Failure(f"nothing for {seconds:g} s: {why}", f"the RPC ended with {error.status}", stream) from error
    actual = "the RPC ended with OK" if got is EOF else f"the response {_show(got)}"
    raise Failure(f"nothing for {seconds:g} s: {why}", actual, stream)


def metadata(stream: Stream, where: str, found: Metadata | None, key: str, expected: Sequence[MetadataValue]) -> None:
    """Metadata has exactly these values for a key, in this order.

    Arguments:
        where: the kind of metadata for the message, such as "trailing metadata".
    """
    got = (found or Metadata()).all(key)
    shown = ", ".join(printable(value, 60) for value in got) or "no such key"
    wanted = ", ".join(printable(value, 60) for value in expected) or "none"
    fail_unless(got == list(expected), f"{where} with {key}: {wanted}", shown, stream)
