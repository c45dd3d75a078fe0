"""How an RPC ended on the wire, and the status that the client derives if the server sent none."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.values import Code, Ended, Status
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frames import error_name


class Origin(enum.StrEnum):
    """Where the status of an RPC comes from. Only the first two are the server's own."""

    TRAILERS = "trailers"
    TRAILERS_ONLY = "trailers-only"
    RST_STREAM = "rst_stream"
    GOAWAY = "goaway"
    CONNECTION_CLOSED = "connection closed"
    HTTP_STATUS = "http status"  # the response ended without grpc-status
    CLIENT_CANCEL = "client cancel"
    CLIENT_DEADLINE = "client deadline"
    CLIENT_REFUSED = "client refused"  # a message is broken or too large, whatever the server's status


@dataclass(frozen=True)
class WireEnded(Ended):
    """The end of an RPC on the wire.

    Attributes:
        origin: where ``status`` comes from.
        server_status: the status that the server sent; None if it sent none or an unreadable one.
        reset_code: the error code of the server's RST_STREAM if that ended the RPC.
        http_status: the ``:status`` of the response, None if there were no headers.
    """

    origin: Origin = Origin.CONNECTION_CLOSED
    server_status: Status | None = None
    reset_code: int | None = None
    http_status: int | None = None

    @property
    def made_up(self) -> bool:
        """Whether this client derived the status, because the server sent none that counts."""
        return self.origin not in (Origin.TRAILERS, Origin.TRAILERS_ONLY)

    def __str__(self) -> str:
        return f"{self.status} (made up: {self.origin})" if self.made_up else f"{self.status} (in {self.origin})"


_OF_RESET: Final[dict[int, Code]] = {
    ErrorCode.REFUSED_STREAM: Code.UNAVAILABLE,
    ErrorCode.CANCEL: Code.CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}
_DEFINED_BY_GRPC: Final[int] = ErrorCode.INADEQUATE_SECURITY  # the last code in gRPC's table

_OF_HTTP: Final = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    431: Code.INTERNAL,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}


def status_of_reset(code: int) -> Status:
    """The status for a RST_STREAM of the server (gRPC over HTTP2, Errors); an unlisted code is UNKNOWN."""
    default = Code.INTERNAL if code <= _DEFINED_BY_GRPC else Code.UNKNOWN
    return Status(_OF_RESET.get(code, default), f"RST_STREAM with {error_name(code)}")


def status_of_http(http_status: int | None, detail: str) -> Status:
    """The status for a response that ends without grpc-status (http-grpc-status-mapping.md)."""
    code = Code.UNKNOWN if http_status is None else _OF_HTTP.get(http_status, Code.UNKNOWN)
    return Status(code, f"no grpc-status at the end of a response with HTTP status {http_status}{detail}")
