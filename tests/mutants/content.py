"""Mutants that change the content of a message: its name, its value, or whether it has a point."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from mutants.base import Mutant
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class ListDoesNotWrap(Mutant):
    """List fails where the value exceeds the largest int32."""

    killed_by = "ORD-11"

    def response(self, name: str, value: int) -> StreamResponse:
        """A response, if protobuf accepts the value."""
        return StreamResponse(pt=StreamPoint(name=name, value=value))


class ListStopsCountingAtTheTop(Mutant):
    """List stays at the largest int32 instead of wrapping around to the smallest."""

    killed_by = "ORD-11"

    def response(self, name: str, value: int) -> StreamResponse:
        """A response whose value does not wrap around."""
        return super().response(name, min(value, 2**31 - 1))


class ListLosesTheSign(Mutant):
    """List treats a negative value as positive."""

    killed_by = "ORD-1"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, starting at the absolute value."""
        yield from super().usual_series(name, abs(base))


class ListTrimsNames(Mutant):
    """List strips white space from both ends of the name."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a trimmed name."""
        yield from super().usual_series(name.strip(), base)


class ListLowersNames(Mutant):
    """List converts the name to lower case."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a lower-case name."""
        yield from super().usual_series(name.lower(), base)


class ListNormalisesNames(Mutant):
    """List normalises the name to Unicode's composed form (NFC)."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a normalised name."""
        yield from super().usual_series(unicodedata.normalize("NFC", name), base)


class ListCutsNamesAtNul(Mutant):
    """List treats the name as a C string and cuts it at the first NUL."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with the name up to its first NUL."""
        yield from super().usual_series(name.partition("\0")[0], base)


class ListLosesAstralCharacters(Mutant):
    """List replaces every character beyond the Basic Multilingual Plane."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a name limited to 16-bit characters."""
        yield from super().usual_series("".join(char if ord(char) < 0x10000 else "\ufffd" for char in name), base)


class ListFillsInEmptyNames(Mutant):
    """List fills in a name where the request has an empty one."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, never without a name."""
        yield from super().usual_series(name or "unknown", base)


class RouteEchoesSixteenBits(Mutant):
    """Route's echo keeps only the low sixteen bits of the value."""

    killed_by = "ORD-6"
    also = frozenset({"ORD-3"})  # its echoes have negative values

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer; to an echo, with a truncated value."""
        if directive.word == "!echo":
            yield self.response(point.name, point.value & 0xFFFF)
        else:
            yield from super().answer(call, point, directive, sent)


class EchoDecodesLatin1(Mutant):
    """Record's echo decodes UTF-8 as Latin-1."""

    killed_by = "ORD-6"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, decoded incorrectly."""
        return super().echoed([text.encode().decode("latin-1") for text in texts], count)


class RecordDropsPointlessRequests(Mutant):
    """Record ignores a request of zero bytes: it neither counts nor refuses it."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record, requests without a point are skipped."""
        kept = (request for request in requests if call.method != "Record" or request.HasField("pt"))
        return super().points(call, kept)


class RouteDropsPointlessRequests(Mutant):
    """Route ignores a request of zero bytes: it neither answers nor refuses it."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route, requests without a point are skipped."""
        kept = (request for request in requests if call.method != "Route" or request.HasField("pt"))
        return super().points(call, kept)


class RouteSkipsDefaultPoints(Mutant):
    """Route does not answer a point with no name and no value, as if it were absent."""

    killed_by = "ORD-6"
    also = frozenset({"ROBUST-4"})  # its tests count a request without a point as empty

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points except, on Route, those with default values only."""
        for point in super().points(call, requests):
            if call.method != "Route" or point.name or point.value:
                yield point
