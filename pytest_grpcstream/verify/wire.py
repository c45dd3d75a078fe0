"""Verdicts about unusual requests and frames: what may become of them is a list of outcomes by name.

Functions are verbs: what sends or opens something (`send_record`), what waits or describes (`await_outcome`,
`describe`), and verdicts, which begin with ``expect`` (`expect_refusal`).

RFC 9113, section 5.4.1, lets a server treat any stream error as a connection error, so that is among the outcomes
wherever a refusal is. A missing refusal is a `Deviation`, because it does not hurt users; no answer at all, and an
incomplete response, are a `Failure`.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import (
    Connection,
    ErrorCode,
    Goaway,
    Headers,
    Origin,
    Shape,
    WireClient,
    WireStream,
    framed,
)
from pytest_grpcstream.errors import Deviation, Failure, Inconclusive, Mismatch, TargetError
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import Point
from pytest_grpcstream.wire.dialing import dial, server_name

_T = TypeVar("_T")

_AT_ONCE: Final = 8
"""Variants of one stimulus that run at the same time: enough to wait for slow answers together."""
_USUAL_SHAPE: Final = Shape()


class Outcome(enum.StrEnum):
    """What became of a request."""

    SERVED = "OK"
    STATUS = "a gRPC error"
    HTTP = "an HTTP error"
    RESET = "RST_STREAM"
    CONNECTION = "a connection error"
    BROKEN = "a response that is not whole"
    NOTHING = "no answer"


REFUSALS: Final = frozenset({Outcome.STATUS, Outcome.HTTP, Outcome.RESET, Outcome.CONNECTION})
"""The ways to refuse a request. A malformed one may be answered by an HTTP error too (RFC 9113, section 8.1.1)."""

_OF_ORIGIN: Final = {
    Origin.TRAILERS: Outcome.STATUS,
    Origin.TRAILERS_ONLY: Outcome.STATUS,
    Origin.HTTP_STATUS: Outcome.BROKEN,
    Origin.RST_STREAM: Outcome.RESET,
    Origin.GOAWAY: Outcome.CONNECTION,
    Origin.CONNECTION_CLOSED: Outcome.CONNECTION,
}


# What happened ----------------------------------------------------------------------------------------------------


def find_error_goaway(connection: Connection) -> Goaway | None:
    """The newest GOAWAY of the server that reports an error, not a graceful shutdown."""
    return next((one for one in reversed(connection.goaways) if one.code != ErrorCode.NO_ERROR), None)


def has_connection_error(connection: Connection) -> bool:
    """Whether the server has treated something as a connection error: some close, some send GOAWAY, some do both."""
    return connection.closed is not None or find_error_goaway(connection) is not None


def await_outcome(stream: WireStream, timeout: float | None = None) -> Outcome:
    """Wait until it is clear what became of a request, for the stream's time limit at most.

    Arguments:
        timeout: seconds to wait instead.
    """
    connection = stream.connection
    limit = stream.timeout if timeout is None else timeout
    connection.wait(lambda: stream.ended is not None or has_connection_error(connection), limit)
    ended = stream.ended
    if ended is None:
        return Outcome.CONNECTION if has_connection_error(connection) else Outcome.NOTHING
    if ended.http_status not in (None, 200):
        return Outcome.HTTP
    if ended.server_status is not None and ended.server_status.ok and ended.origin is not Origin.CLIENT_REFUSED:
        return Outcome.SERVED
    return _OF_ORIGIN.get(ended.origin, Outcome.BROKEN)


def describe(stream: WireStream) -> str:
    """What became of a request, in words."""
    ended = stream.ended
    if ended is None:
        return (
            describe_connection(stream.connection)
            if has_connection_error(stream.connection)
            else f"no answer within {stream.timeout:g} s"
        )
    if ended.http_status in (None, 200):
        return str(ended)
    return f"HTTP status {ended.http_status}{f' with {ended.server_status}' if ended.server_status else ''}"


def describe_connection(connection: Connection) -> str:
    """How a connection ended or will end, in words."""
    goaway = find_error_goaway(connection)
    parts = [str(goaway)] if goaway is not None else []
    if connection.closed is not None:
        parts.append(connection.closed.reason)
    return ", then ".join(parts) or "the connection is open"


# Stimuli ----------------------------------------------------------------------------------------------------------


def send_record(
    client: WireClient,
    headers: Headers | None = None,
    data: bytes | None = None,
    *,
    shape: Shape = _USUAL_SHAPE,
    stream_id: int | None = None,
) -> WireStream:
    """A Record of one request with its half-close; when the server ends it before, the rest is not sent.

    Arguments:
        headers: the request headers instead of the usual ones.
        data: the message instead of a plain one, with its prefix.
        shape: how the header block goes on the wire.
        stream_id: an identifier instead of the next odd one.

    Raises:
        OperationTimeout: the server's window stayed shut.
    """
    stream = client.open("Record", headers=headers, shape=shape, stream_id=stream_id)
    stream.write(framed(STREAM_SERVICE.plain) if data is None else data, end_stream=True)
    return stream


def encode_request_of(size: int) -> bytes:
    """A request of exactly so many bytes, without the prefix of the wire.

    Raises:
        ValueError: no request has that size, because the lengths in it take more bytes the longer they are.
    """
    for value in (1, 1 << 7):
        extra = len(STREAM_SERVICE.encode(Point("s" * size, value))) - size
        for count in range(size - extra, size - extra + 3):
            if len(request := STREAM_SERVICE.encode(Point("s" * count, value))) == size:
                return request
    raise ValueError(f"no request has {size} bytes")


def encode_literally(headers: Headers) -> bytes:
    """A header block of literal fields only (RFC 7541, section 6.2.2), for `Shape.block`.

    Nothing is compressed and no table changes, so that any length of a field goes quickly.
    """
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in headers)


def _literal(text: bytes) -> bytes:
    """A string as RFC 7541, sections 5.1 and 5.2, writes it without Huffman coding."""
    length, rest = len(text), b""
    if length >= 127:
        length, more = 127, length - 127
        while more >= 128:
            rest += bytes([more % 128 + 128])
            more //= 128
        rest += bytes([more])
    return bytes([length]) + rest + text


@contextlib.contextmanager
def open_bare_connection(client: WireClient, said: bytes = b"") -> Iterator[None]:
    """A connection to the server of a client on which nothing is said but these bytes, not even the preface."""
    transport = dial(client.address, client.timeout, client.context, server_name(client.authority))
    try:
        transport.send(said)
        yield
    finally:
        transport.drop()


# Verdicts ---------------------------------------------------------------------------------------------------------


def expect_answer(stream: WireStream, expected: str) -> Outcome:
    """The call does not hang: the server ends it by a whole response, a reset or a connection error."""
    got = await_outcome(stream)
    verify.fail_unless(got not in (Outcome.NOTHING, Outcome.BROKEN), expected, describe(stream), stream)
    return got


def expect_served(stream: WireStream, expected: str = "one response and OK, as usual") -> None:
    """A Record is answered once and ends with OK."""
    got = await_outcome(stream)
    verify.fail_unless(got is Outcome.SERVED, expected, describe(stream), stream)
    count = stream.response.messages
    verify.fail_unless(count == 1, expected, f"OK with {count} responses", stream)


def expect_refusal(stream: WireStream, expected: str, by: Collection[Outcome] = REFUSALS) -> Outcome:
    """The server refuses a request by one of these outcomes.

    Raises:
        Failure: it gave no answer, or a response that is not whole.
        Deviation: it served the request, or refused it in another way.
    """
    got = expect_answer(stream, expected)
    if got not in by:
        raise Deviation(expected, describe(stream), stream)
    return got


def expect_connection_error(
    connection: Connection, expected: str, quiet: float, stream: WireStream | None = None
) -> None:
    """The server treats what was sent last as a connection error, or resets the stream where one was given.

    A PING after it shows when the server has read it, so that the test need not wait for a server that ignores it.

    Arguments:
        quiet: the time of silence; the error may still come within a quarter of it after the answer to the PING.
        stream: the stream whose reset is as good.

    Raises:
        Deviation: it went on as if nothing had happened, or did nothing at all any more.
    """

    def reacted() -> bool:
        return has_connection_error(connection) or (stream is not None and stream.response.reset_code is not None)

    payload = connection.send_ping()
    connection.wait(lambda: reacted() or connection.answered(payload))
    if not reacted() and not connection.wait(reacted, quiet / 4):
        went_on = connection.answered(payload)
        actual = "the connection goes on" if went_on else "neither an error nor the answer to a PING"
        raise Deviation(expected, actual, stream)


def describe_disturbance(connection: Connection) -> str | None:
    """How the connection ended over what was sent last, in words; None when a PING behind it is answered."""
    payload = connection.send_ping()
    connection.wait(lambda: has_connection_error(connection) or connection.answered(payload))
    if has_connection_error(connection):
        return describe_connection(connection)
    return None if connection.answered(payload) else "a PING is not answered any more"


def each(
    client: WireClient,
    variants: Mapping[str, _T],
    check: Callable[[WireClient, _T], object],
) -> None:
    """Check each variant of a stimulus on a connection of its own, then that the server goes on serving.

    Everything wrong is reported at once: the mismatch is the most serious one, in the words of all of them.

    Arguments:
        check: raises a verdict about one variant.
    """
    with ThreadPoolExecutor(min(_AT_ONCE, len(variants))) as pool:
        jobs = {name: pool.submit(_on_its_own, client, check, variant) for name, variant in variants.items()}
        found = {name: job.result() for name, job in jobs.items()}
    wrong = {name: verdict for name, verdict in found.items() if verdict is not None}
    with client.fresh() as new:
        verify.serves(new, f"after {' and '.join(variants) if len(variants) < 4 else 'all of this'}")
    if wrong:
        raise _merged(wrong)


def _on_its_own(client: WireClient, check: Callable[[WireClient, _T], object], variant: _T) -> Mismatch | None:
    with client.fresh() as own:
        try:
            check(own, variant)
        except Mismatch as verdict:
            return verdict
        except TargetError as error:
            return Failure("a new connection", str(error))
    return None


def _merged(wrong: Mapping[str, Mismatch]) -> Mismatch:
    def severity(verdict: Mismatch) -> int:
        return 0 if isinstance(verdict, Deviation) else 1 if isinstance(verdict, Inconclusive) else 2

    worst = max(wrong.values(), key=severity)
    kind = (Deviation, Inconclusive, Failure)[severity(worst)]
    expected = dict.fromkeys(verdict.expected for verdict in wrong.values())
    actual = "; ".join(f"{name}: {verdict.actual}" for name, verdict in wrong.items())
    return kind("; ".join(expected), actual, worst.stream)
