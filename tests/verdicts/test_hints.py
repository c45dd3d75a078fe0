"""Hints: common causes of failures behind a proxy."""

from __future__ import annotations

import pytest

from pytest_grpcstream.verdicts.hints import hints

# As the suite reported them behind nginx 1.22, HAProxy 2.6, Caddy 2.11 and Apache 2.4.
NGINX = r"the RPC ended with UNKNOWN 'HTTP status 0, and the body b\'\x00\x00\x18\x04\x00\x00\x00\x00\x00\'"
HAPROXY = "the RPC ended with UNAVAILABLE \"HTTP status 502, content-type b'text/html' and the body b'<html>'\""
CADDY = "no grpc-status at the end of a response with HTTP status 200, content-type (none)"
RESET = "CANCELLED 'Stream removed (RST_STREAM (Received RST_STREAM with error code 8))'"
CALMED = "the RPC ended with UNAVAILABLE \"the server sent GOAWAY with ENHANCE_YOUR_CALM b'too_many_resets'\""
JOINED = "INTERNAL \"Error parsing 'x-grpc-test-echo-trailing-bin' metadata: illegal base64 encoding\""
TRAILERS = "no grpc-status at the end of a response with HTTP status 200, content-type b'application/grpc+proto'"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (NGINX, "grpc_pass"),
        (HAPROXY, "proto h2"),
        (CADDY, "--grpcstream-authority"),
        (TRAILERS, "flush_interval"),
        (RESET, "NO_ERROR"),
        (CALMED, "overhead"),
        (JOINED, "comma"),
    ],
    ids=["nginx", "haproxy", "caddy", "trailers", "reset", "calmed", "joined"],
)
def test_cause_is_named_once(reason: str, word: str) -> None:
    """The hint counts the failures of its kind."""
    [hint] = hints([reason, reason, "expected OK; actual: INTERNAL"])
    assert word in hint
    assert hint.endswith("(2 failures of this kind)")


def test_other_failures_have_no_hint() -> None:
    """A proxy is not blamed for a fault of the server."""
    assert list(hints(["expected OK; actual: INTERNAL", "nothing arrived", "CANCELLED 'RST_STREAM with CANCEL'"])) == []
