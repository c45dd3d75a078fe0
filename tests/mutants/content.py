"""Mutants that change what a message says: its name, its value, or whether it says anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from mutants.base import Mutant
from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.directives import Directive


class ListDoesNotWrap(Mutant):
    """List fails where the value goes beyond the largest int32."""

    killed_by = "ORD-11"

    def response(self, name: str, value: int) -> StreamResponse:
        """A response, if protobuf accepts the value."""
        return StreamResponse(pt=StreamPoint(name=name, value=value))


class ListStopsCountingAtTheTop(Mutant):
    """List stays at the largest int32 in place of going on with the smallest."""

    killed_by = "ORD-11"

    def response(self, name: str, value: int) -> StreamResponse:
        """A response whose value does not wrap."""
        return super().response(name, min(value, 2**31 - 1))


class ListLosesTheSign(Mutant):
    """List takes a negative value for a positive one."""

    killed_by = "ORD-1"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses from the absolute value on."""
        yield from super().usual_series(name, abs(base))


class ListTrimsNames(Mutant):
    """List takes white space off both ends of the name."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a trimmed name."""
        yield from super().usual_series(name.strip(), base)


class ListLowersNames(Mutant):
    """List makes the name lower-case."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a lower-case name."""
        yield from super().usual_series(name.lower(), base)


class ListNormalisesNames(Mutant):
    """List brings the name into Unicode's composed form."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a normalised name."""
        yield from super().usual_series(unicodedata.normalize("NFC", name), base)


class ListCutsNamesAtNul(Mutant):
    """List takes the name for a C string."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with the name up to its first NUL."""
        yield from super().usual_series(name.partition("\0")[0], base)


class ListLosesAstralCharacters(Mutant):
    """List replaces every character beyond the Basic Multilingual Plane."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses with a name of 16-bit characters."""
        yield from super().usual_series("".join(char if ord(char) < 0x10000 else "\ufffd" for char in name), base)


class ListNamesTheNameless(Mutant):
    """List fills in a name where the request has an empty one."""

    killed_by = "ORD-6"

    def usual_series(self, name: str, base: int) -> Iterator[StreamResponse]:
        """The usual responses, never without a name."""
        yield from super().usual_series(name or "unknown", base)


class RouteEchoesSixteenBits(Mutant):
    """Route's echo has only the low sixteen bits of the value."""

    killed_by = "ORD-6"
    also = frozenset({"ORD-3"})  # whose echoes have negative values

    def answer(self, call: Call, point: StreamPoint, directive: Directive, sent: int) -> Iterator[StreamResponse]:
        """The answer, to an echo with a smaller value."""
        if directive.word == "!echo":
            yield self.response(point.name, point.value & 0xFFFF)
        else:
            yield from super().answer(call, point, directive, sent)


class EchoDecodesLatin1(Mutant):
    """Record's echo reads UTF-8 as Latin-1."""

    killed_by = "ORD-6"

    def echoed(self, texts: list[str], count: int) -> StreamResponse:
        """The joined texts, misread."""
        return super().echoed([text.encode().decode("latin-1") for text in texts], count)


class RecordDropsPointlessRequests(Mutant):
    """Record reads over a request of zero bytes, neither counted nor refused."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Record without the requests that have none."""
        kept = (request for request in requests if call.method != "Record" or request.HasField("pt"))
        return super().points(call, kept)


class RouteDropsPointlessRequests(Mutant):
    """Route reads over a request of zero bytes, neither answered nor refused."""

    killed_by = "ROBUST-4"

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points; on Route without the requests that have none."""
        kept = (request for request in requests if call.method != "Route" or request.HasField("pt"))
        return super().points(call, kept)


class RouteSkipsDefaultPoints(Mutant):
    """Route does not answer a point that has no name and no value, as if it were not there."""

    killed_by = "ORD-6"
    also = frozenset({"ROBUST-4"})  # where a request without a point counts as empty

    def points(self, call: Call, requests: Iterator[StreamRequest]) -> Iterator[StreamPoint]:
        """The points that are not all default."""
        for point in super().points(call, requests):
            if call.method != "Route" or point.name or point.value:
                yield point
