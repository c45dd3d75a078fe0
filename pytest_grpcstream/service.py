"""The service under test: its methods, the encoding of requests and responses, and the correct responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from pytest_grpcstream.values import Point

__all__ = ["INITIAL_KEY", "STREAM_SERVICE", "TRAILING_KEY", "DecodeError", "StreamService"]

INITIAL_KEY: Final = "x-grpc-test-echo-initial"
"""The metadata key whose values a server with the feature ``metadata`` returns as initial metadata."""
TRAILING_KEY: Final = "x-grpc-test-echo-trailing-bin"
"""The metadata key whose values a server with the feature ``metadata`` returns as trailing metadata."""

_ECHO: Final = "!echo "


@dataclass(frozen=True)
class StreamService:
    """The service that the suite judges, as `docs/contract.md` describes it.

    Attributes:
        name: its full name, such as ``proto.StreamService``.
        plain: a request with no special meaning for any method.
    """

    name: str = "proto.StreamService"
    plain: Point = field(default=Point("plain", 1))

    def path(self, method: str) -> str:
        """The ``:path`` of a method of the service; a name that begins with a slash is returned unchanged."""
        return method if method.startswith("/") else f"/{self.name}/{method}"

    def encode(self, request: Point | None) -> bytes:
        """Serialize a request; None is a request without ``pt``."""
        if request is None:
            return b""
        return StreamRequest(pt=StreamPoint(name=request.name, value=request.value)).SerializeToString()

    def decode(self, response: bytes) -> Point | None:
        """Parse a response; None is a response without ``pt``.

        Raises:
            DecodeError: the bytes are not a ``StreamResponse``.
        """
        message = StreamResponse.FromString(response)
        return Point(message.pt.name, message.pt.value) if message.HasField("pt") else None

    def list_responses(self, request: Point, count: int) -> list[Point]:
        """The responses of a List: ``count`` points with the request's name, the k-th with its value + k, from 0."""
        # int32 arithmetic: the value wraps at 2**31.
        wrapped = ((request.value + number + 2**31) % 2**32 - 2**31 for number in range(count))
        return [Point(request.name, value) for value in wrapped]

    def strip_echo(self, response: Point | None) -> Point | None:
        """The TEXT and value of a Route's response to ``!echo TEXT``.

        The contract says "the same pt", so a server may return the name with or without ``!echo``.
        """
        return None if response is None else response._replace(name=response.name.removeprefix(_ECHO))


STREAM_SERVICE: Final = StreamService()
"""The service under test."""
