"""Every rule that the wire client watches: breaking it is reported under that rule and under no other."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest

from clients.wire.peers import HEADERS, OK, Peer, hold, scripted
from clients.wire.services import response
from pytest_grpcstream.clients.wire import ErrorCode, Flag, FrameType, Origin, Rule, WireClient, framed

Connect = Callable[..., WireClient]
Act = Callable[[Peer, int], None]

MESSAGE = framed(response("m", 0).SerializeToString())


class Case(NamedTuple):
    """What a server does after a List request, and whether the connection must end because of it."""

    act: Act
    fatal: bool = False


def frame_of(kind: int, flags: int, on_stream: bool, payload: bytes) -> Act:
    """A server that sends one frame of its own, then a correct response."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.send(kind, flags, stream_id if on_stream else 0, payload)
        peer.answer(stream_id)

    return act


def headers_of(*fields: tuple[str | bytes, str | bytes]) -> Act:
    """A server that sends these response headers, then the rest of a correct response."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, fields)
        peer.message(stream_id)
        peer.headers(stream_id, OK, end_stream=True)

    return act


def trailers_of(*fields: tuple[str | bytes, str | bytes]) -> Act:
    """A server that sends a correct response with these trailers."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        peer.message(stream_id)
        peer.headers(stream_id, fields, end_stream=True)

    return act


def data_of(*payloads: bytes, flags: int = 0) -> Act:
    """A server that sends these DATA payloads between correct headers and trailers."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        for payload in payloads:
            peer.send(FrameType.DATA, flags, stream_id, payload)
        peer.headers(stream_id, OK, end_stream=True)

    return act


def after_the_end(kind: int, payload: bytes) -> Act:
    """A server that sends one more frame after a correct response."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.answer(stream_id)
        peer.send(kind, Flag.END_HEADERS if kind == FrameType.HEADERS else 0, stream_id, payload)

    return act


def after_a_reset(kind: int, payload: bytes) -> Act:
    """A server that sends one more frame after its RST_STREAM."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        peer.send(FrameType.RST_STREAM, 0, stream_id, (2).to_bytes(4, "big"))
        peer.send(kind, Flag.END_HEADERS, stream_id, payload)

    return act


def split_block(between: bytes) -> Act:
    """A server that sends something between HEADERS and CONTINUATION."""

    def act(peer: Peer, stream_id: int) -> None:
        block = peer.encoder.encode(HEADERS)
        peer.send(FrameType.HEADERS, 0, stream_id, block[:3])
        peer.socket.sendall(between)
        peer.send(FrameType.CONTINUATION, Flag.END_HEADERS, stream_id, block[3:])

    return act


def many_updates(on_stream: bool) -> Act:
    """A server that opens a window beyond 2**31-1."""

    def act(peer: Peer, stream_id: int) -> None:
        for _ in range(2):
            peer.send(FrameType.WINDOW_UPDATE, 0, stream_id if on_stream else 0, b"\x7f\xff\xff\xff")
        peer.answer(stream_id)

    return act


def two_goaways(peer: Peer, stream_id: int) -> None:
    """A server whose second GOAWAY has a larger last stream."""
    for last in (stream_id, stream_id + 2):
        peer.send(FrameType.GOAWAY, payload=struct.pack(">LL", last, 0))
    peer.answer(stream_id)


def informational_end(peer: Peer, stream_id: int) -> None:
    """A server that ends the stream with a 1xx response."""
    peer.headers(stream_id, [(":status", "103")], end_stream=True)


def early_data(peer: Peer, stream_id: int) -> None:
    """A server that sends a message before the headers."""
    peer.message(stream_id)
    peer.answer(stream_id)


def end_on_data(peer: Peer, stream_id: int) -> None:
    """A server that ends with a message and sends no trailers."""
    peer.headers(stream_id, HEADERS)
    peer.message(stream_id, end_stream=True)


def open_trailers(peer: Peer, stream_id: int) -> None:
    """A server whose first trailers do not end the stream."""
    peer.headers(stream_id, HEADERS)
    peer.headers(stream_id, [("x", "y")])
    peer.headers(stream_id, OK, end_stream=True)


def setting(code: int, value: int) -> Act:
    """A server that changes a setting before it answers."""
    return frame_of(FrameType.SETTINGS, 0, False, struct.pack(">HL", code, value))


def gzipped(body: bytes) -> Act:
    """A server that sends a message as compressed."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, [*HEADERS, ("grpc-encoding", "gzip")])
        peer.send(FrameType.DATA, 0, stream_id, framed(body, compressed=1))
        peer.headers(stream_id, OK, end_stream=True)

    return act


PADDED = Flag.PADDED
CASES: dict[str, tuple[Rule, Case]] = {
    "large frame": (Rule.FRAME_TOO_LARGE, Case(frame_of(0, 0, True, bytes(16_385)), fatal=True)),
    "short PING": (Rule.FRAME_SIZE, Case(frame_of(6, 0, False, bytes(7)), fatal=True)),
    "long RST_STREAM": (Rule.FRAME_SIZE, Case(frame_of(3, 0, True, bytes(5)), fatal=True)),
    "short WINDOW_UPDATE": (Rule.FRAME_SIZE, Case(frame_of(8, 0, False, bytes(3)), fatal=True)),
    "odd SETTINGS": (Rule.FRAME_SIZE, Case(frame_of(4, 0, False, bytes(5)), fatal=True)),
    "short GOAWAY": (Rule.FRAME_SIZE, Case(frame_of(7, 0, False, bytes(7)), fatal=True)),
    "short PRIORITY": (Rule.FRAME_SIZE, Case(frame_of(2, 0, True, bytes(4)), fatal=True)),
    "DATA on 0": (Rule.STREAM_ZERO, Case(frame_of(0, 0, False, b"x"), fatal=True)),
    "HEADERS on 0": (Rule.STREAM_ZERO, Case(frame_of(1, 4, False, b"\x88"), fatal=True)),
    "RST_STREAM on 0": (Rule.STREAM_ZERO, Case(frame_of(3, 0, False, bytes(4)), fatal=True)),
    "SETTINGS on a stream": (Rule.NOT_STREAM_ZERO, Case(frame_of(4, 0, True, b""), fatal=True)),
    "PING on a stream": (Rule.NOT_STREAM_ZERO, Case(frame_of(6, 0, True, bytes(8)), fatal=True)),
    "GOAWAY on a stream": (Rule.NOT_STREAM_ZERO, Case(frame_of(7, 0, True, bytes(8)), fatal=True)),
    "DATA all padding": (Rule.BAD_PADDING, Case(data_of(b"\x05abc", flags=PADDED), fatal=True)),
    "DATA without pad length": (Rule.BAD_PADDING, Case(data_of(b"", flags=PADDED), fatal=True)),
    "HEADERS all padding": (Rule.BAD_PADDING, Case(frame_of(1, 4 | PADDED, True, b"\x09\x88"), fatal=True)),
    "HEADERS without priority": (Rule.BAD_PADDING, Case(frame_of(1, 4 | 0x20, True, b"\x88"), fatal=True)),
    "HPACK index": (Rule.HEADER_BLOCK, Case(frame_of(1, 4, True, b"\xff\xff\xff\xff\x07"), fatal=True)),
    "HPACK cut off": (Rule.HEADER_BLOCK, Case(frame_of(1, 4, True, b"\x40\x0axy"), fatal=True)),
    "HPACK table size": (Rule.HEADER_BLOCK, Case(frame_of(1, 4, True, b"\x3f\xe1\xff\x03"), fatal=True)),
    "PING in a block": (
        Rule.INTERRUPTED_HEADERS,
        Case(split_block(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)), fatal=True),
    ),
    "DATA in a block": (
        Rule.INTERRUPTED_HEADERS,
        Case(split_block(b"\x00\x00\x00\x00\x00\x00\x00\x00\x01"), fatal=True),
    ),
    "unknown type in a block": (
        Rule.INTERRUPTED_HEADERS,
        Case(split_block(b"\x00\x00\x00\xbe\x00\x00\x00\x00\x00"), fatal=True),
    ),
    "other stream in a block": (
        Rule.INTERRUPTED_HEADERS,
        Case(split_block(b"\x00\x00\x00\x09\x00\x00\x00\x00\x03"), fatal=True),
    ),
    "lone CONTINUATION": (Rule.LONE_CONTINUATION, Case(frame_of(9, 4, True, b"\x88"), fatal=True)),
    "PUSH_PROMISE": (Rule.PUSH_PROMISE, Case(frame_of(5, 4, True, b"\x00\x00\x00\x02\x88"), fatal=True)),
    "ENABLE_PUSH 1": (Rule.BAD_SETTING, Case(setting(2, 1), fatal=True)),
    "INITIAL_WINDOW_SIZE 2**31": (Rule.BAD_SETTING, Case(setting(4, 2**31), fatal=True)),
    "MAX_FRAME_SIZE 16383": (Rule.BAD_SETTING, Case(setting(5, 16_383), fatal=True)),
    "SETTINGS ACK with payload": (Rule.SETTINGS_ACK_PAYLOAD, Case(frame_of(4, 1, False, bytes(6)), fatal=True)),
    "increment 0 on the connection": (Rule.ZERO_INCREMENT, Case(frame_of(8, 0, False, bytes(4)), fatal=True)),
    "increment 0 on the stream": (Rule.ZERO_INCREMENT, Case(frame_of(8, 0, True, bytes(4)))),
    "overflow of the connection": (Rule.WINDOW_OVERFLOW, Case(many_updates(on_stream=False), fatal=True)),
    "overflow of the stream": (Rule.WINDOW_OVERFLOW, Case(many_updates(on_stream=True))),
    "stream 9": (Rule.IDLE_STREAM, Case(lambda peer, _: peer.message(9), fatal=True)),
    "stream 2": (Rule.IDLE_STREAM, Case(lambda peer, _: peer.headers(2, HEADERS), fatal=True)),
    "RST_STREAM on stream 9": (Rule.IDLE_STREAM, Case(lambda peer, _: peer.send(3, 0, 9, bytes(4)), fatal=True)),
    "GOAWAY grows": (Rule.GOAWAY_INCREASED, Case(two_goaways)),
    "DATA first": (Rule.DATA_BEFORE_HEADERS, Case(early_data)),
    "DATA after END_STREAM": (Rule.AFTER_END_STREAM, Case(after_the_end(0, MESSAGE))),
    "HEADERS after END_STREAM": (Rule.AFTER_END_STREAM, Case(after_the_end(1, b"\x88"))),
    "DATA after RST_STREAM": (Rule.AFTER_RST_STREAM, Case(after_a_reset(0, MESSAGE))),
    "HEADERS after RST_STREAM": (Rule.AFTER_RST_STREAM, Case(after_a_reset(1, b"\x88"))),
    "trailers without END_STREAM": (Rule.SECOND_HEADERS, Case(open_trailers)),
    "103 with END_STREAM": (Rule.INFORMATIONAL_END, Case(informational_end)),
    "upper-case header": (Rule.FIELD_NAME, Case(headers_of(*HEADERS, ("X-Upper", "v")))),
    "upper-case trailer": (Rule.FIELD_NAME, Case(trailers_of(*OK, ("X-Upper", "v")))),
    "space in a name": (Rule.FIELD_NAME, Case(headers_of(*HEADERS, ("x y", "v")))),
    "line feed in a value": (Rule.FIELD_VALUE, Case(headers_of(*HEADERS, ("x", "a\nb")))),
    "white space around a value": (Rule.FIELD_VALUE, Case(headers_of(*HEADERS, ("x", " v")))),
    "connection": (Rule.CONNECTION_FIELD, Case(headers_of(*HEADERS, ("connection", "close")))),
    "transfer-encoding": (Rule.CONNECTION_FIELD, Case(headers_of(*HEADERS, ("transfer-encoding", "chunked")))),
    "te": (Rule.CONNECTION_FIELD, Case(headers_of(*HEADERS, ("te", "trailers")))),
    ":status in trailers": (Rule.PSEUDO_IN_TRAILERS, Case(trailers_of((":status", "200"), *OK))),
    ":path in a response": (Rule.PSEUDO_FIELD, Case(headers_of((":path", "/"), *HEADERS))),
    ":status after other fields": (Rule.PSEUDO_FIELD, Case(headers_of(*reversed(HEADERS)))),
    "no :status": (Rule.NO_HTTP_STATUS, Case(headers_of(HEADERS[1]))),
    ":status 20": (Rule.NO_HTTP_STATUS, Case(headers_of((":status", "20"), HEADERS[1]))),
    "wrong content-length": (Rule.CONTENT_LENGTH, Case(headers_of(*HEADERS, ("content-length", "3")))),
    "END_STREAM on DATA": (Rule.END_STREAM_ON_DATA, Case(end_on_data)),
    "no grpc-status": (Rule.NO_STATUS, Case(trailers_of(("x", "y")))),
    "two grpc-status": (Rule.STATUS_TWICE, Case(trailers_of(*OK, ("grpc-status", "1")))),
    "early grpc-status": (Rule.STATUS_BEFORE_END, Case(headers_of(*HEADERS, *OK))),
    "grpc-status 00": (Rule.STATUS_NOT_DECIMAL, Case(trailers_of(("grpc-status", "00")))),
    "grpc-status OK": (Rule.STATUS_NOT_DECIMAL, Case(trailers_of(("grpc-status", "OK")))),
    "raw grpc-message": (Rule.MESSAGE_ENCODING, Case(trailers_of(("grpc-status", "2"), ("grpc-message", "ä")))),
    "lone percent": (Rule.MESSAGE_ENCODING, Case(trailers_of(("grpc-status", "2"), ("grpc-message", "100%")))),
    "latin-1 grpc-message": (Rule.MESSAGE_ENCODING, Case(trailers_of(("grpc-status", "2"), ("grpc-message", "%E4")))),
    "text/html": (Rule.CONTENT_TYPE, Case(headers_of(HEADERS[0], ("content-type", "text/html")))),
    "no content-type": (Rule.CONTENT_TYPE, Case(headers_of(HEADERS[0]))),
    "bad base64": (Rule.BINARY_METADATA, Case(headers_of(*HEADERS, ("x-bin", "!!!!")))),
    "compressed flag 2": (Rule.COMPRESSED_FLAG, Case(data_of(framed(b"x", compressed=2)))),
    "flag without encoding": (Rule.COMPRESSED_WITHOUT_ENCODING, Case(data_of(framed(b"x", compressed=1)))),
    "half a message": (Rule.TRUNCATED_MESSAGE, Case(data_of(MESSAGE, MESSAGE[:7]))),
    "half a prefix": (Rule.TRUNCATED_MESSAGE, Case(data_of(b"\x00\x00"))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_rule_is_reported(connected: Connect, name: str) -> None:
    """The violation is recorded on the connection and on its stream; only a connection error ends it."""
    rule, case = CASES[name]

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        case.act(peer, stream_id)
        peer.send(FrameType.PING, payload=b"the end!")
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        connection = stream.connection
        stream.await_end()
        answered = connection.wait(lambda: any(one.content == b"the end!" for one in connection.frames))
        assert {one.rule for one in connection.violations} == {rule}
        assert answered == (not case.fatal)
        assert (connection.closed is not None) == case.fatal
        if case.fatal:
            assert stream.origin is Origin.CONNECTION_CLOSED
            assert [one.name for one in connection.frames if one.sent][-1] == "GOAWAY"
        shown = str(connection.violations)
        assert rule.words in shown
        assert "violation" in connection.timeline.render(around=1000)


def test_a_correct_server_breaks_no_rule(client: WireClient) -> None:
    """Neither stack breaks any rule in ordinary calls."""
    with client.list("x" * 20_000, 5) as stream:
        assert len(stream.collect()) == 5
    with client.list("gone", -5) as stream:
        assert stream.end().code == 5
    with client.record() as stream:
        stream.send("a", 1)
        stream.close_and_recv()
    with client.route() as stream:
        stream.send("a", 1)
        stream.recv()
    assert client.connection.ping() is not None
    assert not client.connection.violations


def test_a_fault_of_a_real_stack_is_reported(grpclib_address: str, connected: Connect) -> None:
    """The trailers-only response to an unknown method has no content-type in grpclib 0.4."""
    with connected(grpclib_address).open("/proto.StreamService/Nope") as stream:
        stream.close_send()
        assert stream.end().code == 12
        assert [one.rule for one in stream.violations] == [Rule.CONTENT_TYPE]


def test_garbage_in_an_unoffered_encoding_breaks_two_rules(connected: Connect) -> None:
    """The client did not offer gzip, and the message is not gzip."""

    def script(peer: Peer) -> None:
        gzipped(b"not gzip")(peer, peer.accept())
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CLIENT_REFUSED
        assert {one.rule for one in stream.violations} == {Rule.ENCODING_NOT_OFFERED, Rule.BAD_COMPRESSION}


@pytest.mark.parametrize("on_stream", [True, False])
def test_an_overrun_of_either_window_ends_the_connection(connected: Connect, on_stream: bool) -> None:
    """One byte too many is a violation of that window, and memory stays bounded by it."""
    rule = Rule.STREAM_OVERRUN if on_stream else Rule.CONNECTION_OVERRUN

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        for _ in range(8):
            peer.send(FrameType.DATA, 0, stream_id, bytes(16_000))
        hold(peer)

    options: dict[str, object] = {"settings": {4: 1 << 20}} if not on_stream else {"connection_window": 1 << 20}
    with scripted(script) as address, connected(address, hold_windows=True, **options).list("x", 1) as stream:
        assert stream.await_end().origin is Origin.CONNECTION_CLOSED
        assert [one.rule for one in stream.connection.violations] == [rule]
        assert stream.response.flow_bytes <= 65_535 + 16_384


def test_data_after_a_reset_that_was_read_is_a_violation(connected: Connect) -> None:
    """DATA in flight is not; DATA after the answer to a later PING is."""

    def script(peer: Peer) -> None:
        peer.greet()
        stream_id = peer.until_kind(FrameType.HEADERS).stream_id
        peer.headers(stream_id, HEADERS)
        peer.message(stream_id, "before")
        ping = peer.until_kind(FrameType.PING)
        peer.message(stream_id, "in flight")
        peer.send(FrameType.PING, Flag.ACK, 0, ping.payload)
        peer.message(stream_id, "after")
        hold(peer)

    with scripted(script) as address, connected(address).route() as stream:
        stream.recv()
        stream.reset(ErrorCode.CANCEL)
        assert stream.connection.ping() is not None
        stream.connection.wait(lambda: stream.violations.of(Rule.AFTER_RESET))
        assert len(stream.violations) == 1


def test_a_reset_in_response_to_a_reset_is_a_violation(connected: Connect) -> None:
    """RST_STREAM must not be sent in response to RST_STREAM (RFC 9113, section 5.4.2)."""

    def script(peer: Peer) -> None:
        peer.greet()
        reset = peer.until_kind(FrameType.RST_STREAM)
        peer.send(FrameType.RST_STREAM, 0, reset.stream_id, (5).to_bytes(4, "big"))
        hold(peer)

    with scripted(script) as address, connected(address).route() as stream:
        stream.reset(ErrorCode.CANCEL)
        assert stream.await_reset() == ErrorCode.STREAM_CLOSED
        assert [one.rule for one in stream.violations] == [Rule.RST_ANSWERED]


def test_settings_are_in_force_when_they_are_acknowledged(connected: Connect) -> None:
    """A smaller frame size holds from the acknowledgement on, a larger one as soon as it is sent."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        peer.until(lambda one: one.kind == FrameType.SETTINGS and len(one.payload) == 6)
        peer.send(FrameType.DATA, 0, stream_id, framed(bytes(20_000)))
        peer.send(FrameType.SETTINGS, Flag.ACK)
        peer.send(FrameType.DATA, 0, stream_id, framed(bytes(20_000)))
        hold(peer)

    with scripted(script) as address, connected(address, settings={5: 30_000}).list("x", 1) as stream:
        stream.connection.send_settings({5: 16_384})
        assert stream.recv_bytes() == bytes(20_000)
        stream.await_end()
        assert [one.rule for one in stream.connection.violations] == [Rule.FRAME_TOO_LARGE]


def test_every_rule_has_its_own_words() -> None:
    """Each names its source unless it is a limit of this library."""
    assert len({rule.words for rule in Rule}) == len(Rule)
    limits = {Rule.HEADER_BLOCK_SIZE, Rule.FLOOD, Rule.MESSAGE_SIZE}
    assert {rule for rule in Rule if not rule.source} == limits
