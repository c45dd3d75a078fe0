"""The classes of a server, each of which can be replaced by one with other behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.service import Service
from wire_servers.stream import Stream


@dataclass(frozen=True)
class Parts:
    """The classes of a server's parts."""

    connection: type[Connection] = Connection
    stream: type[Stream] = Stream
    call: type[Call] = Call
    service: type[Service] = Service


def with_part(part: type[object]) -> Parts:
    """A server with one part replaced.

    Raises:
        TypeError: the class does not derive from any part.
    """
    if issubclass(part, Connection):
        return Parts(connection=part)
    if issubclass(part, Stream):
        return Parts(stream=part)
    if issubclass(part, Call):
        return Parts(call=part)
    if issubclass(part, Service):
        return Parts(service=part)
    raise TypeError(f"{part.__name__} is not a part of a server")
