"""The stream interface behaves alike over both clients: what an operation returns, raises and leaves behind."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from clients.wire.services import grpcio_server
from pytest_grpcstream import (
    EOF,
    CardinalityError,
    Client,
    MessageError,
    Metadata,
    OperationTimeout,
    Point,
    Status,
    StatusError,
    Stream,
)
from pytest_grpcstream.clients.grpcio import LibraryClient, open_channel
from pytest_grpcstream.clients.wire import WireClient

ABORTED = -10
"""The value by which a List of the service below ends with ABORTED."""
WAIT = 0.15
"""A time limit that is meant to expire."""


def library(address: str) -> Client:
    """The library client of an address."""
    return LibraryClient(open_channel(address), timeout=20, owned=True)


def wire(address: str) -> Client:
    """The wire client of an address."""
    return WireClient(address, timeout=20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a service on grpcio."""
    with grpcio_server() as address:
        yield address


@pytest.fixture(params=[library, wire], ids=["library", "wire"])
def make(request: pytest.FixtureRequest) -> Callable[[str], Client]:
    """Both clients in turn, as factories that take an address."""
    factory: Callable[[str], Client] = request.param
    return factory


@pytest.fixture
def client(make: Callable[[str], Client], address: str) -> Iterator[Client]:
    """Both clients in turn, of the service."""
    with make(address) as client:
        yield client


def threads() -> list[str]:
    """The threads of this process, except its main one, those of servers and those of pytest."""
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return [name for name in names if "_serve" not in name and not name.startswith(("ThreadPoolExecutor", "execnet"))]


def trailing(stream: Stream) -> Metadata:
    """The trailing metadata, empty while it is not known."""
    return stream.trailing_metadata or Metadata()


@contextlib.contextmanager
def answering(*messages: bytes, wait: threading.Event | None = None) -> Iterator[str]:
    """A server of one method, which sends these bytes and waits before it ends; yields its address."""

    def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from messages
        if wait is not None:
            wait.wait(20)

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Route": grpc.stream_stream_rpc_method_handler(answer)}
    with grpcio_server(handlers=handlers) as address:
        yield address


# Receiving --------------------------------------------------------------------------------------------------------


def test_responses_come_in_order_and_then_eof(client: Client) -> None:
    """EOF is returned repeatedly, and the status is known from then on, not before."""
    with client.list("name", 3) as stream:
        assert [stream.recv() for _ in range(3)] == [Point("name", number) for number in range(3)]
        assert repr(stream).startswith(f"<{type(stream).__name__} /proto.StreamService/List open")
        assert not trailing(stream)
        assert [stream.recv(), stream.recv()] == [EOF, EOF]
        assert stream.status == Status(0, "")
        assert stream.received == 3


def test_a_status_is_raised_after_the_responses(client: Client) -> None:
    """It has the server's code and message, however often it is read."""
    with client.list("an end", ABORTED) as stream:
        assert stream.recv() == Point("an end", 0)
        for _ in range(2):
            with pytest.raises(StatusError, match="ABORTED") as caught:
                stream.recv()
            assert caught.value.status == Status(10, "an end") == stream.status
            assert caught.value.stream is stream


def test_iterating_ends_at_eof_and_raises_a_status(client: Client) -> None:
    """A ``for`` loop sees every response."""
    with client.list("name", 4) as stream:
        assert list(stream) == [Point("name", number) for number in range(4)]
    with client.list("name", ABORTED) as stream, pytest.raises(StatusError):
        list(stream)


def test_collect_reads_every_response_with_any_status(client: Client) -> None:
    """A status other than OK is not raised."""
    with client.list("name", 5) as stream:
        assert len(stream.collect()) == 5
    with client.list("name", ABORTED) as stream:
        assert stream.collect() == [Point("name", 0)]
        assert stream.status == Status(10, "name")


def test_collect_has_a_limit(client: Client) -> None:
    """A List that never ends does not hang a test."""
    with client.list("name", 50) as stream, pytest.raises(OperationTimeout, match="no end after 11 responses"):
        stream.collect(limit=10)


def test_take_reads_exactly_as_many_as_requested(client: Client) -> None:
    """Later responses stay unread."""
    with client.list("name", 5) as stream:
        assert stream.take(3) == [Point("name", number) for number in range(3)]
        assert stream.recv() == Point("name", 3)


def test_take_raises_if_the_rpc_ends_early(client: Client) -> None:
    """OK raises CardinalityError, another status raises StatusError."""
    with client.list("name", 2) as stream, pytest.raises(CardinalityError, match="ended with OK after 2"):
        stream.take(3)
    with client.list("name", ABORTED) as stream, pytest.raises(StatusError, match="ABORTED"):
        stream.take(3)


def test_end_counts_the_responses_that_it_skips(client: Client) -> None:
    """It returns any status, OK or not."""
    with client.list("name", 6) as stream:
        assert stream.end() == Status(0, "")
        assert stream.received == 6
    with client.list("name", ABORTED) as stream:
        assert stream.end() == Status(10, "name")


def test_a_timeout_leaves_the_stream_usable(client: Client) -> None:
    """It is raised soon after the time limit and says what did not happen."""
    with client.route() as stream:
        began = time.monotonic()
        with pytest.raises(OperationTimeout, match="nothing arrived after 0 response"):
            stream.recv(timeout=WAIT)
        assert WAIT <= time.monotonic() - began < 10
        stream.send("late")
        assert stream.recv() == Point("late", 0)
        stream.close_send()
        assert stream.recv() is EOF


def test_a_response_that_does_not_parse_is_an_error(make: Callable[[str], Client]) -> None:
    """`recv` raises and goes on to the next response; `recv_bytes` returns the bytes."""
    with answering(b"\xff\xff", b"") as address, make(address) as client:
        with client.route() as stream:
            with pytest.raises(MessageError, match="do not parse"):
                stream.recv()
            assert stream.recv() is None
            assert stream.recv() is EOF
        with client.route() as stream:
            assert [stream.recv_bytes() for _ in range(3)] == [b"\xff\xff", b"", EOF]


# Sending ----------------------------------------------------------------------------------------------------------


def test_the_half_close_follows_everything_that_was_sent(client: Client) -> None:
    """A second one does nothing, and nothing can be sent after it."""
    with client.record() as stream:
        for word in ("a", "bc", "def"):
            assert stream.send(word)
        stream.close_send()
        stream.close_send()
        with pytest.raises(ValueError, match="half-closed"):
            stream.send("late")
        assert stream.recv() == Point("6", 3)
        assert stream.sent == 3


def test_many_requests_are_all_sent(client: Client) -> None:
    """The client may pack them into frames in any way."""
    with client.record() as stream:
        assert stream.send_all(Point("abc", number) for number in range(200))
        assert stream.sent == 200
        assert stream.close_and_recv() == Point("600", 200)


def test_sending_to_an_rpc_that_has_ended_returns_false(client: Client) -> None:
    """Nothing is raised; reading reports how it ended."""
    with client.open("/proto.StreamService/Nothing") as stream:
        with pytest.raises(StatusError, match="UNIMPLEMENTED"):
            stream.recv()
        assert not stream.send("late")
        assert not stream.send_all([Point("late", 1), Point("later", 2)])
        assert stream.sent == 0


def test_sending_to_a_server_that_does_not_read_times_out(make: Callable[[str], Client]) -> None:
    """Flow control ends in a timeout, not in a hang."""
    over = threading.Event()
    with answering(wait=over) as address, make(address) as client, client.route() as stream:
        stream.timeout = WAIT
        with pytest.raises(OperationTimeout, match="stopped taking them"):
            all(stream.send("x" * 100_000) for _ in range(1000))
        over.set()


def test_close_and_recv_requires_exactly_one_response(make: Callable[[str], Client]) -> None:
    """No response and two responses are errors."""

    def close_and_recv(*messages: bytes) -> Point | None:
        with answering(*messages) as address, make(address) as client, client.route() as stream:
            return stream.close_and_recv()

    with pytest.raises(CardinalityError, match="OK without a response"):
        close_and_recv()
    assert close_and_recv(b"") is None
    with pytest.raises(CardinalityError, match="a second response"):
        close_and_recv(b"", b"")


# Metadata ---------------------------------------------------------------------------------------------------------


def test_metadata_goes_both_ways(client: Client) -> None:
    """Initial metadata is known before the end, trailing metadata after it; ``-bin`` values are bytes."""
    sent: list[tuple[str, str | bytes]] = [
        ("x-initial", "first"),
        ("x-initial", "second"),
        ("x-trailing-bin", b"\x00\xff"),
    ]
    with client.route(metadata=sent) as stream:
        assert stream.headers().all("x-initial") == ["first", "second"]
        assert not trailing(stream)
        stream.close_send()
        assert stream.recv() is EOF
        assert stream.initial_metadata.all("x-initial") == ["first", "second"]
        assert trailing(stream).all("x-trailing-bin") == [b"\x00\xff"]


def test_waiting_for_headers_has_a_time_limit(make: Callable[[str], Client]) -> None:
    """By itself grpcio would wait as long as the RPC lasts."""
    over = threading.Event()
    with answering(wait=over) as address, make(address) as client, client.route() as stream:
        with pytest.raises(OperationTimeout, match="no headers arrived"):
            stream.headers(timeout=WAIT)
        over.set()
        assert stream.headers() is not None


# Ends -------------------------------------------------------------------------------------------------------------


def test_a_cancel_ends_the_rpc_on_this_side(client: Client) -> None:
    """Reading then reports CANCELLED, and a second cancel does nothing."""
    with client.route() as stream:
        stream.send("one")
        assert stream.recv() == Point("one", 0)
        stream.cancel()
        stream.cancel()
        with pytest.raises(StatusError, match="CANCELLED"):
            stream.recv()


def test_a_deadline_ends_the_rpc(client: Client) -> None:
    """Either side may notice it first."""
    with client.open("Route", deadline=WAIT) as stream, pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
        stream.recv()


def test_leaving_a_stream_ends_it(client: Client) -> None:
    """Closing it twice is fine, and other streams go on."""
    with client.route() as other:
        with client.route() as stream:
            stream.send("left")
        stream.close()
        other.send("stays")
        assert other.recv() == Point("stays", 0)


def test_closing_a_client_closes_its_streams(make: Callable[[str], Client], address: str) -> None:
    """No thread is left that waits for a stream."""
    client = make(address)
    streams: list[Stream] = [client.route() for _ in range(5)]
    for stream in streams:
        stream.send("open")
        assert stream.recv() == Point("open", 0)
    client.close()
    client.close()
    due = time.monotonic() + 10
    while threads() and time.monotonic() < due:
        time.sleep(0.01)
    assert not threads()


def test_a_client_of_many_calls_stays_small(client: Client) -> None:
    """Streams that ended long ago are forgotten; open ones are kept."""
    with client.route() as kept:
        for _ in range(300):
            with client.list("name", 1) as stream:
                stream.end()
        assert kept in client.streams
        assert len(client.streams) < 250
        assert client.streams[-1] is stream
