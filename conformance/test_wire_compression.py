"""Compression: messages in gzip, messages that are not what they say, and responses that a client can read."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Iterable, Mapping

import pytest

from pytest_grpcstream import Code, Deviation, NotApplicable, Point, verify
from pytest_grpcstream.clients.wire import Headers, Rule, WireClient, WireStream, framed
from pytest_grpcstream.plugin.session import observe
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import PLAIN_REQUEST, Outcome, answered, asked, each, outcome, refused, served, told

requirement = pytest.mark.grpcstream_requirement

MIB = 1 << 20
PLAIN = STREAM_SERVICE.encode(PLAIN_REQUEST)


def gzipped(data: bytes = PLAIN) -> bytes:
    """A message in gzip, with its prefix."""
    return framed(gzip.compress(data, mtime=0), compressed=1)


def in_encoding(client: WireClient, encoding: str | None, accept: str | None = None, method: str = "Record") -> Headers:
    """The request headers for messages in an encoding, and for responses in others."""
    headers = client.request_headers(method)
    for name, value in (("grpc-encoding", encoding), ("grpc-accept-encoding", accept)):
        headers = headers if value is None else headers.added(name, value)
    return headers


def known_encodings(stream: WireStream) -> list[str]:
    """The encodings that the server lists in a response, wherever it does."""
    fields = [*(stream.response.headers or ()), *(stream.response.trailers or ())]
    values = b",".join(value for name, value in fields if name == b"grpc-accept-encoding")
    return [one.strip() for one in values.decode("latin-1").split(",") if one.strip()]


def takes_gzip(client: WireClient) -> None:
    """Leave a requirement out unless the server takes a message in gzip, or says that it does."""
    with client.fresh() as own:
        stream = asked(own, in_encoding(own, "gzip"), gzipped())
        if outcome(stream) is not Outcome.SERVED and "gzip" not in known_encodings(stream):
            raise NotApplicable(f"the target takes no gzip: {told(stream)}")


def internal(stream: WireStream, why: str) -> None:
    """The call ends with INTERNAL; another refusal, and OK, are a deviation.

    OK loses nothing where the message could be read all the same; where it could not, the caller looks first.
    """
    expected = f"INTERNAL for {why}"
    refused(stream, expected, by={Outcome.STATUS, Outcome.RESET})
    if stream.ended is not None and stream.ended.status.code != Code.INTERNAL:
        raise Deviation(expected, told(stream), stream)


# Messages in gzip -------------------------------------------------------------------------------------------------


def all_read(client: WireClient, capabilities: Capabilities, compressed: Iterable[bool]) -> None:
    """A Record of messages, some of them in gzip, is answered, and where it can echo it tells of each of them."""
    texts = [f"message {number}" for number, _ in enumerate(compressed)]
    name = "!echo {}" if "echo" in capabilities.features else "{}"
    plain = [STREAM_SERVICE.encode(Point(name.format(text), 1)) for text in texts]
    data = [gzipped(one) if zipped else framed(one) for one, zipped in zip(plain, compressed, strict=True)]
    with client.open("Record", headers=in_encoding(client, "gzip")) as stream:
        stream.write(b"".join(data))
        point = verify.only_answer(stream)
    if "echo" in capabilities.features:
        verify.same(stream, [point], [Point(",".join(texts), len(texts))], "every request")


@requirement("COMP-1", needs=("record",))
def test_gzip_is_taken_message_by_message(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    takes_gzip(grpcstream_wire)
    all_read(grpcstream_wire, grpcstream_capabilities, (True, False, True, False))


@requirement("COMP-1", needs=("echo", "record"))
def test_an_encoding_is_that_of_its_call_alone(grpcstream_wire: WireClient) -> None:
    takes_gzip(grpcstream_wire)
    zipped = grpcstream_wire.open("Record", headers=in_encoding(grpcstream_wire, "gzip"))
    plain = grpcstream_wire.open("Record")
    zipped.data(gzipped(STREAM_SERVICE.encode(Point("!echo zipped", 1))))
    plain.data(framed(Point("!echo plain", 1)))
    for stream, text in ((zipped, "zipped"), (plain, "plain")):
        verify.same(stream, [verify.only_answer(stream)], [Point(text, 1)], "its own request")


@requirement("COMP-10", needs=("record",))
def test_every_gzipped_message_stands_alone(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    takes_gzip(grpcstream_wire)
    all_read(grpcstream_wire, grpcstream_capabilities, (True, True, True))


@requirement("COMP-9", needs=("record",))
def test_identity_is_taken(grpcstream_wire: WireClient) -> None:
    served(asked(grpcstream_wire, in_encoding(grpcstream_wire, "identity")))


# Messages that are not what they say ------------------------------------------------------------------------------


@requirement("COMP-2", needs=("record",))
def test_a_compressed_message_without_encoding_is_an_error(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    internal(asked(grpcstream_wire, data=framed(PLAIN, compressed=1)), "a compressed message without grpc-encoding")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a compressed message without grpc-encoding")


@requirement("COMP-3", needs=("record",))
def test_a_compressed_message_in_identity_is_an_error(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    stream = asked(grpcstream_wire, in_encoding(grpcstream_wire, "identity"), framed(PLAIN, compressed=1))
    internal(stream, "a compressed message in identity")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a compressed message in identity")


@requirement("COMP-4", needs=("record",))
def test_an_unknown_encoding_is_unimplemented(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    stream = asked(grpcstream_wire, in_encoding(grpcstream_wire, "unknown"), framed(b"\xff" * 8, compressed=1))
    got = outcome(stream)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a message in an unknown encoding")
    verify.fail_unless(got is not Outcome.SERVED, "UNIMPLEMENTED for a message in an unknown encoding", "OK", stream)
    refused(stream, "UNIMPLEMENTED", by={Outcome.STATUS})
    known = known_encodings(stream)
    if stream.ended is not None and stream.ended.status.code != Code.UNIMPLEMENTED:
        raise Deviation("UNIMPLEMENTED", told(stream), stream)
    if not known or "unknown" in known:
        shown = ", ".join(known) or "no such field"
        raise Deviation("UNIMPLEMENTED and a grpc-accept-encoding that lists other encodings", shown, stream)


@requirement("COMP-5", needs=("record",))
def test_an_unknown_encoding_that_is_not_used_is_refused_or_ignored(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, request: pytest.FixtureRequest
) -> None:
    stream = asked(grpcstream_wire, in_encoding(grpcstream_wire, "unknown"))
    outcome(stream)
    observe(request.node, f"an unknown grpc-encoding and a plain message: {told(stream)}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after an unknown grpc-encoding")


LOST: Mapping[str, bytes] = {
    "no gzip at all": framed(b"no gzip", compressed=1),
    "half of it": framed(gzip.compress(PLAIN * 9, mtime=0)[:24], compressed=1),
}
"""Messages of which something cannot be read."""
DAMAGED: Mapping[str, bytes] = {
    "no checksum": framed(gzip.compress(PLAIN, mtime=0)[:-8], compressed=1),
    "a wrong checksum": framed(gzip.compress(PLAIN, mtime=0)[:-8] + bytes(8), compressed=1),
}
"""Messages that can be read but are not right."""


@requirement("COMP-6", needs=("record",))
def test_what_does_not_decompress_is_an_error(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    takes_gzip(grpcstream_wire)

    def check(client: WireClient, data: bytes) -> None:
        stream = asked(client, in_encoding(client, "gzip"), data)
        lost = outcome(stream) is Outcome.SERVED and data in LOST.values()
        verify.fail_unless(not lost, "INTERNAL for a message that does not decompress", "OK", stream)
        internal(stream, "a message that does not decompress")

    each(grpcstream_wire, grpcstream_capabilities, {**LOST, **DAMAGED}, check)


@requirement("ROBUST-5")
def test_corrupt_messages_take_no_server_down(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    def check(client: WireClient, data: bytes) -> None:
        answered(asked(client, in_encoding(client, "gzip"), data), "an error for a gzipped message that is damaged")

    each(grpcstream_wire, grpcstream_capabilities, {**LOST, **DAMAGED}, check)


@requirement("COMP-12", needs=("record",))
def test_a_compressed_message_of_length_zero_is_empty_or_an_error(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, request: pytest.FixtureRequest
) -> None:
    takes_gzip(grpcstream_wire)
    stream = asked(grpcstream_wire, in_encoding(grpcstream_wire, "gzip"), framed(b"", compressed=1))
    outcome(stream)
    observe(request.node, f"a gzipped message of length 0: {told(stream)}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a gzipped message of length 0")


@functools.cache
def large() -> bytes:
    """A message of 5 MiB, which is above the usual limit."""
    return STREAM_SERVICE.encode(Point("g" * (5 * MIB), 1))


@requirement("COMP-7", needs=("record",))
def test_the_limit_counts_for_the_decompressed_message(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    takes_gzip(grpcstream_wire)
    with grpcstream_wire.fresh() as plain, plain.open("Record") as stream:
        stream.send_together([large()], end_stream=True)
        if outcome(stream) is Outcome.SERVED:
            raise NotApplicable("the target has no limit below 5 MiB")
    zipped = asked(grpcstream_wire, in_encoding(grpcstream_wire, "gzip"), gzipped(large()))
    got = outcome(zipped)
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after some KiB of gzip that grow to 5 MiB")
    expected = "RESOURCE_EXHAUSTED for 5 MiB in gzip, as for 5 MiB without"
    refused(zipped, expected, by={Outcome.STATUS})
    if got is Outcome.STATUS and zipped.ended is not None and zipped.ended.status.code != Code.RESOURCE_EXHAUSTED:
        raise Deviation(expected, told(zipped), zipped)


# Responses --------------------------------------------------------------------------------------------------------


@requirement("COMP-8", needs=("list", "record"))
def test_responses_come_in_no_encoding_that_the_client_did_not_list(grpcstream_wire: WireClient) -> None:
    large = STREAM_SERVICE.encode(Point("compressible " * 200, 1))
    for encoding, accept, data in (
        (None, None, framed(large)),
        (None, "identity", framed(large)),
        ("gzip", None, gzipped(large)),
        ("gzip", "identity", gzipped(large)),
    ):
        for method in ("List", "Record"):
            headers = in_encoding(grpcstream_wire, encoding, accept, method)
            with grpcstream_wire.open(method, headers=headers) as stream:
                stream.write(data, end_stream=True)
                outcome(stream)
    found = grpcstream_wire.connection.violations.of(Rule.ENCODING_NOT_OFFERED)
    verify.nothing_wrong(map(str, found), "plain responses to a client that lists no encoding or identity")


@requirement("COMP-11", needs=("list",))
def test_a_client_that_takes_gzip_can_read_what_it_gets(grpcstream_wire: WireClient) -> None:
    point = Point("compressible " * 100, 1)
    headers = in_encoding(grpcstream_wire, None, "identity, gzip", "List")
    with grpcstream_wire.open("List", headers=headers) as stream:
        stream.send_last(point)
        verify.list_answer(stream, point)
    rules = (Rule.COMPRESSED_WITHOUT_ENCODING, Rule.BAD_COMPRESSION, Rule.COMPRESSED_FLAG, Rule.ENCODING_NOT_OFFERED)
    verify.nothing_wrong(map(str, stream.violations.of(*rules)), "responses that name their encoding", stream)
