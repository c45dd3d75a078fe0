"""pytest-grpcstream: a conformance suite for gRPC streams, and fixtures to write stream tests with.

The names below are the public ones. Each is imported when it is first used: a run of pytest that has nothing to do with
gRPC pays for none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.clients.client import Client, Connect
    from pytest_grpcstream.clients.grpcio import LibraryClient
    from pytest_grpcstream.clients.stream import Stream
    from pytest_grpcstream.errors import (
        CardinalityError,
        Deviation,
        Error,
        Failure,
        Inconclusive,
        MessageError,
        Mismatch,
        NotApplicable,
        OperationTimeout,
        StatusError,
        StreamError,
        TargetError,
    )
    from pytest_grpcstream.escape import printable
    from pytest_grpcstream.parallel import run_concurrently
    from pytest_grpcstream.service import INITIAL_KEY, STREAM_SERVICE, TRAILING_KEY
    from pytest_grpcstream.values import EOF, Code, Metadata, MetadataValue, Observe, Point, Status, code_name

__all__ = [
    "EOF",
    "INITIAL_KEY",
    "STREAM_SERVICE",
    "TRAILING_KEY",
    "Capabilities",
    "CardinalityError",
    "Client",
    "Code",
    "Connect",
    "Deviation",
    "Error",
    "Failure",
    "Inconclusive",
    "LibraryClient",
    "MessageError",
    "Metadata",
    "MetadataValue",
    "Mismatch",
    "NotApplicable",
    "Observe",
    "OperationTimeout",
    "Point",
    "Status",
    "StatusError",
    "Stream",
    "StreamError",
    "TargetError",
    "code_name",
    "printable",
    "run_concurrently",
]

_HOMES: Final = {
    "Capabilities": "capabilities",
    **dict.fromkeys(("Client", "Connect"), "clients.client"),
    "LibraryClient": "clients.grpcio",
    "Stream": "clients.stream",
    **dict.fromkeys(("INITIAL_KEY", "STREAM_SERVICE", "TRAILING_KEY"), "service"),
    **dict.fromkeys(("EOF", "Code", "Metadata", "MetadataValue", "Observe", "Point", "Status", "code_name"), "values"),
    "printable": "escape",
    "run_concurrently": "parallel",
}
"""The modules of the names that are not in `errors`."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
