"""Metadata on the wire: base64 in its spellings, unusual values, and header blocks in several frames."""

from __future__ import annotations

import pytest

from pytest_grpcstream import INITIAL_KEY, TRAILING_KEY, Code, Deviation, verify
from pytest_grpcstream.clients.wire import Headers, SettingCode, Shape, WireClient, WireStream

_PLAIN = Shape()
requirement = pytest.mark.grpcstream_requirement


def called(client: WireClient, headers: Headers, shape: Shape = _PLAIN) -> WireStream:
    """A Record of one request with headers of the test's own choice, read to its end."""
    stream = client.open("Record", headers=headers, shape=shape)
    stream.send_last("metadata", 1)
    stream.end()
    return stream


def with_field(client: WireClient, name: str | bytes, value: str | bytes) -> Headers:
    """Usual request headers and one more field, exactly as given."""
    return client.request_headers("Record").added(name, value)


@requirement("META-3", observed_by=("record",))
@pytest.mark.parametrize("value", ["q6urqw", "q6urqw=="], ids=["without padding", "with padding"])
def test_base64_is_read_with_and_without_padding(grpcstream_wire: WireClient, value: str) -> None:
    stream = called(grpcstream_wire, with_field(grpcstream_wire, TRAILING_KEY, value))
    verify.status(stream)
    if grpcstream_wire.has("metadata"):
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [b"\xab\xab\xab\xab"])


@requirement("META-4", observed_by=("record",))
def test_binary_values_that_were_joined_are_taken(grpcstream_wire: WireClient) -> None:
    verify.status(called(grpcstream_wire, with_field(grpcstream_wire, "x-joined-bin", "q6ur,q6ur")))


@requirement("META-5")
@pytest.mark.parametrize("value", ["!!!!", "q"])
def test_values_that_are_no_base64_do_no_harm(grpcstream_wire: WireClient, value: str) -> None:
    called(grpcstream_wire, with_field(grpcstream_wire, "x-broken-bin", value))
    verify.serves(grpcstream_wire.fresh(), "after a -bin value that is no base64")


@requirement("META-5", observed_by=("record",))
def test_a_value_that_is_no_base64_spoils_no_later_one(grpcstream_wire: WireClient) -> None:
    # HPACK sends the key of the good value by its place in the table, where the bad one put it.
    for value, told in (("!!!!", "any"), ("q6ur", "a good one"), ("q6urqw", "another good one")):
        stream = called(grpcstream_wire, with_field(grpcstream_wire, "x-spoiled-bin", value))
        good = told == "any" or (stream.status is not None and stream.status.ok)
        verify.fail_unless(good, f"OK for {told}, behind a value that was no base64", str(stream.ended), stream)


@requirement("META-7", observed_by=("record",))
@pytest.mark.parametrize("value", [b"caf\xe9", b"a\tb"], ids=["0xe9", "tab"])
def test_values_that_are_no_ascii_are_no_error(grpcstream_wire: WireClient, value: bytes) -> None:
    verify.status(called(grpcstream_wire, with_field(grpcstream_wire, "x-unusual", value)))
    verify.serves(grpcstream_wire, "after a header value that is no ASCII")


@requirement("META-10", observed_by=("record",))
def test_empty_values_are_tolerated(grpcstream_wire: WireClient) -> None:
    verify.status(called(grpcstream_wire, with_field(grpcstream_wire, "x-empty", "")))


@requirement("META-12", observed_by=("record",))
@pytest.mark.parametrize("split", [(20,), (40, 40, 10_000)], ids=["two", "three"])
def test_headers_may_come_in_several_frames(grpcstream_wire: WireClient, split: tuple[int, ...]) -> None:
    headers = grpcstream_wire.request_headers("Record")
    shape = Shape(split=(split[0], 1 << 14) if len(split) == 1 else split)
    verify.status(called(grpcstream_wire, headers, shape))


@requirement("META-13", observed_by=("record",))
def test_an_upper_case_name_is_malformed(grpcstream_wire: WireClient) -> None:
    stream = called(grpcstream_wire, with_field(grpcstream_wire, b"X-Upper", b"v"))
    verify.serves(grpcstream_wire.fresh(), "after an upper-case header name")
    if stream.status is not None and stream.status.ok:
        raise Deviation("the request refused as malformed", "OK", stream)


@requirement("META-19", observed_by=("list",))
def test_headers_without_a_dynamic_table_are_understood(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.HEADER_TABLE_SIZE: 0}) as client:
        for _ in range(3):
            verify.serves(client, "with SETTINGS_HEADER_TABLE_SIZE 0")
        found = client.connection.violations
        verify.no_findings(map(str, found), "responses that decode without a dynamic table")


@requirement("META-19", features=("metadata",))
def test_headers_that_were_indexed_before_are_understood(grpcstream_wire: WireClient) -> None:
    for number in (1, 2, 2, 3, 1):
        value = f"indexed {number}"
        stream = called(grpcstream_wire, with_field(grpcstream_wire, INITIAL_KEY, value))
        verify.metadata(stream, "initial metadata", stream.initial_metadata, INITIAL_KEY, [value])


@requirement("META-20", features=("abort",))
def test_a_small_header_list_limit_does_not_end_the_connection(grpcstream_wire: WireClient) -> None:
    with grpcstream_wire.fresh(settings={SettingCode.MAX_HEADER_LIST_SIZE: 400}) as client:
        with client.open("List") as stream:
            stream.send_last(f"!abort 0 {'long ' * 400}", Code.NOT_FOUND)
            status = stream.end()
            verify.fail_unless(not status.ok, "an error", str(status), stream)
        verify.unharmed(client, "after trailers beyond SETTINGS_MAX_HEADER_LIST_SIZE")
