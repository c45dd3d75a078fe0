"""The shape of responses on the wire: headers, messages, trailers with the status, and nothing else."""

from __future__ import annotations

import pytest

from pytest_grpcstream import INITIAL_KEY, TRAILING_KEY, Code, OperationTimeout, verify
from pytest_grpcstream.clients.wire import Origin, Rule, WireClient, WireStream

requirement = pytest.mark.grpcstream_requirement


@pytest.fixture
def tried(grpcstream_wire: WireClient) -> list[WireStream]:
    """Usual exchanges of every kind that the target can do, up to the first that has no end."""
    calls = [("List", "plain", 1), ("Record", "plain", 1), ("Route", "plain", 1)]
    directives = {
        "abort": [("List", "!abort 0 100% caf\u00e9 \U0001f608", 5), ("List", "!abort 2 later", 13)]
        + [(method, "!abort 0 at once", 9) for method in ("Record", "Route")],
        "finish": [(method, "!finish", 0) for method in ("List", "Record", "Route")],
        "repeat": [("List", "!repeat 0 none", 0), ("Route", "!repeat 40 " + "r" * 1000, 0)],
    }
    for feature, more in directives.items():
        calls += more if grpcstream_wire.has(feature) else []
    streams = []
    for method, name, value in calls:
        stream = grpcstream_wire.open(method, metadata=[(INITIAL_KEY, "initial"), (TRAILING_KEY, b"\x00\xff")])
        stream.send(name, value)
        stream.close_send()
        streams.append(stream)
        try:
            stream.end()
        except OperationTimeout:
            break
    return streams


@pytest.fixture
def exchanges(tried: list[WireStream]) -> list[WireStream]:
    """Usual exchanges, each read to its end, whatever that was. That there is an end is for EOF-7 alone to judge."""
    ended = [stream for stream in tried if stream.ended is not None]
    verify.precondition(bool(ended), "a plain List that ends", "it has no end")
    return ended


def nothing_broken(client: WireClient, streams: list[WireStream], *rules: Rule) -> None:
    """None of the exchanges broke one of these rules."""
    found = [one for connection in client.connections for one in connection.violations.of(*rules)]
    guilty = next((stream for stream in streams if stream.violations.of(*rules)), None)
    verify.no_findings(map(str, found), f"no {rules[0].words}", guilty)


@requirement("EOF-7")
def test_every_response_ends_with_trailers_that_have_a_status(
    grpcstream_wire: WireClient, tried: list[WireStream]
) -> None:
    nothing_broken(grpcstream_wire, tried, Rule.END_STREAM_ON_DATA, Rule.NO_STATUS)
    for stream in tried:
        ended = stream.ended
        good = ended is not None and ended.origin in (Origin.TRAILERS, Origin.TRAILERS_ONLY)
        seen = f"none within {stream.timeout:g} s" if ended is None else str(ended)
        verify.fail_unless(good, "the end of the stream by trailers of the server", seen, stream)


@requirement("EOF-6")
def test_nothing_comes_after_the_end_of_a_response(
    grpcstream_wire: WireClient, exchanges: list[WireStream], grpcstream_quiet: float
) -> None:
    grpcstream_wire.connection.watch(grpcstream_quiet)
    nothing_broken(grpcstream_wire, exchanges, Rule.AFTER_END_STREAM, Rule.AFTER_RST_STREAM)


@requirement("EOF-15")
def test_a_response_begins_with_one_block_of_headers(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(
        grpcstream_wire,
        exchanges,
        Rule.DATA_BEFORE_HEADERS,
        Rule.NO_HTTP_STATUS,
        Rule.SECOND_HEADERS,
        Rule.PSEUDO_FIELD,
    )


@requirement("STAT-1")
def test_the_status_stands_once_and_in_decimal(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.STATUS_TWICE, Rule.STATUS_NOT_DECIMAL)


@requirement("STAT-2")
def test_the_status_message_is_percent_encoded(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.MESSAGE_ENCODING)


@requirement("STAT-3")
def test_an_error_of_the_handler_has_http_status_200(exchanges: list[WireStream]) -> None:
    for stream in exchanges:
        got = stream.response.http_status
        verify.fail_unless(got == 200, ":status 200, whatever the grpc-status", f":status {got}", stream)


@requirement("STAT-4")
def test_the_content_type_is_that_of_grpc(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.CONTENT_TYPE)


@requirement("STAT-6")
def test_trailers_have_no_pseudo_header_fields(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.PSEUDO_IN_TRAILERS)


@requirement("STAT-7")
def test_headers_that_do_not_end_the_response_have_no_status(
    grpcstream_wire: WireClient, exchanges: list[WireStream]
) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.STATUS_BEFORE_END)


@requirement("META-14")
def test_field_names_and_values_are_legal(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.FIELD_NAME, Rule.FIELD_VALUE)


@requirement("META-15")
def test_responses_have_no_fields_of_the_connection(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.CONNECTION_FIELD)


@requirement("META-21")
def test_binary_metadata_is_base64(grpcstream_wire: WireClient, exchanges: list[WireStream]) -> None:
    nothing_broken(grpcstream_wire, exchanges, Rule.BINARY_METADATA)


@requirement("WIRE-19")
def test_response_messages_are_framed_as_their_prefixes_say(
    grpcstream_wire: WireClient, exchanges: list[WireStream]
) -> None:
    nothing_broken(
        grpcstream_wire,
        exchanges,
        Rule.TRUNCATED_MESSAGE,
        Rule.COMPRESSED_FLAG,
        Rule.COMPRESSED_WITHOUT_ENCODING,
        Rule.BAD_COMPRESSION,
        Rule.CONTENT_LENGTH,
    )
    for stream in exchanges:
        verify.fail_unless(
            stream.ended is None or stream.ended.origin is not Origin.CLIENT_REFUSED,
            "messages that can be read",
            str(stream.ended),
            stream,
        )


@requirement("STAT-8", features=("abort",))
@pytest.mark.parametrize(
    ("method", "before"),
    [("List", 0), ("List", 2), ("Record", 0), ("Route", 0)],
    ids=["List", "List after responses", "Record", "Route"],
)
def test_an_abort_is_told_by_trailers_and_not_by_a_reset(grpcstream_wire: WireClient, method: str, before: int) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send(f"!abort {before} in words", Code.PERMISSION_DENIED)
        if method == "List":
            stream.close_send()
        stream.end()
        verify.fail_unless(
            stream.ended is not None and stream.ended.server_status == (Code.PERMISSION_DENIED, "in words"),
            "the status PERMISSION_DENIED 'in words' in trailers of the server",
            str(stream.ended),
            stream,
        )


@requirement("PAIR-13", features=("finish",))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_stream_that_ended_early_is_reset_without_error(
    grpcstream_wire: WireClient, method: str, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send("!finish")
        verify.status(stream)
        code = stream.await_reset(grpcstream_quiet)
        got = "no RST_STREAM" if code is None else f"RST_STREAM with the code {code}"
        verify.fail_unless(
            code == 0, "RST_STREAM(NO_ERROR) after a response that ended before the request", got, stream
        )


@requirement("PAIR-10", features=("finish",))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_requests_after_an_early_end_are_absorbed(grpcstream_wire: WireClient, method: str) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send("!finish")
        verify.status(stream)
        for _ in range(10):
            stream.data(b"\x00" * 1000)
    verify.serves(grpcstream_wire, "after DATA for a stream that had ended early")
    verify.fail_unless(
        len(grpcstream_wire.connections) == 1,
        "the same connection serves on after DATA for a stream that had ended early",
        f"it is gone: {grpcstream_wire.connections[0].closed or 'GOAWAY'}",
        stream,
    )
