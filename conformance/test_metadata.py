"""Metadata: what the client sends reaches the handler, and what the handler sends comes back in its place."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import INITIAL_KEY, TRAILING_KEY, Client, Metadata, Stream, run_concurrently, verify

requirement = pytest.mark.grpcstream_requirement
every_method = pytest.mark.parametrize("method", ["List", "Record", "Route"])

# RFC 9113 section 8.2.1 forbids a space at either end of a value, so letters stand around the printable characters.
PRINTABLE = "a" + "".join(map(chr, range(0x20, 0x7F))) + "z"
BINARY = {
    "one byte": b"\x00",
    "two bytes": b"\xff\xfe",
    "three bytes": b"\xab\xab\xab",
    "four bytes": b"\x00\x01\x02\x03",
    "every byte": bytes(range(256)),
}


def exchanged(stream: Stream) -> Stream:
    """The RPC after one plain exchange that ended with OK."""
    stream.send("metadata", 1)
    stream.close_send()
    verify.status(stream)
    return stream


@requirement("META-1", features=("metadata",))
@every_method
@pytest.mark.parametrize(
    "value", ["test_initial_metadata_value", PRINTABLE, "0123456789" * 100], ids=["word", "printable", "long"]
)
def test_ascii_metadata_comes_back_as_initial_metadata(grpcstream: Client, method: str, value: str) -> None:
    with exchanged(grpcstream.open(method, metadata=[(INITIAL_KEY, value)])) as stream:
        verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])


@requirement("META-2", features=("metadata",))
@every_method
@pytest.mark.parametrize("value", BINARY.values(), ids=BINARY)
def test_binary_metadata_comes_back_as_trailing_metadata(grpcstream: Client, method: str, value: bytes) -> None:
    with exchanged(grpcstream.open(method, metadata=[(TRAILING_KEY, value)])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [value])


@requirement("META-6", features=("metadata",))
def test_repeated_keys_keep_their_values_in_order(grpcstream: Client) -> None:
    values = ["second", "first", "third"]
    with exchanged(grpcstream.open("List", metadata=[(INITIAL_KEY, value) for value in values])) as stream:
        # Several fields of one name may become one, joined by commas (RFC 9110 section 5.3).
        joined = ",".join(str(value) for value in stream.initial_metadata.all(INITIAL_KEY))
        got = [value.strip() for value in joined.split(",")]
        verify.fail_unless(got == values, f"the values {', '.join(values)}", joined or "no such key", stream)


@requirement("META-6", features=("metadata",))
def test_repeated_binary_keys_keep_their_values_in_order(grpcstream: Client) -> None:
    values = [b"\x02", b"\x01", b"\x03\x00"]
    with exchanged(grpcstream.open("List", metadata=[(TRAILING_KEY, value) for value in values])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, values)


@requirement("META-10", features=("metadata",))
def test_empty_values_come_back(grpcstream: Client) -> None:
    with exchanged(grpcstream.open("List", metadata=[(TRAILING_KEY, b"")])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [b""])


@requirement("META-9")
@every_method
def test_unknown_metadata_is_tolerated(grpcstream: Client, method: str) -> None:
    sent = Metadata([("x-unknown", "value"), ("x-unknown", "again"), ("x-unknown-bin", b"\x00\xff"), ("x-empty", "")])
    exchanged(grpcstream.open(method, metadata=sent)).close()


@requirement("META-11")
def test_metadata_of_seven_thousand_bytes_is_accepted(grpcstream: Client) -> None:
    exchanged(grpcstream.open("List", metadata=[(f"x-part-{part}", "v" * 690) for part in range(10)])).close()


@requirement("META-17", features=("metadata",))
@every_method
def test_initial_and_trailing_metadata_are_kept_apart(grpcstream: Client, method: str) -> None:
    sent = Metadata([(INITIAL_KEY, "initial"), (TRAILING_KEY, b"trailing")])
    with exchanged(grpcstream.open(method, metadata=sent)) as stream:
        for where, metadata, initial, trailing in (
            ("initial metadata", stream.initial_metadata, ["initial"], []),
            ("trailing metadata", stream.trailing_metadata, [], [b"trailing"]),
        ):
            verify.metadata(stream, where, metadata, INITIAL_KEY, initial)
            verify.metadata(stream, where, metadata, TRAILING_KEY, trailing)


@requirement("META-17", features=("metadata",), observed_by=("duplex",))
def test_initial_metadata_can_be_read_before_the_end(grpcstream: Client) -> None:
    with grpcstream.route(metadata=[(INITIAL_KEY, "early")]) as stream:
        stream.send("metadata", 1)
        verify.answer(stream)
        verify.metadata(stream, "initial metadata", stream.headers(), INITIAL_KEY, ["early"])
        stream.close_send()
        verify.eof(stream)


@requirement("META-18", features=("metadata",))
def test_metadata_does_not_leak_into_other_calls(grpcstream: Client) -> None:
    def call(number: int) -> None:
        method = ("List", "Record", "Route")[number % 3]
        own = Metadata([(INITIAL_KEY, f"call {number}"), (TRAILING_KEY, bytes([number]))])
        sent = Metadata() if number % 4 == 3 else own
        with exchanged(grpcstream.open(method, metadata=sent)) as stream:
            verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, sent.all(INITIAL_KEY))
            verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, sent.all(TRAILING_KEY))

    run_concurrently([partial(call, number) for number in range(24)])
    for number in range(12):
        call(number)
