"""Chunking: how messages become DATA frames. A chunking takes prefixed messages and yields the payloads of frames.

DATA frame boundaries carry no meaning (gRPC over HTTP2, Data Frames), so a peer must treat every chunking alike. A
payload larger than the windows or SETTINGS_MAX_FRAME_SIZE allow is split further when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from pytest_grpcstream.wire.length_prefixed import PREFIX

Chunking: TypeAlias = Callable[[Sequence[bytes]], Iterable[bytes]]


def one_each(messages: Sequence[bytes]) -> Iterator[bytes]:
    """One frame for each message, as libraries do."""
    yield from messages


def joined(messages: Sequence[bytes]) -> Iterator[bytes]:
    """All messages in one frame."""
    yield b"".join(messages)


def every(size: int) -> Chunking:
    """Frames of ``size`` bytes, regardless of where the messages end."""

    def split(messages: Sequence[bytes]) -> Iterator[bytes]:
        data = b"".join(messages)
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return split


def at(*offsets: int) -> Chunking:
    """Frames that end at these offsets in the joined messages, in bytes, and one frame with the rest."""

    def split(messages: Sequence[bytes]) -> Iterator[bytes]:
        data = b"".join(messages)
        for start, stop in pairwise([0, *offsets, max(len(data), *offsets)]):
            if data[start:stop]:
                yield data[start:stop]

    return split


def prefix_alone(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every prefix in a frame of its own, then the message."""
    for message in messages:
        yield from filter(None, (message[:PREFIX], message[PREFIX:]))


def prefix_split(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every prefix in two frames, of 2 and 3 bytes, then the message."""
    for message in messages:
        yield from filter(None, (message[:2], message[2:PREFIX], message[PREFIX:]))


def straddling(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Each message in one frame with the prefix of the next one."""
    before = b""
    for message in messages:
        yield before + message[:PREFIX]
        before = message[PREFIX:]
    if before:
        yield before


def spaced(chunking: Chunking = one_each) -> Chunking:
    """An empty DATA frame before every frame of another chunking, and one after the last."""

    def spread(messages: Sequence[bytes]) -> Iterator[bytes]:
        for payload in chunking(messages):
            yield b""
            yield payload
        yield b""

    return spread
