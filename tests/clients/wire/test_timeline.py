"""What the timelines and the byte log keep, and what they never show."""

from __future__ import annotations

import time
from collections.abc import Callable

from clients.wire.peers import HEADERS, OK, Peer, hold, scripted
from pytest_grpcstream.clients.wire import Chunk, FrameType, Part, SettingCode, WireClient, chunking, framed
from pytest_grpcstream.values import Point
from pytest_grpcstream.wire.byte_log import ByteLog

Connect = Callable[..., WireClient]


def test_a_stream_shows_its_frames_and_events(client: WireClient) -> None:
    """Frames of both directions and events are in one timeline, with flags, sizes, messages and windows."""
    with client.route() as stream:
        stream.send("ping", 1)
        stream.recv()
        stream.close_send()
        stream.end()
        lines = stream.timeline.render(around=100)
    size = len(framed(Point("ping", 1)))
    assert "-> HEADERS stream 1, " in lines
    assert f"-> DATA stream 1, {size} bytes; message 0 ({size} bytes); windows: stream " in lines
    assert "-> message ('ping', 1)" in lines
    assert "-> DATA stream 1, 0 bytes, END_STREAM; no part of a message" in lines
    assert "<- HEADERS stream 1, " in lines
    assert "{':status': '200'" in lines
    assert "<- message ('ping', 0)" in lines
    assert "'grpc-status': '0'" in lines
    assert "<- end OK (in trailers)" in lines


def test_the_connection_shows_frames_without_a_stream(client: WireClient) -> None:
    """SETTINGS, PING and GOAWAY are in the connection's timeline, with their content."""
    connection = client.connect()
    connection.ping(b"12345678")
    connection.goaway(2, debug=b"bye\x1b[0m")
    lines = connection.timeline.render(around=100)
    assert "-- connected" not in lines
    assert "-> connected to " in lines
    assert "-> SETTINGS 6 bytes; ENABLE_PUSH 0" in lines
    assert "<- SETTINGS " in lines
    assert "-> PING 8 bytes; b'12345678'" in lines
    assert "<- PING 8 bytes, ACK; b'12345678'" in lines
    assert "-> GOAWAY 15 bytes; last stream 0, INTERNAL_ERROR, b'bye\\x1b[0m'" in lines


def test_data_frames_show_the_part_of_the_message_that_they_carried(connected: Connect) -> None:
    """Parts are exact in both directions, for any chunking."""
    first, second = framed(b"a" * 10), framed(b"b" * 20)

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        for payload in (first[:3], first[3:] + second[:7], second[7:], b"", first + second):
            peer.send(FrameType.DATA, 0, stream_id, payload)
        peer.headers(stream_id, OK, end_stream=True)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        stream.send_together([b"a" * 10, b"b" * 20], chunking.at(3, 22))
        stream.close_send()
        stream.await_end()
        sent = [one.content for one in stream.frames if one.sent and one.kind == FrameType.DATA]
        assert sent == [Part(0, 0, 0, 3, None), Part(0, 3, 1, 7, 25), Part(1, 7, 1, 25, 25), None]
        got = [one.content for one in stream.frames if not one.sent and one.kind == FrameType.DATA]
        assert got == [Part(0, 0, 0, 3, None), Part(0, 3, 1, 7, 25), Part(1, 7, 1, 25, 25), None, Part(2, 0, 3, 25, 25)]
        assert [str(part) for part in got] == [
            "message 0, bytes 0 to 3 of ?",
            "messages 0 (from byte 3) to 1 (up to byte 7 of 25)",
            "message 1, bytes 7 to 25 of 25",
            "None",
            "messages 2 to 3",
        ]


def test_data_frames_show_the_windows_after_them(connected: Connect) -> None:
    """A record has both windows of the sender, after the frame."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept([(SettingCode.INITIAL_WINDOW_SIZE, 100)])
        peer.headers(stream_id, HEADERS)
        peer.send(FrameType.DATA, 0, stream_id, framed(b"x" * 15))
        peer.headers(stream_id, OK, end_stream=True)
        hold(peer)

    client_options = {"settings": {SettingCode.INITIAL_WINDOW_SIZE: 1000}}
    with scripted(script) as address, connected(address, **client_options).record() as stream:
        stream.send_bytes(b"y" * 25)
        stream.close_send()
        stream.await_end()
        data = [one for one in stream.frames if one.kind == FrameType.DATA]
        assert [(one.sent, one.stream_window, one.connection_window) for one in data] == [
            (True, 70, 65_505),
            (True, 70, 65_505),
            (False, 980, 65_515),
        ]


def test_what_a_server_sends_is_escaped(connected: Connect) -> None:
    """Escape sequences, line breaks and bidirectional overrides from a server never reach a terminal."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, [*HEADERS, ("x", "\x1b[31mred\u202e"), ("grpc-message", "early")])
        peer.message(stream_id, "\x1b]0;title\x07\r\n", 1)
        trailers = [("grpc-status", "2"), ("grpc-message", "%1B%5B2J%0A%E2%80%AE"), ("y\x9b", "\x9b")]
        peer.headers(stream_id, trailers, end_stream=True)
        peer.send(FrameType.GOAWAY, payload=bytes(8) + b"\x1b[5m")
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        with client.list("x", 1) as stream:
            stream.end()
            client.connection.await_goaway()
            shown = [
                stream.timeline.render(around=100),
                client.timeline.render(around=100),
                str(stream.violations),
                str(stream.ended),
                repr(stream),
                str(client.connection.goaways[0]),
            ]
    for text in shown:
        assert text.replace("\n", "").isprintable()
    assert "\\x1b[31mred" in shown[0]


def test_metadata_of_the_client_is_sent_but_never_shown() -> None:
    """The values that are configured for every RPC may be secret: no timeline has them, in either direction."""
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        request = next(one for one in peer.seen if one.kind == FrameType.HEADERS)
        fields = peer.decoder.decode(request.payload, raw=True)
        seen.extend(value for name, value in fields if name == b"authorization")
        assert all(not field.indexable for field in fields if field[0] == b"authorization")
        peer.headers(stream_id, [*HEADERS, ("authorization", "Bearer s3cret")])
        peer.headers(stream_id, OK, end_stream=True)
        hold(peer)

    with scripted(script) as address:
        client = WireClient(address, metadata=[("Authorization", "Bearer s3cret")])
        with client, client.list("x", 1) as stream:
            stream.end()
            shown = stream.timeline.render(around=100) + client.timeline.render(around=100) + repr(client.options)
    assert seen == [b"Bearer s3cret"]
    assert "s3cret" not in shown
    assert "'authorization': (not shown)" in shown


def test_long_streams_keep_their_beginning_and_their_end(grpcio_address: str, connected: Connect) -> None:
    """Thousands of frames are counted, a few hundred are kept."""
    with connected(grpcio_address).list("x", 3000) as stream:
        stream.end()
        assert len(stream.timeline) > 3000  # the messages; a frame may carry several of them
        assert len(list(stream.timeline)) == 200
        assert stream.frames[0].name == "HEADERS"
        assert stream.frames[-1].end_stream
        assert "more events" in stream.timeline.render(around=300)


def test_times_are_those_of_the_monotonic_clock(grpcio_address: str, connected: Connect) -> None:
    """Frames have times, in the order in which they were sent or received."""
    before = time.monotonic()
    with connected(grpcio_address).list("x", 3) as stream:
        stream.collect()
        received = [one.at for one in stream.frames if not one.sent]
        assert before < received[0]
        assert received == sorted(received)
        assert received[-1] < time.monotonic()


def test_the_byte_log_has_both_directions(grpcio_address: str, connected: Connect) -> None:
    """It returns the bytes that were sent and received; `on_bytes` gets every chunk at once."""
    chunks: list[Chunk] = []
    client = connected(grpcio_address, on_bytes=chunks.append)
    client.list("log", 2).collect()
    client.close()
    log = client.connection.byte_log
    assert log.sent().startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert framed(Point("log", 2)) in log.sent()
    assert log.received()[3] == FrameType.SETTINGS
    assert b"".join(one.data for one in chunks if one.sent) == log.sent()
    assert b"".join(one.data for one in chunks if not one.sent) == log.received()
    assert [one.at for one in log.chunks()] == sorted(one.at for one in chunks)
    assert (log.bytes_sent, log.bytes_received) == (len(log.sent()), len(log.received()))


def test_a_byte_log_keeps_the_newest_chunks_within_its_limit() -> None:
    """Older chunks are dropped, but still counted."""
    log = ByteLog(10)
    for number in range(100):
        log.add(True, bytes([number]) * 3)
    assert log.sent() == bytes([97] * 3 + [98] * 3 + [99] * 3)
    assert log.bytes_sent == 300
    assert [chunk.offset for chunk in log.chunks()] == [291, 294, 297]
    nothing = ByteLog(0)
    nothing.add(False, b"abc")
    assert nothing.chunks() == []
    assert nothing.bytes_received == 3
