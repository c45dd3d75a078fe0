"""Frames are read alike from a server and from a client, which begins with the preface."""

from __future__ import annotations

import pytest

from pytest_grpcstream.clients.wire import ErrorCode, FrameType, Rule, SettingCode
from pytest_grpcstream.wire.frame_reader import FrameReader
from pytest_grpcstream.wire.frames import PREFACE, frame
from pytest_grpcstream.wire.records import Fields
from pytest_grpcstream.wire.rules import Fault
from pytest_grpcstream.wire.settings import OwnSettings, PeerSettings


class Collector:
    """Keeps the type and the payload of each frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []

    def on_data(self, stream_id: int, flags: int, data: bytes, start: int, stop: int, at: float) -> None:
        """Keep a DATA frame."""
        self.frames.append((FrameType.DATA, data[start:stop]))

    def on_block(
        self, kind: int, flags: int, stream_id: int, length: int, fields: Fields | None, end_stream: bool, at: float
    ) -> None:
        """Keep a frame of a header block without its bytes."""
        self.frames.append((kind, b""))

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes, at: float) -> None:
        """Keep any other frame."""
        self.frames.append((kind, payload))


BYTES = PREFACE + frame(FrameType.SETTINGS, 0, 0) + frame(FrameType.DATA, 0, 1, b"abc")


@pytest.mark.parametrize("size", [1, 5, 24, 30, 1000])
def test_a_client_begins_with_the_preface(size: int) -> None:
    """It may arrive in any pieces, together with frames or apart from them."""
    collector = Collector()
    reader = FrameReader(collector, OwnSettings(), PREFACE)
    for start in range(0, len(BYTES), size):
        reader.feed(BYTES[start : start + size], 0.0)
    assert collector.frames == [(FrameType.SETTINGS, b""), (FrameType.DATA, b"abc")]
    assert reader.unfinished == 0


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", BYTES[24:]])
def test_a_client_without_the_preface_is_a_fault(data: bytes) -> None:
    """Other bytes are a connection error."""
    reader = FrameReader(Collector(), OwnSettings(), PREFACE)
    with pytest.raises(Fault) as caught:
        reader.feed(data, 0.0)
    assert (caught.value.rule, caught.value.code) == (Rule.PREFACE, ErrorCode.PROTOCOL_ERROR)


def test_only_a_client_may_enable_push() -> None:
    """RFC 9113, section 6.5.2: a client treats ENABLE_PUSH 1 of a server as a connection error."""
    pairs = [(int(SettingCode.ENABLE_PUSH), 1)]
    PeerSettings(may_enable_push=True).apply(pairs)
    with pytest.raises(Fault) as caught:
        PeerSettings().apply(pairs)
    assert caught.value.rule is Rule.BAD_SETTING
    with pytest.raises(Fault):
        PeerSettings(may_enable_push=True).apply([(int(SettingCode.ENABLE_PUSH), 2)])
