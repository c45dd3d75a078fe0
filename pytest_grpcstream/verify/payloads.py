"""Bytes that ordinary clients do not send: protobuf fields, gzip messages and HPACK instructions, built by hand."""

from __future__ import annotations

import gzip

from pytest_grpcstream.clients.wire import framed


def varint_field(number: int, value: int, *, size: int = 1) -> bytes:
    """A protobuf field of wire type VARINT.

    Arguments:
        number: the field number.
        value: a value from 0 to 127.
        size: length of the encoded value in bytes. More than 1 is an overlong encoding, which protobuf allows.
    """
    digits = [value, *bytes(size - 1)]
    return _key(number, 0) + bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def bytes_field(number: int, content: bytes) -> bytes:
    """A protobuf field of wire type LEN: a string, bytes or an embedded message of fewer than 128 bytes."""
    return _key(number, 2) + bytes([len(content)]) + content


def fixed_field(number: int, content: bytes) -> bytes:
    """A protobuf field of wire type I32 (4 bytes) or I64 (8 bytes).

    Raises:
        KeyError: the content has another size.
    """
    return _key(number, {4: 5, 8: 1}[len(content)]) + content


def _key(number: int, wire_type: int) -> bytes:
    """The key of a protobuf field with a number below 2048."""
    key = number << 3 | wire_type
    return bytes([key]) if key < 0x80 else bytes([key & 0x7F | 0x80, key >> 7])


def gzip_message(message: bytes, *, checksum: bytes | None = None, length: int | None = None) -> bytes:
    """A message compressed with gzip, after a prefix with the compressed flag.

    Arguments:
        checksum: bytes instead of the last 8 bytes, CRC-32 and size (RFC 1952, section 2.3).
        length: the number of compressed bytes to keep, None for all.
    """
    data = gzip.compress(message, mtime=0)
    if checksum is not None:
        data = data[:-8] + checksum
    return framed(data[:length], compressed=1)


def table_size_update(size: int) -> bytes:
    """An HPACK instruction that changes the dynamic table size to 31 bytes or more (RFC 7541, sections 5.1 and 6.3)."""
    rest, digits = size - 31, [0x3F]
    while rest >= 0x80:
        digits.append(rest % 0x80 | 0x80)
        rest //= 0x80
    return bytes([*digits, rest])
