"""Verdicts about unusual requests and frames, and the outcomes that such requests may have.

Some functions send or open something (`send_record`), some wait or describe (`await_outcome`, `describe`), and verdicts
begin with ``expect`` (`expect_refusal`).

RFC 9113, section 5.4.1, lets a server treat any stream error as a connection error, so a connection error counts as a
refusal. A missing refusal is a `Deviation`, because it does not hurt users. A missing answer or an incomplete response
is a `Failure`.
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
"""Variants of one stimulus that run concurrently, so that slow answers do not add up."""
_USUAL_SHAPE: Final = Shape()


class Outcome(enum.StrEnum):
    """How the server handled a request."""

    SERVED = "OK"
    STATUS = "a gRPC error"
    HTTP = "an HTTP error"
    RESET = "RST_STREAM"
    CONNECTION = "a connection error"
    BROKEN = "an incomplete response"
    NOTHING = "no answer"


REFUSALS: Final = frozenset({Outcome.STATUS, Outcome.HTTP, Outcome.RESET, Outcome.CONNECTION})
"""The ways to refuse a request. A malformed one may also get an HTTP error (RFC 9113, section 8.1.1)."""

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
    """Whether the server reported a connection error, by closing the connection, by GOAWAY or by both."""
    return connection.closed is not None or find_error_goaway(connection) is not None


def await_outcome(stream: WireStream, timeout: float | None = None) -> Outcome:
    """Wait for the outcome of a request, for the stream's time limit at most.

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
    """Describe the outcome of a request."""
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
    """Describe how a connection ended or is about to end."""
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
    """Send a Record with one request and a half-close; stop if the server ends the RPC first.

    Arguments:
        headers: the request headers; defaults to the usual ones.
        data: the message with its prefix; defaults to a plain request.
        shape: how the header block is encoded and split into frames.
        stream_id: the stream identifier; defaults to the next odd one.

    Raises:
        OperationTimeout: the server's flow-control window stayed exhausted.
    """
    stream = client.open("Record", headers=headers, shape=shape, stream_id=stream_id)
    stream.write(framed(STREAM_SERVICE.plain) if data is None else data, end_stream=True)
    return stream


def encode_request_of(size: int) -> bytes:
    """Encode a request of exactly ``size`` bytes, not counting the length prefix.

    Raises:
        ValueError: no request has that size, because larger requests need longer length fields.
    """
    for value in (1, 1 << 7):
        extra = len(STREAM_SERVICE.encode(Point("s" * size, value))) - size
        for count in range(size - extra, size - extra + 3):
            if len(request := STREAM_SERVICE.encode(Point("s" * count, value))) == size:
                return request
    raise ValueError(f"no request has {size} bytes")


def encode_literally(headers: Headers) -> bytes:
    """Encode a header block of literal fields only (RFC 7541, section 6.2.2), for `Shape.block`.

    It is not compressed and does not change the dynamic table, so even very long fields are encoded quickly.
    """
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in headers)


def _literal(text: bytes) -> bytes:
    """Encode a string without Huffman coding (RFC 7541, sections 5.1 and 5.2)."""
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
    """Open a connection to the client's server and send only these bytes, not even the connection preface."""
    transport = dial(client.address, client.timeout, client.context, server_name(client.authority))
    try:
        transport.send(said)
        yield
    finally:
        transport.drop()


# Verdicts ---------------------------------------------------------------------------------------------------------


def expect_answer(stream: WireStream, expected: str) -> Outcome:
    """The call does not hang: the server ends it with a complete response, a reset or a connection error."""
    got = await_outcome(stream)
    verify.fail_unless(got not in (Outcome.NOTHING, Outcome.BROKEN), expected, describe(stream), stream)
    return got


def expect_served(stream: WireStream, expected: str = "one response, then OK") -> None:
    """A Record has exactly one response and ends with OK."""
    got = await_outcome(stream)
    verify.fail_unless(got is Outcome.SERVED, expected, describe(stream), stream)
    count = stream.response.messages
    verify.fail_unless(count == 1, expected, f"OK with {count} responses", stream)


def expect_refusal(stream: WireStream, expected: str, by: Collection[Outcome] = REFUSALS) -> Outcome:
    """The server refuses a request by one of these outcomes.

    Raises:
        Failure: it did not answer, or its response was incomplete.
        Deviation: it served the request, or refused it with another outcome.
    """
    got = expect_answer(stream, expected)
    if got not in by:
        raise Deviation(expected, describe(stream), stream)
    return got


def expect_connection_error(
    connection: Connection, expected: str, quiet: float, stream: WireStream | None = None
) -> None:
    """The server treats the last frames as a connection error, or resets the stream if one is given.

    The acknowledgement of a PING shows that the server has read them, so the test does not wait for the full time limit
    if the server ignores them.

    Arguments:
        quiet: seconds of silence. The error may arrive up to a quarter of them after the acknowledgement.
        stream: a stream whose reset the verdict accepts instead.

    Raises:
        Deviation: the server ignored the frames, or stopped responding.
    """

    def reacted() -> bool:
        return has_connection_error(connection) or (stream is not None and stream.response.reset_code is not None)

    payload = connection.send_ping()
    connection.wait(lambda: reacted() or connection.answered(payload))
    if not reacted() and not connection.wait(reacted, quiet / 4):
        went_on = connection.answered(payload)
        actual = "the connection goes on" if went_on else "neither an error nor the acknowledgement of a PING"
        raise Deviation(expected, actual, stream)


def describe_disturbance(connection: Connection) -> str | None:
    """Describe how the last frames ended the connection; None if the server acknowledges a PING sent after them."""
    payload = connection.send_ping()
    connection.wait(lambda: has_connection_error(connection) or connection.answered(payload))
    if has_connection_error(connection):
        return describe_connection(connection)
    return None if connection.answered(payload) else "the server no longer acknowledges a PING"


def each(
    client: WireClient,
    variants: Mapping[str, _T],
    check: Callable[[WireClient, _T], object],
) -> None:
    """Check each variant of a stimulus on its own connection, then that the server goes on serving.

    All mismatches are raised as one: it has the type and stream of the most severe one and the texts of all.

    Arguments:
        check: raises a `Mismatch` if the target fails one variant.
    """
    with ThreadPoolExecutor(min(_AT_ONCE, len(variants))) as pool:
        jobs = {
            name: pool.submit(_check_on_new_connection, client, check, variant) for name, variant in variants.items()
        }
        found = {name: job.result() for name, job in jobs.items()}
    wrong = {name: verdict for name, verdict in found.items() if verdict is not None}
    with client.fresh() as new:
        verify.serves(
            new,
            f"after {' and '.join(variants) if len(variants) < 4 else f'all {len(variants)} variants of the input'}",
        )
    if wrong:
        raise _merge(wrong)


def _check_on_new_connection(
    client: WireClient, check: Callable[[WireClient, _T], object], variant: _T
) -> Mismatch | None:
    with client.fresh() as own:
        try:
            check(own, variant)
        except Mismatch as verdict:
            return verdict
        except TargetError as error:
            return Failure("the server accepts a new connection", str(error))
    return None


def _merge(wrong: Mapping[str, Mismatch]) -> Mismatch:
    def severity(verdict: Mismatch) -> int:
        return 0 if isinstance(verdict, Deviation) else 1 if isinstance(verdict, Inconclusive) else 2

    worst = max(wrong.values(), key=severity)
    kind = (Deviation, Inconclusive, Failure)[severity(worst)]
    expected = dict.fromkeys(verdict.expected for verdict in wrong.values())
    actual = "; ".join(f"{name}: {verdict.actual}" for name, verdict in wrong.items())
    return kind("; ".join(expected), actual, worst.stream)
