"""Compression: gzip messages, messages that do not match their encoding, and responses that the client can read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_grpcstream import STREAM_SERVICE, Code, Deviation, NotApplicable, Observe, Point, verify
from pytest_grpcstream.clients.wire import Headers, Rule, WireClient, WireStream, framed
from pytest_grpcstream.verify.payloads import gzip_message
from pytest_grpcstream.verify.wire import (
    Outcome,
    await_outcome,
    describe,
    each,
    expect_refusal,
    expect_served,
    send_record,
)

requirement = pytest.mark.grpcstream_requirement

PLAIN = STREAM_SERVICE.encode(STREAM_SERVICE.plain)
LARGE = Point("g" * (5 << 20), 1)
"""A message of 5 MiB, above the usual limit of 4 MiB. With gzip it takes some KiB."""


def headers_of(
    client: WireClient, encoding: str | None, accepted: str | None = None, method: str = "Record"
) -> Headers:
    """Request headers with this grpc-encoding and this grpc-accept-encoding, None for no such field."""
    headers = client.request_headers(method)
    for name, value in (("grpc-encoding", encoding), ("grpc-accept-encoding", accepted)):
        headers = headers if value is None else headers.added(name, value)
    return headers


def supported_encodings(stream: WireStream) -> list[str]:
    """The encodings that the server lists in the headers or trailers of its response."""
    fields = [*(stream.response.headers or ()), *(stream.response.trailers or ())]
    values = b",".join(value for name, value in fields if name == b"grpc-accept-encoding")
    return [one.strip() for one in values.decode("latin-1").split(",") if one.strip()]


def require_gzip(client: WireClient) -> None:
    """Skip the test unless the server accepts a gzip message, or lists gzip as supported."""
    with client.fresh() as own:
        stream = send_record(own, headers_of(own, "gzip"), gzip_message(PLAIN))
        if await_outcome(stream) is not Outcome.SERVED and "gzip" not in supported_encodings(stream):
            raise NotApplicable(f"the target does not accept gzip: {describe(stream)}")


def ends_with_internal(stream: WireStream, cause: str) -> None:
    """The call ends with INTERNAL; another refusal, and OK, are a deviation.

    OK is not a failure: where the message was readable nothing is lost, and where it was not the caller checks for OK.
    """
    expected = f"INTERNAL for {cause}"
    expect_refusal(stream, expected, by={Outcome.STATUS, Outcome.RESET})
    if stream.ended is not None and stream.ended.status.code != Code.INTERNAL:
        raise Deviation(expected, describe(stream), stream)


# Gzip messages ----------------------------------------------------------------------------------------------------


def reads_all(client: WireClient, compressed: Sequence[bool]) -> None:
    """A Record reads every message, some of them compressed. A server with `echo` must return their texts."""
    texts = [f"message {number}" for number in range(len(compressed))]
    echo = client.has("echo")
    messages = [STREAM_SERVICE.encode(Point(f"!echo {text}" if echo else text, 1)) for text in texts]
    data = [gzip_message(one) if zipped else framed(one) for one, zipped in zip(messages, compressed, strict=True)]
    with client.open("Record", headers=headers_of(client, "gzip")) as stream:
        stream.write(b"".join(data))
        point = verify.only_answer(stream)
    if echo:
        verify.same(stream, [point], [Point(",".join(texts), len(texts))], "every request")


@requirement("COMP-1", observed_by=("record",))
def test_gzip_is_accepted_per_message(grpcstream_wire: WireClient) -> None:
    require_gzip(grpcstream_wire)
    reads_all(grpcstream_wire, (True, False, True, False))


@requirement("COMP-1", features=("echo",), observed_by=("record",))
def test_an_encoding_applies_to_its_call_only(grpcstream_wire: WireClient) -> None:
    require_gzip(grpcstream_wire)
    zipped = grpcstream_wire.open("Record", headers=headers_of(grpcstream_wire, "gzip"))
    plain = grpcstream_wire.open("Record")
    zipped.data(gzip_message(STREAM_SERVICE.encode(Point("!echo zipped", 1))))
    plain.data(framed(Point("!echo plain", 1)))
    for stream, text in ((zipped, "zipped"), (plain, "plain")):
        verify.same(stream, [verify.only_answer(stream)], [Point(text, 1)], "its own request")


@requirement("COMP-10", observed_by=("record",))
def test_every_gzip_message_is_decompressed_independently(grpcstream_wire: WireClient) -> None:
    require_gzip(grpcstream_wire)
    reads_all(grpcstream_wire, (True, True, True))


@requirement("COMP-9", observed_by=("record",))
def test_identity_is_accepted(grpcstream_wire: WireClient) -> None:
    expect_served(send_record(grpcstream_wire, headers_of(grpcstream_wire, "identity")))


# Messages that do not match their encoding ------------------------------------------------------------------------


@requirement("COMP-2", observed_by=("record",))
def test_a_compressed_message_without_encoding_is_an_error(grpcstream_wire: WireClient) -> None:
    stream = send_record(grpcstream_wire, data=framed(PLAIN, compressed=1))
    ends_with_internal(stream, "a compressed message without grpc-encoding")
    verify.serves(grpcstream_wire.fresh(), "after a compressed message without grpc-encoding")


@requirement("COMP-3", observed_by=("record",))
def test_a_compressed_message_with_identity_is_an_error(grpcstream_wire: WireClient) -> None:
    stream = send_record(grpcstream_wire, headers_of(grpcstream_wire, "identity"), framed(PLAIN, compressed=1))
    ends_with_internal(stream, "a compressed message with grpc-encoding identity")
    verify.serves(grpcstream_wire.fresh(), "after a compressed message with grpc-encoding identity")


@requirement("COMP-4", observed_by=("record",))
def test_an_unknown_encoding_is_unimplemented(grpcstream_wire: WireClient) -> None:
    stream = send_record(grpcstream_wire, headers_of(grpcstream_wire, "unknown"), framed(b"\xff" * 8, compressed=1))
    got = await_outcome(stream)
    verify.serves(grpcstream_wire.fresh(), "after a message in an unknown encoding")
    verify.fail_unless(got is not Outcome.SERVED, "UNIMPLEMENTED for a message in an unknown encoding", "OK", stream)
    expect_refusal(stream, "UNIMPLEMENTED", by={Outcome.STATUS})
    if stream.ended is not None and stream.ended.status.code != Code.UNIMPLEMENTED:
        raise Deviation("UNIMPLEMENTED", describe(stream), stream)
    supported = supported_encodings(stream)
    if not supported or "unknown" in supported:
        shown = ", ".join(supported) or "no such field"
        raise Deviation("UNIMPLEMENTED and a grpc-accept-encoding that lists other encodings", shown, stream)


@requirement("COMP-5", observed_by=("record",))
def test_an_unknown_encoding_without_compressed_messages_is_refused_or_ignored(
    grpcstream_wire: WireClient, grpcstream_observe: Observe
) -> None:
    stream = send_record(grpcstream_wire, headers_of(grpcstream_wire, "unknown"))
    await_outcome(stream)
    grpcstream_observe(f"an unknown grpc-encoding and an uncompressed message: {describe(stream)}")
    verify.serves(grpcstream_wire.fresh(), "after an unknown grpc-encoding")


@requirement("COMP-6", observed_by=("record",))
def test_a_message_that_does_not_decompress_is_an_error(grpcstream_wire: WireClient) -> None:
    require_gzip(grpcstream_wire)
    unreadable = {
        "not gzip": framed(b"not gzip", compressed=1),
        "half of it": gzip_message(PLAIN * 9, length=24),
    }
    readable = {
        "no checksum": gzip_message(PLAIN, checksum=b""),
        "a wrong checksum": gzip_message(PLAIN, checksum=bytes(8)),
    }

    def check(client: WireClient, data: bytes) -> None:
        stream = send_record(client, headers_of(client, "gzip"), data)
        lost = await_outcome(stream) is Outcome.SERVED and data in unreadable.values()
        verify.fail_unless(not lost, "INTERNAL for a message that does not decompress", "OK", stream)
        ends_with_internal(stream, "a message that does not decompress")

    each(grpcstream_wire, {**unreadable, **readable}, check)


@requirement("COMP-12", observed_by=("record",))
def test_a_compressed_message_of_length_zero_is_empty_or_an_error(
    grpcstream_wire: WireClient, grpcstream_observe: Observe
) -> None:
    require_gzip(grpcstream_wire)
    stream = send_record(grpcstream_wire, headers_of(grpcstream_wire, "gzip"), framed(b"", compressed=1))
    await_outcome(stream)
    grpcstream_observe(f"a gzip message of length 0: {describe(stream)}")
    verify.serves(grpcstream_wire.fresh(), "after a gzip message of length 0")


@requirement("COMP-7", observed_by=("record",))
def test_the_size_limit_applies_to_the_decompressed_message(grpcstream_wire: WireClient) -> None:
    require_gzip(grpcstream_wire)
    with grpcstream_wire.fresh() as plain, plain.open("Record") as stream:
        stream.send_together([LARGE], end_stream=True)
        if await_outcome(stream) is Outcome.SERVED:
            raise NotApplicable("the target has no limit below 5 MiB")
    zipped = send_record(
        grpcstream_wire, headers_of(grpcstream_wire, "gzip"), gzip_message(STREAM_SERVICE.encode(LARGE))
    )
    got = await_outcome(zipped)
    verify.serves(grpcstream_wire.fresh(), "after some KiB of gzip that expand to 5 MiB")
    expected = "RESOURCE_EXHAUSTED for 5 MiB with gzip, as for 5 MiB without"
    expect_refusal(zipped, expected, by={Outcome.STATUS})
    if got is Outcome.STATUS and zipped.ended is not None and zipped.ended.status.code != Code.RESOURCE_EXHAUSTED:
        raise Deviation(expected, describe(zipped), zipped)


# Responses --------------------------------------------------------------------------------------------------------


@requirement("COMP-8", observed_by=("list", "record"))
def test_responses_use_no_encoding_that_the_client_did_not_list(grpcstream_wire: WireClient) -> None:
    compressible = STREAM_SERVICE.encode(Point("compressible " * 200, 1))
    for encoding, accepted, data in (
        (None, None, framed(compressible)),
        (None, "identity", framed(compressible)),
        ("gzip", None, gzip_message(compressible)),
        ("gzip", "identity", gzip_message(compressible)),
    ):
        for method in ("List", "Record"):
            headers = headers_of(grpcstream_wire, encoding, accepted, method)
            with grpcstream_wire.open(method, headers=headers) as stream:
                stream.write(data, end_stream=True)
                await_outcome(stream)
    found = grpcstream_wire.connection.violations.of(Rule.ENCODING_NOT_OFFERED)
    verify.no_findings(map(str, found), "uncompressed responses to a client that lists no encoding or identity")


@requirement("COMP-11", observed_by=("list",))
def test_a_client_that_accepts_gzip_can_read_the_responses(grpcstream_wire: WireClient) -> None:
    point = Point("compressible " * 100, 1)
    headers = headers_of(grpcstream_wire, None, "identity, gzip", "List")
    with grpcstream_wire.open("List", headers=headers) as stream:
        stream.send_last(point)
        verify.list_answer(stream, point)
    rules = (Rule.COMPRESSED_WITHOUT_ENCODING, Rule.BAD_COMPRESSION, Rule.COMPRESSED_FLAG, Rule.ENCODING_NOT_OFFERED)
    verify.no_findings(map(str, stream.violations.of(*rules)), "responses that name their encoding", stream)
