"""Opens clients and channels to a target, with the target's TLS, authority and metadata.

grpcio and the wire client are imported by the methods that use them: importing this module stays cheap.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from pytest_grpcstream.errors import Mismatch, TargetError

if TYPE_CHECKING:
    import grpc

    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.grpcio import LibraryClient
    from pytest_grpcstream.clients.wire import WireClient
    from pytest_grpcstream.targets.security import Security


class Endpoint(Protocol):
    """What a connector needs to know of a target."""

    @property
    def address(self) -> str:
        """Where the target listens, in grpcio's notation."""

    @property
    def security(self) -> Security:
        """How clients reach the target: TLS, names and metadata."""


class Connector:
    """Opens clients that each have their own connection.

    Arguments:
        timeout: Seconds that one operation of a client may take by default.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout

    def client(
        self, target: Endpoint, kind: str, timeout: float | None = None, *, capabilities: Capabilities | None = None
    ) -> Client:
        """Open a client of either kind.

        Arguments:
            kind: ``wire`` or ``library``.
            timeout: Seconds that one operation may take; defaults to the timeout of the connector.
            capabilities: What the client is to know about the target, see `Client`.

        Raises:
            TargetError: The target cannot be started, or its TLS files cannot be used.
        """
        open_client = self.wire if kind == "wire" else self.library
        return open_client(target, timeout, capabilities=capabilities)

    def library(
        self,
        target: Endpoint,
        timeout: float | None = None,
        *,
        channel: grpc.Channel | None = None,
        capabilities: Capabilities | None = None,
    ) -> LibraryClient:
        """Open a library client.

        Arguments:
            timeout: Seconds that one operation may take; defaults to the timeout of the connector.
            channel: The channel to use, which the caller closes. By default the client opens and closes its own.
            capabilities: What the client is to know about the target, see `Client`.

        Raises:
            TargetError: The target cannot be started, or its TLS files cannot be used.
        """
        from pytest_grpcstream.clients.grpcio import LibraryClient

        return LibraryClient(
            self.channel(target) if channel is None else channel,
            timeout=self.timeout if timeout is None else timeout,
            metadata=target.security.metadata,
            owned=channel is None,
            capabilities=capabilities,
        )

    def wire(
        self, target: Endpoint, timeout: float | None = None, *, capabilities: Capabilities | None = None
    ) -> WireClient:
        """Return a wire client, which connects at its first use.

        Arguments:
            timeout: Seconds that one operation may take; defaults to the timeout of the connector.
            capabilities: What the client is to know about the target, see `Client`.

        Raises:
            TargetError: The target cannot be started, or its TLS files cannot be used.
        """
        from pytest_grpcstream.clients.wire import WireClient

        security = target.security
        return WireClient(
            target.address,
            timeout=self.timeout if timeout is None else timeout,
            context=security.context(),
            authority=security.authority,
            metadata=security.metadata,
            capabilities=capabilities,
        )

    def channel(self, target: Endpoint) -> grpc.Channel:
        """Open a channel with its own connection.

        Raises:
            TargetError: The target cannot be started, or its TLS files cannot be used.
        """
        from pytest_grpcstream.clients.grpcio import open_channel

        security = target.security
        return open_channel(target.address, security.credentials(), security.authority)

    def stream_limit(self, target: Endpoint) -> int | None:
        """Return the target's SETTINGS_MAX_CONCURRENT_STREAMS; None if it sends none, or cannot be reached."""
        from pytest_grpcstream.wire.codes import SettingCode

        with contextlib.suppress(Mismatch, TargetError), self.wire(target) as client:
            return client.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS)
        return None
