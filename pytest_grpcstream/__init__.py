"""pytest-grpcstream: a conformance suite for gRPC streams, and fixtures to write stream tests with.

The names below are the public ones. Those that need grpc or protobuf are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    from pytest_grpcstream.clients.base import Client, Stream
    from pytest_grpcstream.clients.library import LibraryClient

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

_LAZY: Final = {
    "Client": "pytest_grpcstream.clients.base",
    "LibraryClient": "pytest_grpcstream.clients.library",
    "Stream": "pytest_grpcstream.clients.base",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
