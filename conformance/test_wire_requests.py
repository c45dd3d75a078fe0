"""Request headers: what a server must take, what it should refuse, and what it may do either way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from pytest_grpcstream import Deviation, Point, verify
from pytest_grpcstream.clients.wire import Headers, WireClient, framed
from pytest_grpcstream.plugin.session import observe
from pytest_grpcstream.service import STREAM_SERVICE
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import PLAIN_REQUEST, Outcome, answered, asked, each, outcome, refused, served, told

requirement = pytest.mark.grpcstream_requirement

Change = Callable[[Headers], Headers]
"""Makes other request headers of the usual ones."""


def replaced(name: str, *values: str) -> dict[str, Change]:
    """Changes that give a field each of these values in place of its own."""
    return {value or "an empty value": partial(Headers.replaced, name=name, value=value) for value in values}


def added(*fields: tuple[str, str]) -> dict[str, Change]:
    """Changes that add each of these fields at the end."""
    return {f"{name}: {value}": partial(Headers.added, name=name, value=value) for name, value in fields}


def refused_with(expected: str) -> Callable[[WireClient, Change], None]:
    """A check that a Record with changed headers is refused."""

    def check(client: WireClient, change: Change) -> None:
        refused(asked(client, change(_usual(client))), expected)

    return check


def _usual(client: WireClient) -> Headers:
    return client.request_headers("Record")


# Paths and methods ------------------------------------------------------------------------------------------------


@requirement("WIRE-3", needs=("record",))
def test_what_only_resembles_the_path_of_a_method_is_not_it(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    paths = ("/StreamService/Record", "/proto.StreamService/", "//proto.StreamService/Record", "/Record", "/")
    each(grpcstream_wire, grpcstream_capabilities, replaced(":path", *paths), refused_with("UNIMPLEMENTED or HTTP 404"))


@requirement("WIRE-4", needs=("record",))
def test_a_path_without_a_slash_is_refused(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    paths = replaced(":path", "", "proto.StreamService/Record")
    each(
        grpcstream_wire,
        grpcstream_capabilities,
        paths,
        refused_with("a refusal of a path that does not begin with '/'"),
    )


@requirement("WIRE-12", needs=("record",))
def test_only_post_runs_a_method(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    methods = replaced(":method", "GET", "PUT", "OPTIONS", "post")
    each(grpcstream_wire, grpcstream_capabilities, methods, refused_with("HTTP 405 or another refusal"))


# Content-type -----------------------------------------------------------------------------------------------------


def unsupported(client: WireClient, change: Change) -> None:
    """A Record whose content-type is not gRPC's is refused by HTTP status 415."""
    stream = asked(client, change(_usual(client)))
    refused(stream, "HTTP status 415")
    if stream.response.http_status != 415:
        raise Deviation("HTTP status 415", told(stream), stream)


@requirement("WIRE-5", needs=("record",))
def test_other_content_types_are_unsupported(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    types = replaced("content-type", "application/json", "text/html", "application/octet-stream")
    each(grpcstream_wire, grpcstream_capabilities, types, unsupported)


@requirement("WIRE-6", needs=("record",))
def test_a_request_without_content_type_is_unsupported(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    without: dict[str, Change] = {"no content-type": lambda headers: headers.without("content-type")}
    each(grpcstream_wire, grpcstream_capabilities, without, unsupported)


@requirement("WIRE-7", needs=("list", "record", "route"))
@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_both_content_types_of_grpc_are_taken(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, content_type: str
) -> None:
    for method, count in (("List", None), ("Record", 1), ("Route", 1 + grpcstream_capabilities.route_speaks_first)):
        headers = grpcstream_wire.request_headers(method).replaced("content-type", content_type)
        with grpcstream_wire.open(method, headers=headers) as stream:
            stream.send_last(PLAIN_REQUEST)
            verify.status(stream)
            verify.fail_unless(
                count in (None, stream.received), f"{count} response(s)", f"{stream.received} responses", stream
            )


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/grpc+unknown", marks=requirement("WIRE-8", needs=("record",))),
        pytest.param("application/grpc;charset=utf-8", marks=requirement("WIRE-9", needs=("record",))),
        pytest.param("application/grpc-web", marks=requirement("WIRE-10", needs=("record",))),
    ],
)
def test_neighbours_of_the_content_type_are_refused_or_taken(
    grpcstream_wire: WireClient,
    grpcstream_capabilities: Capabilities,
    content_type: str,
    request: pytest.FixtureRequest,
) -> None:
    stream = asked(grpcstream_wire, _usual(grpcstream_wire).replaced("content-type", content_type))
    outcome(stream)
    observe(request.node, f"{content_type}: {told(stream)}")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, f"after the content-type {content_type}")


# Other fields -----------------------------------------------------------------------------------------------------


@requirement("WIRE-11", needs=("record",))
def test_a_request_whose_te_was_lost_is_not_left_hanging(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    changes: dict[str, Change] = {"no te": lambda headers: headers.without("te"), **replaced("te", "gzip")}

    def check(client: WireClient, change: Change) -> None:
        answered(asked(client, change(_usual(client))), "any answer to a request without te: trailers")

    each(grpcstream_wire, grpcstream_capabilities, changes, check)


@requirement("WIRE-20", needs=("record",))
def test_the_smallest_set_of_headers_is_enough(grpcstream_wire: WireClient) -> None:
    served(asked(grpcstream_wire, _usual(grpcstream_wire).without("user-agent")))


@requirement("WIRE-21", needs=("record",))
def test_host_takes_the_place_of_a_missing_authority(grpcstream_wire: WireClient) -> None:
    usual = _usual(grpcstream_wire)
    served(asked(grpcstream_wire, usual.without(":authority").added("host", usual.all(":authority")[0])))


@requirement("WIRE-21", needs=("record",))
def test_two_authorities_are_refused_and_none_is_not_left_hanging(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    changes: dict[str, Change] = {
        "two :authority": lambda headers: headers.added(":authority", "other.example", at=4),
        "two host": lambda headers: headers.without(":authority").added("host", "a.example").added("host", "b.example"),
        "none": lambda headers: headers.without(":authority"),
    }

    def check(client: WireClient, change: Change) -> None:
        headers = change(_usual(client))
        stream = asked(client, headers)
        if headers.all(":authority") or headers.all("host"):
            refused(stream, "HTTP 400, INTERNAL or RST_STREAM for two authorities")
        else:
            answered(stream, "any answer to a request without an authority")

    each(grpcstream_wire, grpcstream_capabilities, changes, check)


@requirement("WIRE-22", needs=("record",))
def test_fields_of_the_connection_make_a_request_malformed(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    fields = added(("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("transfer-encoding", "chunked"))
    expected = "a refusal of a request with a connection-specific field"
    each(grpcstream_wire, grpcstream_capabilities, fields, refused_with(expected))


PSEUDO: dict[str, Change] = {
    "no :method": lambda headers: headers.without(":method"),
    "no :scheme": lambda headers: headers.without(":scheme"),
    "no :path": lambda headers: headers.without(":path"),
    "two :method": lambda headers: headers.added(":method", "POST", at=1),
    "two :path": lambda headers: headers.added(":path", "/proto.StreamService/Record", at=3),
    ":path behind other fields": lambda headers: headers.without(":path").added(":path", headers.all(":path")[0]),
    "an unknown one": lambda headers: headers.added(":unknown", "1", at=0),
    ":status": lambda headers: headers.added(":status", "200", at=0),
}


@requirement("WIRE-23", needs=("record",))
def test_wrong_pseudo_header_fields_make_a_request_malformed(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    expected = "a refusal of a request with wrong pseudo-header fields"
    each(grpcstream_wire, grpcstream_capabilities, PSEUDO, refused_with(expected))


@requirement("WIRE-24", needs=("record",))
def test_a_content_length_that_is_wrong_makes_a_request_malformed(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    length = len(framed(PLAIN_REQUEST))
    lengths = added(("content-length", str(length - 1)), ("content-length", str(length + 1)))
    expected = f"a refusal of {length} bytes of DATA"
    each(grpcstream_wire, grpcstream_capabilities, lengths, refused_with(expected))


@requirement("WIRE-13", needs=("record",))
def test_compressed_flags_other_than_0_and_1_are_refused(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    expected = "an error, INTERNAL for choice"

    def check(client: WireClient, flag: int) -> None:
        with client.open("Record") as stream:
            stream.write(framed(STREAM_SERVICE.encode(Point("!echo flagged", 1)), compressed=flag))
            outcome(stream, grpcstream_quiet)  # a server that reads on is told only then that nothing more comes
            stream.close_send()
            if answered(stream, expected) is Outcome.SERVED:
                raise Deviation(expected, f"OK with the response {stream.recv()}", stream)

    each(grpcstream_wire, grpcstream_capabilities, {f"the flag {flag}": flag for flag in (2, 128, 255)}, check)
