"""Each directive, on every method that has it."""

from __future__ import annotations

import time

import grpc
import pytest

from .harness import Requests, Stub, drain, fresh_token, point, request, status_of

LARGEST = 2**31 - 1
OK = (grpc.StatusCode.OK, "")
RECORD = "gRPC Stream Server: Record"
ROUTE = "gRPC Stream Server: Route"
ERRORS = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
def test_abort_ends_every_method_with_its_code_and_text(stub: Stub, code: grpc.StatusCode) -> None:
    """A code from 1 to 16 is the status, and TEXT is its message."""
    for call in (
        stub.list("!abort 0 for a reason", code.value[0]),
        stub.route([request("!abort 0 for a reason", code.value[0])]),
    ):
        assert drain(call) == []
        assert status_of(call) == (code, "for a reason")
    assert status_of(stub.record([request("!abort 0 for a reason", code.value[0])])) == (code, "for a reason")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("!abort 0", ""),
        ("!abort 0 ", ""),
        ("!abort 0  two  spaces ", " two  spaces "),
        ("!abort 0 100%25 \t\r\n\x00 naïve \U0001f642", "100%25 \t\r\n\x00 naïve \U0001f642"),
        (f"!abort 0 {'long ' * 200}", "long " * 200),
    ],
    ids=["no space", "empty", "spaces", "any Unicode", "long"],
)
def test_text_of_abort_is_everything_after_one_space(stub: Stub, name: str, text: str) -> None:
    """TEXT may be empty, and may contain any Unicode."""
    call = stub.list(name, 9)
    assert drain(call) == []
    assert status_of(call) == (grpc.StatusCode.FAILED_PRECONDITION, text)


def test_abort_on_list_sends_responses_first(stub: Stub) -> None:
    """List sends K responses with the name as received before the status."""
    call = stub.list("!abort 3 late", 5)
    assert drain(call) == [("!abort 3 late", number) for number in range(3)]
    assert status_of(call) == (grpc.StatusCode.NOT_FOUND, "late")


def test_abort_on_record_does_not_wait_for_the_half_close(stub: Stub) -> None:
    """Record ends at once."""
    requests = Requests()
    call = stub.record(requests)
    requests.send("ordinary")
    requests.send("!abort 9 now", 10)
    assert status_of(call) == (grpc.StatusCode.ABORTED, "now")
    requests.half_close()


def test_abort_on_route_comes_after_responses_to_earlier_requests(stub: Stub) -> None:
    """Route answers earlier requests before it ends, and no later ones."""
    requests = Requests()
    call = stub.route(requests)
    for _ in range(3):
        requests.send("ordinary")
    requests.send("!abort 9 now", 14)
    requests.send("too late")
    assert drain(call) == [(ROUTE, 0), (ROUTE, 1), (ROUTE, 2)]
    assert status_of(call) == (grpc.StatusCode.UNAVAILABLE, "now")
    requests.half_close()


def test_finish_on_list_ends_with_ok_and_no_response(stub: Stub) -> None:
    """List sends no response."""
    call = stub.list("!finish", 3)
    assert drain(call) == []
    assert status_of(call) == OK


def test_finish_on_record_answers_before_the_half_close(stub: Stub) -> None:
    """Record answers at once."""
    requests = Requests()
    call = stub.record(requests)
    requests.send("ordinary")
    requests.send("!finish")
    assert point(call.result()) == (RECORD, 1)
    assert status_of(call) == OK
    requests.half_close()


def test_finish_on_route_ends_before_the_half_close(stub: Stub) -> None:
    """Route answers earlier requests, then ends with OK."""
    requests = Requests()
    call = stub.route(requests)
    requests.send("ordinary")
    requests.send("ordinary")
    requests.send("!finish")
    assert drain(call) == [(ROUTE, 0), (ROUTE, 1)]
    assert status_of(call) == OK
    requests.half_close()


@pytest.mark.parametrize("count", [0, 1, 8, 1000])
def test_repeat_on_list_replaces_the_ordinary_responses(stub: Stub, count: int) -> None:
    """List sends N responses that count up from the value."""
    name = f"!repeat {count} some text"
    call = stub.list(name, 40)
    assert drain(call) == [(name, 40 + number) for number in range(count)]
    assert status_of(call) == OK


def test_repeat_wraps_at_two_to_the_31(stub: Stub) -> None:
    """The smallest int32 follows the largest, on both methods."""
    expected = [("!repeat 3", LARGEST - 1), ("!repeat 3", LARGEST), ("!repeat 3", -LARGEST - 1)]
    assert drain(stub.list("!repeat 3", LARGEST - 1)) == expected
    assert drain(stub.route([request("!repeat 3", LARGEST - 1)])) == expected


def test_repeat_on_route_replaces_one_response(stub: Stub) -> None:
    """The counter of Route counts every response, whichever directive it answers."""
    requests = [request(name, 50) for name in ("usual", "!repeat 3 x", "usual", "!repeat 0", "!echo y", "usual")]
    assert drain(stub.route(requests)) == [
        (ROUTE, 0),
        ("!repeat 3 x", 50),
        ("!repeat 3 x", 51),
        ("!repeat 3 x", 52),
        (ROUTE, 4),
        ("!echo y", 50),
        (ROUTE, 6),
    ]


@pytest.mark.parametrize("name", ["!echo", "!echo ", "!echo naïve \U0001f642\x00"], ids=["bare", "empty", "Unicode"])
def test_echo_on_route_returns_the_same_point(stub: Stub, name: str) -> None:
    """Route sends the point back."""
    assert drain(stub.route([request(name, -5)])) == [(name, -5)]


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["!echo a"], "a"),
        (["!echo"], ""),
        (["!echo a", "!echo ", "!echo  b,c"], "a,, b,c"),
        (["first", "!echo second", "third"], "first,second,third"),
        (["!repeat 3 x", "!cancelled y", "!echo z"], "!repeat 3 x,!cancelled y,z"),
        (["", "!echo a", ""], ",a,"),
        (["!sleep 0", "!echo a", "!sleep 0"], "a"),
    ],
)
def test_echo_on_record_joins_the_texts_and_counts_the_requests(stub: Stub, names: list[str], joined: str) -> None:
    """Names that are not directives on Record are joined whole; directives without a TEXT are counted only."""
    call = stub.record([request(name) for name in names])
    assert point(call.result()) == (joined, len(names))


def test_finish_on_record_answers_with_the_echo(stub: Stub) -> None:
    """The early answer equals the one after the half-close, and counts the request with the directive."""
    requests = Requests()
    call = stub.record(requests)
    for name in ("!echo a", "b", "!finish"):
        requests.send(name)
    assert point(call.result()) == ("a,b", 3)
    requests.half_close()


def test_sleep_delays_the_ordinary_answer(stub: Stub) -> None:
    """On every method, the answer comes after the milliseconds have passed."""
    start = time.monotonic()
    assert drain(stub.list("!sleep 200", 7)) == [("!sleep 200", 7 + number) for number in range(7)]
    assert time.monotonic() - start >= 0.2
    assert point(stub.record([request("!sleep 200")]).result()) == (RECORD, 1)
    assert time.monotonic() - start >= 0.4
    assert drain(stub.route([request("usual"), request("!sleep 200")])) == [(ROUTE, 0), (ROUTE, 1)]
    assert time.monotonic() - start >= 0.6


def test_directive_of_another_method_is_an_ordinary_name(stub: Stub) -> None:
    """Echo on List, repeat and cancelled on Record, and cancelled on Route, even with invalid arguments."""
    assert drain(stub.list("!echo x", 1)) == [("!echo x", 1 + number) for number in range(7)]
    assert point(stub.record([request("!repeat x"), request("!cancelled")]).result()) == (RECORD, 1)
    assert drain(stub.route([request("!cancelled")])) == [(ROUTE, 0)]


@pytest.mark.parametrize("name", ["!", "!unknown 3", "!finished", "!echoes", "!Finish", " !finish", "a !finish"])
def test_other_names_are_ordinary(stub: Stub, name: str) -> None:
    """A directive begins with its whole word."""
    assert drain(stub.list(name)) == [(name, number) for number in range(7)]
    assert point(stub.record([request(name)]).result()) == (RECORD, 1)
    assert drain(stub.route([request(name)])) == [(ROUTE, 0)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("!abort 0 zero is OK", 0),
        ("!abort 0 seventeen is not a code", 17),
        ("!abort 0 negative", -1),
        ("!abort -1 x", 3),
        ("!abort", 3),
        ("!abort x y", 3),
        ("!finish now", 0),
        ("!sleep", 0),
        ("!sleep -1", 0),
        ("!sleep 1.5", 0),
        ("!sleep 2147483648", 0),
        ("!watch", 0),
        ("!watch ", 0),
        ("!watch two words", 0),
        (f"!watch {'x' * 257}", 0),
    ],
)
def test_invalid_directive_is_refused_on_every_method(stub: Stub, name: str, value: int) -> None:
    """An invalid directive ends its RPC with INVALID_ARGUMENT, and the message names the directive."""
    word = name.split(" ", maxsplit=1)[0]
    requests = Requests()
    requests.send(name, value)
    streams = [stub.list(name, value), stub.route(requests)]
    assert [drain(call) for call in streams] == [[], []]
    requests.half_close()
    for call in (*streams, stub.record([request(name, value)])):
        code, message = status_of(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert word in message


@pytest.mark.parametrize("name", ["!repeat", "!repeat x", "!repeat -1", "!repeat +1", "!repeat \u0663", "!repeat  1"])
def test_invalid_repeat_is_refused(stub: Stub, name: str) -> None:
    """N consists of decimal digits after one space."""
    for call in (stub.list(name), stub.route([request(name)])):
        assert drain(call) == []
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_invalid_cancelled_is_refused(stub: Stub) -> None:
    """The token is one word."""
    call = stub.list("!cancelled")
    assert drain(call) == []
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_long_directive_is_shortened_in_the_message(stub: Stub) -> None:
    """The message shows only the part of a directive that fits in a header."""
    call = stub.list(f"!sleep {'9' * 100_000}")
    assert drain(call) == []
    code, message = status_of(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message == f"!sleep MS: MS is a number from 0 to 2147483647, not '{'9' * 40}'..."


def test_unused_token_was_not_cancelled(stub: Stub) -> None:
    """The answer is one response with the value 0."""
    name = f"!cancelled {fresh_token()}"
    call = stub.list(name, 9)
    assert drain(call) == [(name, 0)]
    assert status_of(call) == OK
