"""TLS handshakes that ordinary clients do not make: with old versions and without a certificate."""

from __future__ import annotations

import ssl

from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.wire.dialing import ALPN, dial, server_name


def shake_hands(client: WireClient, newest: ssl.TLSVersion) -> str | None:
    """Offer the server only this version of TLS and older ones.

    The client presents its certificates, so only the version decides. It does not offer newer versions afterwards.

    Returns:
        The version of the completed handshake, or None if the server refused it.

    Raises:
        ValueError: the client speaks plaintext.
    """
    context = client.context
    if context is None:
        raise ValueError("the client speaks plaintext")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = newest
    try:
        transport = dial(client.address, client.timeout, context, server_name(client.authority), require_alpn=False)
    except TargetError:
        return None
    version = None if transport.tls is None else transport.tls.version()
    transport.close()
    return version


def anonymous_context() -> ssl.SSLContext:
    """A TLS context that trusts every server and presents no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    return context
