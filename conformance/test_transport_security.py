"""Transport security: the target selects h2, refuses old versions of TLS, and serves only clients that it knows."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from pytest_grpcstream import Connect, StreamError, TargetError, verify
from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.verify.tls import anonymous_context, shake_hands

requirement = pytest.mark.grpcstream_requirement


@requirement("TLS-1")
def test_the_target_selects_h2(grpcstream_wire: WireClient) -> None:
    # The client refuses any other selection when it connects.
    verify.serves(grpcstream_wire, "after the client offered h2 by ALPN")


# The test offers an old version on purpose.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@requirement("TLS-3")
def test_old_versions_of_tls_are_refused(grpcstream_wire: WireClient, grpcstream_connect: Connect) -> None:
    version = shake_hands(grpcstream_wire, newest=ssl.TLSVersion.TLSv1_1)
    verify.fail_unless(version is None, "a handshake with TLS 1.1 or older refused", f"completed in {version}")
    verify.serves(grpcstream_connect(), "after a handshake with TLS 1.1")


@requirement("TLS-5")
def test_a_client_without_a_certificate_is_not_served(grpcstream_wire: WireClient) -> None:
    stranger = WireClient(grpcstream_wire.address, timeout=grpcstream_wire.timeout, context=anonymous_context())
    # In TLS 1.3 the client completes its handshake before the server has seen the certificate.
    with contextlib.suppress(TargetError, StreamError), stranger, stranger.list("is anyone there", 1) as stream:
        stream.collect()
        verify.fail_unless(not stream.end().ok, "a client without a certificate refused", f"{stream.status}", stream)
    verify.serves(grpcstream_wire, "after a client without a certificate")
