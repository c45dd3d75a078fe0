"""One RPC: gRPC on top of an HTTP/2 stream."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, ClassVar, Final

from wire_servers.envelopes import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    OK,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    Envelopes,
    StatusFault,
    envelope,
)
from wire_servers.frames import ErrorCode
from wire_servers.headers import (
    Fields,
    MalformedError,
    Request,
    binary_field,
    binary_values,
    percent_encoded,
    seconds_of,
    size_of,
)

if TYPE_CHECKING:
    from wire_servers.loop import Timer
    from wire_servers.stream import Stream

ECHO_INITIAL: Final = b"x-grpc-test-echo-initial"
ECHO_TRAILING: Final = b"x-grpc-test-echo-trailing-bin"
LARGEST_METADATA: Final = 16_384
"""Maximum bytes of request metadata, as MAX_HEADER_LIST_SIZE counts them."""


@types.coroutine
def _pause() -> Generator[None, None, None]:
    """Yield to other RPCs until something happens to this one."""
    yield


class Call:
    """An RPC, from its request headers to its status.

    Attributes:
        stream: the underlying stream.
        request: the request headers.
        deadline: the timer of its deadline, if any.
        headers_sent: whether the response headers were sent.
        settled: whether its end is decided.
    """

    CONTENT_TYPE: ClassVar = b"application/grpc"
    HEADERS_AT_ONCE: ClassVar = False
    """Whether response headers are sent as soon as the RPC begins, instead of with the first message."""
    TRAILERS_ONLY: ClassVar = True
    """Whether an error before any message is trailers-only."""
    ENVELOPES: ClassVar[type[Envelopes]] = Envelopes
    COMPRESS: ClassVar = False
    """Whether responses are compressed if the client accepts it."""

    def __init__(self, stream: Stream, request: Request) -> None:
        self.stream = stream
        self.request = request
        self.initial: Fields = []
        self.trailing: Fields = []
        self.headers_sent = False
        self.settled = False
        self.deadline: Timer | None = None
        self.envelopes = self.ENVELOPES(request.first(b"grpc-encoding") or b"identity")
        self._marks: list[str] = []
        self._awake = False
        self._coroutine: Coroutine[None, None, None] | None = None

    # Start ----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Check the request, and begin to serve it."""
        http_status = self.http_status()
        if http_status is not None:
            self.settled = True
            self.stream.end([(b":status", http_status)])
            return
        try:
            self.validate()
            self.arm()
        except StatusFault as fault:
            self.finish(fault.code, fault.message)
            return
        except MalformedError as error:
            self.finish(INTERNAL, f"malformed {error}")
            return
        if self.HEADERS_AT_ONCE:
            self.send_headers()
        self._coroutine = self.stream.connection.service.serve(self)
        self.wake()

    def http_status(self) -> bytes | None:
        """The HTTP status for a request that is not gRPC, or None."""
        if self.request.method != b"POST":
            return b"405"
        content_type = (self.request.first(b"content-type") or b"").partition(b";")[0].strip()
        return None if content_type in (b"application/grpc", b"application/grpc+proto") else b"415"

    def validate(self) -> None:
        """Check the headers of a gRPC request.

        Raises:
            StatusFault: the RPC cannot be served.
            MalformedError: gRPC does not allow a header.
        """
        if size_of(self.request.fields) > LARGEST_METADATA:
            raise StatusFault(RESOURCE_EXHAUSTED, f"more than {LARGEST_METADATA} bytes of metadata")
        if not self.stream.connection.service.knows(self.request.path):
            path = self.request.path.decode("utf-8", "replace")
            raise StatusFault(UNIMPLEMENTED, f"there is no method {path}")
        for name, value in self.request.fields:
            if name == ECHO_INITIAL:
                self.initial.append((name, value))
            elif name == ECHO_TRAILING:
                self.trailing += [binary_field(name, one) for one in self.binary(value)]

    def binary(self, value: bytes) -> list[bytes]:
        """The values of a -bin field."""
        return binary_values(value)

    def arm(self) -> None:
        """Set the timer for the deadline, if there is one.

        Raises:
            MalformedError: grpc-timeout is malformed.
        """
        timeout = self.request.first(b"grpc-timeout")
        if timeout is not None:
            self.deadline = self.stream.connection.loop.after(self.seconds(timeout), self._expired)

    def seconds(self, timeout: bytes) -> float:
        """The seconds that a grpc-timeout stands for."""
        return seconds_of(timeout)

    # What the service does with it ----------------------------------------------------------------------------------

    async def receive(self) -> bytes | None:
        """Return the next request message, or None after the half-close.

        Raises:
            StatusFault: the client sent something other than messages.
        """
        while True:
            message = self.envelopes.next()
            if message is not None:
                return message
            data = self.stream.take()
            if data:
                self.envelopes.feed(data)
            elif self.stream.remote_ended:
                self.check_end()
                return None
            else:
                await _pause()

    def check_end(self) -> None:
        """Check what is left after the half-close.

        Raises:
            StatusFault: the client half-closed within a message.
        """
        if self.envelopes.within():
            raise StatusFault(INTERNAL, "the request stream ended within a message")

    async def send(self, message: bytes) -> None:
        """Send a response message; wait while too many are queued."""
        self.send_headers()
        self.stream.write(self.enveloped(message))
        await self.room()

    async def room(self) -> None:
        """Wait while too many messages are queued."""
        while self.stream.full():
            await _pause()

    def enveloped(self, message: bytes) -> bytes:
        """A message as it is sent on the wire."""
        return envelope(message, compressed=self.compresses())

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until the RPC is over."""
        waiting = [True]

        def over() -> None:
            waiting.clear()
            self._go_on()

        timer = self.stream.connection.loop.after(seconds, over)
        try:
            while waiting:
                await _pause()
        finally:
            timer.cancel()

    async def forever(self) -> None:
        """Wait until the RPC is over."""
        while True:
            await _pause()

    def mark(self, token: str) -> None:
        """Remember a token if this RPC ends because the client goes away."""
        self._marks.append(token)

    def send_headers(self) -> None:
        """Send the response headers, unless they were sent."""
        if not self.headers_sent:
            self.headers_sent = True
            self.stream.connection.send_headers(self.stream, self.headers())

    # What is sent on the wire ---------------------------------------------------------------------------------------

    def headers(self) -> Fields:
        """The response headers."""
        fields = [(b":status", b"200"), (b"content-type", self.CONTENT_TYPE)]
        if self.compresses():
            fields.append((b"grpc-encoding", b"gzip"))
        return [*fields, (b"grpc-accept-encoding", b"identity,gzip"), *self.initial]

    def compresses(self) -> bool:
        """Whether responses are compressed."""
        accepted = (self.request.first(b"grpc-accept-encoding") or b"").replace(b" ", b"").split(b",")
        return self.COMPRESS and b"gzip" in accepted

    def trailers(self, code: int, message: str) -> Fields:
        """The trailers."""
        fields = [(b"grpc-status", b"%d" % code)]
        if message:
            fields.append((b"grpc-message", self.message(message)))
        return [*fields, *self.trailing]

    def message(self, text: str) -> bytes:
        """A status message as it is sent on the wire."""
        return percent_encoded(text)

    def finish(self, code: int, message: str = "") -> None:
        """End the RPC with a status, after everything that was queued before."""
        self.settled = True
        trailers = self.trailers(code, message)
        if not self.headers_sent and (code == OK or self.initial or not self.TRAILERS_ONLY):
            self.send_headers()
        self.stream.end(trailers if self.headers_sent else [*self.headers(), *trailers])

    # What happens to it ---------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something happened that the RPC may be waiting for."""
        if self._coroutine is not None and not self._awake:
            self._awake = True
            self.stream.connection.wake(self)

    def resume(self) -> None:
        """Continue up to the next wait or the end."""
        self._awake = False
        if self._coroutine is None:
            return
        try:
            self._coroutine.send(None)
        except StopIteration:
            self._coroutine = None
            self.finish(OK)
        except StatusFault as fault:
            self._coroutine = None
            self.finish(fault.code, fault.message)

    def notify(self) -> None:
        """Record that the client went away or the deadline passed before the RPC was settled."""
        if not self.settled:
            self.settled = True
            self.stream.connection.service.gone(self._marks)

    def stop(self) -> None:
        """Stop serving."""
        if self._coroutine is not None:
            self._coroutine.close()
            self._coroutine = None

    def gone(self) -> None:
        """The client went away."""
        self.notify()
        self.stop()
        self.disarm()

    def disarm(self) -> None:
        """Cancel the deadline."""
        if self.deadline is not None:
            self.deadline.cancel()

    def sent_end(self) -> None:
        """The response has ended."""
        self.disarm()

    def expire(self) -> None:
        """The deadline has passed: complete messages that wait are dropped; a partly sent one forces a reset."""
        self.notify()
        self.stop()
        if self.stream.discard():
            self.stream.reset(ErrorCode.CANCEL)
        else:
            self.finish(DEADLINE_EXCEEDED, "the deadline has passed")

    def _expired(self) -> None:
        self.expire()
        self.stream.connection.settle()

    def _go_on(self) -> None:
        self.wake()
        self.stream.connection.settle()
