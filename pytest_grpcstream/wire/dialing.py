"""Connects to a server: its address, TLS and ALPN."""

from __future__ import annotations

import socket
import ssl
from os import PathLike
from typing import Final, TypeAlias

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.escape import one_line, printable
from pytest_grpcstream.wire.sockets import connect
from pytest_grpcstream.wire.transport import Transport

ALPN: Final = "h2"

StrPath: TypeAlias = str | PathLike[str]


def client_context(
    ca: StrPath | None = None, cert: StrPath | None = None, key: StrPath | None = None
) -> ssl.SSLContext:
    """A TLS context for HTTP/2: TLS 1.2 or newer (RFC 9113, section 9.2), ALPN with ``h2``, certificates verified.

    Arguments:
        ca: a PEM file with the certificate authorities to trust, None for those of the system.
        cert: a PEM file with the client's certificate, for mutual TLS.
        key: a PEM file with its key, None if it is in ``cert``.

    Raises:
        OSError: a file cannot be read, or holds no certificate or key (`ssl.SSLError`).
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


def default_authority(address: str) -> str:
    """The ``:authority`` for an address: itself, or ``localhost`` for a unix socket."""
    return "localhost" if address.startswith("unix:") else address


def server_name(authority: str) -> str:
    """The host of an authority, without port and brackets: the name that a certificate must have."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def dial(
    address: str,
    timeout: float,
    context: ssl.SSLContext | None = None,
    name: str | None = None,
    *,
    require_alpn: bool = True,
) -> Transport:
    """Connect to ``host:port``, ``[::1]:port`` or ``unix:path``.

    Arguments:
        timeout: seconds that connecting and the TLS handshake may take, each.
        context: the TLS context, None for plaintext. It must offer ``h2`` by ALPN, see `client_context`.
        name: the name that the server's certificate must have.
        require_alpn: whether the server must select ``h2``.

    Raises:
        TargetError: the address is malformed, nothing listens there, TLS failed, or the server does not select ``h2``.
    """
    try:
        channel = connect(address, timeout)
    except OSError as error:
        raise TargetError(f"nothing answers at {address}: {error.strerror or error}") from None
    except ValueError:
        shown = printable(address)
        raise TargetError(f"{shown} is not an address: use host:port, [::1]:port or unix:path") from None
    if channel.family != socket.AF_UNIX:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return Transport(channel)
    try:
        secure = context.wrap_socket(channel, server_hostname=name)
    except (OSError, ValueError) as error:
        channel.close()
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate is not accepted: {error.verify_message}"
        raise TargetError(f"no TLS connection to {address}: {one_line(reason)}") from None
    protocol = secure.selected_alpn_protocol()
    if require_alpn and protocol != ALPN:
        secure.close()
        selected = "no protocol" if protocol is None else printable(protocol)
        raise TargetError(f"the TLS server at {address} selected {selected} by ALPN; gRPC needs {ALPN!r}")
    return Transport(secure)
