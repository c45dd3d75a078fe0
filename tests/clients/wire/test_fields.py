"""Fields of gRPC on the wire: deadlines, metadata and statuses, written and read."""

from __future__ import annotations

import pytest

from pytest_grpcstream.clients.wire import Headers, framed, timeout_text
from pytest_grpcstream.wire.dialing import default_authority, server_name
from pytest_grpcstream.wire.fields import (
    decode_binary,
    decode_message,
    decode_metadata,
    decode_status,
    encode_metadata,
)
from pytest_grpcstream.wire.frames import (
    FrameType,
    flag_names,
    frame,
    goaway_fields,
    header_frames,
    setting_pairs,
    settings_payload,
    type_name,
)
from pytest_grpcstream.wire.length_prefixed import Assembler, MessageTooLargeError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "300000u"),
        (1, "1000000u"),
        (0.00000001, "10n"),
        (0.0999999999, "100000u"),
        (0.099999999, "99999999n"),
        (5, "5000000u"),
        (99.999999, "99999999u"),
        (100, "100000m"),
        (99_999.9995, "100000S"),
        (100_000, "100000S"),
        (1e8, "1666667M"),
        (6e9, "1666667H"),
        (1e30, "99999999H"),
        (float("inf"), "99999999H"),
        (0, "1n"),
        (-1, "1n"),
        (1.0000004, "1000001u"),
    ],
)
def test_a_deadline_is_the_finest_unit_that_fits_into_eight_digits(seconds: float, text: str) -> None:
    """It is rounded up, so that a server never ends an RPC before the client."""
    assert timeout_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (b"", b""),
        (b"q6ur", b"\xab\xab\xab"),
        (b"q6urqw", b"\xab\xab\xab\xab"),
        (b"q6urqw==", b"\xab\xab\xab\xab"),
        (b"/w", b"\xff"),
        (b"!!!!", None),
        (b"q", None),
        (b"q6ur=====", None),
        (b"q6 r", None),
        (b"q6-r", None),
    ],
)
def test_binary_metadata_is_base64_with_or_without_padding(value: bytes, plain: bytes | None) -> None:
    """Both forms must be accepted; anything else does not decode."""
    assert decode_binary(value) == plain


def test_metadata_excludes_reserved_fields_and_splits_joined_values() -> None:
    """Reserved fields are not metadata, joined binary values are split, broken ones are kept and reported."""
    fields = [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"0"),
        (b"a", b"1"),
        (b"a", b"caf\xe9"),
        (b"b-bin", b"q6ur, /w"),
        (b"c-bin", b"%%%"),
        (b"grpc-status-details-bin", b"CAM"),
    ]
    metadata, broken = decode_metadata(fields)
    assert metadata == (
        ("a", "1"),
        ("a", "caf\xe9"),
        ("b-bin", b"\xab\xab\xab"),
        ("b-bin", b"\xff"),
        ("c-bin", b"%%%"),
        ("grpc-status-details-bin", b"\x08\x03"),
    )
    assert len(broken) == 1
    assert "c-bin" in broken[0]


def test_metadata_is_encoded_without_padding_and_in_lower_case() -> None:
    """Binary values are sent without padding; keys are lower-case on the wire."""
    assert list(encode_metadata([("Key", "v"), ("k-BIN", b"\xff"), ("raw", b"bytes")])) == [
        (b"key", b"v"),
        (b"k-bin", b"/w"),
        (b"raw", b"bytes"),
    ]


@pytest.mark.parametrize(
    ("value", "text", "good"),
    [
        (b"", "", True),
        (b"plain text!", "plain text!", True),
        (b"a%20b%0A%E2%98%BA", "a b\n☺", True),
        (b"%f0%9f%98%88", "😈", True),
        (b"100%", "100%", False),
        (b"%zz", "%zz", False),
        (b"%E4", "\ufffd", False),
        ("☺".encode(), "☺", False),
        (b"\x07", "\x07", False),
    ],
)
def test_any_status_message_is_decoded(value: bytes, text: str, good: bool) -> None:
    """Broken encodings are kept unchanged and reported, never an error."""
    assert decode_message(value) == (text, good)


@pytest.mark.parametrize(
    ("value", "code", "good"),
    [
        (b"0", 0, True),
        (b"16", 16, True),
        (b"99", 99, True),
        (b"00", 0, False),
        (b"05", 5, False),
        (b"", None, False),
        (b"-1", None, False),
        (b"OK", None, False),
        (b"1.0", None, False),
        (b" 1", None, False),
        ("²".encode(), None, False),
        (b"9" * 5000, None, False),
    ],
)
def test_a_status_is_a_decimal_number_without_leading_zeros(value: bytes, code: int | None, good: bool) -> None:
    """Text has no code; a badly written number is still used."""
    assert decode_status(value) == (code, good)


def test_headers_are_changed_by_name() -> None:
    """Each change returns new headers and leaves the old ones unchanged."""
    headers = Headers([("a", "1"), ("b", "2"), ("a", b"3")])
    assert headers.without("a") == ((b"b", b"2"),)
    assert headers.replaced("a", "9") == ((b"a", b"9"), (b"b", b"2"))
    assert headers.replaced("c", "9")[-1] == (b"c", b"9")
    assert headers.added("d", "4", at=1)[1] == (b"d", b"4")
    assert headers.all("a") == [b"1", b"3"]
    assert len(headers) == 3


def test_settings_and_goaway_survive_writing_and_reading() -> None:
    """Sixteen-bit identifiers, repetitions and reserved bits are read as RFC 9113 defines them."""
    pairs = [(0x5A5A, 2**32 - 1), (4, 5), (4, 7)]
    assert setting_pairs(settings_payload(pairs)) == pairs
    assert goaway_fields(b"\x80\x00\x00\x05\x00\x00\x00\x02debug") == (5, 2, b"debug")


def test_names_of_frames_and_flags() -> None:
    """Unknown ones are shown as numbers."""
    assert type_name(0xBE) == "type 0xbe"
    assert flag_names(FrameType.HEADERS, 0xED) == ["END_STREAM", "END_HEADERS", "PADDED", "PRIORITY", "0xc0"]
    assert flag_names(FrameType.PING, 1) == ["ACK"]
    assert frame(1, 4, 2**31 + 5, b"abc") == b"\x00\x00\x03\x01\x04\x80\x00\x00\x05abc"


@pytest.mark.parametrize("split", [(), (1,), (0, 5), (3, 0, 2), (100,)])
def test_the_fragments_of_a_header_block_are_complete(split: tuple[int, ...]) -> None:
    """Joined they are the block, only the last one has END_HEADERS, and each has the requested size."""
    block = bytes(range(20))
    frames = header_frames(block, 1, split=split)
    assert b"".join(one[9:] for one in frames) == block
    assert [bool(one[4] & 4) for one in frames] == [False] * (len(frames) - 1) + [True]
    assert [len(one) - 9 for one in frames][: len(split)] == [min(size, 20) for size in split][: len(frames)]


def test_a_block_cannot_be_split_into_empty_fragments() -> None:
    """A last size of 0 would never end."""
    with pytest.raises(ValueError, match="0 bytes"):
        header_frames(b"abc", 1, split=(1, 0))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100, 1000])
def test_messages_are_assembled_from_any_pieces(size: int) -> None:
    """The messages do not depend on the pieces, and the parts say where each piece was."""
    messages = [b"", b"a", b"", b"b" * 300, b"c" * 5, b""]
    data = b"".join(framed(one, compressed=index % 2) for index, one in enumerate(messages))
    got: list[tuple[int, bytes]] = []
    assembler = Assembler(lambda flag, message: got.append((flag, message)), 1000)
    places = []
    for start in range(0, len(data), size):
        part = assembler.feed(data, start, min(start + size, len(data)))
        assert part is not None
        places.append(part)
    assert got == [(index % 2, one) for index, one in enumerate(messages)]
    assert assembler.have == 0
    assert places[0].first == 0
    assert places[0].start == 0
    assert places[-1].last == len(messages) - 1
    assert places[-1].stop == places[-1].size


@pytest.mark.parametrize("whole", [True, False])
def test_a_message_above_the_limit_is_refused_by_its_prefix(whole: bool) -> None:
    """The limit holds for whole messages and for pieces."""
    assembler = Assembler(lambda *_: None, 10)
    data = framed(bytes(11))
    with pytest.raises(MessageTooLargeError, match="11 bytes"):
        assembler.feed(data, 0, len(data) if whole else 5)


def test_authorities_and_names_of_addresses() -> None:
    """The authority of an address is the address; the name to verify has neither port nor brackets."""
    assert default_authority("unix:/run/s") == "localhost"
    assert default_authority("[::1]:50051") == "[::1]:50051"
    assert server_name("[::1]:50051") == "::1"
    assert server_name("example.test:443") == "example.test"
    assert server_name("example.test") == "example.test"
