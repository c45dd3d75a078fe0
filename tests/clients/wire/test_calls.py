"""Ordinary RPCs of the wire client on two independent gRPC stacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.wire.services import grpcio_server
from pytest_grpcstream.clients.wire import ErrorCode, Origin, SettingCode, WireClient, WireStream
from pytest_grpcstream.errors import CardinalityError, OperationTimeout, StatusError, TargetError
from pytest_grpcstream.values import EOF, Code, Point

Connect = Callable[..., WireClient]


def test_list_reads_every_response_and_the_status(client: WireClient) -> None:
    """A List yields its responses in order, then EOF, and the status is the server's own."""
    with client.list("point", 3) as stream:
        assert stream.collect() == [("point", 0), ("point", 1), ("point", 2)]
        assert stream.recv() is EOF
        assert stream.status is not None
        assert stream.status.ok
        assert stream.origin is Origin.TRAILERS
        assert not stream.violations


def test_record_is_answered_once_after_the_half_close(client: WireClient) -> None:
    """A Record gets exactly one response that counts every request."""
    with client.record() as stream:
        for number in range(10):
            assert stream.send("r", number)
        assert stream.close_and_recv() == ("10", 10)
        assert stream.ended is not None
        assert not stream.ended.made_up


def test_route_is_full_duplex(client: WireClient) -> None:
    """A Route answers each request before the next one is sent, and ends after the half-close."""
    with client.route() as stream:
        for number in range(20):
            stream.send(f"ping {number}", number)
            assert stream.recv() == (f"ping {number}", number)
        stream.close_send()
        assert stream.recv() is EOF


def test_a_message_larger_than_every_window_passes_both_ways(client: WireClient) -> None:
    """A megabyte goes out and comes back through windows of 65,535 bytes."""
    name = "x" * 1_000_000
    with client.route() as stream:
        stream.send(name, 1)
        point = stream.recv()
        assert isinstance(point, Point)
        assert point.name == name
        stream.close_send()
        assert stream.recv() is EOF
        assert not stream.violations


def test_many_streams_interleave_on_one_connection(client: WireClient) -> None:
    """Fifty Routes on one connection each get their own answers."""
    streams = [client.route() for _ in range(50)]
    for turn in range(3):
        for index, stream in enumerate(streams):
            stream.send(f"stream {index}", turn)
        for index, stream in enumerate(streams):
            assert stream.recv() == (f"stream {index}", turn)
    for stream in streams:
        stream.close_send()
        assert stream.recv() is EOF
    assert len(client.connections) == 1
    assert not client.connection.violations


def test_an_error_comes_after_the_responses(client: WireClient) -> None:
    """A status other than OK is raised once every response is read; its message is percent-decoded."""
    text = "\t\nwhite space\r\nand Unicode BMP ☺ and non-BMP 😈, 100%\t\n"
    with client.list(text, -Code.NOT_FOUND) as stream:
        assert stream.recv() == (text, 0)
        with pytest.raises(StatusError) as caught:
            stream.recv()
        assert caught.value.status == (Code.NOT_FOUND, text)
        assert stream.origin is Origin.TRAILERS


def test_metadata_goes_both_ways(client: WireClient) -> None:
    """ASCII and binary metadata come back as sent, as initial and as trailing metadata."""
    binary = bytes(range(256))
    with client.open("Route", metadata=[("X-Initial", "a value"), ("x-trailing-bin", binary)]) as stream:
        assert ("x-initial", "a value") in stream.headers()
        stream.close_send()
        stream.end()
        assert stream.trailing_metadata is not None
        assert stream.trailing_metadata.all("x-trailing-bin") == [binary]
        assert stream.initial_metadata.all("x-trailing-bin") == []


@pytest.mark.parametrize("bad", [("two words", "v"), ("a-bin", "text"), ("a", "umlaut ä"), ("a", "tab\t")])
def test_illegal_metadata_is_refused_before_anything_is_sent(client: WireClient, bad: tuple[str, str]) -> None:
    """A key or value that gRPC does not allow is a ValueError that names it, not a frame on the wire."""
    client.connect()
    frames = len(client.connection.frames)
    with pytest.raises(ValueError, match=bad[0]):
        client.open("Route", metadata=[bad])
    assert len([one for one in client.connection.frames[frames:] if one.stream_id]) == 0


def test_an_unknown_method_is_unimplemented(client: WireClient) -> None:
    """The origin of its status is trailers-only."""
    with client.open("/proto.StreamService/Nope") as stream:
        stream.close_send()
        assert stream.end().code == Code.UNIMPLEMENTED
        assert stream.origin is Origin.TRAILERS_ONLY


def test_cancel_resets_the_stream_with_a_made_up_status(client: WireClient) -> None:
    """Cancelling sends RST_STREAM with CANCEL; the status is this client's own."""
    with client.route() as stream:
        stream.send("one", 1)
        stream.recv()
        stream.cancel()
        with pytest.raises(StatusError):
            stream.recv()
        assert stream.ended is not None
        assert stream.ended.made_up
        assert (stream.ended.origin, stream.ended.status.code) == (Origin.CLIENT_CANCEL, Code.CANCELLED)
        assert stream.frames[-1].content == ErrorCode.CANCEL
    with client.list("still there", 1) as after:
        assert after.collect() == [("still there", 0)]
    assert client.connection.ping() is not None
    assert not client.connection.violations


def test_a_deadline_is_sent_and_enforced_by_the_client(client: WireClient) -> None:
    """When the deadline passes, the RPC ends on the client's side, whatever the server does."""
    began = time.monotonic()
    with client.open("Route", deadline=0.2) as stream:
        assert stream.end(timeout=3).code == Code.DEADLINE_EXCEEDED
        assert 0.15 < time.monotonic() - began < 2
        fields = dict(stream.frames[0].fields)
        assert fields[b"grpc-timeout"] == b"200000u"


def test_without_enforcement_only_the_server_ends_an_expired_rpc(client: WireClient) -> None:
    """With a grpc-timeout alone the client does not end the RPC, so that the end is the server's."""
    with client.open("Route", grpc_timeout="200m") as stream:
        ended = stream.await_end(3)
        assert ended.origin in (Origin.TRAILERS, Origin.TRAILERS_ONLY, Origin.RST_STREAM)
        assert ended.status.code in (Code.DEADLINE_EXCEEDED, Code.CANCELLED)
        assert not [one for one in stream.frames if one.sent and one.name == "RST_STREAM"]


def test_a_timeout_leaves_the_stream_usable(client: WireClient) -> None:
    """A receive without a response times out; the stream goes on."""
    with client.route() as stream:
        began = time.monotonic()
        with pytest.raises(OperationTimeout, match=r"within 0\.1 s"):
            stream.recv(timeout=0.1)
        assert time.monotonic() - began < 1
        stream.send("now", 0)
        assert stream.recv() == ("now", 0)


def test_close_and_recv_requires_exactly_one_response(client: WireClient) -> None:
    """Two responses instead of one are a cardinality error."""
    with client.route() as stream:
        stream.send("one", 0)
        stream.send("two", 0)
        with pytest.raises(CardinalityError):
            stream.close_and_recv()


def test_leaving_a_stream_frees_its_slot(stack: tuple[str, str], connected: Connect) -> None:
    """A stream that is left open is cancelled, one that ended is forgotten: a connection carries thousands."""
    client = connected(stack[1])
    for number in range(300):
        with client.route() as stream:
            stream.send("n", number)
            assert stream.recv() == ("n", 0)
    client.connect()
    assert client.connection.stream_ids == ()
    assert len(client.connections) == 1


def test_one_thread_sends_while_another_receives(client: WireClient) -> None:
    """Both directions of a Route carry megabytes at once, on several streams and threads, and nothing is lost."""
    failures: list[str] = []

    def send(stream: WireStream, name: str) -> None:
        for value in range(20):
            stream.send(name, value)

    def exchange(number: int) -> None:
        with client.route() as stream:
            sender = threading.Thread(target=send, args=(stream, f"{number}" * 20_000))
            sender.start()
            got = stream.take(20)
            sender.join(20)
            stream.close_send()
            if [point.name for point in got if point] != [f"{number}" * 20_000] * 20 or not stream.end().ok:
                failures.append(f"stream {number} got {len(got)} responses")

    threads = [threading.Thread(target=exchange, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert not client.connection.violations


def test_a_stalled_stream_does_not_stall_others(client: WireClient) -> None:
    """While one stream is unread and its window exhausted, another on the same connection goes on."""
    with client.list("x" * 1000, 1000) as stalled:
        assert stalled.await_bytes(60_000) >= 60_000
        for _ in range(2):
            with client.list("y" * 1000, 200) as stream:
                assert len(stream.collect()) == 200
        assert len(stalled.collect()) == 1000
        assert not client.connection.violations


def test_unread_responses_keep_the_window_shut(client: WireClient) -> None:
    """The stream's window is given back as messages are read, not as they arrive."""
    with client.list("x" * 1000, 200) as stream:
        stream.await_bytes(65_000)
        updates = [one for one in stream.frames if one.sent and one.name == "WINDOW_UPDATE"]
        assert updates == []
        assert stream.response.flow_bytes <= 65_535
        stream.take(60)
        updates = [one for one in stream.frames if one.sent and one.name == "WINDOW_UPDATE"]
        assert [one.content for one in updates] != []
        assert len(stream.collect()) == 140


def test_unix_sockets_and_ipv6_are_supported(tmp_path: Path) -> None:
    """The client connects to a unix socket and to an IPv6 address."""
    with grpcio_server(f"unix:{tmp_path}/s") as address, WireClient(address) as client:
        assert client.list("u", 1).collect() == [("u", 0)]
    with grpcio_server("[::1]:0") as address, WireClient(address) as client:
        assert client.list("6", 1).collect() == [("6", 0)]


def test_nothing_listening_is_one_clear_error(tmp_path: Path) -> None:
    """Connecting to an address where no server listens raises TargetError."""
    with WireClient(f"unix:{tmp_path}/none") as client, pytest.raises(TargetError, match="nothing answers at unix:"):
        client.route()


@pytest.mark.parametrize("address", ["", "nonsense", "host:port", "[::1]:"])
def test_a_malformed_address_is_one_clear_error(address: str) -> None:
    """The error names the forms that are valid."""
    with WireClient(address) as client, pytest.raises(TargetError, match="is not an address: use host:port"):
        client.connect()


def test_two_clients_have_connections_of_their_own(grpcio_address: str, connected: Connect) -> None:
    """`fresh` creates a client with another connection and other options, and leaves the first one unchanged."""
    first = connected(grpcio_address)
    first.connect()
    second = first.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}, timeout=2.0)
    with second:
        assert second.list("s", 1).collect() == [("s", 0)]
        assert second.timeout == 2.0
        assert second.connection is not first.connection
        assert second.connection.await_settings_ack()
    assert second.connection.closed is not None
    assert first.connection.closed is None
