"""Mutants that lose, move, mix up or corrupt metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import grpc

from mutants.base import Mutant
from pytest_grpcstream.messages import StreamPoint, StreamRequest
from servers.calls import Call
from servers.correct import ECHO_INITIAL, ECHO_TRAILING

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


class _Echoes(Mutant):
    """Echoes metadata in two steps that subclasses can break separately."""

    def echo_metadata(self, call: Call) -> None:
        """Echo the metadata that asks for it."""
        metadata = tuple(call.context.invocation_metadata())
        initial = self.initial(call, tuple((key, value) for key, value in metadata if key == ECHO_INITIAL))
        trailing = self.trailing(call, tuple((key, value) for key, value in metadata if key == ECHO_TRAILING))
        if initial:
            call.context.send_initial_metadata(initial)
        if trailing:
            call.context.set_trailing_metadata(trailing)

    def initial(self, _call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata."""
        return pairs

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata."""
        return pairs


class InitialComesAsTrailing(Mutant):
    """What belongs in the initial metadata arrives as trailing metadata."""

    killed_by = "META-17"
    also = frozenset({"META-1", "META-6", "META-16", "META-18"})  # it is missing where it belongs

    def echo_metadata(self, call: Call) -> None:
        """Echo all of it as trailing metadata."""
        metadata = call.context.invocation_metadata()
        call.context.set_trailing_metadata(tuple((k, v) for k, v in metadata if k in (ECHO_INITIAL, ECHO_TRAILING)))


class TrailingComesAsInitial(Mutant):
    """What belongs in the trailing metadata arrives as initial metadata."""

    killed_by = "META-17"
    also = frozenset({"META-2", "META-6", "ABORT-13", "META-18"})  # it is missing where it belongs

    def echo_metadata(self, call: Call) -> None:
        """Echo all of it as initial metadata."""
        metadata = call.context.invocation_metadata()
        back = tuple((key, value) for key, value in metadata if key in (ECHO_INITIAL, ECHO_TRAILING))
        if back:
            call.context.send_initial_metadata(back)


class TrailingIsInBothPlaces(_Echoes):
    """The trailing metadata also arrives as initial metadata."""

    killed_by = "META-17"

    def echo_metadata(self, call: Call) -> None:
        """Echo the metadata, the trailing part twice."""
        metadata = call.context.invocation_metadata()
        back = tuple((key, value) for key, value in metadata if key in (ECHO_INITIAL, ECHO_TRAILING))
        if back:
            call.context.send_initial_metadata(back)
        call.context.set_trailing_metadata(tuple((key, value) for key, value in back if key == ECHO_TRAILING))


class ListEchoesNoInitialMetadata(_Echoes):
    """List loses the initial metadata."""

    killed_by = "META-1"
    also = frozenset({"META-16", "META-17", "META-18", "META-6"})  # every List that echoes it shows it

    def initial(self, call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata; none for List."""
        return () if call.method == "List" else pairs


class RecordEchoesNoTrailingMetadata(_Echoes):
    """Record loses the trailing metadata."""

    killed_by = "META-2"
    also = frozenset({"ABORT-13", "META-17", "META-18", "META-6"})  # every Record that echoes it shows it

    def trailing(self, call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata; none for Record."""
        return () if call.method == "Record" else pairs


class LongInitialMetadataIsCut(_Echoes):
    """Values of initial metadata are cut at 300 characters."""

    killed_by = "META-1"

    def initial(self, _call: Call, pairs: Pairs) -> Pairs:
        """The beginning of each value."""
        return tuple((key, value[:300]) for key, value in pairs)


class InitialMetadataIsLowered(_Echoes):
    """Values of initial metadata are converted to lower case."""

    killed_by = "META-1"

    def initial(self, call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata in lower case."""
        return tuple((key, value.lower()) for key, value in super().initial(call, pairs))


class BinaryIsTreatedAsText(_Echoes):
    """Binary metadata that is not UTF-8 is corrupted."""

    killed_by = "META-2"
    also = frozenset({"ABORT-13", "META-17", "META-18", "META-6"})  # their values are binary too

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, decoded as text and encoded again."""
        return tuple((key, _bytes(value).decode("utf-8", "replace").encode()) for key, value in pairs)


class BinaryEndsAtNul(_Echoes):
    """Binary metadata is cut at its first zero byte."""

    killed_by = "META-2"
    also = frozenset({"ABORT-13", "META-17", "META-18", "META-6"})  # their values are binary too

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata as C strings."""
        return tuple((key, _bytes(value).partition(b"\0")[0]) for key, value in pairs)


class BinaryLosesItsPadding(_Echoes):
    """Binary metadata whose length is not a multiple of three loses its last byte."""

    killed_by = "META-2"
    also = frozenset({"ABORT-13", "META-17", "META-18", "META-6"})  # their values are binary too

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata; values of some lengths are cut."""
        return tuple((key, value if len(value) % 3 == 0 else _bytes(value)[:-1]) for key, value in pairs)


class EmptyBinaryIsDropped(_Echoes):
    """An empty value of binary metadata is dropped."""

    killed_by = "META-10"

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata without empty values."""
        return tuple((key, value) for key, value in pairs if value)


class LongBinaryIsCut(_Echoes):
    """Binary metadata is cut after 255 bytes."""

    killed_by = "META-2"
    also = frozenset({"ABORT-13", "META-17", "META-18", "META-6"})  # their values are binary too

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, cut."""
        return tuple((key, value[:255]) for key, value in pairs)


class RepeatedKeysCollapse(_Echoes):
    """Of the values of a repeated key, only the last is echoed."""

    killed_by = "META-6"

    def initial(self, _call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata, converted through a dictionary."""
        return tuple(dict(pairs).items())

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, converted through a dictionary."""
        return tuple(dict(pairs).items())


class RepeatedKeysAreSorted(_Echoes):
    """The values of a repeated key are echoed in sorted order."""

    killed_by = "META-6"

    def initial(self, _call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata, sorted."""
        return tuple(sorted(pairs))

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, sorted."""
        return tuple(sorted(pairs))


class RepeatedKeysAreReversed(_Echoes):
    """The values of a repeated key are echoed in reverse order."""

    killed_by = "META-6"

    def trailing(self, _call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, the last value first."""
        return pairs[::-1]


class MetadataOfTheCallBefore(_Echoes):
    """An RPC without metadata is answered with the metadata of the previous RPC."""

    killed_by = "META-18"

    def __init__(self) -> None:
        super().__init__()
        self._last: Pairs = ()

    def initial(self, _call: Call, pairs: Pairs) -> Pairs:
        """The initial metadata, or that of the previous RPC."""
        pairs, self._last = pairs or self._last, pairs
        return pairs


class MetadataOfTheServer(_Echoes):
    """The trailing metadata is stored once per server, so concurrent RPCs get each other's."""

    killed_by = "META-18"

    def __init__(self) -> None:
        super().__init__()
        self._newest: Pairs = ()

    def trailing(self, call: Call, pairs: Pairs) -> Pairs:
        """The trailing metadata, stored for the whole server."""
        self._newest = pairs
        return super().trailing(call, pairs)

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; the half-close sets the metadata of the RPC that began last."""
        yield from super().points(call, requests)
        call.context.set_trailing_metadata(self._newest)


class UnknownMetadataIsRefused(Mutant):
    """An RPC with metadata that the server does not know ends with INVALID_ARGUMENT."""

    killed_by = "META-9"

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if all its metadata is known."""
        call = super().begin(context, method)
        for key, _ in context.invocation_metadata():
            if key not in (ECHO_INITIAL, ECHO_TRAILING, "user-agent"):
                self.refuse(call, f"unknown metadata {key}")
        return call


class LongMetadataIsRefused(Mutant):
    """An RPC with more than four kibibytes of metadata ends with RESOURCE_EXHAUSTED."""

    killed_by = "META-11"

    def begin(self, context: grpc.ServicerContext, method: str) -> Call:
        """Begin an RPC if its metadata is small enough."""
        call = super().begin(context, method)
        if sum(len(key) + len(value) for key, value in context.invocation_metadata()) > 4096:
            self.abort(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "too much metadata")
        return call
