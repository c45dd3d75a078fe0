"""Transport security: the target speaks h2 by TLS, in no old version, and with known clients alone."""

from __future__ import annotations

import ssl

import pytest

from pytest_grpcstream import StreamError, TargetError, verify
from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.features import Traits

requirement = pytest.mark.grpcstream_requirement


def stranger(client: WireClient, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> WireClient:
    """A client that trusts every server, shows no certificate, and speaks TLS up to a version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if newest is ssl.TLSVersion.TLSv1_1:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    return WireClient(client.address, timeout=client.timeout, context=context)


def refused(client: WireClient, expected: str) -> None:
    """The server does not take the client: the handshake fails, or the connection ends before any answer."""
    try:
        with client, client.list("anybody there", 1) as stream:
            stream.collect()
    except (TargetError, StreamError):
        return
    verify.fail_unless(stream.status is not None and not stream.status.ok, expected, f"{stream.status}", stream)


@requirement("TLS-1")
def test_the_target_selects_h2(grpcstream_wire: WireClient, grpcstream_traits: Traits) -> None:
    # The client refuses every other selection when it connects.
    verify.serves(grpcstream_wire, grpcstream_traits, "after h2 was offered by ALPN")


# To offer an old version on purpose is what this test is for.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@requirement("TLS-3")
def test_old_versions_of_tls_are_refused(grpcstream_wire: WireClient, grpcstream_traits: Traits) -> None:
    refused(stranger(grpcstream_wire, ssl.TLSVersion.TLSv1_1), "a handshake with TLS 1.1 refused")
    verify.serves(grpcstream_wire, grpcstream_traits, "after a handshake with TLS 1.1")


@requirement("TLS-5")
def test_a_client_without_a_certificate_is_not_served(grpcstream_wire: WireClient, grpcstream_traits: Traits) -> None:
    refused(stranger(grpcstream_wire), "a client without a certificate refused")
    verify.serves(grpcstream_wire, grpcstream_traits, "after a client without a certificate")
