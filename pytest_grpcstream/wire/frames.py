"""HTTP/2 frames as bytes: their types, flags and parts (RFC 9113, sections 4 and 6).

Frames are packed and unpacked here and not by hyperframe, which is made for well-behaved peers: it truncates setting
identifiers to eight bits, reads a reserved bit as part of a value, and refuses to write some frames that a test sends.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pytest_grpcstream.wire.codes import ErrorCode, SettingCode

HEADER: Final = struct.Struct(">HBBBL")
"""A frame's header: the length in two parts, the type, the flags, and the stream identifier with its reserved bit."""
HEADER_SIZE: Final = 9
ID_MASK: Final = 0x7FFFFFFF
LARGEST_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535
SMALLEST_MAX_FRAME: Final = 16_384
LARGEST_MAX_FRAME: Final = 2**24 - 1
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

SettingPairs: TypeAlias = Mapping[int, int] | Mapping[SettingCode, int] | Iterable[tuple[int, int]]
"""Settings as a mapping, or as pairs where the order or a repetition matters."""


class FrameType(enum.IntEnum):
    """The frame types of RFC 9113, section 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag:
    """The flags of frames; what a bit means depends on the type of the frame."""

    END_STREAM: Final = 0x01
    ACK: Final = 0x01
    END_HEADERS: Final = 0x04
    PADDED: Final = 0x08
    PRIORITY: Final = 0x20


_FLAGS: Final[dict[int, tuple[tuple[int, str], ...]]] = {
    FrameType.DATA: ((Flag.END_STREAM, "END_STREAM"), (Flag.PADDED, "PADDED")),
    FrameType.HEADERS: (
        (Flag.END_STREAM, "END_STREAM"),
        (Flag.END_HEADERS, "END_HEADERS"),
        (Flag.PADDED, "PADDED"),
        (Flag.PRIORITY, "PRIORITY"),
    ),
    FrameType.SETTINGS: ((Flag.ACK, "ACK"),),
    FrameType.PING: ((Flag.ACK, "ACK"),),
    FrameType.CONTINUATION: ((Flag.END_HEADERS, "END_HEADERS"),),
    FrameType.PUSH_PROMISE: ((Flag.END_HEADERS, "END_HEADERS"), (Flag.PADDED, "PADDED")),
}


def type_name(kind: int) -> str:
    """The name of a frame type, or ``type 0xbe`` for one that RFC 9113 does not define."""
    return FrameType(kind).name if kind <= FrameType.CONTINUATION else f"type {kind:#04x}"


def flag_names(kind: int, flags: int) -> list[str]:
    """The names of the flags that are set; bits that the type does not define follow as one hexadecimal number."""
    names = []
    for bit, name in _FLAGS.get(kind, ()):
        if flags & bit:
            names.append(name)
            flags &= ~bit
    return [*names, f"{flags:#04x}"] if flags else names


def error_name(code: int) -> str:
    """The name of an error code, or ``code 0xdeadbeef`` for one that RFC 9113, section 7 does not define."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"code {code:#x}"


def setting_name(code: int) -> str:
    """The name of a setting, or ``setting 0x5a5a`` for one that is not known."""
    try:
        return SettingCode(code).name
    except ValueError:
        return f"setting {code:#x}"


# Writing ----------------------------------------------------------------------------------------------------------


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Any frame, legal or not: the length is that of the payload, everything else is as given."""
    length = len(payload)
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def pad(payload: bytes, padding: int | None) -> tuple[int, bytes]:
    """The flag and the payload with ``padding`` zero bytes after it; None for no padding and no PADDED flag."""
    if padding is None:
        return 0, payload
    return Flag.PADDED, bytes([padding]) + payload + bytes(padding)


def settings_payload(settings: SettingPairs) -> bytes:
    """The payload of a SETTINGS frame, in the order given."""
    pairs = settings.items() if isinstance(settings, Mapping) else settings
    return b"".join(struct.pack(">HL", code, value) for code, value in pairs)


@dataclass(frozen=True)
class Priority:
    """The priority fields of a HEADERS frame, which RFC 9113 keeps but gives no meaning (section 5.3.2).

    Attributes:
        depends_on: the stream identifier that this stream depends on.
        weight: the weight as it is on the wire, from 0 to 255.
        exclusive: whether the dependency is exclusive.
    """

    depends_on: int = 0
    weight: int = 15
    exclusive: bool = False

    def encode(self) -> bytes:
        """The five bytes of the fields."""
        return struct.pack(">LB", self.depends_on | (0x80000000 if self.exclusive else 0), self.weight)


def header_frames(
    block: bytes,
    stream_id: int,
    *,
    end_stream: bool = False,
    split: Sequence[int] = (),
    largest: int = SMALLEST_MAX_FRAME,
    padding: int | None = None,
    priority: Priority | None = None,
) -> list[bytes]:
    """A header block as one HEADERS frame and as many CONTINUATION frames as it takes.

    Arguments:
        split: bytes of the block in the first frames; the last number counts for all that follow. Without it every
            frame is as large as ``largest`` allows.
        padding: bytes of padding after the first fragment, None for no PADDED flag.
    """
    extra = (0 if padding is None else padding + 1) + (0 if priority is None else 5)
    sizes = list(split) or [largest - extra, largest]
    fragments: list[bytes] = []
    start = 0
    while True:
        stop = start + max(0, sizes[min(len(fragments), len(sizes) - 1)])
        if stop == start and len(fragments) >= len(sizes):
            raise ValueError(f"a header block cannot be split into fragments of {sizes[-1]} bytes")
        fragments.append(block[start:stop])
        start = stop
        if start >= len(block):
            break
    flag, first = pad((priority.encode() if priority else b"") + fragments[0], padding)
    flag |= (Flag.END_STREAM if end_stream else 0) | (Flag.PRIORITY if priority else 0)
    frames = [(int(FrameType.HEADERS), flag, first)]
    frames += [(int(FrameType.CONTINUATION), 0, fragment) for fragment in fragments[1:]]
    kind, flag, payload = frames[-1]
    frames[-1] = (kind, flag | Flag.END_HEADERS, payload)
    return [frame(kind, flag, stream_id, payload) for kind, flag, payload in frames]


# Reading ----------------------------------------------------------------------------------------------------------


class PaddingError(ValueError):
    """Raised when the padding of a frame is not shorter than its payload (RFC 9113, sections 6.1 and 6.2)."""


def strip_padding(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding.

    Raises:
        PaddingError: the padding is as long as the payload or longer.
    """
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise PaddingError(f"{payload[0] if payload else 'no'} bytes of padding in a payload of {len(payload)} bytes")
    return payload[1 : len(payload) - payload[0]]


def fragment_of(flags: int, payload: bytes) -> bytes:
    """The part of a header block in a HEADERS frame, without padding and priority fields.

    Raises:
        PaddingError: the padding or the priority fields do not fit into the payload.
    """
    inner = strip_padding(flags, payload)
    if not flags & Flag.PRIORITY:
        return inner
    if len(inner) < 5:
        raise PaddingError(f"only {len(inner)} bytes where the priority fields take 5")
    return inner[5:]


def setting_pairs(payload: bytes) -> list[tuple[int, int]]:
    """The settings of a SETTINGS payload whose length is a multiple of 6, in their order."""
    return [(code, value) for code, value in struct.iter_unpack(">HL", payload)]


def goaway_fields(payload: bytes) -> tuple[int, int, bytes]:
    """The last stream identifier, the error code and the debug data of a GOAWAY payload of at least 8 bytes."""
    last, code = struct.unpack_from(">LL", payload)
    return last & ID_MASK, code, payload[8:]


def number(payload: bytes) -> int:
    """The 32-bit number of a RST_STREAM or WINDOW_UPDATE payload, with its reserved bit if it has one."""
    return int.from_bytes(payload[:4], "big")
