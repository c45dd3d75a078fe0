"""StreamService for ``grpc.server``: each RPC runs in its own thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

import grpc

from pytest_grpcstream.messages import StreamRequest, StreamResponse

from . import semantics
from .metadata import echoed_initial, echoed_trailing
from .semantics import Mark, Receive, Send, SendHeaders, StatusError, Wait
from .watches import TOKENS_PER_RPC, Watches


class _AlreadyEnded(BaseException):
    """Raised to leave an RPC that grpcio has already ended, because a request was not a valid message.

    grpcio then ends the stream of requests. If the handler returned or raised an Exception, grpcio would send a second
    status, which never completes, and the server could no longer be stopped. Only a BaseException avoids that.
    """


class StreamService:
    """The reference StreamService with plain methods; each open RPC holds one thread of the server's pool.

    If ``log`` is given, it is called with each request that was read.
    """

    def __init__(self, log: Callable[[StreamRequest], object] | None = None) -> None:
        self._log = log
        self._watches = Watches()

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Send the responses to one request."""
        return self._run(semantics.list_points(self._watches), iter((request,)), context)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Read the requests and return the one response."""
        responses = list(self._run(semantics.record(), requests, context))
        # If the client cancelled or disconnected, there is no response; grpcio drops what is returned then.
        return responses[0] if responses else StreamResponse()

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer each request when it is read."""
        return self._run(semantics.route(), requests, context)

    def _run(
        self, rpc: semantics.Rpc, requests: Iterator[StreamRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamResponse]:
        """Do what the RPC yields until it ends, or until the client cancels or disconnects.

        A cancelled RPC is noticed where it is blocked: reading raises, the context's callback ends a wait, and grpcio
        closes a generator whose response cannot be sent. The callback alone does not show a cancellation, because it
        is called after every RPC, however it ended.
        """
        over = threading.Event()
        if not context.add_callback(over.set):
            over.set()
        tokens: deque[str] = deque(maxlen=TOKENS_PER_RPC)
        received: StreamRequest | None = None
        try:
            context.set_trailing_metadata(echoed_trailing(context.invocation_metadata()))
            initial = echoed_initial(context.invocation_metadata())
            if initial:
                context.send_initial_metadata(initial)
            while True:
                try:
                    effect = rpc.send(received)
                except StopIteration:
                    return
                received = None
                match effect:
                    case Receive():
                        received = self._read(requests, context)
                    case Send(response):
                        yield response
                    case SendHeaders():
                        if not initial:
                            context.send_initial_metadata(())
                    case Wait(seconds):
                        if over.wait(seconds):
                            self._watches.record(tokens)
                            return
                    case Mark(token):
                        tokens.append(token)
        except StatusError as error:
            context.abort(error.code, error.message)
        except grpc.RpcError:
            self._watches.record(tokens)
        except GeneratorExit:
            self._watches.record(tokens)
            raise

    def _read(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamRequest | None:
        """Return the next request, or None after the half-close; raises grpc.RpcError if the RPC was cancelled."""
        request = next(requests, None)
        if request is None:
            # When an RPC is cancelled, grpcio may end the iterator before it knows the reason. By the time of a second
            # read it knows: that one raises, unless the client has really half-closed.
            request = next(requests, None)
        if request is None and not context.is_active():
            raise _AlreadyEnded
        if request is not None and self._log is not None:
            self._log(request)
        return request
