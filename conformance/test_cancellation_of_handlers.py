"""Cancellation of handlers: the handler of a cancelled call learns of it, and that of any other call does not."""

from __future__ import annotations

import contextlib

import pytest

from pytest_grpcstream import Client, Code, OperationTimeout, verify
from pytest_grpcstream.clients.wire import ErrorCode, SettingCode, WireClient

requirement = pytest.mark.grpcstream_requirement

UNKNOWN_CODE = 0xDEADBEEF


@requirement("CANCEL-2", features=("watch",))
@pytest.mark.parametrize("deadline", [None, 600], ids=["no deadline", "a long deadline"])
def test_the_handler_of_a_list_learns_of_the_cancel(
    grpcstream: Client, grpcstream_quiet: float, deadline: float | None
) -> None:
    # With a deadline, a handler could wait for that instead of the cancel.
    def cancelled(pause: float) -> None:
        token = verify.new_token()
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
        token = verify.new_token()
        with grpcstream.record() as stream:
            stream.send(f"!watch {token}")
            stream.send("and more", 1)
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "the client's cancel")

    verify.retry_with_longer_pauses(cancelled, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch",), observed_by=("duplex",))
def test_the_handler_of_a_route_learns_of_the_cancel(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "the client's cancel")


@requirement("CANCEL-2", features=("watch", "sleep"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_the_handler_learns_of_a_cancel_behind_the_half_close(
    grpcstream: Client, method: str, grpcstream_quiet: float
) -> None:
    # The handler has read everything, so that no read of its own can fail: only the stack can tell it.
    def cancelled(pause: float) -> None:
        token = verify.new_token()
        with grpcstream.open(method) as stream:
            stream.send(f"!watch {token}")
            stream.send(verify.endless_sleep(grpcstream))
            stream.close_send()
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "a cancel behind the half-close")

    verify.retry_with_longer_pauses(cancelled, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch", "sleep"), observed_by=("duplex",))
def test_a_handler_that_sleeps_learns_of_the_cancel(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.send(verify.endless_sleep(grpcstream))
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel in the middle of its sleep")


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_cancel_ends_a_handler_that_waits_for_flow_control(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        verify.pause(grpcstream_quiet)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel while its responses are not read")


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_reset_ends_a_handler_that_waits_for_window(grpcstream_wire: WireClient) -> None:
    # The response does not fit into the window, so that the handler waits from its first bytes on.
    with grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}, hold_windows=True) as blocked:
        stream = blocked.route()
        token = verify.watch(stream)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        stream.await_bytes(900)
        stream.reset(ErrorCode.CANCEL)
        verify.await_cancellation(grpcstream_wire, token, stream, "a reset while its window is shut")
        verify.serves(grpcstream_wire, "after a reset while the window was shut")


@requirement("CANCEL-11", features=("watch",), observed_by=("duplex",))
@pytest.mark.parametrize(
    "code",
    [ErrorCode.NO_ERROR, ErrorCode.INTERNAL_ERROR, ErrorCode.REFUSED_STREAM, UNKNOWN_CODE],
    ids=["NO_ERROR", "INTERNAL_ERROR", "REFUSED_STREAM", "unknown"],
)
def test_a_reset_with_any_code_ends_the_call(grpcstream_wire: WireClient, code: int) -> None:
    stream = grpcstream_wire.route()
    token = verify.watch(stream)
    stream.reset(code)
    verify.await_cancellation(grpcstream_wire, token, stream, "a reset with another code than CANCEL")
    verify.serves(grpcstream_wire, "after a reset with another code than CANCEL")


@requirement("CANCEL-10", features=("watch",), observed_by=("duplex",))
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_the_handler_learns_of_a_lost_connection(grpcstream_wire: WireClient, how: str) -> None:
    lost = grpcstream_wire.fresh()
    stream = lost.route()
    token = verify.watch(stream)
    if how == "FIN":
        lost.connection.drop()
    else:
        lost.connection.reset()
    verify.await_cancellation(grpcstream_wire, token, stream, f"a TCP connection that its client closed by {how}")


@requirement("CANCEL-10", features=("watch",))
@pytest.mark.parametrize("method", ["List", "Record"])
def test_the_handler_of_one_request_or_response_learns_of_a_lost_connection(
    grpcstream_wire: WireClient, method: str, grpcstream_quiet: float
) -> None:
    def lose(pause: float) -> None:
        lost, token = grpcstream_wire.fresh(), verify.new_token()
        stream = lost.open(method)
        stream.send(f"!watch {token}")
        if method == "List":
            stream.close_send()
        verify.pause(pause)
        lost.connection.reset()
        verify.await_cancellation(grpcstream_wire, token, stream, "a TCP connection that its client closed by RST")

    verify.retry_with_longer_pauses(lose, grpcstream_quiet)


# Calls that are not cancelled -------------------------------------------------------------------------------------


@requirement("CANCEL-16", features=("watch",))
def test_a_call_that_ended_with_ok_is_not_counted_as_cancelled(grpcstream: Client, grpcstream_quiet: float) -> None:
    token = verify.new_token()
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
    token = verify.new_token()
    with grpcstream.open(method) as stream:
        stream.send(f"!watch {token}")
        stream.send("!abort 0 by the server", Code.ABORTED)
        verify.status(stream, Code.ABORTED)
        verify.pause(grpcstream_quiet)
        counted = verify.query_cancelled(grpcstream, token)
        verify.fail_unless(not counted, "!cancelled answers 0 for an aborted call", "it answers 1", stream)


@requirement("CANCEL-16", features=("watch",), observed_by=("duplex",))
def test_an_open_call_and_an_unknown_one_are_not_counted_as_cancelled(grpcstream: Client) -> None:
    with grpcstream.route() as gone, grpcstream.route() as stays:
        cancelled, still_open = verify.watch(gone), verify.watch(stays)
        gone.cancel()
        verify.await_cancellation(grpcstream, cancelled, gone, "the client's cancel")
        for token, which in ((still_open, "a call that is still open"), (verify.new_token(), "a call that never was")):
            counted = verify.query_cancelled(grpcstream, token)
            verify.fail_unless(not counted, f"!cancelled answers 0 for {which}", "it answers 1", stays)
        stays.send("still here", 1)
        verify.answer(stays)
