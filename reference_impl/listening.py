"""Binds a server to its address; a failure has the reason of the operating system."""

from __future__ import annotations

import errno
import socket

import grpc
import grpc.aio

# With so_reuseport a second server may listen on a port in use, and each gets some of the connections. With tarpit,
# grpcio delays its answer to a request that it considers malformed by up to a second.
SERVER_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.http.tarpit", 0))


class CannotListen(Exception):
    """Raised when a server cannot listen on an address, such as a port in use."""


def listen(
    server: grpc.Server | grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Bind a server to ``HOST:PORT`` and return the address with the actual port; raises CannotListen."""
    host, _, port = address.rpartition(":")
    # grpcio's exception has no reason, and it succeeds with a part of the addresses of a host name: a port that is in
    # use on one of them would go unnoticed.
    try:
        _try_to_bind(host.strip("[]"), int(port))
        if credentials is None:
            return f"{host}:{server.add_insecure_port(address)}"
        return f"{host}:{server.add_secure_port(address, credentials)}"
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from error
    except (RuntimeError, UnicodeError) as error:  # of grpcio, for every failure; of an invalid host name
        raise CannotListen(f"cannot listen on {address}: {error}") from error


def _try_to_bind(host: str, port: int) -> None:
    """Bind a socket and close it; raises OSError if the port is in use, or no address of the host can be bound."""
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
