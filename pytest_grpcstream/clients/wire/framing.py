"""Request messages as the bytes of DATA frames."""

from __future__ import annotations

from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import Point
from pytest_grpcstream.wire.length_prefixed import add_prefix


def framed(message: bytes | Point | None, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message with its prefix: bytes unchanged, a `Point` as a request, None as a request without ``pt``.

    Arguments:
        compressed: the compressed flag, 0 to 255.
        length: the length in the prefix, None for the true one.
    """
    data = message if isinstance(message, bytes) else STREAM_SERVICE.encode(message)
    return add_prefix(data, compressed=compressed, length=length)
