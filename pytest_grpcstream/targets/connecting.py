"""Opens clients and channels to supervised targets, secured as each of them needs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pytest_grpcstream.errors import Mismatch, TargetError
from pytest_grpcstream.targets.security import PLAINTEXT, Security

if TYPE_CHECKING:
    import grpc

    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.grpcio import LibraryClient
    from pytest_grpcstream.clients.wire import WireClient
    from pytest_grpcstream.targets.supervisor import SupervisedTarget


class Connector:
    """Opens clients.

    Arguments:
        timeout: seconds that one operation may take, unless a call says otherwise.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def client(
        self,
        target: SupervisedTarget,
        kind: str,
        timeout: float | None = None,
        *,
        capabilities: Capabilities | None = None,
    ) -> Client:
        """A client with a connection of its own: ``library`` or ``wire``.

        Arguments:
            capabilities: what the client is to know about the target.
        """
        opened = self.wire if kind == "wire" else self.library
        return opened(target, timeout, capabilities=capabilities)

    def library(
        self,
        target: SupervisedTarget,
        timeout: float | None = None,
        *,
        channel: grpc.Channel | None = None,
        capabilities: Capabilities | None = None,
    ) -> LibraryClient:
        """A client on grpcio; it closes its channel unless one was given."""
        from pytest_grpcstream.clients.grpcio import LibraryClient

        return LibraryClient(
            self.channel(target) if channel is None else channel,
            timeout=self._timeout if timeout is None else timeout,
            metadata=_security_of(target).metadata,
            owned=channel is None,
            capabilities=capabilities,
        )

    def channel(self, target: SupervisedTarget) -> grpc.Channel:
        """A channel with a connection of its own."""
        from pytest_grpcstream.clients.grpcio import open_channel

        security = _security_of(target)
        return open_channel(target.address, security.credentials(), security.authority)

    def wire(
        self, target: SupervisedTarget, timeout: float | None = None, *, capabilities: Capabilities | None = None
    ) -> WireClient:
        """A wire client; it connects when it is first used."""
        from pytest_grpcstream.clients.wire import WireClient

        security = _security_of(target)
        return WireClient(
            target.address,
            timeout=self._timeout if timeout is None else timeout,
            context=security.context(),
            authority=security.authority,
            metadata=security.metadata,
            capabilities=capabilities,
        )

    def stream_limit(self, target: SupervisedTarget) -> int | None:
        """How many concurrent streams a target allows on a connection, None if it names no number."""
        from pytest_grpcstream.clients.wire import SettingCode

        with contextlib.suppress(Mismatch, TargetError), self.wire(target) as client:
            return client.connect().server_settings.get(SettingCode.MAX_CONCURRENT_STREAMS)
        return None


def _security_of(target: SupervisedTarget) -> Security:
    # What was served in this process, or spawned by it, is not the guarded target that the settings speak of.
    return target.security if target.guarded else PLAINTEXT
