"""What stacks do, each in its smallest test."""

from __future__ import annotations

import time
import uuid

import pytest

from pytest_grpcstream import Code, Point
from pytest_grpcstream.clients.wire import ErrorCode, SettingCode, WireClient, framed


def noticed(client: WireClient, token: str) -> bool:
    """Whether the handler that was marked with a token learns within half a second that its client went away."""
    time.sleep(0.5)
    with client.list(f"!cancelled {token}") as asked:
        return asked.recv() == Point(f"!cancelled {token}", 1)


@pytest.mark.finding("reference", "META-5")
def test_grpcio_refuses_a_key_that_had_a_bad_value(grpcstream_wire: WireClient) -> None:
    """A call is judged by its own metadata."""
    for value in ("no base64!", "q6ur"):
        headers = grpcstream_wire.request_headers("Record").added("x-key-bin", value)
        with grpcstream_wire.open("Record", headers=headers) as stream:
            stream.close_send()
            status = stream.end()
    assert status.ok, str(status)


@pytest.mark.finding("grpclib", "EOF-11")
def test_grpclib_treats_an_empty_frame_as_half_close(grpcstream_wire: WireClient) -> None:
    """An empty DATA frame between two messages is ignored."""
    with grpcstream_wire.record() as stream:
        stream.send("!echo first")
        time.sleep(0.1)
        stream.data(b"")
        stream.send("!echo second")
        stream.close_send()
        assert stream.recv() == Point("first,second", 2)


@pytest.mark.finding("grpclib", "CANCEL-14")
def test_grpclib_does_not_return_the_window_of_data_before_a_reset(grpcstream_wire: WireClient) -> None:
    """The connection window is returned for data that arrives in one write with the RST_STREAM of its stream."""
    connection = grpcstream_wire.connect()
    connection.ping()  # its window has its full size then
    part = framed(b"", length=20_000) + b"u" * 11_000
    for _ in range(2 * connection.send_window // len(part)):
        with connection.corked():
            stream = grpcstream_wire.open("Record")
            stream.data(part)
            stream.reset(ErrorCode.CANCEL)
        assert connection.wait(lambda: connection.send_window >= len(part), 1), "the window is not returned"


@pytest.mark.finding("java-grpc", "ROBUST-18", race=True)
def test_grpc_java_ends_the_connection_over_one_request(grpcstream_wire: WireClient) -> None:
    """A request that is not a protobuf message ends its own call, and not the connection of the others."""
    connection = grpcstream_wire.connect()
    for _ in range(50):
        with grpcstream_wire.open("Record", connection=connection) as stream:
            stream.send_bytes(b"\xff")
            stream.close_send()
            stream.await_end()
        assert not connection.wait(lambda: bool(connection.goaways), 0.02), "the connection was ended"


@pytest.mark.finding("rust-tonic", "CANCEL-2")
def test_tonic_treats_a_cancellation_as_half_close(grpcstream_wire: WireClient) -> None:
    """A handler that reads can distinguish a cancellation from the half-close."""
    token = uuid.uuid4().hex
    with grpcstream_wire.record() as stream:
        stream.send(f"!watch {token}")
        time.sleep(0.1)
        stream.reset(ErrorCode.CANCEL)
    assert noticed(grpcstream_wire, token)


@pytest.mark.finding("rust-tonic", "DEADL-14")
def test_tonic_does_not_end_a_response_at_the_deadline(grpcstream_wire: WireClient) -> None:
    """A server ends a call at its deadline, also after the response headers."""
    with grpcstream_wire.open("List", grpc_timeout="100m") as stream:
        stream.send_last("!sleep 60000")
        status = stream.await_end(timeout=2).server_status
        assert status is not None
        assert status.code == Code.DEADLINE_EXCEEDED


@pytest.mark.finding("rust-tonic", "not judged")
def test_tonic_treats_many_small_messages_as_an_attack(grpcstream_wire: WireClient) -> None:
    """An upload of small messages, each in a frame of its own, may outrun the method."""
    with grpcstream_wire.record() as stream:
        stream.send("!sleep 500")
        for number in range(4000):
            stream.send("small", number)
        stream.close_send()
        assert stream.recv() is not None


@pytest.mark.finding("node-connect", "FLOW-15")
def test_connect_node_keeps_a_status_until_the_window_opens(grpcstream_wire: WireClient) -> None:
    """Trailers need no window."""
    shut = grpcstream_wire.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}, hold_windows=True)
    with shut.record() as stream:
        stream.send("!abort 0 no window", Code.NOT_FOUND)
        assert stream.await_end(timeout=1).server_status == (Code.NOT_FOUND, "no window")


@pytest.mark.finding("connectrpc-python", "PAIR-9", race=True)
def test_hypercorn_falls_silent_behind_a_response_that_ended_early(grpcstream_wire: WireClient) -> None:
    """Requests behind the end of a response do no harm to other calls on the connection."""
    for number in range(10):
        with grpcstream_wire.record() as stream:
            stream.send("!finish")
            for _ in range(200):
                stream.send("late" * 50)
            stream.await_end()
        with grpcstream_wire.list("after it", number) as after:
            assert after.recv() == Point("after it", number)


@pytest.mark.finding("connectrpc-python", "CANCEL-2")
def test_asgi_reports_no_cancellation_to_a_handler_that_does_not_read(grpcstream_wire: WireClient) -> None:
    """A handler that sleeps behind the half-close learns of a cancel."""
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
    """A response ends with a status, or is refused as a whole, if the request has lost its te."""
    headers = grpcstream_wire.request_headers("Record").without("te")
    with grpcstream_wire.open("Record", headers=headers) as stream:
        stream.close_send()
        ended = stream.await_end()
    assert ended.server_status is not None or ended.reset_code is not None


@pytest.mark.finding("cpp-grpc", "WIRE-15")
def test_cpp_takes_a_damaged_message_for_the_half_close(grpcstream_wire: WireClient) -> None:
    """A request that is not a protobuf message does not end with OK."""
    with grpcstream_wire.record() as stream:
        stream.send_bytes(b"\xff")
        stream.close_send()
        assert not stream.end().ok


@pytest.mark.finding("ruby-grpc", "LOAD-8")
def test_ruby_keeps_the_threads_of_cancelled_calls(grpcstream_wire: WireClient) -> None:
    """Calls that were cancelled hold no thread."""
    for _ in range(300):
        stream = grpcstream_wire.record()
        stream.send("!sleep 5000")
        time.sleep(0.005)
        stream.cancel()
    with grpcstream_wire.list("after the storm") as after:
        assert after.recv() == Point("after the storm", 0)
