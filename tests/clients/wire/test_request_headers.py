"""Request headers and stream identifiers that a test chooses, as a server reads them."""

from __future__ import annotations

from collections.abc import Callable

from clients.wire.peers import Recorder, scripted
from pytest_grpcstream.clients.wire import Flag, FrameType, Priority, Shape, WireClient

Connect = Callable[..., WireClient]


def test_request_headers_are_those_of_a_correct_client(connected: Connect) -> None:
    """The headers come in the order that gRPC over HTTP2 recommends, including te and the deadline."""
    recorder = Recorder()
    with scripted(recorder) as address:
        client = connected(address)
        with client.open("List", metadata=[("b-bin", b"\x00\xff"), ("a", "v")], deadline=1.5) as stream:
            stream.close_send()
            stream.end()
        assert recorder.peer is not None
        fields = recorder.peer.decoder.decode(recorder.frames[0].payload)
        assert [(str(name), str(value)) for name, value in fields] == [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/proto.StreamService/List"),
            (":authority", address),
            ("grpc-timeout", "1500000u"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-python-grpcstream/1"),
            ("b-bin", "AP8"),
            ("a", "v"),
        ]


def test_chosen_headers_are_sent_unchanged(connected: Connect) -> None:
    """Order, repetitions, missing pseudo-header fields, upper case and odd bytes reach the server unchanged."""
    recorder = Recorder()
    with scripted(recorder) as address:
        client = connected(address)
        headers = (
            client.request_headers("Record")
            .without("te", ":scheme")
            .replaced("content-type", "text/html")
            .added("X-Upper", b"caf\xe9")
            .added("host", "h", at=0)
            .added("x-twice", "1")
            .added("x-twice", "2")
        )
        with client.open("Record", headers=headers, end_stream=True) as stream:
            stream.end()
        assert recorder.peer is not None
        fields = recorder.peer.decoder.decode(recorder.frames[0].payload, raw=True)
        assert [tuple(pair) for pair in fields] == list(headers)
        assert headers[0] == (b"host", b"h")
        assert headers.all("x-twice") == [b"1", b"2"]


def test_a_header_block_is_split_as_requested(stack: tuple[str, str], connected: Connect) -> None:
    """HEADERS and CONTINUATION frames of chosen sizes are one header block to both stacks."""
    client = connected(stack[1])
    with client.open("Route", metadata=[("x-initial", "v" * 100)], shape=Shape(split=(5, 40, 30))) as stream:
        stream.send("a", 1)
        assert stream.recv() == ("a", 0)
        assert stream.initial_metadata.all("x-initial") == ["v" * 100]
        block = [one for one in stream.frames if one.sent and one.kind in (FrameType.HEADERS, FrameType.CONTINUATION)]
        assert [one.length for one in block[:3]] == [5, 40, 30]
        assert [bool(one.flags & Flag.END_HEADERS) for one in block] == [False] * (len(block) - 1) + [True]


def test_a_header_block_larger_than_a_frame_is_continued(connected: Connect) -> None:
    """CONTINUATION is used automatically beyond the server's SETTINGS_MAX_FRAME_SIZE."""
    recorder = Recorder()
    values = [("x-pad", f"{number:04}" + "~" * 60) for number in range(400)]
    with scripted(recorder) as address:
        with connected(address).open("Route", metadata=values) as stream:
            stream.close_send()
            assert stream.end().ok
        assert [one.kind for one in recorder.frames][:2] == [FrameType.HEADERS, FrameType.CONTINUATION]
        assert len(recorder.frames[0].payload) == 16_384
        assert recorder.peer is not None
        block = b"".join(one.payload for one in recorder.frames if one.kind != FrameType.DATA)
        assert len(list(recorder.peer.decoder.decode(block))) == 407


def test_headers_with_padding_and_priority(connected: Connect) -> None:
    """The padding and the priority fields of HEADERS are where RFC 9113, section 6.2, puts them."""
    recorder = Recorder()
    shape = Shape(padding=4, priority=Priority(depends_on=3, weight=200, exclusive=True))
    with scripted(recorder) as address, connected(address).open("Record", end_stream=True, shape=shape) as stream:
        stream.end()
    payload = recorder.frames[0].payload
    assert recorder.frames[0].flags == Flag.PADDED | Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM
    assert payload[:6] == bytes([4]) + (0x80000003).to_bytes(4, "big") + bytes([200])
    assert payload[-4:] == bytes(4)
    assert recorder.peer is not None
    assert recorder.peer.decoder.decode(payload[6:-4])


def test_grpclib_accepts_padded_headers_with_priority(grpclib_address: str, connected: Connect) -> None:
    """A server on h2 reads them like any other."""
    shape = Shape(padding=100, priority=Priority())
    with connected(grpclib_address).open("Record", shape=shape) as stream:
        stream.send("a", 1)
        assert stream.close_and_recv() == ("1", 1)


def test_a_header_block_can_be_given_as_bytes(connected: Connect) -> None:
    """Even broken bytes are sent unchanged."""
    recorder = Recorder()
    with scripted(recorder) as address:
        client = connected(address)
        with client.open("Record", shape=Shape(block=b"\x82\xff\xff"), end_stream=True) as stream:
            stream.end()
    assert recorder.frames[0].payload == b"\x82\xff\xff"


def test_stream_ids_can_be_chosen(client: WireClient) -> None:
    """A stream may have any identifier; the next ones are higher."""
    with client.open("Route", stream_id=0x3FFFFFFF) as stream:
        stream.send("high", 1)
        assert stream.recv() == ("high", 0)
        assert stream.stream_id == 0x3FFFFFFF
    with client.open("Route") as stream:
        stream.send("next", 1)
        assert stream.recv() == ("next", 0)
        assert stream.stream_id == 0x40000001


def test_used_up_ids_lead_to_a_new_connection(client: WireClient) -> None:
    """After the last identifier the client connects again."""
    with client.open("Route", stream_id=0x7FFFFFFF) as stream:
        stream.send("last", 1)
        assert stream.recv() == ("last", 0)
    with client.open("Route") as stream:
        stream.send("first", 1)
        assert stream.recv() == ("first", 0)
        assert stream.stream_id == 1
    assert len(client.connections) == 2
