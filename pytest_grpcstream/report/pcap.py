"""A capture file of connections, made from the bytes that the wire client sent and received.

It is the classic format of libpcap with raw IP packets (LINKTYPE_RAW, 101). Addresses, handshakes and segments are
made up around the bytes; the bytes, their order in each direction and their times are real. How TCP ended is not known
here and not shown.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

LINKTYPE_RAW: Final = 101
MSS: Final = 1460
"""Bytes of data in one segment at most."""
CLIENT: Final = bytes((192, 0, 2, 1))
SERVER: Final = bytes((192, 0, 2, 2))
"""Addresses for documentation (RFC 5737): a capture does not say which machines they were."""
FIRST_PORT: Final = 49152
"""The client's port of the first connection; every further one has the next (RFC 6335, section 6)."""
_PORTS: Final = 65536 - FIRST_PORT
_HEADERS: Final = 40

_SYN: Final = 0x02
_PSH: Final = 0x08
_ACK: Final = 0x10
_MASK: Final = 0xFFFFFFFF
_MSS_OPTION: Final = struct.pack(">BBH", 2, 4, MSS)


class Bytes(NamedTuple):
    """Bytes that were sent or received at once.

    Attributes:
        at: when, in seconds since the epoch.
        sent: whether the client sent them.
        offset: the place of the first one in its direction, from 0.
        data: the bytes.
    """

    at: float
    sent: bool
    offset: int
    data: bytes


@dataclass(frozen=True)
class Flow:
    """What is known of one connection.

    Attributes:
        port: the port of the server.
        began: when it was opened, at the latest, in seconds since the epoch.
        chunks: the bytes of both directions in the order of time, without a gap in either direction.
    """

    port: int
    began: float
    chunks: Sequence[Bytes]


def encode_capture(flows: Sequence[Flow], limit: int) -> tuple[bytes, int]:
    """A capture file of connections, and how many of their bytes were left out to keep it below ``limit`` bytes.

    The newest connections have precedence; the end of a connection that does not fit is left out.
    """
    kept: list[bytes] = []
    room = limit - 24
    lost = 0
    for number, flow in reversed(list(enumerate(flows))):
        packets: list[bytes] = []
        for packet, size in _packets(flow, _client_port(number, flow.port)):
            if len(packet) > room:
                lost += size
                room = 0  # nothing may follow a gap
            else:
                packets.append(packet)
                room -= len(packet)
        kept.append(b"".join(packets))
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, LINKTYPE_RAW)
    return b"".join([header, *reversed(kept)]), lost


def _client_port(number: int, server: int) -> int:
    port = FIRST_PORT + number % _PORTS
    # The addresses differ, so equal ports would be legal; but a reader could not tell the sides apart by them.
    return port if port != server else FIRST_PORT - 1


def _packets(flow: Flow, client: int) -> Iterator[tuple[bytes, int]]:
    """The packets of a connection as records of a file, each with how many bytes of data it carries."""
    # The number of a byte is its place in its direction, plus one; a SYN stands right before the first one kept.
    following = {sent: next((one.offset for one in flow.chunks if one.sent is sent), 0) for sent in (True, False)}
    count = 0

    def record(at: float, sent: bool, flags: int, data: bytes = b"", options: bytes = b"") -> tuple[bytes, int]:
        nonlocal count
        ports = (client, flow.port) if sent else (flow.port, client)
        seen = following[not sent] if flags & _ACK else 0
        segment = _segment(sent, ports, following[sent], seen, flags, data, options)
        following[sent] = (following[sent] + len(data) + bool(flags & _SYN)) & _MASK
        packet = _packet(sent, count, segment)
        count += 1
        micros = max(0, round(at * 1_000_000))
        times = (micros // 1_000_000 & _MASK, micros % 1_000_000)
        return struct.pack("<IIII", *times, len(packet), len(packet)) + packet, len(data)

    yield record(flow.began, True, _SYN, options=_MSS_OPTION)
    yield record(flow.began, False, _SYN | _ACK, options=_MSS_OPTION)
    yield record(flow.began, True, _ACK)
    for chunk in flow.chunks:
        for start in range(0, len(chunk.data), MSS):
            last = start + MSS >= len(chunk.data)
            yield record(chunk.at, chunk.sent, _ACK | _PSH * last, chunk.data[start : start + MSS])


def _segment(
    sent: bool, ports: tuple[int, int], number: int, seen: int, flags: int, data: bytes, options: bytes
) -> bytes:
    """A TCP segment (RFC 9293, section 3.1)."""
    words = (20 + len(options)) // 4
    fields = (*ports, number & _MASK, seen & _MASK, words << 4, flags, 0xFFFF)
    pseudo = _addresses(sent) + struct.pack(">BBH", 0, 6, words * 4 + len(data))
    empty = struct.pack(">HHIIBBHHH", *fields, 0, 0) + options
    return struct.pack(">HHIIBBHHH", *fields, compute_checksum(pseudo + empty + data), 0) + options + data


def _packet(sent: bool, identification: int, payload: bytes) -> bytes:
    """An IPv4 packet (RFC 791, section 3.1) that must not be fragmented."""
    fields = (0x45, 0, 20 + len(payload), identification & 0xFFFF, 0x4000, 64, 6)
    header = struct.pack(">BBHHHBBH", *fields, 0) + _addresses(sent)
    return struct.pack(">BBHHHBBH", *fields, compute_checksum(header)) + _addresses(sent) + payload


def _addresses(sent: bool) -> bytes:
    return CLIENT + SERVER if sent else SERVER + CLIENT


def compute_checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): the complement of the sum of 16-bit words in one's complement arithmetic."""
    number = int.from_bytes(data if len(data) % 2 == 0 else data + b"\0", "big")
    # 2^16 is 1 modulo 2^16 - 1, so the remainder is the sum with all carries added in; of its two zeros a sum of
    # words that are not all zero is the other one.
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))
