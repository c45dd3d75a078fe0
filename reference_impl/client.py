"""The classic client: ``python -m pytest_grpcstream.reference_impl.client [HOST:PORT]``.

It calls List, Record and Route once each, and prints the responses. It does not check them.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

from . import command_line
from .registration import SERVICE

_DEADLINE = 10.0  # seconds for each RPC
_REQUESTS = 7  # of Record and of Route


def main(arguments: list[str] | None = None) -> int:
    """Call the server and return the exit code: 1 if an RPC did not end with OK."""
    address = _parser().parse_args(arguments).address
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name may contain any Unicode
    # A server on this machine is not called through a proxy, whatever the environment says.
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            _list(channel)
            _record(channel)
            _route(channel)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}: {' '.join((error.details() or '').split())}", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        prog="python -m pytest_grpcstream.reference_impl.client", description="The classic client of StreamService"
    )
    parser.add_argument(
        "address",
        nargs="?",
        type=command_line.address,
        default=command_line.DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help="The server (default: %(default)s)",
    )
    return parser


def _list(channel: grpc.Channel) -> None:
    call = channel.unary_stream(f"/{SERVICE}/List", **_CODERS)
    for response in call(_request("gRPC Stream Client: List", 1234), timeout=_DEADLINE):
        _print(response)


def _record(channel: grpc.Channel) -> None:
    call = channel.stream_unary(f"/{SERVICE}/Record", **_CODERS)
    _print(call(iter([_request("gRPC Stream Client: Record", 9999)] * _REQUESTS), timeout=_DEADLINE))


def _route(channel: grpc.Channel) -> None:
    # grpcio sends from its own thread, so it does not matter when the server answers or whether it speaks first. It
    # half-closes after the last request.
    call = channel.stream_stream(f"/{SERVICE}/Route", **_CODERS)
    for response in call(iter([_request("gRPC Stream Client: Route", 1111)] * _REQUESTS), timeout=_DEADLINE):
        _print(response)
    print("Server Closed")


_CODERS: dict[str, Any] = {
    "request_serializer": StreamRequest.SerializeToString,
    "response_deserializer": StreamResponse.FromString,
}


def _request(name: str, value: int) -> StreamRequest:
    return StreamRequest(pt=StreamPoint(name=name, value=value))


def _print(response: StreamResponse) -> None:
    print(f"resp: {command_line.shown(response.pt)}")


if __name__ == "__main__":
    sys.exit(main())
