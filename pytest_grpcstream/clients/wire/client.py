"""The wire client: gRPC over a socket, a correct client unless a test changes that."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Self

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.clients.stream import Stream
from pytest_grpcstream.clients.wire.connection import Connection, UsedUpError
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.outbound import PLAIN, Shape
from pytest_grpcstream.clients.wire.stream import WireStream
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.values import Metadata, MetadataValue, Point
from pytest_grpcstream.wire.chunking import Chunking, one_each
from pytest_grpcstream.wire.dialing import default_authority, server_name
from pytest_grpcstream.wire.fields import Headers, encode_metadata, request_headers, timeout_text
from pytest_grpcstream.wire.records import WireTimeline

_OPTIONS: Final = WireOptions()


class WireClient(Client):
    """A gRPC client on an HTTP/2 connection of its own, without grpcio and asyncio.

    It connects when the first RPC is opened, and again when the connection accepts no more streams: after a GOAWAY,
    after its loss, or when its identifiers are used up.

    Arguments:
        address: ``host:port``, ``[::1]:port`` or ``unix:path``.
        timeout: seconds that connecting, and one operation on a stream, may take.
        context: the TLS context, see `client_context`; None for plaintext.
        authority: the ``:authority`` of every request and the name that the server's certificate must have; None for
            the address, ``localhost`` for a unix socket.
        metadata: sent with every RPC. No timeline shows the values, because they may be secret.
        options: how the connection differs from a plain one.
        chunking: how messages are split into DATA frames.
        padding: bytes of padding in every DATA frame, None for no PADDED flag.
        capabilities: what the target can do, if it is known.

    Attributes:
        connections: every connection of this client, the newest last.
        descendants: the clients that `fresh` created; they are closed with this one.
    """

    kind = "wire"

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 5.0,
        context: ssl.SSLContext | None = None,
        authority: str | None = None,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        options: WireOptions = _OPTIONS,
        chunking: Chunking = one_each,
        padding: int | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        super().__init__(timeout=timeout, capabilities=capabilities)
        self.address = address
        self.context = context
        self.authority = default_authority(address) if authority is None else authority
        self.metadata = Metadata(metadata)
        secret = {name for name, _ in encode_metadata(self.metadata)}
        self.options = dataclasses.replace(options, hidden=secret.union(options.hidden))
        self.chunking = chunking
        self.padding = padding
        self.connections: list[Connection] = []
        self.descendants: list[WireClient] = []

    # Connections ------------------------------------------------------------------------------------------------

    def connect(self) -> Connection:
        """The connection for the next RPC: the newest one, or a new one if that accepts no more streams.

        Raises:
            TargetError: nothing listens there, TLS failed or did not select h2, or no SETTINGS came.
        """
        if not self.connections or not self.connections[-1].usable:
            connection = Connection(
                self.address,
                timeout=self.timeout,
                context=self.context,
                name=server_name(self.authority),
                options=self.options,
            )
            self.connections.append(connection)
        return self.connections[-1]

    @property
    def connection(self) -> Connection:
        """The newest connection, usable or not; the first use creates one."""
        return self.connections[-1] if self.connections else self.connect()

    @property
    def timeline(self) -> WireTimeline:
        """The timeline of the newest connection."""
        return self.connection.timeline

    def fresh(self, **options: Any) -> Self:
        """Another client of the same target, with a connection of its own; it is closed with this one at the latest.

        Arguments:
            options: fields of `WireOptions` that differ, such as ``settings={SettingCode.INITIAL_WINDOW_SIZE: 0}``,
                or ``chunking``, ``padding``, ``timeout``, ``authority``.
        """
        arguments: dict[str, Any] = {
            name: options.pop(name, getattr(self, name)) for name in ("timeout", "authority", "chunking", "padding")
        }
        client = type(self)(
            self.address,
            context=self.context,
            metadata=self.metadata,
            capabilities=self.capabilities,
            options=dataclasses.replace(self.options, **options),
            **arguments,
        )
        self.descendants.append(client)
        return client

    # RPCs -------------------------------------------------------------------------------------------------------

    def request_headers(
        self,
        method: str,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        grpc_timeout: str | None = None,
    ) -> Headers:
        """The request headers that `open` would send, for a test to change."""
        return request_headers(
            STREAM_SERVICE.path(method),
            authority=self.authority,
            scheme="http" if self.context is None else "https",
            timeout=grpc_timeout,
            metadata=[*self.metadata, *metadata],
        )

    def open(
        self,
        method: str,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
        grpc_timeout: str | None = None,
        headers: Headers | None = None,
        end_stream: bool = False,
        hold_window: bool | None = None,
        stream_id: int | None = None,
        shape: Shape = PLAIN,
        connection: Connection | None = None,
        greeting: bool = True,
    ) -> WireStream:
        """Start an RPC: a method of StreamService by its name, or any RPC by its path.

        Arguments:
            method: ``List``, ``Record``, ``Route`` or a path.
            metadata: pairs of key and value, ``bytes`` for ``-bin`` keys.
            deadline: seconds after which the RPC is over; sent as ``grpc-timeout``, and this client ends it then.
            grpc_timeout: the text of ``grpc-timeout``, legal or not; this client does not end the RPC.
            headers: the request headers instead of all that, exactly as given.
            end_stream: whether HEADERS has END_STREAM: a request without a message.
            hold_window: whether the stream's window is held, see `WireStream.hold_window`; None for the option.
            stream_id: an identifier instead of the next odd one.
            shape: how the header block goes on the wire.
            connection: a connection instead of the newest one, even one that accepts no more streams.
            greeting: whether a Route of a target that is known to speak first is opened up to that response. A test
                that holds the window shut, or cancels at once, leaves the greeting unread.

        Raises:
            Failure: the greeting did not arrive.
            TargetError: there is no connection, see `connect`.
            OperationTimeout: as many streams as the server allows are open, and none ended in time.
        """
        if grpc_timeout is None and deadline is not None:
            grpc_timeout = timeout_text(deadline)
        if headers is None:
            headers = self.request_headers(method, metadata=metadata, grpc_timeout=grpc_timeout)
        begin = partial(
            WireStream,
            path=STREAM_SERVICE.path(method),
            headers=headers,
            timeout=self.timeout,
            deadline=deadline,
            chunking=self.chunking,
            padding=self.padding,
            stream_id=stream_id,
            end_stream=end_stream,
            hold_window=hold_window,
            shape=shape,
        )
        try:
            stream = begin(connection or self.connect(), anyway=connection is not None)
        except UsedUpError:
            # A GOAWAY came meanwhile. One retry: a server may send one on every connection at once.
            stream = begin(self.connect())
        self._remember(stream)
        if greeting:
            self._read_greeting(stream)
        return stream

    def list(
        self,
        name: str | Point | None,
        value: int = 0,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
    ) -> WireStream:
        """Start a List: its one request is sent and this side half-closed."""
        stream = self.open("List", metadata=metadata, deadline=deadline)
        stream.send(name, value)
        stream.close_send()
        return stream

    def record(
        self, *, metadata: Iterable[tuple[str, MetadataValue]] = (), deadline: float | None = None
    ) -> WireStream:
        """Start a Record."""
        return self.open("Record", metadata=metadata, deadline=deadline)

    def route(
        self,
        *,
        metadata: Iterable[tuple[str, MetadataValue]] = (),
        deadline: float | None = None,
        greeting: bool = True,
    ) -> WireStream:
        """Start a Route; for ``greeting`` see `open`."""
        return self.open("Route", metadata=metadata, deadline=deadline, greeting=greeting)

    def _open(self, path: str, metadata: Metadata, deadline: float | None) -> Stream:
        return self.open(path, metadata=metadata, deadline=deadline, greeting=False)

    def broken_off(self) -> str | None:
        """How the server broke off a connection of this client, in words, or None."""
        return next((why for one in self.connections if (why := one.broken_off) is not None), None)

    def enhance_your_calm(self) -> str | None:
        """How the server ended a connection because many streams were reset on it, in words, or None."""
        own = next((why for one in self.connections if (why := one.enhance_your_calm) is not None), None)
        return own or next(
            (why for client in self.descendants if (why := client.enhance_your_calm()) is not None), None
        )

    def _disconnect(self) -> None:
        for client in self.descendants:
            client.close()
        for connection in self.connections:
            connection.close()
