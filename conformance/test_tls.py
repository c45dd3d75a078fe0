"""Transport security: the target speaks h2 by TLS, in no old version, and with known clients alone."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from pytest_grpcstream.wire.sockets import connect

from pytest_grpcstream import StreamError, TargetError, verify
from pytest_grpcstream.clients.wire import WireClient, server_name
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.targets.security import Security

requirement = pytest.mark.grpcstream_requirement


def trusting() -> ssl.SSLContext:
    """A context that trusts every server and shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def old(security: Security) -> ssl.SSLContext:
    """A context of TLS 1.1 or older, which shows the certificate of the run: it is the version alone that is tried."""
    context = trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    if security.cert is not None:
        context.load_cert_chain(security.cert, security.key)
    return context


def shaken(client: WireClient, context: ssl.SSLContext) -> str | None:
    """The version of TLS in which the server completes a handshake, or None if it refuses one."""
    try:
        with (
            connect(client.address, client.timeout) as channel,
            context.wrap_socket(channel, server_hostname=server_name(client.authority)) as secure,
        ):
            return secure.version()
    except OSError:
        return None


@requirement("TLS-1")
def test_the_target_selects_h2(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    # The client refuses every other selection when it connects.
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after h2 was offered by ALPN")


# To offer an old version on purpose is what this test is for.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@requirement("TLS-3")
def test_old_versions_of_tls_are_refused(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, pytestconfig: pytest.Config
) -> None:
    version = shaken(grpcstream_wire, old(Run.of(pytestconfig).settings.security))
    verify.fail_unless(version is None, "a handshake with TLS 1.1 or older refused", f"completed in {version}")
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after a handshake with TLS 1.1")


@requirement("TLS-5")
def test_a_client_without_a_certificate_is_not_served(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    # With TLS 1.3 the client's side of the handshake is complete before the server has looked at the certificate.
    stranger = WireClient(grpcstream_wire.address, timeout=grpcstream_wire.timeout, context=trusting())
    with contextlib.suppress(TargetError, StreamError), stranger, stranger.list("anybody there", 1) as stream:
        stream.collect()
        verify.fail_unless(not stream.end().ok, "a client without a certificate refused", f"{stream.status}", stream)
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after a client without a certificate")
