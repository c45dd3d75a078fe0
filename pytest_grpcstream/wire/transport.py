"""The socket beneath a connection: opened with or without TLS, never blocking, closed in every way there is."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from os import PathLike
from typing import Final, TypeAlias

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.escape import one_line, printable
from pytest_grpcstream.wire.sockets import connect

ALPN: Final = "h2"
_READ: Final = 1 << 14
"""Bytes to read in one go: small frames take this client some milliseconds for them, in which it does nothing else."""

StrPath: TypeAlias = str | PathLike[str]


def client_context(
    ca: StrPath | None = None, cert: StrPath | None = None, key: StrPath | None = None
) -> ssl.SSLContext:
    """A TLS context for HTTP/2: TLS 1.2 or newer (RFC 9113, section 9.2), the protocol ``h2``, certificates verified.

    Arguments:
        ca: a PEM file of the authorities to trust, None for those of the system.
        cert: a PEM file with this client's certificate, for mutual TLS.
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


class Transport:
    """A connected socket that never blocks.

    Arguments:
        channel: the socket; from now on it belongs to the transport.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._socket = channel
        self._closed = False
        channel.setblocking(False)

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The TLS socket, None on a plaintext connection."""
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def fileno(self) -> int:
        """The file descriptor, for a selector."""
        return self._socket.fileno()

    def recv(self) -> bytes | None:
        """What has arrived, empty when the server sends no more, None when nothing is there.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return self._socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def send(self, data: bytes | bytearray) -> int:
        """Send as much as goes without waiting and return how much that was.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def shut_write(self) -> None:
        """Tell the server by a FIN that nothing more comes, and go on reading. TLS adds no word of its own to it."""
        if not self._closed:
            self._shut()

    def _shut(self) -> None:
        # SSLSocket.shutdown() would also give up TLS for reading.
        with contextlib.suppress(OSError):  # the connection is gone already: there is nothing to shut
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket; TLS says goodbye before, if it can without waiting."""
        tls = self.tls
        if tls is not None and not self._closed:
            # It sends close_notify and then cannot wait for the server's; a broken connection takes none.
            with contextlib.suppress(OSError, ValueError):
                tls.unwrap()
        self.drop()

    def drop(self) -> None:
        """Close the socket with a FIN and without TLS's goodbye."""
        if self._closed:
            return
        self._closed = True
        self._shut()  # closing alone would send a RST in place of the FIN if something is unread
        self._socket.close()

    def reset(self) -> None:
        """Close the socket with a RST: what was sent and not yet read is lost at both ends."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):  # a unix socket does not know SO_LINGER on every system
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


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
        context: how to speak TLS, None for plaintext. It must offer ``h2`` by ALPN, see `client_context`.
        name: the name that the server's certificate must have.
        require_alpn: whether the server must select ``h2``.

    Raises:
        TargetError: it is no address, nothing listens there, TLS failed, or the server does not select ``h2``.
    """
    try:
        channel = connect(address, timeout)
    except OSError as error:
        raise TargetError(f"nothing answers at {address}: {error.strerror or error}") from None
    except ValueError:
        shown = printable(address)
        raise TargetError(f"{shown} is no address: use host:port, [::1]:port or unix:path") from None
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
