"""What a test may choose about the frames that are sent, as a server reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.wire.peers import OK, Frame, Peer, Recorder, hold, scripted
from pytest_grpcstream.clients.wire import (
    ErrorCode,
    Flag,
    FrameType,
    Headers,
    WireClient,
    chunking,
    framed,
)
from pytest_grpcstream.errors import OperationTimeout
from pytest_grpcstream.values import EOF, Point
from pytest_grpcstream.wire.chunking import Chunking

Connect = Callable[..., WireClient]

POINTS = [Point("first", 1), Point("second", 2), Point("third", 3)]
CHUNKINGS: dict[str, Chunking] = {
    "one_each": chunking.one_each,
    "joined": chunking.joined,
    "every byte": chunking.every(1),
    "every 7": chunking.every(7),
    "at 3 and 20": chunking.at(3, 20),
    "prefix_alone": chunking.prefix_alone,
    "prefix_split": chunking.prefix_split,
    "straddling": chunking.straddling,
}


# Chunking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHUNKINGS)
def test_chunking_carries_no_meaning(stack: tuple[str, str], connected: Connect, name: str) -> None:
    """Three messages in any DATA frames are three messages to both stacks."""
    client = connected(stack[1])
    with client.route() as stream:
        assert stream.send_together(POINTS, CHUNKINGS[name])
        assert [stream.recv() for _ in POINTS] == [(point.name, number) for number, point in enumerate(POINTS)]
        stream.close_send()
        assert stream.recv() is EOF
        assert stream.sent == 3


def test_a_client_has_a_chunking_of_its_own(connected: Connect) -> None:
    """It applies to every message that the client sends."""
    recorder = Recorder()
    with scripted(recorder) as address, connected(address, chunking=chunking.every(3)).route() as stream:
        stream.send("abc", 1)
        stream.close_send()
        stream.end()
    assert {len(one) for one in recorder.data[:-2]} == {3}
    assert b"".join(recorder.data) == framed(Point("abc", 1))


def test_chunkings_yield_exact_payloads() -> None:
    """Each chunking does what its name says, byte by byte."""
    messages = [framed(b"ab"), framed(b""), framed(b"cde")]
    joined = b"".join(messages)
    assert list(chunking.one_each(messages)) == messages
    assert list(chunking.joined(messages)) == [joined]
    assert list(chunking.every(4)(messages)) == [joined[start : start + 4] for start in range(0, len(joined), 4)]
    assert list(chunking.at(1, 5)(messages)) == [joined[:1], joined[1:5], joined[5:]]
    assert list(chunking.at(100)(messages)) == [joined]
    assert list(chunking.prefix_alone(messages)) == [joined[:5], b"ab", messages[1], messages[2][:5], b"cde"]
    assert list(chunking.prefix_split([messages[0]])) == [joined[:2], joined[2:5], b"ab"]
    assert list(chunking.straddling(messages)) == [joined[:5], b"ab" + messages[1], messages[2][:5], b"cde"]
    assert list(chunking.spaced()(messages[:2])) == [b"", messages[0], b"", messages[1], b""]
    assert list(chunking.spaced(chunking.joined)(messages)) == [b"", joined, b""]


def test_empty_payloads_are_sent_as_empty_frames(connected: Connect) -> None:
    """An empty payload becomes an empty DATA frame without END_STREAM."""
    recorder = Recorder()
    with scripted(recorder) as address, connected(address, chunking=chunking.spaced()).record() as stream:
        stream.send("a", 1)
        stream.close_send()
        stream.end()
    assert recorder.data == [b"", framed(Point("a", 1)), b"", b""]
    assert [one.end_stream for one in recorder.frames[1:]] == [False, False, False, True]


def test_grpcio_ignores_empty_data_frames(grpcio_address: str, connected: Connect) -> None:
    """Empty DATA frames between messages are neither messages nor the end."""
    with connected(grpcio_address, chunking=chunking.spaced()).record() as stream:
        for number in range(5):
            stream.send("x", number)
        assert stream.close_and_recv() == ("5", 5)


def test_padding_is_sent_and_counted(connected: Connect) -> None:
    """Padded frames have the PADDED flag, and their whole payload is taken from the windows."""
    recorder = Recorder()
    with scripted(recorder) as address, connected(address, padding=10).record() as stream:
        before = stream.send_window
        stream.send("a", 1)
        assert stream.send_window == before - len(framed(Point("a", 1))) - 11
        stream.close_send()
        stream.end()
    first = recorder.frames[1]
    assert first.flags & Flag.PADDED
    assert first.payload == bytes([10]) + framed(Point("a", 1)) + bytes(10)


def test_grpclib_accepts_padded_frames(grpclib_address: str, connected: Connect) -> None:
    """A server on h2 reads padded DATA like any other, through more than one window of padding."""
    with connected(grpclib_address, padding=255).record() as stream:
        for number in range(600):
            stream.send("p", number)
        assert stream.close_and_recv() == ("600", 600)


def test_many_requests_share_frames(client: WireClient) -> None:
    """A server may treat thousands of small frames as an attack; the order is kept."""
    points = [Point(f"p{number}", number) for number in range(200)]
    with client.record() as stream:
        assert stream.send_all(points)
        stream.close_send()
        assert stream.end().ok
        sent = [one for one in stream.frames if one.sent and one.kind == FrameType.DATA]
        assert len(sent) < 10
        assert sum(one.length for one in sent) == sum(len(framed(point)) for point in points)


# Half-close -----------------------------------------------------------------------------------------------------------


def test_half_close_on_the_last_data_frame(client: WireClient) -> None:
    """`send_last` puts END_STREAM on the frame of the last message; no empty frame follows."""
    with client.record() as stream:
        stream.send("one", 1)
        stream.send_last("two", 2)
        assert stream.recv() == ("6", 2)
        assert stream.recv() is EOF
        sent = [one for one in stream.frames if one.sent and one.kind == FrameType.DATA]
        assert [one.end_stream for one in sent] == [False, True]
        assert sent[-1].length == len(framed(Point("two", 2)))


def test_half_close_on_an_empty_data_frame(client: WireClient) -> None:
    """`close_send` sends an empty DATA frame with END_STREAM, as gRPC over HTTP2 describes it."""
    with client.record() as stream:
        stream.send("one", 1)
        stream.close_send()
        assert stream.recv() == ("3", 1)
        last = [one for one in stream.frames if one.sent and one.kind == FrameType.DATA][-1]
        assert (last.length, last.end_stream) == (0, True)


def test_half_close_on_headers(client: WireClient) -> None:
    """A request without a message: HEADERS has END_STREAM, and both stacks see the half-close."""
    with client.open("Record", end_stream=True) as stream:
        stream.await_end()
        sent = [one for one in stream.frames if one.sent]
        assert [(one.kind, one.end_stream) for one in sent] == [(FrameType.HEADERS, True)]
        with pytest.raises(ValueError, match="half-closed"):
            stream.send("more", 1)


def test_half_close_by_trailers(connected: Connect) -> None:
    """Request trailers are a second HEADERS frame with END_STREAM, after everything that was sent."""
    recorder = Recorder()
    with scripted(recorder) as address, connected(address).record() as stream:
        stream.send("one", 1)
        stream.close_send_by_trailers(Headers([("x-t", "1")]))
        assert stream.end().ok
    assert [(one.kind, one.end_stream) for one in recorder.frames] == [
        (FrameType.HEADERS, False),
        (FrameType.DATA, False),
        (FrameType.HEADERS, True),
    ]
    assert recorder.peer is not None


def test_grpclib_accepts_request_trailers(grpclib_address: str, connected: Connect) -> None:
    """A server on h2 treats request trailers as the half-close."""
    with connected(grpclib_address).record() as stream:
        stream.send("one", 1)
        stream.close_send_by_trailers(Headers([("x-t", "1")]))
        assert stream.recv() == ("3", 1)


# Raw frames -----------------------------------------------------------------------------------------------


def test_one_data_frame_exactly_as_given(connected: Connect) -> None:
    """`data` sends a single frame with any flags and padding, even after END_STREAM."""
    recorder = Recorder()
    with scripted(recorder) as address, connected(address).record() as stream:
        stream.data(b"abc")
        stream.data(b"", padding=0)
        stream.data(b"", end_stream=True)
        stream.end()
    assert recorder.data == [b"abc", b"\x00", b""]


def test_data_can_be_sent_after_the_half_close(grpclib_address: str, connected: Connect) -> None:
    """`data` ignores END_STREAM: the server answers the late frame with a reset."""
    with connected(grpclib_address).open("List") as stream:
        stream.data(framed(Point("x", 100_000)), end_stream=True)
        stream.data(b"late")
        assert stream.await_reset() == ErrorCode.STREAM_CLOSED


def test_write_sends_pieces_of_messages(client: WireClient) -> None:
    """Bytes of the message stream are sent unchanged: a prefix now, the rest later."""
    whole = framed(Point("halves", 1))
    with client.route() as stream:
        stream.write(whole[:3])
        stream.write(whole[3:9])
        with pytest.raises(OperationTimeout):
            stream.recv(timeout=0.1)
        stream.write(whole[9:])
        assert stream.recv() == ("halves", 0)


def test_raw_frames_of_any_type(connected: Connect) -> None:
    """A frame of any type, flags, stream and payload is sent as given; so are bytes that are not a frame."""
    seen: list[Frame] = []

    def script(peer: Peer) -> None:
        peer.greet()
        seen.append(peer.until(lambda one: one.kind == 0xBE))
        seen.append(peer.until_kind(FrameType.PRIORITY))
        seen.append(peer.until_kind(FrameType.PING))
        peer.send(FrameType.PING, Flag.ACK, 0, seen[-1].payload)
        hold(peer)

    with scripted(script) as address:
        connection = connected(address).connect()
        connection.send_frame(0xBE, b"anything", flags=0x55, stream_id=7)
        connection.send_bytes(b"\x00\x00\x05\x02\x00\x00\x00\x00\x09" + bytes(5))
        assert connection.ping() is not None
    assert seen[0] == Frame(0xBE, 0x55, 7, b"anything")
    assert seen[1] == Frame(FrameType.PRIORITY, 0, 9, bytes(5))


def test_raw_data_counts_against_the_windows(grpclib_address: str, connected: Connect) -> None:
    """A server gives back the bytes of a raw DATA frame, even up to the largest window; that is not an overflow."""
    with connected(grpclib_address).open("Record") as stream:
        connection = stream.connection
        before = connection.send_window, stream.send_window
        connection.send_frame(FrameType.DATA, framed(Point("raw", 1)), stream_id=stream.stream_id)
        size = len(framed(Point("raw", 1)))
        assert (connection.send_window, stream.send_window) == (before[0] - size, before[1] - size)
        connection.send_frame(FrameType.PRIORITY, bytes(5), stream_id=stream.stream_id)
        assert connection.send_window == before[0] - size


def test_corked_frames_go_in_one_write(connected: Connect) -> None:
    """HEADERS, DATA and RST_STREAM inside `corked` reach the server in one piece."""
    pieces: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until_kind(FrameType.SETTINGS, ack=True)
        pieces.append(peer.chunk())
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        connection = client.connect()
        with connection.corked():
            stream = client.open("Record")
            stream.send("a", 1)
            stream.reset(ErrorCode.NO_ERROR)
        connection.watch(0.1)
    assert pieces[0][3] == FrameType.HEADERS
    assert framed(Point("a", 1)) in pieces[0]
    assert pieces[0].endswith(b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x00")


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.INTERNAL_ERROR, 0xDEADBEEF])
def test_a_reset_with_any_code_ends_the_rpc_and_nothing_else(client: WireClient, code: int) -> None:
    """RST_STREAM carries the code; the connection and other streams go on."""
    with client.route() as other, client.route() as stream:
        stream.send("a", 1)
        stream.recv()
        stream.reset(code)
        assert stream.frames[-1].content == code
        assert stream.end().code == 1
        other.send("still", 1)
        assert other.recv() == ("still", 0)


def test_an_early_end_is_reset_when_the_stream_is_left(connected: Connect) -> None:
    """A stream that the server ends before the half-close gets RST_STREAM with NO_ERROR once the test leaves it."""
    resets: list[Frame] = []

    def script(peer: Peer) -> None:
        peer.greet()
        stream_id = peer.until_kind(FrameType.HEADERS).stream_id
        peer.answer(stream_id)
        resets.append(peer.until_kind(FrameType.RST_STREAM))

    with scripted(script) as address:
        client = connected(address)
        with client.record() as stream:
            assert stream.await_end().status.ok
            assert not stream.send("late", 1)
        client.connection.await_close()
    assert resets[0].payload == bytes(4)


def test_the_end_of_the_rpc_ends_a_send_that_waits(connected: Connect) -> None:
    """A send that waits for the server's window returns False as soon as the server ends the RPC."""

    def script(peer: Peer) -> None:
        peer.greet([(4, 10)])
        stream_id = peer.until_kind(FrameType.DATA).stream_id
        peer.headers(stream_id, [(":status", "200"), ("content-type", "application/grpc"), *OK], end_stream=True)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        assert stream.send("x" * 100, 1) is False
        assert stream.end().ok
