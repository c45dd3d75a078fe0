"""Findings on proxies, each in its smallest test."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Code, Point
from pytest_grpcstream.clients.wire import ErrorCode, SettingCode, WireClient


def shut(client: WireClient) -> WireClient:
    """A separate client with exhausted windows."""
    return client.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}, hold_windows=True)


@pytest.mark.finding("haproxy", "PAIR-9")
def test_haproxy_replaces_no_error_with_cancel(grpcstream_wire: WireClient) -> None:
    """The server's RST_STREAM(NO_ERROR) after a complete response does not become an error."""
    with grpcstream_wire.record() as stream:
        stream.send("!finish")
        stream.collect()
        assert stream.await_reset() in (None, ErrorCode.NO_ERROR)


@pytest.mark.finding("envoy", "PAIR-14")
def test_envoy_resets_a_response_followed_by_no_error(grpcstream_wire: WireClient) -> None:
    """A response that waits for the client's window arrives even if the server resets the stream with NO_ERROR."""
    with shut(grpcstream_wire) as client, client.record() as stream:
        stream.send("!finish")
        stream.connection.wait(lambda: False, 0.2)
        stream.open_window(1 << 16)
        stream.collect()
        assert stream.status is not None
        assert stream.status.ok, str(stream.ended)


@pytest.mark.finding("apache", "FLOW-15")
def test_apache_delays_a_status_until_the_window_opens(grpcstream_wire: WireClient) -> None:
    """Trailers need no window."""
    with shut(grpcstream_wire) as client, client.record() as stream:
        stream.send("!abort 0 no window", Code.NOT_FOUND)
        assert stream.await_end(timeout=1).server_status == (Code.NOT_FOUND, "no window")


@pytest.mark.finding("apache", "PAIR-14")
def test_apache_stops_reading_while_the_response_window_is_exhausted(grpcstream_wire: WireClient) -> None:
    """An upload does not need window for its response."""
    with shut(grpcstream_wire) as client, client.record() as stream:
        for _ in range(10):
            stream.send("m" * 80_000)


@pytest.mark.finding("apache", "CANCEL-4")
def test_apache_counts_cancelled_calls_as_open(grpcstream_wire: WireClient) -> None:
    """Cancelled calls do not block new ones."""
    streams = [grpcstream_wire.list("!sleep 20000") for _ in range(5)]
    grpcstream_wire.connection.wait(lambda: False, 0.2)
    for stream in streams:
        stream.cancel()
    with grpcstream_wire.list("after the cancels") as after:
        assert after.recv() == Point("after the cancels", 0)


@pytest.mark.finding("apache", "META-4")
def test_apache_joins_binary_metadata_that_grpcio_does_not_split(grpcstream_wire: WireClient) -> None:
    """Binary metadata in two fields of the same key is echoed."""
    metadata = [("x-grpc-test-echo-trailing-bin", value) for value in (b"first", b"second")]
    with grpcstream_wire.record(metadata=metadata) as stream:
        assert stream.close_and_recv() is not None
