"""Errors on abort: the client receives the handler's status, after every response sent before it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_grpcstream import (
    STREAM_SERVICE,
    TRAILING_KEY,
    Client,
    Code,
    MetadataValue,
    Point,
    Stream,
    code_name,
    printable,
    verify,
)

requirement = pytest.mark.grpcstream_requirement

every_method = pytest.mark.parametrize("method", ["List", "Record", "Route"])

MESSAGES = (
    "plain ASCII",
    "",
    "two  blanks   in a row",
    "100% sure, %41 %zz %",
    "comma, semicolon; colon: \"quotes\" 'apostrophe' \\ = <html>",
    "caf\u00e9 cafe\u0301 \u05e9\u05dc\u05d5\u05dd",
    "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n",
)
"""Status messages that need percent-encoding, and some that look percent-encoded already."""

# The contract names INVALID_ARGUMENT for a bad directive; stacks may use their own code when they reject it.
OTHER_REFUSALS = dict.fromkeys(
    (Code.UNKNOWN, Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE, Code.UNIMPLEMENTED, Code.INTERNAL),
    "an error, but the contract names INVALID_ARGUMENT",
)


def start_call(
    client: Client, method: str, name: str, code: int, metadata: Iterable[tuple[str, MetadataValue]] = ()
) -> Stream:
    """Start an RPC and send one request. Only a List is half-closed."""
    stream = client.open(method, metadata=metadata)
    stream.send(name, code)
    if method == "List":
        stream.close_send()
    return stream


@requirement("ABORT-1", features=("abort",))
@every_method
def test_every_status_code_reaches_the_client(grpcstream: Client, method: str) -> None:
    wrong: list[str] = []
    for code in range(1, 17):
        with start_call(grpcstream, method, f"!abort 0 code {code}", code) as stream:
            status = stream.end()
            if status.code != code:
                wrong.append(f"{code_name(code)} arrived as {status}")
    verify.no_findings(wrong, "each of the codes 1 to 16 unchanged", stream)


@requirement("ABORT-3", features=("abort",))
@every_method
def test_every_status_message_reaches_the_client(grpcstream: Client, method: str) -> None:
    wrong: list[str] = []
    for message in MESSAGES:
        with start_call(grpcstream, method, f"!abort 0 {message}", Code.ABORTED) as stream:
            status = stream.end()
            if status != (Code.ABORTED, message):
                wrong.append(f"{printable(message)} arrived as {status}")
    verify.no_findings(wrong, "ABORTED with each message unchanged", stream)


@requirement("ABORT-15", features=("abort",))
def test_a_long_status_message_does_no_harm(grpcstream: Client) -> None:
    message = "long " * 800
    with start_call(grpcstream, "List", f"!abort 0 {message}", Code.NOT_FOUND) as stream:
        verify.status(stream, Code.NOT_FOUND, message)
    verify.unharmed(grpcstream, "after a status message of 4 KiB")


@requirement("ABORT-16", features=("abort",))
@every_method
def test_a_status_message_cannot_inject_a_status(grpcstream: Client, method: str) -> None:
    message = "a\r\ngrpc-status: 0\r\nx-injected: yes"
    with start_call(grpcstream, method, f"!abort 0 {message}", Code.UNAUTHENTICATED) as stream:
        verify.status(stream, Code.UNAUTHENTICATED, message)
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, "x-injected", [])


# Responses and requests around the abort --------------------------------------------------------------------------


@requirement("ABORT-5", features=("abort",))
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_list_delivers_the_responses_before_the_abort(grpcstream: Client, count: int) -> None:
    point = Point(f"!abort {count} enough", Code.DATA_LOSS)
    with grpcstream.list(point) as stream:
        verify.same(
            stream,
            stream.collect(),
            STREAM_SERVICE.list_responses(point._replace(value=0), count),
            "the responses before the abort",
        )
        verify.status(stream, Code.DATA_LOSS, "enough")


@requirement("ABORT-5", features=("abort",), observed_by=("route",))
@pytest.mark.parametrize("count", [1, 3, 100])
def test_route_delivers_the_responses_before_the_abort(grpcstream: Client, count: int) -> None:
    with grpcstream.route(greeting=False) as stream:
        for number in range(count):
            stream.send("before", number)
        stream.send("!abort 5 enough", Code.NOT_FOUND)  # the number is for List; here it is ignored
        for _ in range(count + grpcstream.greetings):
            verify.answer(stream)
        status, rest = stream.end(), stream.received - count - grpcstream.greetings
        verify.fail_unless(
            rest == 0, "the status directly after the responses to all requests", f"{rest} more responses", stream
        )
        verify.fail_unless(status == (Code.NOT_FOUND, "enough"), "the status NOT_FOUND 'enough'", str(status), stream)


@requirement("ABORT-6", features=("abort",))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_an_abort_arrives_while_the_client_keeps_sending(grpcstream: Client, method: str) -> None:
    with grpcstream.open(method) as stream:
        stream.send("before", 1)
        stream.send("!abort 3 no more", Code.RESOURCE_EXHAUSTED)  # the number is for List; here it is ignored
        for number in range(200):
            stream.send("late" * 50, number)
        verify.status(stream, Code.RESOURCE_EXHAUSTED, "no more")
    verify.unharmed(grpcstream, "after an abort in the middle of the requests")


@requirement("ABORT-7", features=("abort",), observed_by=("duplex",))
def test_aborts_do_not_disturb_a_concurrent_call(grpcstream: Client) -> None:
    with grpcstream.route() as sibling:
        for number in range(20):
            with start_call(
                grpcstream, ("List", "Record", "Route")[number % 3], "!abort 0 concurrent", Code.INTERNAL
            ) as stream:
                verify.status(stream, Code.INTERNAL, "concurrent")
            sibling.send("still here", number)
            verify.answer(sibling)
        sibling.close_send()
        verify.eof(sibling)


# Trailing metadata ------------------------------------------------------------------------------------------------


@requirement("ABORT-13", features=("abort", "metadata"))
@every_method
def test_trailing_metadata_arrives_with_an_error(grpcstream: Client, method: str) -> None:
    sent = bytes(range(256))
    with start_call(grpcstream, method, "!abort 0 with metadata", Code.ABORTED, [(TRAILING_KEY, sent)]) as stream:
        verify.status(stream, Code.ABORTED, "with metadata")
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [sent])


@requirement("ABORT-13", features=("abort", "metadata"))
def test_trailing_metadata_arrives_with_an_error_after_responses(grpcstream: Client) -> None:
    with grpcstream.list("!abort 2 later", Code.ABORTED, metadata=[(TRAILING_KEY, b"\xab\x00")]) as stream:
        verify.status(stream, Code.ABORTED, "later")
        verify.fail_unless(stream.received == 2, "2 responses before the status", f"{stream.received}", stream)
        verify.metadata(stream, "trailing metadata", stream.trailing_metadata, TRAILING_KEY, [b"\xab\x00"])


# Bad directives ---------------------------------------------------------------------------------------------------


@requirement("ABORT-17", features=("abort",))
@every_method
@pytest.mark.parametrize("code", [0, 17, -1])
def test_an_abort_with_a_code_out_of_range_is_refused(grpcstream: Client, method: str, code: int) -> None:
    with start_call(grpcstream, method, "!abort 0 out of range", code) as stream:
        verify.status(stream, Code.INVALID_ARGUMENT, tolerated=OTHER_REFUSALS)


@requirement("ABORT-17", features=("abort",))
def test_an_abort_with_a_negative_count_is_refused(grpcstream: Client) -> None:
    with grpcstream.list("!abort -1 negative", Code.ABORTED) as stream:
        verify.status(stream, Code.INVALID_ARGUMENT, tolerated=OTHER_REFUSALS)


@requirement("ABORT-17", features=("repeat",))
@pytest.mark.parametrize("method", ["List", "Route"])
@pytest.mark.parametrize("name", ["!repeat x y", "!repeat -1 y"])
def test_a_bad_repeat_is_refused(grpcstream: Client, method: str, name: str) -> None:
    with start_call(grpcstream, method, name, 5) as stream:
        verify.status(stream, Code.INVALID_ARGUMENT, tolerated=OTHER_REFUSALS)


@requirement("ABORT-17", features=("sleep",))
@every_method
def test_a_negative_sleep_is_refused(grpcstream: Client, method: str) -> None:
    with start_call(grpcstream, method, "!sleep -1", 0) as stream:
        verify.status(stream, Code.INVALID_ARGUMENT, tolerated=OTHER_REFUSALS)
