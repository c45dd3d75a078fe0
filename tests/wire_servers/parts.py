"""What a server is made of: any part can be replaced by one that behaves in another way."""

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
    """A server of which one part is another.

    Raises:
        TypeError: the class is none of the parts.
    """
    if issubclass(part, Connection):
        return Parts(connection=part)
    if issubclass(part, Stream):
        return Parts(stream=part)
    if issubclass(part, Call):
        return Parts(call=part)
    if issubclass(part, Service):
        return Parts(service=part)
    raise TypeError(f"{part.__name__} is no part of a server")
