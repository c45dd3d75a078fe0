"""The base of every mutant: one part of the correct server, one fault in it, the requirement that must notice.

A fault in every RPC would also break the baseline exchanges with which the suite probes a server's features, and
would say little about the requirement. So responses are broken only for requests that ask for a metadata echo,
where that is enough: `AskedFields` and `AskedEnd`.
"""

from __future__ import annotations

from typing import ClassVar

from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.headers import Fields
from wire_servers.stream import Stream


class Mutant:
    """Mixed into the part that it breaks.

    Attributes:
        killed_by: the id of the requirement that must notice.
        also: the ids of requirements that the same fault breaks.
        warned: whether the verdict is a warning, although other tests of the requirement fail.
        stress: whether the tests of the requirement only run on request.
    """

    killed_by: ClassVar[str]
    also: ClassVar[frozenset[str]] = frozenset()
    warned: ClassVar[bool] = False
    stress: ClassVar[bool] = False


class AskedFields(Call):
    """Gets a field wrong in responses to requests that ask for a metadata echo."""

    def headers(self) -> Fields:
        """The response headers, wrong if the request asks for an echo."""
        fields = super().headers()
        return self.wrong_headers(fields) if self.initial else fields

    def trailers(self, code: int, message: str) -> Fields:
        """The trailers, wrong if the request asks for an echo."""
        fields = super().trailers(code, message)
        return self.wrong_trailers(fields) if self.initial else fields

    def wrong_headers(self, fields: Fields) -> Fields:
        """The wrong response headers."""
        return fields

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The wrong trailers."""
        return fields


class AskedEnd(Connection):
    """Ends responses wrongly to requests that ask for a metadata echo."""

    def send_trailers(self, stream: Stream, fields: Fields) -> None:
        """Send the end, wrong if the request asks for an echo."""
        if stream.call.initial:
            self.send_wrong_end(stream, fields)
        else:
            super().send_trailers(stream, fields)

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """Send the wrong end."""
        raise NotImplementedError
