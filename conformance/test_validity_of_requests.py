"""Validity of requests: what a server must accept, what it must refuse, and where it has a choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from pytest_grpcstream import STREAM_SERVICE, Client, Code, Connect, Deviation, Observe, Point, verify
from pytest_grpcstream.clients.wire import Headers, Origin, Rule, WireClient, WireStream, framed
from pytest_grpcstream.verify.payloads import bytes_field, fixed_field, varint_field
from pytest_grpcstream.verify.violations import get_responses, no_violations
from pytest_grpcstream.verify.wire import (
    Outcome,
    await_outcome,
    describe,
    each,
    expect_answer,
    expect_refusal,
    expect_served,
    send_record,
)

requirement = pytest.mark.grpcstream_requirement

Change = Callable[[Headers], Headers]
"""Derives other request headers from the usual ones."""


def replacing(name: str, *values: str) -> dict[str, Change]:
    """One change per value: the field has this value instead of its own."""
    return {value or "an empty value": partial(Headers.replaced, name=name, value=value) for value in values}


def adding(*fields: tuple[str, str]) -> dict[str, Change]:
    """One change per field: the headers end with this field too."""
    return {f"{name}: {value}": partial(Headers.added, name=name, value=value) for name, value in fields}


def call_changed_record(client: WireClient, change: Change) -> WireStream:
    """Call Record with changed request headers, one request and the half-close."""
    return send_record(client, change(client.request_headers("Record")))


def refuses_each(client: WireClient, changes: Mapping[str, Change], expected: str) -> None:
    """The server refuses a Record with each of these changes to its headers, and keeps serving."""
    each(client, changes, lambda own, change: expect_refusal(call_changed_record(own, change), expected))


# Paths and methods ------------------------------------------------------------------------------------------------


@requirement("WIRE-1")
def test_an_unknown_method_is_unimplemented(grpcstream: Client) -> None:
    with grpcstream.open("NoSuchMethod") as stream:
        stream.send("is anyone there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, tolerated=other_errors(Code.UNIMPLEMENTED))
    verify.unharmed(grpcstream, "after a call of an unknown method")


@requirement("WIRE-2")
def test_an_unknown_service_is_unimplemented(grpcstream: Client) -> None:
    with grpcstream.open("/proto.NoSuchService/List") as stream:
        stream.send("is anyone there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, tolerated=other_errors(Code.UNIMPLEMENTED))
    verify.unharmed(grpcstream, "after a call of an unknown service")


@requirement("WIRE-3")
@pytest.mark.parametrize(
    "path", ["/proto.streamservice/List", "/proto.StreamService/list", "/proto.StreamService/List/"]
)
def test_the_path_of_a_method_is_exact(grpcstream: Client, path: str) -> None:
    with grpcstream.open(path) as stream:
        stream.send("is anyone there", 1)
        stream.close_send()
        verify.status(stream, Code.UNIMPLEMENTED, allowed=other_errors(Code.UNIMPLEMENTED))


@requirement("WIRE-3", observed_by=("record",))
def test_a_similar_path_is_an_unknown_method(grpcstream_wire: WireClient) -> None:
    paths = ("/StreamService/Record", "/proto.StreamService/", "//proto.StreamService/Record", "/Record", "/")
    refuses_each(grpcstream_wire, replacing(":path", *paths), "UNIMPLEMENTED or HTTP 404")


@requirement("WIRE-4", observed_by=("record",))
def test_a_path_without_a_slash_is_refused(grpcstream_wire: WireClient) -> None:
    paths = replacing(":path", "", "proto.StreamService/Record")
    refuses_each(grpcstream_wire, paths, "a refusal of a path that does not begin with '/'")


@requirement("WIRE-12", observed_by=("record",))
def test_only_post_runs_a_method(grpcstream_wire: WireClient) -> None:
    methods = replacing(":method", "GET", "PUT", "OPTIONS", "post")
    refuses_each(grpcstream_wire, methods, "HTTP 405 or another refusal")


# Content-type -----------------------------------------------------------------------------------------------------


def refuses_as_unsupported(client: WireClient, change: Change) -> None:
    """The server refuses a Record with changed headers by HTTP status 415; another refusal is a deviation."""
    stream = call_changed_record(client, change)
    expect_refusal(stream, "HTTP status 415")
    if stream.response.http_status != 415:
        raise Deviation("HTTP status 415", describe(stream), stream)


@requirement("WIRE-5", observed_by=("record",))
def test_other_content_types_are_unsupported(grpcstream_wire: WireClient) -> None:
    types = replacing("content-type", "application/json", "text/html", "application/octet-stream")
    each(grpcstream_wire, types, refuses_as_unsupported)


@requirement("WIRE-6", observed_by=("record",))
def test_a_request_without_content_type_is_unsupported(grpcstream_wire: WireClient) -> None:
    without: dict[str, Change] = {"no content-type": lambda headers: headers.without("content-type")}
    each(grpcstream_wire, without, refuses_as_unsupported)


@requirement("WIRE-7", observed_by=("list", "record", "route"))
@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_both_content_types_of_grpc_are_accepted(grpcstream_wire: WireClient, content_type: str) -> None:
    for method, count in (("List", None), ("Record", 1), ("Route", 1 + grpcstream_wire.greetings)):
        headers = grpcstream_wire.request_headers(method).replaced("content-type", content_type)
        with grpcstream_wire.open(method, headers=headers) as stream:
            stream.send_last(STREAM_SERVICE.plain)
            verify.status(stream)
            verify.fail_unless(
                count in (None, stream.received), f"{count} response(s)", f"{stream.received} responses", stream
            )


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/grpc+unknown", marks=requirement("WIRE-8", observed_by=("record",))),
        pytest.param("application/grpc;charset=utf-8", marks=requirement("WIRE-9", observed_by=("record",))),
        pytest.param("application/grpc-web", marks=requirement("WIRE-10", observed_by=("record",))),
    ],
)
def test_a_similar_content_type_is_refused_or_accepted(
    grpcstream_wire: WireClient, grpcstream_observe: Observe, content_type: str
) -> None:
    stream = call_changed_record(grpcstream_wire, partial(Headers.replaced, name="content-type", value=content_type))
    await_outcome(stream)
    grpcstream_observe(f"{content_type}: {describe(stream)}")
    verify.serves(grpcstream_wire.fresh(), f"after the content-type {content_type}")


# Other fields -----------------------------------------------------------------------------------------------------


@requirement("WIRE-11", observed_by=("record",))
def test_a_request_without_te_does_not_hang(grpcstream_wire: WireClient) -> None:
    changes: dict[str, Change] = {"no te": lambda headers: headers.without("te"), **replacing("te", "gzip")}

    def check(client: WireClient, change: Change) -> None:
        expect_answer(call_changed_record(client, change), "any answer to a request without te: trailers")

    each(grpcstream_wire, changes, check)


@requirement("WIRE-20", observed_by=("record",))
def test_the_required_headers_alone_are_enough(grpcstream_wire: WireClient) -> None:
    expect_served(call_changed_record(grpcstream_wire, lambda headers: headers.without("user-agent")))


@requirement("WIRE-21", observed_by=("record",))
def test_host_replaces_a_missing_authority(grpcstream_wire: WireClient) -> None:
    def change(headers: Headers) -> Headers:
        return headers.without(":authority").added("host", headers.all(":authority")[0])

    expect_served(call_changed_record(grpcstream_wire, change))


@requirement("WIRE-21", observed_by=("record",))
def test_two_authorities_are_refused_and_none_does_not_hang(grpcstream_wire: WireClient) -> None:
    changes: dict[str, Change] = {
        "two :authority": lambda headers: headers.added(":authority", "other.example", at=4),
        "two host": lambda headers: headers.without(":authority").added("host", "a.example").added("host", "b.example"),
        "none": lambda headers: headers.without(":authority"),
    }

    def check(client: WireClient, change: Change) -> None:
        stream = call_changed_record(client, change)
        if change is changes["none"]:
            expect_answer(stream, "any answer to a request without an authority")
        else:
            expect_refusal(stream, "HTTP 400, INTERNAL or RST_STREAM for two authorities")

    each(grpcstream_wire, changes, check)


@requirement("WIRE-22", observed_by=("record",))
def test_connection_specific_fields_make_a_request_malformed(grpcstream_wire: WireClient) -> None:
    fields = adding(("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("transfer-encoding", "chunked"))
    refuses_each(grpcstream_wire, fields, "a refusal of a request with a connection-specific field")


@requirement("WIRE-23", observed_by=("record",))
def test_wrong_pseudo_header_fields_make_a_request_malformed(grpcstream_wire: WireClient) -> None:
    changes: dict[str, Change] = {
        "no :method": lambda headers: headers.without(":method"),
        "no :scheme": lambda headers: headers.without(":scheme"),
        "no :path": lambda headers: headers.without(":path"),
        "two :method": lambda headers: headers.added(":method", "POST", at=1),
        "two :path": lambda headers: headers.added(":path", "/proto.StreamService/Record", at=3),
        ":path after other fields": lambda headers: headers.without(":path").added(":path", headers.all(":path")[0]),
        "an unknown one": lambda headers: headers.added(":unknown", "1", at=0),
        ":status": lambda headers: headers.added(":status", "200", at=0),
    }
    refuses_each(grpcstream_wire, changes, "a refusal of a request with wrong pseudo-header fields")


@requirement("WIRE-24", observed_by=("record",))
def test_a_wrong_content_length_makes_a_request_malformed(grpcstream_wire: WireClient) -> None:
    length = len(framed(STREAM_SERVICE.plain))
    lengths = adding(("content-length", str(length - 1)), ("content-length", str(length + 1)))
    refuses_each(grpcstream_wire, lengths, f"a refusal of {length} bytes of DATA")


# Messages ---------------------------------------------------------------------------------------------------------


def other_errors(expected: Code) -> dict[Code, str]:
    """Every error code except the specified one: the call fails as it must, only the code is wrong."""
    return {code: "an error, but with another code" for code in Code if code not in (Code.OK, expected)}


@requirement("WIRE-13", observed_by=("record",))
def test_compressed_flags_other_than_0_and_1_are_refused(grpcstream_wire: WireClient, grpcstream_quiet: float) -> None:
    expected = "an error, preferably INTERNAL"

    def check(client: WireClient, flag: int) -> None:
        with client.open("Record") as stream:
            stream.write(framed(Point("!echo flagged", 1), compressed=flag))
            # A server that reports no error until the half-close receives it after a while.
            await_outcome(stream, grpcstream_quiet)
            stream.close_send()
            if expect_answer(stream, expected) is Outcome.SERVED:
                raise Deviation(expected, f"OK with the response {stream.recv()}", stream)

    each(grpcstream_wire, {f"the flag {flag}": flag for flag in (2, 128, 255)}, check)


@requirement("WIRE-15")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_request_that_is_not_protobuf_is_refused(
    grpcstream: Client, grpcstream_connect: Connect, method: str
) -> None:
    with grpcstream.open(method) as stream:
        # A field that claims to be longer than any message can be.
        stream.send_bytes(b"\x0a\xff\xff\xff\xff\xff")
        stream.close_send()
        stream.end()
        verify.serves(grpcstream_connect(), f"after a {method} request that is not a protobuf message")
        verify.status(stream, Code.INTERNAL, tolerated=other_errors(Code.INTERNAL))


@requirement("WIRE-16", observed_by=("list",))
def test_unknown_fields_are_ignored(grpcstream: Client) -> None:
    unknown = (
        varint_field(99, 7)
        + bytes_field(100, b"unknown")
        + fixed_field(101, b"\x01\x02\x03\x04")
        + fixed_field(102, bytes(8))
    )
    point = unknown + bytes_field(1, b"name") + varint_field(2, 5)
    with grpcstream.open("List") as stream:
        stream.send_bytes(unknown + bytes_field(1, point) + unknown)
        stream.close_send()
        verify.list_answer(stream, Point("name", 5))


@requirement("WIRE-17")
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_name_that_is_not_utf8_does_not_crash_the_server(
    grpcstream: Client, grpcstream_connect: Connect, method: str
) -> None:
    with grpcstream.open(method) as stream:
        stream.send_bytes(bytes_field(1, bytes_field(1, b"\xff\xfe\x80") + varint_field(2, 5)))
        stream.close_send()
        stream.end()
    verify.serves(grpcstream_connect(), f"after a {method} request whose name is not UTF-8")


NAME, VALUE = bytes_field(1, b"name"), varint_field(2, 5)
ENCODINGS = {
    "value before name": bytes_field(1, VALUE + NAME),
    "last value wins": bytes_field(1, varint_field(2, 9) + bytes_field(1, b"other") + VALUE + NAME),
    "pt in two parts": bytes_field(1, NAME) + bytes_field(1, VALUE),
    "long varint": bytes_field(1, NAME + varint_field(2, 5, size=5)),
}
"""Encodings of the point ("name", 5)."""


@requirement("WIRE-18", observed_by=("list",))
@pytest.mark.parametrize("encoded", ENCODINGS.values(), ids=ENCODINGS)
def test_unusual_encodings_are_understood(grpcstream: Client, encoded: bytes) -> None:
    with grpcstream.open("List") as stream:
        stream.send_bytes(encoded)
        stream.close_send()
        verify.list_answer(stream, Point("name", 5))


# Responses ---------------------------------------------------------------------------------------------------------


@requirement("WIRE-19")
def test_response_messages_are_framed_as_their_prefixes_say(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(
        grpcstream_wire,
        responses,
        Rule.TRUNCATED_MESSAGE,
        Rule.COMPRESSED_FLAG,
        Rule.COMPRESSED_WITHOUT_ENCODING,
        Rule.BAD_COMPRESSION,
        Rule.CONTENT_LENGTH,
    )
    for stream in responses:
        verify.fail_unless(
            stream.ended is None or stream.ended.origin is not Origin.CLIENT_REFUSED,
            "messages that can be read",
            str(stream.ended),
            stream,
        )
