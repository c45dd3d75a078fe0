"""Reads the files of a report, each independently of the package, except for the published schema."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads((resources.files("pytest_grpcstream.report") / "schema.json").read_bytes())
"""The schema as it is published."""


def find_problems(report: object) -> list[str]:
    """What the published schema finds wrong with a document."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(report)]


def load(path: Path) -> dict[str, Any]:
    """A report, which is ASCII and valid by the published schema."""
    report: dict[str, Any] = json.loads(path.read_bytes().decode("ascii"))
    assert find_problems(report) == []
    return report


def load_events(path: Path) -> list[dict[str, Any]]:
    """The events of a file of timelines."""
    return [json.loads(line) for line in path.read_bytes().decode("ascii").splitlines()]


@dataclass
class Conversation:
    """A connection of a capture.

    Attributes:
        ports: of the client and of the server.
        first: the number of the first byte by each side, from its SYN.
        sent: the bytes of each side: of the client under True.
        times: when the packets were.
        flags: the flags of the packets.
        sizes: how many bytes of data the packets have.
    """

    ports: tuple[int, int]
    first: dict[bool, int] = field(default_factory=dict)
    sent: dict[bool, bytes] = field(default_factory=lambda: {True: b"", False: b""})
    times: list[float] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def load_conversations(content: bytes) -> list[Conversation]:
    """The connections of a capture, of which every packet is in its place and has the right checksums."""
    assert struct.unpack_from("<IHHiII", content) == (0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF)
    assert struct.unpack_from("<I", content, 20) == (101,)
    place = 24
    found: dict[frozenset[tuple[bytes, int]], Conversation] = {}
    while place < len(content):
        seconds, micros, kept, size = struct.unpack_from("<IIII", content, place)
        packet = content[place + 16 : place + 16 + size]
        assert kept == size == len(packet)
        place += 16 + size
        _take(found, packet, seconds + micros / 1e6)
    return list(found.values())


def _take(found: dict[frozenset[tuple[bytes, int]], Conversation], packet: bytes, at: float) -> None:
    header, segment = packet[:20], packet[20:]
    assert header[0] == 0x45
    assert struct.unpack(">H", header[2:4]) == (len(packet),)
    assert header[9] == 6
    assert _sum_words(header) == 0xFFFF
    source, target = header[12:16], header[16:20]
    assert _sum_words(source + target + struct.pack(">HH", 6, len(segment)) + segment) == 0xFFFF
    here, there, number, seen, words, flags = struct.unpack(">HHIIBB", segment[:14])
    data = segment[(words >> 4) * 4 :]
    ends = frozenset([(source, here), (target, there)])
    conversation = found.setdefault(ends, Conversation((here, there)))
    sent = here == conversation.ports[0]
    if flags & 2:
        conversation.first[sent] = number + 1
    assert number == conversation.first[sent] + len(conversation.sent[sent]) - bool(flags & 2)
    if flags & 16:
        assert seen == conversation.first[not sent] + len(conversation.sent[not sent])
    conversation.sent[sent] += data
    conversation.times.append(at)
    conversation.flags.append(flags)
    conversation.sizes.append(len(data))


def _sum_words(data: bytes) -> int:
    """The sum of 16-bit words in one's complement arithmetic, word by word."""
    total = 0
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total
