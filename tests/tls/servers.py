"""Servers that require metadata, send metadata back, or speak TLS without HTTP/2."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pytest_grpcstream.reference_impl import StreamService, add_to_server

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from tls.certificates import Certificates


class Guard(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]  # grpcio has types only with types-grpcio
    """Answers UNAUTHENTICATED to every call without a certain pair of metadata, for any method.

    Attributes:
        calls: The metadata of every call.
    """

    def __init__(self, key: str, value: str) -> None:
        self.calls: list[list[tuple[str, str | bytes]]] = []
        self._wanted = (key, value)

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Let a call pass, or answer instead of its handler."""
        metadata = list(handler_call_details.invocation_metadata)
        self.calls.append(metadata)
        if self._wanted in metadata:
            return continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def by_client(self) -> dict[str, list[dict[str, str | bytes]]]:
        """The metadata of every call, grouped by client."""
        calls = [dict(call) for call in self.calls]
        library = [call for call in calls if str(call["user-agent"]).startswith("grpc-python/")]
        return {"library": library, "wire": [call for call in calls if call not in library]}


def _refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")


@contextlib.contextmanager
def guarded_reference(guard: Guard) -> Iterator[str]:
    """Serve the reference behind a guard; yields the address."""
    server = grpc.server(ThreadPoolExecutor(200), interceptors=[guard], options=(("grpc.so_reuseport", 0),))
    add_to_server(StreamService(), server)
    with _started(server) as address:
        yield address


def _reveal(requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
    seen = str(dict(context.invocation_metadata())["authorization"])
    context.send_initial_metadata((("x-initial", seen),))
    context.set_trailing_metadata((("x-trailing", seen),))
    for request in requests:
        yield StreamResponse(pt=StreamPoint(name=f"{request.pt.name} of {seen}", value=7))
        break
    context.abort(grpc.StatusCode.PERMISSION_DENIED, f"not with {seen}")


@contextlib.contextmanager
def talkative() -> Iterator[str]:
    """Serve a service that sends the metadata ``authorization`` back wherever it can; yields the address."""
    decode, encode = StreamRequest.FromString, StreamResponse.SerializeToString
    handler = grpc.stream_stream_rpc_method_handler(_reveal, decode, encode)
    methods = dict.fromkeys(("List", "Record", "Route"), handler)
    server = grpc.server(ThreadPoolExecutor(50), options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("proto.StreamService", methods),))
    with _started(server) as address:
        yield address


@contextlib.contextmanager
def _started(server: grpc.Server) -> Iterator[str]:
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(10)


def server_context(certificates: Certificates, *protocols: str) -> ssl.SSLContext:
    """The TLS settings of a server that supports these ALPN protocols, or no ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server_cert, certificates.server_key)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class HandShaker:
    """A server that completes TLS handshakes, and sends nothing after them."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hand-shaker")

    def __enter__(self) -> str:
        self._thread.start()
        return "{}:{}".format(*self._listener.getsockname())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        socket.create_connection(self._listener.getsockname(), 10).close()  # wakes the thread
        self._thread.join(30)
        self._listener.close()

    def _run(self) -> None:
        while True:
            channel, _ = self._listener.accept()
            with channel:
                if self._over.is_set():
                    return
                channel.settimeout(10)
                # A client may refuse what the server selected.
                with contextlib.suppress(OSError), self._context.wrap_socket(channel, server_side=True) as secure:
                    while secure.recv(4096):
                        pass
