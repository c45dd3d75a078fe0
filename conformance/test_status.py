"""Status on the wire: every response ends with exactly one grpc-status in its trailers."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Code, verify
from pytest_grpcstream.clients.wire import Rule, WireClient
from pytest_grpcstream.verify.violations import get_responses, no_violations

requirement = pytest.mark.grpcstream_requirement


@requirement("STAT-1")
def test_the_status_is_sent_once_and_in_decimal(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.STATUS_TWICE, Rule.STATUS_NOT_DECIMAL)


@requirement("STAT-2")
def test_the_status_message_is_percent_encoded(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.MESSAGE_ENCODING)


@requirement("STAT-3")
def test_a_handler_error_has_http_status_200(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    for stream in responses:
        got = stream.response.http_status
        verify.fail_unless(got == 200, ":status 200 for every grpc-status", f":status {got}", stream)


@requirement("STAT-4")
def test_the_content_type_is_application_grpc(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.CONTENT_TYPE)


@requirement("STAT-6")
def test_trailers_have_no_pseudo_header_fields(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.PSEUDO_IN_TRAILERS)


@requirement("STAT-7")
def test_headers_that_do_not_end_the_response_have_no_status(grpcstream_wire: WireClient) -> None:
    responses = get_responses(grpcstream_wire)
    no_violations(grpcstream_wire, responses, Rule.STATUS_BEFORE_END)


@requirement("STAT-8", features=("abort",))
@pytest.mark.parametrize(
    ("method", "before"),
    [("List", 0), ("List", 2), ("Record", 0), ("Route", 0)],
    ids=["List", "List after responses", "Record", "Route"],
)
def test_an_abort_is_sent_in_trailers_not_as_a_reset(grpcstream_wire: WireClient, method: str, before: int) -> None:
    with grpcstream_wire.open(method) as stream:
        stream.send(f"!abort {before} in words", Code.PERMISSION_DENIED)
        if method == "List":
            stream.close_send()
        stream.end()
        verify.fail_unless(
            stream.ended is not None and stream.ended.server_status == (Code.PERMISSION_DENIED, "in words"),
            "the status PERMISSION_DENIED 'in words' in trailers from the server",
            str(stream.ended),
            stream,
        )
