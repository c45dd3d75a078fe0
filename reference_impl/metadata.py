"""The metadata feature of the contract: the server sends two keys of the request metadata back."""

from __future__ import annotations

from collections.abc import Iterable

Metadata = tuple[tuple[str, str | bytes], ...]

_INITIAL = "x-grpc-test-echo-initial"
_TRAILING = "x-grpc-test-echo-trailing-bin"


def echoed_initial(received: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Return what is sent back as initial metadata, in the order received.

    A value outside ASCII-Value (gRPC over HTTP/2, Custom-Metadata) may arrive, but cannot be sent: it is dropped.
    """
    return tuple((key, value) for key, value in received or () if key == _INITIAL and _is_ascii_value(value))


def echoed_trailing(received: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Return what is sent back as trailing metadata, in the order received."""
    return tuple((key, value) for key, value in received or () if key == _TRAILING)


def _is_ascii_value(value: str | bytes) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()
