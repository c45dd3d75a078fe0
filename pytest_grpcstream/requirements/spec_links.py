"""Links to the specifications that the sources of requirements name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_GRPC: Final = "https://github.com/grpc/grpc/blob/master/doc"
_GUIDES: Final = "https://grpc.io/docs/guides"
_PROPOSALS: Final = "https://github.com/grpc/proposal/blob/master"

_DOCUMENTS: Final = {
    "PROTOCOL-HTTP2.md": f"{_GRPC}/PROTOCOL-HTTP2.md",
    "PROTOCOL-WEB.md": f"{_GRPC}/PROTOCOL-WEB.md",
    "statuscodes.md": f"{_GRPC}/statuscodes.md",
    "compression.md": f"{_GRPC}/compression.md",
    "compression_cookbook.md": f"{_GRPC}/compression_cookbook.md",
    "keepalive.md": f"{_GRPC}/keepalive.md",
    "status_ordering.md": f"{_GRPC}/status_ordering.md",
    "gRPC interop tests": f"{_GRPC}/interop-test-descriptions.md",
    "gRPC HTTP/2 interop tests": f"{_GRPC}/http2-interop-test-descriptions.md",
    "grpc.io, Core concepts": "https://grpc.io/docs/what-is-grpc/core-concepts/",
    "grpc.io, Authentication": f"{_GUIDES}/auth/",
    "grpc.io, Cancellation": f"{_GUIDES}/cancellation/",
    "grpc.io, Deadlines": f"{_GUIDES}/deadlines/",
    "grpc.io, Flow control": f"{_GUIDES}/flow-control/",
    "grpc.io, Metadata": f"{_GUIDES}/metadata/",
    "gRFC A8": f"{_PROPOSALS}/A8-client-side-keepalive.md",
    "gRFC A9": f"{_PROPOSALS}/A9-server-side-conn-mgt.md",
    "gRFC A41": f"{_PROPOSALS}/A41-xds-rbac.md",
    "protobuf encoding guide": "https://protobuf.dev/programming-guides/encoding/",
    "protobuf language guide": "https://protobuf.dev/programming-guides/proto3/",
}
_NAMED: Final = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\d)" for name in _DOCUMENTS))
_RFC: Final = re.compile(r"RFC (\d+)(?: sections? (\d[\d.]*\d|\d))?")


def links(source: str) -> Iterator[str]:
    """Yield the URLs of the documents that the source of a requirement names, each once.

    The contract has none, because it is a page of this project. Common practice has none either.
    """
    found = [_DOCUMENTS[match[0]] for match in _NAMED.finditer(source)]
    for number, section in _RFC.findall(source):
        found.append(f"https://www.rfc-editor.org/rfc/rfc{number}{f'#section-{section}' if section else ''}")
    yield from dict.fromkeys(found)
