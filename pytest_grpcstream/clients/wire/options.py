"""The options of a wire connection: how a test makes it differ from that of an ordinary client."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from pytest_grpcstream.wire.byte_log import KEPT, OnBytes
from pytest_grpcstream.wire.codes import SettingCode
from pytest_grpcstream.wire.frames import DEFAULT_WINDOW, PREFACE, SettingPairs

BUFFER: Final = 1 << 26
NO_PUSH: Final[tuple[tuple[int, int], ...]] = ((SettingCode.ENABLE_PUSH, 0),)


@dataclass(frozen=True)
class WireOptions:
    """How a connection begins and behaves. The defaults make a correct peer with the windows of RFC 9113.

    Attributes:
        settings: the first SETTINGS frame. A mapping without ENABLE_PUSH gets it with the value 0, because this client
            accepts no pushed streams; pairs are sent exactly as given, for tests where order or repetition matters.
        preface: the bytes before that frame.
        connection_window: bytes that the server may send on the whole connection; a WINDOW_UPDATE right after SETTINGS
            adds what exceeds the 65,535 of RFC 9113.
        hold_windows: whether WINDOW_UPDATE is sent only by `open_window` and `release_window`.
        await_settings: whether connecting waits for the server's SETTINGS.
        acknowledge_settings: whether the server's SETTINGS are acknowledged.
        answer_pings: whether the server's PINGs are answered.
        require_alpn: whether a TLS server must select ``h2`` by ALPN.
        enforce_deadlines: whether this client ends an RPC whose deadline passed; otherwise only the server does.
        obey_stream_limit: whether opening a stream waits for the server's SETTINGS_MAX_CONCURRENT_STREAMS.
        buffer: bytes of the largest message that is accepted, and of unread messages that one stream may hold.
        byte_log: bytes of each direction that `Connection.byte_log` keeps.
        on_bytes: called with every chunk that is sent or received.
        hidden: names of fields whose values no timeline shows; they are sent as never-indexed fields.
    """

    settings: SettingPairs = NO_PUSH
    preface: bytes = PREFACE
    connection_window: int = DEFAULT_WINDOW
    hold_windows: bool = False
    await_settings: bool = True
    acknowledge_settings: bool = True
    answer_pings: bool = True
    require_alpn: bool = True
    enforce_deadlines: bool = True
    obey_stream_limit: bool = True
    buffer: int = BUFFER
    byte_log: int = KEPT
    on_bytes: OnBytes | None = field(default=None, repr=False)
    hidden: Collection[bytes] = ()

    @property
    def first_settings(self) -> list[tuple[int, int]]:
        """The pairs of the first SETTINGS frame."""
        if not isinstance(self.settings, Mapping):
            return list(self.settings)
        return list({**dict(NO_PUSH), **self.settings}.items())
