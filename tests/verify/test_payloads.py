"""The payloads that tests build by hand are what protobuf, gzip and HPACK make of the same values."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hpack import Decoder

from pytest_grpcstream.messages import StreamRequest
from pytest_grpcstream.verify.payloads import bytes_field, fixed_field, gzip_message, table_size_update, varint_field


def test_fields_are_those_of_protobuf() -> None:
    """A point built of fields is encoded as protobuf encodes it."""
    request = StreamRequest()
    request.pt.name, request.pt.value = "name", 5
    built = bytes_field(1, bytes_field(1, b"name") + varint_field(2, 5))
    assert built == request.SerializeToString()


@pytest.mark.parametrize("size", [2, 5, 10])
def test_a_long_varint_has_the_same_value(size: int) -> None:
    """It takes as many bytes as asked for."""
    field = varint_field(2, 5, size=size)
    assert len(field) == 1 + size
    assert StreamRequest.FromString(bytes_field(1, field)).pt.value == 5


def test_unknown_fields_of_every_type_are_skipped() -> None:
    """Field numbers above 15 have keys of two bytes; fixed fields have 4 or 8 bytes."""
    unknown = (
        varint_field(99, 7) + bytes_field(100, b"unknown") + fixed_field(101, bytes(4)) + fixed_field(102, bytes(8))
    )
    request = StreamRequest.FromString(unknown + bytes_field(1, bytes_field(1, b"name")))
    assert request.pt.name == "name"
    with pytest.raises(KeyError):
        fixed_field(101, bytes(3))


def test_a_gzip_message_decompresses() -> None:
    """Its prefix has the compressed flag and the compressed length."""
    message = gzip_message(b"plain")
    assert message[:5] == b"\x01" + (len(message) - 5).to_bytes(4, "big")
    assert gzip.decompress(message[5:]) == b"plain"


def test_a_gzip_message_can_be_damaged() -> None:
    """Its checksum can be wrong or missing, or its end."""
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(gzip_message(b"plain", checksum=bytes(8))[5:])
    for damaged in (gzip_message(b"plain", checksum=b""), gzip_message(b"plain" * 9, length=24)):
        with pytest.raises((EOFError, zlib.error)):
            gzip.decompress(damaged[5:])


@pytest.mark.parametrize("size", [31, 32, 158, 159, 4096])
def test_a_table_size_update_sets_the_size(size: int) -> None:
    """The decoder of hpack reads the size from it."""
    decoder = Decoder()
    decoder.decode(table_size_update(size))
    assert decoder.header_table_size == size
