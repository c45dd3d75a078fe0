"""What some kinds of failures often come from, for whoever has to mend them: guesses, and told as such."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_HINTS: Final = {
    # The server's SETTINGS frame, taken for an answer of HTTP/0.9: nothing but its bytes comes back.
    r"HTTP status 0\b|body b'\\x00\\x00\\x[0-9a-f]{2}\\x04": (
        "a hop speaks HTTP/1 to a server of HTTP/2, and hands on what it does not understand; in nginx, proxy_pass "
        "stands where grpc_pass belongs"
    ),
    r"HTTP status 50[234]\b": (
        "a hop gets no good answer from the server behind it; in HAProxy, proto h2 is often missing in the server's "
        "line, in Apache http:// stands where h2c:// belongs"
    ),
    r"no grpc-status at the end of a response with HTTP status (?:200|404|421), content-type (?!b'application/grpc)": (
        "a proxy answers by itself, because no site or route of it has this :authority or path; "
        "--grpcstream-authority=NAME asks for another name, and in a Caddyfile a site address without a host name "
        "takes any"
    ),
    r"no grpc-status at the end of a response with HTTP status 200, content-type b'application/grpc"
    r"|END_STREAM flag received": (
        "trailers are lost: a hop does not carry them on, or it or the server ends the stream by DATA in their stead; "
        "reverse proxies written in Go do so to responses without a message, in Caddy with flush_interval -1"
    ),
    r"Received RST_STREAM with error code 8\b": (
        "where the wire client passes, RST_STREAM(CANCEL) stands behind a complete response, in the place of NO_ERROR, "
        "and clients on C-core give it up; seen in HAProxy before 3.2, Rust's h2 before 0.3.14, Armeria and Jetty"
    ),
    r"ENHANCE_YOUR_CALM|GOAWAY received; Error code: 11\b": (
        "the server takes usual traffic for an attack, as it may, and ends connections: by many small frames (Tomcat, "
        "unless its overhead thresholds are 0; Rust's h2) or by streams that are reset (Netty, Jetty)"
    ),
    r"metadata: illegal base64 encoding": (
        "a hop joins the values of one key by a comma, as it may, and grpcio behind it takes no joined binary values, "
        "nor good ones of that key on that connection afterwards"
    ),
}


def hints(reasons: Iterable[str]) -> Iterator[str]:
    """What the failures with these reasons may come from, each guess once, in the order of the list above."""
    known = list(reasons)
    for pattern, hint in _HINTS.items():
        count = sum(re.search(pattern, reason) is not None for reason in known)
        if count:
            yield f"{hint} ({count} failure{'' if count == 1 else 's'} look like that)"
