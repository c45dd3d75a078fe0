"""pytest-grpcstream: a conformance suite for gRPC streams, and fixtures to write stream tests with.

The names below are the public ones. Each is imported when it is first used: a run of pytest that has nothing to do with
gRPC pays for none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.grpcio import LibraryClient
    from pytest_grpcstream.clients.stream import Stream
    from pytest_grpcstream.errors import (
        CardinalityError,
        Deviation,
        Error,
        Failure,
        Inconclusive,
        MessageError,
        NotApplicable,
        OperationTimeout,
        StatusError,
        StreamError,
        TargetError,
    )
    from pytest_grpcstream.values import EOF, Code, Metadata, Point, Status

__all__ = [
    "EOF",
    "CardinalityError",
    "Client",
    "Code",
    "Deviation",
    "Error",
    "Failure",
    "Inconclusive",
    "LibraryClient",
    "MessageError",
    "Metadata",
    "NotApplicable",
    "OperationTimeout",
    "Point",
    "Status",
    "StatusError",
    "Stream",
    "StreamError",
    "TargetError",
]

_HOMES: Final = {
    "Client": "clients.client",
    "LibraryClient": "clients.grpcio",
    "Stream": "clients.stream",
    **dict.fromkeys(("EOF", "Code", "Metadata", "Point", "Status"), "values"),
}
"""The modules of the names that are not in `errors`."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
