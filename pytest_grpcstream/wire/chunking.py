"""How messages are cut into DATA frames: each cut takes messages with their prefixes and yields the payloads of frames.

gRPC gives no meaning to the boundaries of DATA frames (gRPC over HTTP2, Data Frames), so a server must take every cut
alike. A payload larger than the server's windows or SETTINGS_MAX_FRAME_SIZE allow is cut further when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from pytest_grpcstream.wire.length_prefixed import PREFIX

Cut: TypeAlias = Callable[[Sequence[bytes]], Iterable[bytes]]


def one_each(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every message in a frame of its own, as libraries do."""
    yield from messages


def joined(messages: Sequence[bytes]) -> Iterator[bytes]:
    """All messages in one frame."""
    yield b"".join(messages)


def every(size: int) -> Cut:
    """Frames of ``size`` bytes, wherever that cuts the messages."""

    def cut(messages: Sequence[bytes]) -> Iterator[bytes]:
        data = b"".join(messages)
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return cut


def at(*places: int) -> Cut:
    """Frames that end at these places of the messages joined, counted in bytes, and one with the rest."""

    def cut(messages: Sequence[bytes]) -> Iterator[bytes]:
        data = b"".join(messages)
        for start, stop in pairwise([0, *places, max(len(data), *places)]):
            if data[start:stop]:
                yield data[start:stop]

    return cut


def prefix_alone(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every prefix in a frame of its own, then the message."""
    for message in messages:
        yield from filter(None, (message[:PREFIX], message[PREFIX:]))


def prefix_split(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every prefix in two frames, of 2 and 3 bytes, then the message."""
    for message in messages:
        yield from filter(None, (message[:2], message[2:PREFIX], message[PREFIX:]))


def straddling(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every message in one frame with the prefix of the next one."""
    before = b""
    for message in messages:
        yield before + message[:PREFIX]
        before = message[PREFIX:]
    if before:
        yield before


def spaced(cut: Cut = one_each) -> Cut:
    """An empty DATA frame before every frame of another cut, and one behind the last."""

    def spread(messages: Sequence[bytes]) -> Iterator[bytes]:
        for payload in cut(messages):
            yield b""
            yield payload
        yield b""

    return spread
