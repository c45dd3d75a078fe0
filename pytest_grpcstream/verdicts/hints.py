"""Hints: guesses at the causes of common failures, for the user who has to fix them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_HINTS: Final = {
    # The server's SETTINGS frame, treated as a response of HTTP/0.9: only its bytes come back.
    r"HTTP status 0\b|body b'\\x00\\x00\\x[0-9a-f]{2}\\x04": (
        "a proxy speaks HTTP/1 to an HTTP/2 server; in nginx use grpc_pass, not proxy_pass"
    ),
    r"HTTP status 50[234]\b": (
        "a proxy gets no valid response from its upstream server; in HAProxy, the server line often lacks proto h2; "
        "in Apache use h2c://, not http://"
    ),
    r"no grpc-status at the end of a response with HTTP status (?:200|404|421), content-type (?!b'application/grpc)": (
        "a proxy answers by itself, because none of its sites or routes has this :authority or path; use "
        "--grpcstream-authority=NAME for another name, or a site address without a host name in a Caddyfile"
    ),
    r"no grpc-status at the end of a response with HTTP status 200, content-type b'application/grpc"
    r"|END_STREAM flag received": (
        "trailers are lost: a proxy drops them, or ends the stream with DATA instead; reverse proxies written in Go "
        "do so for responses without a message, Caddy with flush_interval -1"
    ),
    r"Received RST_STREAM with error code 8\b": (
        "if the wire client passes, RST_STREAM(CANCEL) follows a complete response where NO_ERROR is meant, and "
        "clients on C-core discard the response; seen in HAProxy before 3.2, Rust's h2 before 0.3.14, Armeria and Jetty"
    ),
    r"ENHANCE_YOUR_CALM|GOAWAY received; Error code: 11\b": (
        "the server throttles usual traffic, which it may, and ends connections: for many small frames (Tomcat, unless "
        "its overhead thresholds are 0; Rust's h2) or for streams that are reset (Netty, Jetty)"
    ),
    r"metadata: illegal base64 encoding": (
        "a proxy joins the values of a key with a comma, which it may; grpcio rejects joined binary values, and after "
        "that also good values of that key on the same connection"
    ),
}


def hints(reasons: Iterable[str]) -> Iterator[str]:
    """What the failures with these reasons may come from, each guess once, in the order of the table above."""
    known = list(reasons)
    for pattern, hint in _HINTS.items():
        count = sum(re.search(pattern, reason) is not None for reason in known)
        if count:
            yield f"{hint} ({count} failure{'' if count == 1 else 's'} of this kind)"
