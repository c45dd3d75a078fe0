"""The plain values of a stream: points, statuses, metadata and the end of a stream."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from pytest_grpcstream.escape import printable


class Point(NamedTuple):
    """A ``StreamPoint``: a name and an int32 value.

    It is a tuple, so a test can write ``assert stream.recv() == ("ping", 0)``.
    """

    name: str
    value: int

    def __str__(self) -> str:
        return f"({printable(self.name, 60)}, {self.value})"


class Eof(enum.Enum):
    """The type of `EOF`: the RPC ended with OK after all its responses were read."""

    EOF = "EOF"

    def __repr__(self) -> str:
        return "EOF"

    def __bool__(self) -> bool:
        return False


EOF: Final = Eof.EOF
"""What `Stream.recv` returns after the last response of an RPC that ended with status OK."""


class Code(enum.IntEnum):
    """The status codes of gRPC (grpc/doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


def code_name(code: int) -> str:
    """The name of a status code, or ``code 17`` for a number that gRPC does not define."""
    try:
        return Code(code).name
    except ValueError:
        return f"code {code}"


class Status(NamedTuple):
    """How an RPC ended: a status code and the status message, percent-decoded."""

    code: int
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the code is OK."""
        return self.code == Code.OK

    def __str__(self) -> str:
        return f"{code_name(self.code)} {printable(self.message)}" if self.message else code_name(self.code)


MetadataValue: TypeAlias = str | bytes

Observe: TypeAlias = Callable[[str], None]
"""Records an observation of optional behaviour; the report lists it."""


class Metadata(tuple[tuple[str, MetadataValue], ...]):
    """Metadata in wire order: pairs of a lower-case key and a value, ``bytes`` for ``-bin`` keys."""

    __slots__ = ()

    def all(self, key: str) -> list[MetadataValue]:
        """Every value of a key, in order."""
        return [value for name, value in self if name == key]

    def __str__(self) -> str:
        return ", ".join(f"{printable(key, 60)}: {printable(value, 60)}" for key, value in self) or "(none)"


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes of one response message and when they arrived (`time.monotonic`)."""

    message: bytes
    at: float


@dataclass(frozen=True)
class Ended:
    """The end of an RPC as its client saw it."""

    status: Status
    initial_metadata: Metadata = field(default_factory=Metadata)
    trailing_metadata: Metadata = field(default_factory=Metadata)
    at: float = 0.0
