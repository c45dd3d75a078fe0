"""Binding a server to its address, with the operating system's reason when that fails."""

from __future__ import annotations

import errno
import socket

import grpc
import grpc.aio

# With so_reuseport a second server may listen on a port that is taken, and each gets some of the connections. With
# tarpit grpcio answers a request that it takes for malformed up to a second late.
SERVER_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.http.tarpit", 0))


class CannotListen(Exception):
    """Raised when an address is not to be had, such as a port that is in use."""


def listen(
    server: grpc.Server | grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Bind a server to ``HOST:PORT`` and return the same with the port that it got; raises CannotListen."""
    host, _, port = address.rpartition(":")
    # grpcio has no reason in its exception, and is content with a part of what a host name stands for, so that a port
    # which is taken on one of its addresses would go unnoticed.
    try:
        _try_to_bind(host.strip("[]"), int(port))
        if credentials is None:
            return f"{host}:{server.add_insecure_port(address)}"
        return f"{host}:{server.add_secure_port(address, credentials)}"
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from error
    except (RuntimeError, UnicodeError) as error:  # grpcio's for every failure; a label that no host name can have
        raise CannotListen(f"cannot listen on {address}: {error}") from error


def _try_to_bind(host: str, port: int) -> None:
    """Bind a socket and close it; raises OSError when the port is in use, or no address of the host can be had."""
    failure: OSError | None = None
    usable = False
    for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            with socket.socket(family, kind, protocol) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                attempt.bind(where)
            usable = True
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            failure = error
    if failure is not None and not usable:
        raise failure
