"""What every mutant is: one part of the correct server, one thing wrong with it, the requirement that must notice.

A fault in every RPC would also break the plain exchanges by which the suite finds out what a server can do, and then
says little about the requirement. So responses are broken only for requests that ask for their metadata back, where
that is enough: `AskedFields` and `AskedEnd`.
"""

from __future__ import annotations

from typing import ClassVar

from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.headers import Fields
from wire_servers.stream import Stream


class Mutant:
    """Mixed into the part that is broken.

    Attributes:
        killed_by: the id of the requirement that must notice.
        also: the ids of requirements that are broken by the same fault.
        warned: whether the verdict is a warning, though other tests of the requirement fail.
        stress: whether the tests of the requirement are run only when they are asked for.
    """

    killed_by: ClassVar[str]
    also: ClassVar[frozenset[str]] = frozenset()
    warned: ClassVar[bool] = False
    stress: ClassVar[bool] = False


class AskedFields(Call):
    """Gets a field wrong in responses to requests that ask for their metadata back."""

    def headers(self) -> Fields:
        """The response headers, right or wrong."""
        fields = super().headers()
        return self.wrong_headers(fields) if self.initial else fields

    def trailers(self, code: int, message: str) -> Fields:
        """The trailers, right or wrong."""
        fields = super().trailers(code, message)
        return self.wrong_trailers(fields) if self.initial else fields

    def wrong_headers(self, fields: Fields) -> Fields:
        """The response headers as they should not be."""
        return fields

    def wrong_trailers(self, fields: Fields) -> Fields:
        """The trailers as they should not be."""
        return fields


class AskedEnd(Connection):
    """Gets the end wrong of responses to requests that ask for their metadata back."""

    def send_trailers(self, stream: Stream, fields: Fields) -> None:
        """Send the end, right or wrong."""
        if stream.call.initial:
            self.send_wrong_end(stream, fields)
        else:
            super().send_trailers(stream, fields)

    def send_wrong_end(self, stream: Stream, fields: Fields) -> None:
        """Send the end as it should not be."""
        raise NotImplementedError
