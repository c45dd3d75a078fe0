"""Cancellation of handlers: the handler of a cancelled call sees the cancel, and handlers of other calls do not."""

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
    # A handler with a deadline could wait for the deadline and miss the cancel.
    def cancel_list(pause: float) -> None:
        token = verify.new_token()
        with grpcstream.list(f"!watch {token}", deadline=deadline) as stream:
            # Headers show that the handler is running; some stacks cannot send them before a message.
            with contextlib.suppress(OperationTimeout):
                stream.headers(timeout=pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "the client's cancel")

    verify.retry_with_longer_pauses(cancel_list, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch",))
def test_the_handler_of_a_record_learns_of_the_cancel(grpcstream: Client, grpcstream_quiet: float) -> None:
    def cancel_record(pause: float) -> None:
        token = verify.new_token()
        with grpcstream.record() as stream:
            stream.send(f"!watch {token}")
            stream.send("and more", 1)
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "the client's cancel")

    verify.retry_with_longer_pauses(cancel_record, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch",), observed_by=("duplex",))
def test_the_handler_of_a_route_learns_of_the_cancel(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "the client's cancel")


@requirement("CANCEL-2", features=("watch", "sleep"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_the_handler_learns_of_a_cancel_after_the_half_close(
    grpcstream: Client, method: str, grpcstream_quiet: float
) -> None:
    # The handler has read all requests, so it cannot see the cancel by a failed read, only through its stack.
    def cancel_after_half_close(pause: float) -> None:
        token = verify.new_token()
        with grpcstream.open(method) as stream:
            stream.send(f"!watch {token}")
            stream.send(verify.endless_sleep(grpcstream))
            stream.close_send()
            verify.pause(pause)
            stream.cancel()
            verify.await_cancellation(grpcstream, token, stream, "a cancel after the half-close")

    verify.retry_with_longer_pauses(cancel_after_half_close, grpcstream_quiet)


@requirement("CANCEL-2", features=("watch", "sleep"), observed_by=("duplex",))
def test_a_handler_that_sleeps_learns_of_the_cancel(grpcstream: Client) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.send(verify.endless_sleep(grpcstream))
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel during its sleep")


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_cancel_ends_a_handler_blocked_by_flow_control(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.route() as stream:
        token = verify.watch(stream)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        verify.pause(grpcstream_quiet)
        stream.cancel()
        verify.await_cancellation(grpcstream, token, stream, "a cancel while the client does not read its responses")


@requirement("CANCEL-13", features=("watch", "repeat"), observed_by=("duplex",))
def test_a_reset_ends_a_handler_blocked_by_an_exhausted_window(grpcstream_wire: WireClient) -> None:
    # The first response does not fit into the window, so the handler blocks while it sends it.
    with grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}, hold_windows=True) as blocked:
        stream = blocked.route()
        token = verify.watch(stream)
        stream.send(f"!repeat 400 {'unread' * 2500}")
        stream.await_bytes(900)
        stream.reset(ErrorCode.CANCEL)
        verify.await_cancellation(grpcstream_wire, token, stream, "a reset while the flow-control window is exhausted")
        verify.serves(grpcstream_wire, "after a reset while the flow-control window was exhausted")


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
    verify.await_cancellation(grpcstream_wire, token, stream, "a reset with an error code other than CANCEL")
    verify.serves(grpcstream_wire, "after a reset with an error code other than CANCEL")


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
    verify.await_cancellation(grpcstream_wire, token, stream, f"the loss of its TCP connection (the client sent {how})")


@requirement("CANCEL-10", features=("watch",))
@pytest.mark.parametrize("method", ["List", "Record"])
def test_the_handler_of_a_list_or_record_learns_of_a_lost_connection(
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
        verify.await_cancellation(
            grpcstream_wire, token, stream, "the loss of its TCP connection (the client sent RST)"
        )

    verify.retry_with_longer_pauses(lose, grpcstream_quiet)


# Calls that are not cancelled -------------------------------------------------------------------------------------


@requirement("CANCEL-16", features=("watch",))
def test_a_call_that_ended_with_ok_is_not_reported_as_cancelled(grpcstream: Client, grpcstream_quiet: float) -> None:
    token = verify.new_token()
    with grpcstream.route() as stream:
        stream.send(f"!watch {token}")
        stream.close_send()
        verify.status(stream)
        verify.pause(grpcstream_quiet)
        cancelled = verify.query_cancelled(grpcstream, token)
        verify.fail_unless(not cancelled, "!cancelled answers 0 for a call that ended with OK", "it answers 1", stream)


@requirement("CANCEL-16", features=("watch", "abort"))
@pytest.mark.parametrize("method", ["Record", "Route"])
def test_an_aborted_call_is_not_reported_as_cancelled(grpcstream: Client, grpcstream_quiet: float, method: str) -> None:
    token = verify.new_token()
    with grpcstream.open(method) as stream:
        stream.send(f"!watch {token}")
        stream.send("!abort 0 by the server", Code.ABORTED)
        verify.status(stream, Code.ABORTED)
        verify.pause(grpcstream_quiet)
        cancelled = verify.query_cancelled(grpcstream, token)
        verify.fail_unless(not cancelled, "!cancelled answers 0 for an aborted call", "it answers 1", stream)


@requirement("CANCEL-16", features=("watch",), observed_by=("duplex",))
def test_open_and_unknown_calls_are_not_reported_as_cancelled(grpcstream: Client) -> None:
    with grpcstream.route() as cancelled_route, grpcstream.route() as open_route:
        cancelled_token, open_token = verify.watch(cancelled_route), verify.watch(open_route)
        cancelled_route.cancel()
        verify.await_cancellation(grpcstream, cancelled_token, cancelled_route, "the client's cancel")
        for token, which in ((open_token, "an open call"), (verify.new_token(), "an unknown token")):
            cancelled = verify.query_cancelled(grpcstream, token)
            verify.fail_unless(not cancelled, f"!cancelled answers 0 for {which}", "it answers 1", open_route)
        open_route.send("still here", 1)
        verify.answer(open_route)
