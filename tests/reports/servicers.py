"""Servers whose answers attack the readers of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from plugin.servicers import Core, response
from pytest_grpcstream.messages import StreamRequest, StreamResponse

MARKUP = (
    "\x1b[2J\n# h\r|`x`</code><script>alert(1)</script>@octocat ![i](//evil.example/i.png) www.evil.example #1 **b** "
    "_e_ ~~g~~ $x$ &lt; \\| [link](https://evil.example/) ``` <img src=x onerror=y>\n\n# heading\n| a | b |\n|---|---|"
    "\n- [ ] item\r\n::set-output:: <!-- \x1b]0;owned\x07\u202e\u2028\x00\x85"
)
"""Markup of every kind, and characters that control a terminal."""


def _fail(requests: Iterator[StreamRequest], context: grpc.ServicerContext, details: str) -> StreamResponse:
    for _ in requests:
        continue
    context.abort(grpc.StatusCode.INTERNAL, details)
    raise AssertionError  # abort() raises


class Markup(Core):
    """Sends markup wherever a server can: in names, and in the status of a Record or of a request without a point."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer with markup."""
        if not request.HasField("pt"):
            context.abort(grpc.StatusCode.UNKNOWN, MARKUP)
        yield response(MARKUP, request.pt.value)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Fail with markup."""
        return _fail(requests, context, MARKUP)


class Huge(Core):
    """Ends every Record with a status message of 10 MB."""

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Fail with a long message."""
        return _fail(requests, context, "<|`@>" * (2 << 20))


class LongNames(Core):
    """Answers every List with a name of 10 MB."""

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer with a long name."""
        yield response("<|`@>" * (2 << 20), request.pt.value)


class EchoSecret(Core):
    """Echoes the secret metadata of a call: in the name of a List, in the status of a Record."""

    def _secret(self, context: grpc.ServicerContext) -> str:
        return next(str(value) for key, value in context.invocation_metadata() if key == "authorization")

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Answer with the secret."""
        context.send_initial_metadata((("x-secret", self._secret(context)),))
        yield response(f"{'-' * 45}{self._secret(context)}", request.pt.value)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Fail with the secret."""
        return _fail(requests, context, f"{'-' * 140}{self._secret(context)}")


class RecordFails(Core):
    """Aborts every Record."""

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Fail."""
        return _fail(requests, context, "not today")


def garbage(server: grpc.Server) -> None:
    """Serve responses that are not valid messages, with strings that are not UTF-8."""

    def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"\x0a\x05\x0a\x03\xff\xfe\x1b"

    def together(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in requests:
            yield b"\xff\xfe\x1b[2J\x00"

    def single(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b"".join([b"\xff\xfe\x1b[2J\x00" for _ in requests])

    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "List": grpc.unary_stream_rpc_method_handler(stream),
        "Record": grpc.stream_unary_rpc_method_handler(single),
        "Route": grpc.stream_stream_rpc_method_handler(together),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("proto.StreamService", handlers)])
