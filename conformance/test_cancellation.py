"""Cancellation: a client may go away at any point; the handler learns of it and nobody else notices."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from pytest_grpcstream import Client, Code, OperationTimeout, Point, verify

requirement = pytest.mark.grpcstream_requirement


def new_token() -> str:
    """A token that no RPC was marked with before."""
    return uuid.uuid4().hex


@requirement("CANCEL-2", features=("watch",))
@pytest.mark.parametrize("deadline", [None, 600], ids=["no deadline", "a long deadline"])
def test_the_handler_of_a_list_learns_of_the_cancel(
    grpcstream: Client, grpcstream_quiet: float, deadline: float | None
) -> None:
    # A handler that waits for its deadline only does not see the cancel.
    def cancelled(pause: float) -> None:
        token = new_token()
        with grpcstream.list(f"!watch {token}", deadline=deadline) as stream:
            # Headers show that the handler waits; some stacks cannot send them before a message.
            with contextlib.suppress(OperationTimeout):
                stream.headers(timeout=pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "the client's cancel")

    verify.retry_with_longer_pauses(cancelled, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch",))
def test_the_handler_of_a_record_learns_of_the_cancel(grpcstream: Client, grpcstream_quiet: float) -> None:
    def cancelled(pause: float) -> None:
        token = new_token()
        with grpcstream.record() as stream:
            stream.send(f"!watch {token}")
            stream.send("and more", 1)
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "the client's cancel")

    verify.retry_with_longer_pauses(cancelled, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch", "sleep"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_the_handler_learns_of_a_cancel_behind_the_half_close(
    grpcstream: Client, method: str, grpcstream_quiet: float
) -> None:
    # There is nothing more to read, and so no read that fails: the handler has to be told.
    def cancelled(pause: float) -> None:
        token = new_token()
        with grpcstream.open(method) as stream:
            stream.send(f"!watch {token}")
            stream.send(f"!sleep {int(grpcstream.timeout * 4000)}")
            stream.close_send()
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "a cancel behind the half-close")

    verify.retry_with_longer_pauses(cancelled, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch",), observed_by=("duplex",))
def test_the_handler_of_a_route_learns_of_the_cancel(grpcstream: Client) -> None:
    token = new_token()
    with grpcstream.route() as stream:
        stream.send(f"!watch {token}")
        verify.answer(stream)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "the client's cancel")


@requirement("CANCEL-2", features=("watch", "sleep"), observed_by=("duplex",))
def test_a_handler_that_sleeps_learns_of_the_cancel(grpcstream: Client) -> None:
    token = new_token()
    with grpcstream.route() as stream:
        stream.send(f"!watch {token}")
        verify.answer(stream)
        stream.send(f"!sleep {int(grpcstream.timeout * 4000)}")
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel in the middle of its sleep")


@requirement("CANCEL-3")
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_cancel_right_after_the_beginning_does_no_harm(grpcstream: Client, method: str) -> None:
    for number in range(40):
        with grpcstream.open(method, greeting=False) as stream:
            # At once the cancel overtakes the handler, and a little later it meets it.
            verify.pause(0.005 * (number % 2))
            stream.cancel()
    verify.unharmed(grpcstream, "after calls that were cancelled before their first request")


@requirement("CANCEL-4", features=("sleep",))
@pytest.mark.parametrize("method", ["List", "Record", "Route"])
def test_a_cancel_between_half_close_and_response_does_no_harm(
    grpcstream: Client, method: str, grpcstream_quiet: float
) -> None:
    streams = [grpcstream.open(method) for _ in range(5)]
    for stream in streams:
        stream.send(f"!sleep {int(grpcstream.timeout * 4000)}")
        stream.close_send()
    verify.pause(grpcstream_quiet)
    for stream in streams:
        stream.cancel()
    verify.unharmed(grpcstream, "after calls that were cancelled while their handlers slept")


@requirement("CANCEL-5", observed_by=("duplex",))
def test_a_cancel_after_a_response_does_no_harm(grpcstream: Client) -> None:
    for number in range(10):
        with grpcstream.route() as route, grpcstream.list("cancelled", number) as listing:
            route.send("cancelled", number)
            verify.answer(route)
            verify.point(listing, Point("cancelled", number))
            route.cancel()
            listing.cancel()
            verify.status(route, Code.CANCELLED)
    verify.unharmed(grpcstream, "after calls that were cancelled after their first response")


@requirement("CANCEL-9", observed_by=("duplex",))
def test_cancels_do_not_disturb_a_call_beside_them(grpcstream: Client) -> None:
    with grpcstream.route() as sibling:
        for number in range(50):
            with grpcstream.open(("List", "Record", "Route")[number % 3], greeting=False) as stream:
                stream.send("cancelled", number)
                stream.cancel()
            sibling.send("still here", number)
            verify.answer(sibling)
        sibling.close_send()
        verify.eof(sibling)


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_cancel_ends_a_handler_that_waits_for_flow_control(grpcstream: Client, grpcstream_quiet: float) -> None:
    token = new_token()
    with grpcstream.route() as stream:
        stream.send(f"!watch {token}")
        verify.answer(stream)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        verify.pause(grpcstream_quiet)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel while its responses are not read")


@requirement("CANCEL-16", features=("watch",))
def test_a_call_that_ended_with_ok_is_not_counted_as_cancelled(grpcstream: Client, grpcstream_quiet: float) -> None:
    token = new_token()
    with grpcstream.route() as stream:
        stream.send(f"!watch {token}")
        stream.close_send()
        verify.status(stream)
        verify.pause(grpcstream_quiet)
        counted = verify.query_cancelled(grpcstream, token)
        verify.fail_unless(not counted, "!cancelled answers 0 for a call that ended with OK", "it answers 1", stream)


@requirement("CANCEL-16", features=("watch", "abort"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_a_call_that_was_aborted_is_not_counted_as_cancelled(
    grpcstream: Client, grpcstream_quiet: float, method: str
) -> None:
    token = new_token()
    with grpcstream.open(method) as stream:
        stream.send(f"!watch {token}")
        stream.send("!abort 0 by the server", Code.ABORTED)
        verify.status(stream, Code.ABORTED)
        verify.pause(grpcstream_quiet)
        counted = verify.query_cancelled(grpcstream, token)
        verify.fail_unless(not counted, "!cancelled answers 0 for an aborted call", "it answers 1", stream)


@requirement("CANCEL-16", features=("watch",), observed_by=("duplex",))
def test_an_open_call_and_an_unknown_one_are_not_counted_as_cancelled(grpcstream: Client) -> None:
    cancelled, still_open = new_token(), new_token()
    with grpcstream.route() as gone, grpcstream.route() as stays:
        for stream, token in ((gone, cancelled), (stays, still_open)):
            stream.send(f"!watch {token}")
            verify.answer(stream)
        gone.cancel()
        verify.await_cancellation(grpcstream, cancelled, gone, "the client's cancel")
        for token, which in ((still_open, "a call that is still open"), (new_token(), "a call that never was")):
            counted = verify.query_cancelled(grpcstream, token)
            verify.fail_unless(not counted, f"!cancelled answers 0 for {which}", "it answers 1", stays)
        stays.send("still here", 1)
        verify.answer(stays)
