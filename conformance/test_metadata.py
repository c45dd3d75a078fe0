"""Metadata: the handler receives the client's metadata, and the client the handler's initial and trailing metadata."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_grpcstream import (
    INITIAL_KEY,
    TRAILING_KEY,
    Client,
    Code,
    Deviation,
    Metadata,
    Stream,
    run_concurrently,
    verify,
)
from pytest_grpcstream.clients.wire import Headers, Rule, SettingCode, Shape, WireClient, WireStream
from pytest_grpcstream.verify.violations import get_responses, no_violations

requirement = pytest.mark.grpcstream_requirement

every_method = pytest.mark.parametrize("method", ["List", "Record", "Route"])

# RFC 9113, section 8.2.1, forbids a space at either end of a value, so letters enclose the printable characters.
PRINTABLE = "a" + "".join(map(chr, range(0x20, 0x7F))) + "z"
BINARY = {
    "one byte": b"\x00",
    "two bytes": b"\xff\xfe",
    "three bytes": b"\xab\xab\xab",
    "four bytes": b"\x00\x01\x02\x03",
    "every byte": bytes(range(256)),
}


def complete(stream: Stream) -> Stream:
    """Send one request, half-close, and check that the RPC ends with OK."""
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
    with complete(grpcstream.open(method, metadata=[(INITIAL_KEY, value)])) as stream:
        verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])


@requirement("META-2", features=("metadata",))
@every_method
@pytest.mark.parametrize("value", BINARY.values(), ids=BINARY)
def test_binary_metadata_comes_back_as_trailing_metadata(grpcstream: Client, method: str, value: bytes) -> None:
    with complete(grpcstream.open(method, metadata=[(TRAILING_KEY, value)])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [value])


@requirement("META-6", features=("metadata",))
def test_repeated_keys_keep_their_values_in_order(grpcstream: Client) -> None:
    values = ["second", "first", "third"]
    with complete(grpcstream.open("List", metadata=[(INITIAL_KEY, value) for value in values])) as stream:
        # A proxy may join fields of the same name with commas (RFC 9110 section 5.3).
        joined = ",".join(str(value) for value in stream.initial_metadata.all(INITIAL_KEY))
        got = [value.strip() for value in joined.split(",")]
        verify.fail_unless(
            got == values, f"initial metadata with {INITIAL_KEY}: {', '.join(values)}", joined or "no such key", stream
        )


@requirement("META-6", features=("metadata",))
def test_repeated_binary_keys_keep_their_values_in_order(grpcstream: Client) -> None:
    values = [b"\x02", b"\x01", b"\x03\x00"]
    with complete(grpcstream.open("List", metadata=[(TRAILING_KEY, value) for value in values])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, values)


@requirement("META-10", features=("metadata",))
def test_empty_values_come_back(grpcstream: Client) -> None:
    with complete(grpcstream.open("List", metadata=[(TRAILING_KEY, b"")])) as stream:
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [b""])


@requirement("META-9")
@every_method
def test_unknown_metadata_is_tolerated(grpcstream: Client, method: str) -> None:
    sent = Metadata([("x-unknown", "value"), ("x-unknown", "again"), ("x-unknown-bin", b"\x00\xff"), ("x-empty", "")])
    complete(grpcstream.open(method, metadata=sent)).close()


@requirement("META-11")
def test_metadata_of_seven_thousand_bytes_is_accepted(grpcstream: Client) -> None:
    complete(grpcstream.open("List", metadata=[(f"x-part-{part}", "v" * 690) for part in range(10)])).close()


# Initial and trailing ---------------------------------------------------------------------------------------------


@requirement("META-17", features=("metadata",))
@every_method
def test_initial_and_trailing_metadata_are_kept_apart(grpcstream: Client, method: str) -> None:
    sent = Metadata([(INITIAL_KEY, "initial"), (TRAILING_KEY, b"trailing")])
    with complete(grpcstream.open(method, metadata=sent)) as stream:
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


@requirement("META-16", features=("abort", "metadata"))
@every_method
def test_initial_metadata_arrives_with_an_error(grpcstream: Client, method: str) -> None:
    with grpcstream.open(method, metadata=[(INITIAL_KEY, "kept")]) as stream:
        stream.send("!abort 0 at once", Code.ABORTED)
        if method == "List":
            stream.close_send()
        verify.status(stream, Code.ABORTED)
        # A trailers-only response has a single header block, which clients report as trailing metadata.
        both = Metadata([*stream.initial_metadata, *(stream.trailing_metadata or ())])
        verify.metadata(
            stream, "initial metadata, or trailing in a trailers-only response", both, INITIAL_KEY, ["kept"]
        )


@requirement("META-18", features=("metadata",))
def test_metadata_does_not_leak_into_other_calls(grpcstream: Client) -> None:
    def call(number: int) -> None:
        method = ("List", "Record", "Route")[number % 3]
        own = Metadata([(INITIAL_KEY, f"call {number}"), (TRAILING_KEY, bytes([number]))])
        sent = Metadata() if number % 4 == 3 else own
        with complete(grpcstream.open(method, metadata=sent)) as stream:
            verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, sent.all(INITIAL_KEY))
            verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, sent.all(TRAILING_KEY))

    run_concurrently([partial(call, number) for number in range(24)])
    for number in range(12):
        call(number)


# Unusual values and header blocks ---------------------------------------------------------------------------------


def call_record(client: WireClient, headers: Headers, shape: Shape | None = None) -> WireStream:
    """Call Record with these headers and one request, and read the RPC to its end."""
    stream = client.open("Record", headers=headers, shape=shape or Shape())
    stream.send_last("metadata", 1)
    stream.end()
    return stream


def add_field(client: WireClient, name: str | bytes, value: str | bytes) -> Headers:
    """The usual request headers of Record and one more field, sent exactly as given."""
    return client.request_headers("Record").added(name, value)


@requirement("META-3", observed_by=("record",))
@pytest.mark.parametrize("value", ["q6urqw", "q6urqw=="], ids=["without padding", "with padding"])
def test_base64_is_read_with_and_without_padding(grpcstream_wire: WireClient, value: str) -> None:
    stream = call_record(grpcstream_wire, add_field(grpcstream_wire, TRAILING_KEY, value))
    verify.status(stream)
    if grpcstream_wire.has("metadata"):
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [b"\xab\xab\xab\xab"])


@requirement("META-4", observed_by=("record",))
def test_joined_binary_values_are_accepted(grpcstream_wire: WireClient) -> None:
    verify.status(call_record(grpcstream_wire, add_field(grpcstream_wire, "x-joined-bin", "q6ur,q6ur")))


@requirement("META-5")
@pytest.mark.parametrize("value", ["!!!!", "q"])
def test_invalid_base64_does_no_harm(grpcstream_wire: WireClient, value: str) -> None:
    call_record(grpcstream_wire, add_field(grpcstream_wire, "x-broken-bin", value))
    verify.serves(grpcstream_wire.fresh(), "after a -bin value that is not base64")


@requirement("META-5", observed_by=("record",))
def test_invalid_base64_does_not_affect_later_values(grpcstream_wire: WireClient) -> None:
    # HPACK sends the key of the valid values as an index to the table entry that the invalid value added.
    for value, description in (("!!!!", "invalid"), ("q6ur", "a valid value"), ("q6urqw", "a second valid value")):
        stream = call_record(grpcstream_wire, add_field(grpcstream_wire, "x-spoiled-bin", value))
        good = description == "invalid" or (stream.status is not None and stream.status.ok)
        verify.fail_unless(good, f"OK for {description} after one that is not base64", str(stream.ended), stream)


@requirement("META-7", observed_by=("record",))
@pytest.mark.parametrize("value", [b"caf\xe9", b"a\tb"], ids=["0xe9", "tab"])
def test_non_ascii_values_are_not_an_error(grpcstream_wire: WireClient, value: bytes) -> None:
    verify.status(call_record(grpcstream_wire, add_field(grpcstream_wire, "x-unusual", value)))
    verify.serves(grpcstream_wire, "after a header value that is not ASCII")


@requirement("META-10", observed_by=("record",))
def test_empty_values_are_tolerated(grpcstream_wire: WireClient) -> None:
    verify.status(call_record(grpcstream_wire, add_field(grpcstream_wire, "x-empty", "")))


@requirement("META-13", observed_by=("record",))
def test_an_upper_case_name_is_malformed(grpcstream_wire: WireClient) -> None:
    stream = call_record(grpcstream_wire, add_field(grpcstream_wire, b"X-Upper", b"v"))
    verify.serves(grpcstream_wire.fresh(), "after an upper-case header name")
    if stream.status is not None and stream.status.ok:
        raise Deviation("the malformed request refused", "OK", stream)


@requirement("META-12", observed_by=("record",))
@pytest.mark.parametrize("split", [(20,), (40, 40, 10_000)], ids=["two", "three"])
def test_headers_may_be_split_into_several_frames(grpcstream_wire: WireClient, split: tuple[int, ...]) -> None:
    headers = grpcstream_wire.request_headers("Record")
    shape = Shape(split=(split[0], 1 << 14) if len(split) == 1 else split)
    verify.status(call_record(grpcstream_wire, headers, shape))


@requirement("META-19", observed_by=("list",))
def test_headers_without_a_dynamic_table_are_understood(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.HEADER_TABLE_SIZE: 0}) as client:
        for _ in range(3):
            verify.serves(client, "with SETTINGS_HEADER_TABLE_SIZE 0")
        found = client.connection.violations
        verify.no_findings(map(str, found), "response headers that decode without a dynamic table")


@requirement("META-19", features=("metadata",))
def test_indexed_headers_are_understood(grpcstream_wire: WireClient) -> None:
    for number in (1, 2, 2, 3, 1):
        value = f"indexed {number}"
        stream = call_record(grpcstream_wire, add_field(grpcstream_wire, INITIAL_KEY, value))
        verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])


@requirement("META-20", features=("abort",))
def test_a_small_header_list_limit_does_not_end_the_connection(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.MAX_HEADER_LIST_SIZE: 400}) as client:
        with client.open("List") as stream:
            stream.send_last(f"!abort 0 {'long ' * 400}", Code.NOT_FOUND)
            status = stream.end()
            verify.fail_unless(not status.ok, "an error status", str(status), stream)
        verify.unharmed(client, "after trailers larger than SETTINGS_MAX_HEADER_LIST_SIZE")


# Fields of responses ----------------------------------------------------------------------------------------------


@requirement("META-14")
def test_field_names_and_values_are_legal(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.FIELD_NAME, Rule.FIELD_VALUE)


@requirement("META-15")
def test_responses_have_no_connection_specific_fields(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.CONNECTION_FIELD)


@requirement("META-21")
def test_binary_metadata_is_base64(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.BINARY_METADATA)
