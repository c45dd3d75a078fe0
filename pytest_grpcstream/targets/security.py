"""How a target is reached: by TLS or not, as whom, under which name, and with which metadata in every call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets.preface_check import check_preface

if TYPE_CHECKING:
    import ssl

    import grpc

_FIELD: Final = re.compile(r"(?P<key>[0-9a-z_.-]+):[ ]*(?P<value>.*)", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$(\w+)")
_HIDDEN: Final = "***"
_FRAGMENT: Final = 8
"""Characters of a secret that are hidden wherever they stand together: messages cut long values and show a part."""
_HINT: Final = 2.0
"""Seconds that it may take to find out whether a target that does not answer answers in the other way."""


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
            context = client_context(self.ca)
            if self.cert is not None:
                # An encrypted key is an error: without a password of ours, OpenSSL would ask for one at the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
            return context
        except OSError as error:
            files = ", ".join(str(one) for one in (self.ca, self.cert, self.key) if one is not None)
            # OpenSSL has no reason for a file that holds nothing it can use.
            reason = getattr(error, "reason", error.strerror) or "not in PEM, or encrypted"
            if self.cert is not None and self.key is None:
                reason += "; without --grpcstream-key the key must be in the file of the certificate"
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
        try:
            self._connect(address, timeout, context)
        except TargetError:
            patience = min(timeout, _HINT)
            secure = _answers(_shake_hands, address, patience)
            if self.tls and not secure and _answers(check_preface, address, patience):
                raise TargetError(f"{address} speaks HTTP/2 without TLS; leave out --grpcstream-tls") from None
            if secure and not self.tls:
                raise TargetError(f"{address} speaks TLS; reach it with --grpcstream-tls") from None
            raise

    def _connect(self, address: str, timeout: float, context: ssl.SSLContext | None) -> None:
        if context is None:
            check_preface(address, timeout)
            return
        from pytest_grpcstream.clients.wire import Connection
        from pytest_grpcstream.wire.dialing import default_authority, server_name

        name = server_name(self.authority or default_authority(address))
        Connection(address, timeout=timeout, context=context, name=name).close()

    def redact(self, text: str) -> str:
        """A text without the secret values, and without parts of them of `_FRAGMENT` characters or more.

        Values of three characters or fewer stay: without them no text could be read.
        """
        secrets = self._secrets()
        text = _without(text, _fragments(secret for secret in secrets if len(secret) >= _FRAGMENT))
        for short in (secret for secret in secrets if len(secret) < _FRAGMENT):
            text = text.replace(short, _HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        """Every secret in each form in which a text may have it, longer ones first."""
        values = {value for _, value in self.metadata} | {value.partition(" ")[2] for _, value in self.metadata}
        forms = {form for value in values for form in (value, repr(value)[1:-1], value.replace("%", "%25"))}
        return sorted((form for form in forms if len(form) > 3), key=len, reverse=True)


def _answers(probe: Callable[[str, float], None], address: str, timeout: float) -> bool:
    try:
        probe(address, timeout)
    except TargetError:
        return False
    return True


def _shake_hands(address: str, timeout: float) -> None:
    """Make sure that whatever listens at an address speaks TLS, of any kind."""
    import ssl

    from pytest_grpcstream.wire.dialing import dial

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent or believed, it is only found out what to advise
    context.set_alpn_protocols(["h2"])
    dial(address, timeout, context, require_alpn=False).close()


def _fragments(secrets: Iterable[str]) -> set[str]:
    return {secret[at : at + _FRAGMENT] for secret in secrets for at in range(len(secret) - _FRAGMENT + 1)}


def _without(text: str, fragments: set[str]) -> str:
    if not fragments:
        return text
    kept: list[str] = []
    done = place = 0
    while place + _FRAGMENT <= len(text):
        if text[place : place + _FRAGMENT] not in fragments:
            place += 1
            continue
        end = place + _FRAGMENT
        while text[end - _FRAGMENT + 1 : end + 1] in fragments:
            end += 1
        kept += [text[done:place], _HIDDEN]
        done = place = end
    return "".join([*kept, text[done:]])


PLAINTEXT: Final = Security()
