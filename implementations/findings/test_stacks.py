"""Findings on gRPC stacks, each in its smallest test."""

from __future__ import annotations

import time
import uuid

import pytest

from pytest_grpcstream import Code, Point
from pytest_grpcstream.clients.wire import ErrorCode, SettingCode, WireClient, framed


def noticed(client: WireClient, token: str) -> bool:
    """Whether the handler marked with a token learns within half a second that its client went away."""
    time.sleep(0.5)
    with client.list(f"!cancelled {token}") as asked:
        return asked.recv() == Point(f"!cancelled {token}", 1)


@pytest.mark.finding("reference", "META-5")
def test_grpcio_refuses_a_key_after_a_bad_value(grpcstream_wire: WireClient) -> None:
    """Metadata of an earlier call does not affect a call."""
    for value in ("no base64!", "q6ur"):
        headers = grpcstream_wire.request_headers("Record").added("x-key-bin", value)
        with grpcstream_wire.open("Record", headers=headers) as stream:
            stream.close_send()
            status = stream.end()
    assert status.ok, str(status)


@pytest.mark.finding("grpclib", "EOF-11")
def test_grpclib_treats_an_empty_frame_as_half_close(grpcstream_wire: WireClient) -> None:
    """An empty DATA frame between two messages carries no meaning."""
    with grpcstream_wire.record() as stream:
        stream.send("!echo first")
        time.sleep(0.1)
        stream.data(b"")
        stream.send("!echo second")
        stream.close_send()
        assert stream.recv() == Point("first,second", 2)


@pytest.mark.finding("grpclib", "CANCEL-14")
def test_grpclib_loses_the_window_of_data_sent_with_a_reset(grpcstream_wire: WireClient) -> None:
    """The connection window is replenished for DATA that arrives together with the RST_STREAM of its stream."""
    connection = grpcstream_wire.connect()
    connection.ping()  # by then the window has its full size
    part = framed(b"", length=20_000) + b"u" * 11_000
    for _ in range(2 * connection.send_window // len(part)):
        with connection.corked():
            stream = grpcstream_wire.open("Record")
            stream.data(part)
            stream.reset(ErrorCode.CANCEL)
        assert connection.wait(lambda: connection.send_window >= len(part), 1), "the window is not replenished"


@pytest.mark.finding("java-grpc", "ROBUST-18", race=True)
def test_grpc_java_ends_the_connection_over_one_request(grpcstream_wire: WireClient) -> None:
    """A request that is not valid protobuf ends its own call, not the connection of all calls."""
    connection = grpcstream_wire.connect()
    for _ in range(50):
        with grpcstream_wire.open("Record", connection=connection) as stream:
            stream.send_bytes(b"\xff")
            stream.close_send()
            stream.await_end()
        assert not connection.wait(lambda: bool(connection.goaways), 0.02), "the connection was ended"


@pytest.mark.finding("rust-tonic", "CANCEL-2")
def test_tonic_treats_a_cancel_as_half_close(grpcstream_wire: WireClient) -> None:
    """A handler that reads can distinguish a cancel from the end of the requests."""
    token = uuid.uuid4().hex
    with grpcstream_wire.record() as stream:
        stream.send(f"!watch {token}")
        time.sleep(0.1)
        stream.reset(ErrorCode.CANCEL)
    assert noticed(grpcstream_wire, token)


@pytest.mark.finding("rust-tonic", "DEADL-14")
def test_tonic_does_not_end_a_response_at_the_deadline(grpcstream_wire: WireClient) -> None:
    """A server ends a call at its deadline, even after the response headers."""
    with grpcstream_wire.open("List", grpc_timeout="100m") as stream:
        stream.send_last("!sleep 60000")
        status = stream.await_end(timeout=2).server_status
        assert status is not None
        assert status.code == Code.DEADLINE_EXCEEDED


@pytest.mark.finding("rust-tonic", "not judged")
def test_tonic_throttles_many_small_messages(grpcstream_wire: WireClient) -> None:
    """An upload of small messages, one per frame, may be faster than the method."""
    with grpcstream_wire.record() as stream:
        stream.send("!sleep 500")
        for number in range(4000):
            stream.send("small", number)
        stream.close_send()
        assert stream.recv() is not None


@pytest.mark.finding("node-connect", "FLOW-15")
def test_connect_node_delays_a_status_until_the_window_opens(grpcstream_wire: WireClient) -> None:
    """Trailers need no window."""
    shut = grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}, hold_windows=True)
    with shut.record() as stream:
        stream.send("!abort 0 no window", Code.NOT_FOUND)
        assert stream.await_end(timeout=1).server_status == (Code.NOT_FOUND, "no window")


@pytest.mark.finding("connectrpc-python", "PAIR-9", race=True)
def test_hypercorn_stops_responding_after_an_early_end(grpcstream_wire: WireClient) -> None:
    """Requests after the end of a response do not affect other calls on the connection."""
    for number in range(10):
        with grpcstream_wire.record() as stream:
            stream.send("!finish")
            for _ in range(200):
                stream.send("late" * 50)
            stream.await_end()
        with grpcstream_wire.list("after it", number) as after:
            assert after.recv() == Point("after it", number)


@pytest.mark.finding("connectrpc-python", "CANCEL-2")
def test_asgi_does_not_notify_a_handler_of_a_cancel_unless_it_reads(grpcstream_wire: WireClient) -> None:
    """A handler that sleeps after the half-close learns of a cancel."""
    token = uuid.uuid4().hex
    with grpcstream_wire.record() as stream:
        stream.send(f"!watch {token}")
        stream.send("!sleep 3000")
        stream.close_send()
        time.sleep(0.1)
        stream.reset(ErrorCode.CANCEL)
    assert noticed(grpcstream_wire, token)


@pytest.mark.finding("connectrpc-python", "WIRE-11")
def test_hypercorn_drops_trailers_without_te(grpcstream_wire: WireClient) -> None:
    """Without te in the request, a response still ends with a status, or the call is refused."""
    headers = grpcstream_wire.request_headers("Record").without("te")
    with grpcstream_wire.open("Record", headers=headers) as stream:
        stream.close_send()
        ended = stream.await_end()
    assert ended.server_status is not None or ended.reset_code is not None


@pytest.mark.finding("cpp-grpc", "WIRE-15")
def test_cpp_treats_a_malformed_message_as_half_close(grpcstream_wire: WireClient) -> None:
    """A request that is not valid protobuf does not end with OK."""
    with grpcstream_wire.record() as stream:
        stream.send_bytes(b"\xff")
        stream.close_send()
        assert not stream.end().ok


@pytest.mark.finding("ruby-grpc", "LOAD-8")
def test_ruby_keeps_the_threads_of_cancelled_calls(grpcstream_wire: WireClient) -> None:
    """Cancelled calls do not hold threads."""
    for _ in range(300):
        stream = grpcstream_wire.record()
        stream.send("!sleep 5000")
        time.sleep(0.005)
        stream.cancel()
    with grpcstream_wire.list("after the storm") as after:
        assert after.recv() == Point("after the storm", 0)
