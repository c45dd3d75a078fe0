"""What the StreamService answers: the contract with every directive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar, Final

from google.protobuf.message import DecodeError

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.directives import BadDirectiveError, Directive, parse
from wire_servers.call import Call
from wire_servers.envelopes import INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED, StatusFault

_MOST_TOKENS: Final = 10_000


class Service:
    """The three methods; each reads from and writes to its RPC."""

    LIST_RESPONSES: ClassVar = 7
    LIST_AT_ONCE: ClassVar = False
    """Whether List answers its first request without waiting for the half-close."""
    ROUTE_SPEAKS_FIRST: ClassVar = False
    RECORD_NAME: ClassVar = "gRPC Stream Server: Record"
    ROUTE_NAME: ClassVar = "gRPC Stream Server: Route"

    def __init__(self) -> None:
        self._gone: dict[str, None] = {}

    def methods(self) -> dict[bytes, Callable[[Call], Awaitable[None]]]:
        """The method of each path."""
        return {
            b"/proto.StreamService/List": self.list,
            b"/proto.StreamService/Record": self.record,
            b"/proto.StreamService/Route": self.route,
        }

    def knows(self, path: bytes) -> bool:
        """Whether the path is that of a method."""
        return path in self.methods()

    async def serve(self, call: Call) -> None:
        """Serve an RPC."""
        await self.methods()[call.request.path](call)

    def gone(self, tokens: Iterable[str]) -> None:
        """Remember the tokens of an RPC whose client went away; the oldest are forgotten."""
        for token in tokens:
            self._gone[token] = None
            if len(self._gone) > _MOST_TOKENS:
                del self._gone[next(iter(self._gone))]

    # The methods ----------------------------------------------------------------------------------------------------

    async def list(self, call: Call) -> None:
        """One request; responses that count up from its value."""
        message = await call.receive()
        if message is None:
            raise StatusFault(UNIMPLEMENTED, "List takes exactly one request, and there was none")
        if not self.LIST_AT_ONCE and await call.receive() is not None:
            raise StatusFault(UNIMPLEMENTED, "List takes exactly one request, and there was another")
        point = self.point(message)
        directive = self.directive(point)
        count, base = self.LIST_RESPONSES, point.value
        match directive.word:
            case "!abort":
                await self.series(call, point.name, 0, directive.number)
                raise StatusFault(point.value, directive.text)
            case "!finish":
                count = 0
            case "!repeat":
                count = directive.number
            case "!sleep":
                await call.sleep(directive.number / 1000)
            case "!watch":
                call.mark(directive.text)
                call.send_headers()
                await call.forever()
            case "!cancelled":
                count, base = 1, int(directive.text in self._gone)
        await self.series(call, point.name, base, count)

    async def record(self, call: Call) -> None:
        """Requests up to the half-close, one response."""
        count, echo = 0, False
        texts: list[str] = []
        while (message := await call.receive()) is not None:
            count += 1
            point = self.point(message)
            directive = self.directive(point)
            match directive.word:
                case "!abort":
                    raise StatusFault(point.value, directive.text)
                case "!finish":
                    break
                case "!echo":
                    echo = True
                    texts.append(directive.text)
                case "!sleep":
                    await call.sleep(directive.number / 1000)
                case "!watch":
                    call.mark(directive.text)
                case _:
                    texts.append(point.name)
        await self.respond(call, ",".join(texts) if echo else self.RECORD_NAME, count if echo else 1)

    async def route(self, call: Call) -> None:
        """An answer to each request, counted from 0."""
        sent = 0
        if self.ROUTE_SPEAKS_FIRST:
            await self.respond(call, self.ROUTE_NAME, sent)
            sent += 1
        while (message := await call.receive()) is not None:
            point = self.point(message)
            directive = self.directive(point)
            match directive.word:
                case "!abort":
                    raise StatusFault(point.value, directive.text)
                case "!finish":
                    return
                case "!repeat":
                    await self.series(call, point.name, point.value, directive.number)
                    sent += directive.number
                    continue
                case "!echo":
                    await self.respond(call, point.name, point.value)
                    sent += 1
                    continue
                case "!sleep":
                    await call.sleep(directive.number / 1000)
                case "!watch":
                    call.mark(directive.text)
            await self.respond(call, self.ROUTE_NAME, sent)
            sent += 1

    # Their parts ----------------------------------------------------------------------------------------------------

    def point(self, message: bytes) -> StreamPoint:
        """The point in a request.

        Raises:
            StatusFault: the message cannot be decoded, or has no point.
        """
        try:
            request = StreamRequest.FromString(message)
        except DecodeError as error:
            raise StatusFault(INTERNAL, f"the request cannot be decoded: {error}") from error
        if not request.HasField("pt"):
            raise StatusFault(INVALID_ARGUMENT, "the request has no pt")
        return request.pt

    def directive(self, point: StreamPoint) -> Directive:
        """The directive in a point.

        Raises:
            StatusFault: it is malformed.
        """
        try:
            return parse(point.name, point.value)
        except BadDirectiveError as error:
            raise StatusFault(INVALID_ARGUMENT, str(error)) from error

    async def series(self, call: Call, name: str, base: int, count: int) -> None:
        """Send responses that count up."""
        for number in range(count):
            await self.respond(call, name, base + number)

    async def respond(self, call: Call, name: str, value: int) -> None:
        """Send a response; its value wraps around at 2^31."""
        wrapped = (value + 2**31) % 2**32 - 2**31
        await call.send(StreamResponse(pt=StreamPoint(name=name, value=wrapped)).SerializeToString())
