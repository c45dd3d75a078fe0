"""How clients reach a target: TLS, the client certificate, the authority, and metadata for every call."""

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
"""Parts of a secret of this length are hidden too: messages shorten long values and show a part."""
_HINT_TIMEOUT: Final = 2.0
"""Seconds to check whether a target that does not answer with TLS answers without, or the other way round."""


def metadata_field(text: str) -> tuple[str, str]:
    """Parse ``key: value``; each ``$NAME`` in the value is replaced by an environment variable.

    Raises:
        ValueError: The text has another form, its key or value is not valid in ASCII metadata, or the variable is not
            set. The error has a message in the last case only, and the message never contains the value.
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
        raise ValueError(f"the environment variable {match[1]} is not set") from None


@dataclass(frozen=True)
class Security:
    """How clients reach a target.

    Attributes:
        tls: Whether connections use TLS.
        ca: A PEM file with the trusted certificate authorities; None for those of the system.
        cert: A PEM file with the client certificate, for mutual TLS.
        key: A PEM file with the key of the client certificate.
        authority: The ``:authority`` of every request, and the name that the server's certificate must have.
        metadata: The metadata of every call; the values are secret.
    """

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    authority: str | None = None
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS settings of a socket; None for plaintext.

        Raises:
            TargetError: A file does not contain a usable certificate or key.
        """
        if not self.tls:
            return None
        from pytest_grpcstream.clients.wire import client_context

        try:
            context = client_context(self.ca)
            if self.cert is not None:
                # An encrypted key is an error: without this empty password, OpenSSL would prompt for one.
                context.load_cert_chain(self.cert, self.key, password="")
            return context
        except OSError as error:
            files = ", ".join(str(one) for one in (self.ca, self.cert, self.key) if one is not None)
            # OpenSSL gives no reason for a file without anything that it can use.
            reason = getattr(error, "reason", error.strerror) or "not in PEM, or encrypted"
            if self.cert is not None and self.key is None:
                reason += "; without --grpcstream-key the key must be in the file of the certificate"
            raise TargetError(f"the certificates for TLS cannot be used ({files}): {reason}") from None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return the TLS credentials of a `grpc.Channel`; None for plaintext."""
        import grpc

        if not self.tls:
            return None
        read = [None if one is None else one.read_bytes() for one in (self.ca, self.key, self.cert)]
        if self.cert is not None and self.key is None:
            read[1] = read[2]  # both are in one file
        return grpc.ssl_channel_credentials(*read)

    def check(self, address: str, timeout: float) -> None:
        """Check that an HTTP/2 server answers at an address, with TLS if the settings say so.

        Raises:
            TargetError: Nothing listens at the address, the TLS handshake failed, or the server does not speak HTTP/2.
        """
        context = self.context()
        try:
            self._connect(address, timeout, context)
        except TargetError:
            hint_timeout = min(timeout, _HINT_TIMEOUT)
            secure = _answers(_shake_hands, address, hint_timeout)
            if self.tls and not secure and _answers(check_preface, address, hint_timeout):
                raise TargetError(f"{address} speaks HTTP/2 without TLS; remove --grpcstream-tls") from None
            if secure and not self.tls:
                raise TargetError(f"{address} speaks TLS; use --grpcstream-tls") from None
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
        """Hide the secret values in a text, and their parts of `_FRAGMENT` characters or more.

        Values of three characters or fewer are not hidden: they occur in ordinary words.
        """
        secrets = self._secrets()
        text = _hide_fragments(text, _fragments(secret for secret in secrets if len(secret) >= _FRAGMENT))
        for short in (secret for secret in secrets if len(secret) < _FRAGMENT):
            text = text.replace(short, _HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        """The secrets in every form in which a text may contain them, longer ones first."""
        values = {value for _, value in self.metadata} | {value.partition(" ")[2] for _, value in self.metadata}
        forms = {form for value in values for form in (value, repr(value)[1:-1], value.replace("%", "%25"))}
        return sorted((form for form in forms if len(form) > 3), key=len, reverse=True)


def _answers(check: Callable[[str, float], None], address: str, timeout: float) -> bool:
    try:
        check(address, timeout)
    except TargetError:
        return False
    return True


def _shake_hands(address: str, timeout: float) -> None:
    """Check that the server at an address speaks TLS, with any certificate."""
    import ssl

    from pytest_grpcstream.wire.dialing import dial

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent or trusted: the answer only decides which hint to show
    context.set_alpn_protocols(["h2"])
    dial(address, timeout, context, require_alpn=False).close()


def _fragments(secrets: Iterable[str]) -> set[str]:
    return {secret[at : at + _FRAGMENT] for secret in secrets for at in range(len(secret) - _FRAGMENT + 1)}


def _hide_fragments(text: str, fragments: set[str]) -> str:
    if not fragments:
        return text
    parts: list[str] = []
    done = place = 0
    while place + _FRAGMENT <= len(text):
        if text[place : place + _FRAGMENT] not in fragments:
            place += 1
            continue
        end = place + _FRAGMENT
        while text[end - _FRAGMENT + 1 : end + 1] in fragments:
            end += 1
        parts += [text[done:place], _HIDDEN]
        done = place = end
    return "".join([*parts, text[done:]])


PLAINTEXT: Final = Security()
"""How clients reach a target without any setting."""
