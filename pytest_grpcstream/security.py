"""How a target is reached: by TLS or not, as whom, under which name, and with which metadata in every call."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_grpcstream import reach
from pytest_grpcstream.errors import TargetError

if TYPE_CHECKING:
    import ssl

    import grpc

_FIELD: Final = re.compile(r"(?P<key>[0-9a-z_.-]+):[ ]*(?P<value>.*)", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$(\w+)")
_HIDDEN: Final = "***"


def metadata_field(text: str) -> tuple[str, str]:
    """Parse ``key: value``; each ``$NAME`` in the value stands for an environment variable.

    Raises:
        ValueError: it is no such text, the key is not one of ASCII metadata, or there is no such variable.
    """
    match = _FIELD.fullmatch(text.strip())
    if match is None or match["key"].endswith("-bin") or match["key"].startswith("grpc-"):
        raise ValueError
    value = _VARIABLE.sub(_variable, match["value"])
    if not value.isascii() or not value.isprintable():
        raise ValueError
    return match["key"], value


def _variable(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise ValueError(f"there is no environment variable {match[1]}") from None


@dataclass(frozen=True)
class Security:
    """How a target is reached.

    Attributes:
        tls: whether the connection is secured by TLS.
        ca: a PEM file of the authorities that are trusted, None for those of the system.
        cert: a PEM file with the certificate of the client, for mutual TLS.
        key: a PEM file with the key of that certificate.
        authority: the ``:authority`` of every request, and the name that the server's certificate must have.
        metadata: what is sent with every call; the values are secret.
    """

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    authority: str | None = None
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def context(self) -> ssl.SSLContext | None:
        """How a socket speaks TLS, None in plaintext.

        Raises:
            TargetError: a file holds no certificate or key that can be used.
        """
        if not self.tls:
            return None
        from pytest_grpcstream.clients.wire import client_context

        try:
            return client_context(self.ca, self.cert, self.key)
        except OSError as error:
            files = ", ".join(str(one) for one in (self.ca, self.cert, self.key) if one is not None)
            reason = getattr(error, "reason", None) or error.strerror or str(error)
            raise TargetError(f"the certificates for TLS cannot be used ({files}): {reason}") from None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """How a `grpc.Channel` speaks TLS, None in plaintext."""
        import grpc

        if not self.tls:
            return None
        read = [None if one is None else one.read_bytes() for one in (self.ca, self.key, self.cert)]
        if self.cert is not None and self.key is None:
            read[1] = read[2]  # both are in one file
        return grpc.ssl_channel_credentials(*read)

    def check(self, address: str, timeout: float) -> None:
        """Make sure that an HTTP/2 server answers at an address, by TLS if that was asked for.

        Raises:
            TargetError: nothing listens there, TLS fails, or what listens does not speak HTTP/2.
        """
        context = self.context()
        if context is None:
            reach.check(address, timeout)
            return
        from pytest_grpcstream.clients.wire import Connection
        from pytest_grpcstream.clients.wire.transport import default_authority, server_name

        name = server_name(self.authority or default_authority(address))
        Connection(address, timeout=timeout, context=context, name=name).close()

    def redact(self, text: str) -> str:
        """A text without the secret values."""
        for _, value in self.metadata:
            for secret in {value, value.partition(" ")[2]}:
                if len(secret) > 3:
                    text = text.replace(secret, _HIDDEN)
        return text


PLAINTEXT: Final = Security()
