"""The behaviour of a StreamService, written once: each RPC is a generator that yields effects.

Nothing here reads, writes or waits. A driver runs the generator and carries out each effect. It answers Receive with
the next request, or with None after the client's half-close. A generator that returns ends its RPC with OK; one that
raises StatusError ends it with that status. If the client cancels or disconnects, the driver drops the generator.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

from .directives import Abort, BadDirective, Cancelled, Directive, Echo, Finish, Repeat, Sleep, Watch, parse
from .watches import Watches

_LIST_DIRECTIVES = frozenset({"!abort", "!finish", "!repeat", "!sleep", "!watch", "!cancelled"})
_RECORD_DIRECTIVES = frozenset({"!abort", "!finish", "!echo", "!sleep", "!watch"})
_ROUTE_DIRECTIVES = frozenset({"!abort", "!finish", "!repeat", "!echo", "!sleep", "!watch"})

_LIST_RESPONSES = 7  # the number that the classic servers send
_RECORD_NAME = "gRPC Stream Server: Record"
_ROUTE_NAME = "gRPC Stream Server: Route"

_LONGEST_ECHO = 64 * 2**20  # characters; Record keeps all texts until it ends, so their size must be bounded

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Receive:
    """Read the next request: the driver sends it into the generator, or None after the half-close."""


@dataclass(frozen=True)
class Send:
    """Send a response."""

    response: StreamResponse


@dataclass(frozen=True)
class SendHeaders:
    """Send the initial metadata now, instead of with the first response."""


@dataclass(frozen=True)
class Wait:
    """Wait this many seconds, or, with None, until the RPC is over; an RPC that is over does not continue."""

    seconds: float | None


@dataclass(frozen=True)
class Mark:
    """Mark this RPC: its token is remembered if the client cancels or disconnects."""

    token: str


Effect = Receive | Send | SendHeaders | Wait | Mark
Rpc = Generator[Effect, StreamRequest | None, None]


class StatusError(Exception):
    """Raised when the server ends an RPC with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def list_points(watches: Watches) -> Rpc:
    """List: one request, n responses that count up from its value."""
    request = yield Receive()
    point = _point(request)
    count = _LIST_RESPONSES
    match _directive(point, _LIST_DIRECTIVES):
        case Abort(code, responses, text):
            for number in range(responses):
                yield Send(_response(point.name, number))
            raise StatusError(_STATUS_CODES[code], text)
        case Finish():
            return
        case Repeat(responses):
            count = responses
        case Sleep(seconds):
            yield Wait(seconds)
        case Watch(token):
            yield Mark(token)
            yield SendHeaders()
            yield Wait(None)
        case Cancelled(token):
            yield Send(_response(point.name, int(watches.saw(token))))
            return
    for number in range(count):
        yield Send(_response(point.name, point.value + number))


def record() -> Rpc:
    """Record: requests up to the half-close, one response."""
    received = 0
    texts: list[str] | None = []
    room = _LONGEST_ECHO
    echo = False
    while (request := (yield Receive())) is not None:
        point = _point(request)
        received += 1
        text: str | None = point.name
        match _directive(point, _RECORD_DIRECTIVES):
            case Abort(code, _, message):
                raise StatusError(_STATUS_CODES[code], message)
            case Echo(echoed):
                echo, text = True, echoed
            # Directives without a TEXT count as requests, but add neither text nor comma to the joined texts.
            case Finish():
                break
            case Sleep(seconds):
                yield Wait(seconds)
                text = None
            case Watch(token):
                yield Mark(token)
                text = None
        if texts is not None and text is not None:
            texts.append(text)
            room -= len(text) + 1
            if room < 0:
                texts = None
    if not echo:
        yield Send(_response(_RECORD_NAME, 1))
    elif texts is None:
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED, f"!echo joins at most {_LONGEST_ECHO} characters of one stream"
        )
    else:
        yield Send(_response(",".join(texts), received))


def route() -> Rpc:
    """Route: one response to each request as it is read, counted from 0."""
    sent = 0
    while (request := (yield Receive())) is not None:
        point = _point(request)
        responses: Iterable[StreamResponse] = (_response(_ROUTE_NAME, sent),)
        match _directive(point, _ROUTE_DIRECTIVES):
            case Abort(code, _, message):
                raise StatusError(_STATUS_CODES[code], message)
            case Finish():
                return
            case Repeat(count):
                # A generator: the client may ask for more responses than fit into memory.
                responses = (_response(point.name, point.value + number) for number in range(count))
            case Echo():
                responses = (StreamResponse(pt=point),)
            case Sleep(seconds):
                yield Wait(seconds)
            case Watch(token):
                yield Mark(token)
        for response in responses:
            yield Send(response)
            sent += 1


def _point(request: StreamRequest | None) -> StreamPoint:
    if request is None:
        # A List without its request; the code is that of a request cardinality violation in gRPC's statuscodes.md.
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "this method takes exactly one request, and there was none")
    if not request.HasField("pt"):
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, "a request must have a pt, and this one has none")
    return request.pt


def _directive(point: StreamPoint, words: frozenset[str]) -> Directive | None:
    try:
        return parse(point.name, point.value, words)
    except BadDirective as error:
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


def _response(name: str, number: int) -> StreamResponse:
    """Return a response whose value is the number in int32 arithmetic."""
    return StreamResponse(pt=StreamPoint(name=name, value=(number + 2**31) % 2**32 - 2**31))
