"""How an RPC ended: the server's own status, or one that the client made up, and from what."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence

import pytest

from clients.wire.peers import HEADERS, OK, Peer, hold, scripted
from clients.wire.services import response
from pytest_grpcstream.clients.wire import FrameType, Origin, Rule, WireClient, WireEnded, framed
from pytest_grpcstream.clients.wire.response import ResponseState
from pytest_grpcstream.errors import StatusError
from pytest_grpcstream.values import EOF, Code, Status
from pytest_grpcstream.wire.codes import ErrorCode

Connect = Callable[..., WireClient]
Fields = Sequence[tuple[str, str]]


def ended_by(connect: Connect, act: Callable[[Peer, int], None], **options: object) -> WireEnded:
    """How a List ends if the server does this after the request."""

    def script(peer: Peer) -> None:
        act(peer, peer.accept())
        hold(peer)

    with scripted(script) as address, connect(address, **options).list("x", 1) as stream:
        return stream.await_end()


def _only(fields: Fields) -> Callable[[Peer, int], None]:
    return lambda peer, stream_id: peer.headers(stream_id, fields, end_stream=True)


def test_a_status_in_trailers_is_the_servers(connected: Connect) -> None:
    """It is not made up, and initial and trailing metadata are kept apart."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, [*HEADERS, ("a", "1")])
        peer.headers(stream_id, [("grpc-status", "5"), ("grpc-message", "no%20such"), ("b", "2")], end_stream=True)

    ended = ended_by(connected, act)
    assert ended.origin is Origin.TRAILERS
    assert not ended.made_up
    assert ended.status == ended.server_status == Status(Code.NOT_FOUND, "no such")
    assert (ended.initial_metadata, ended.trailing_metadata) == ((("a", "1"),), (("b", "2"),))
    assert ended.http_status == 200


def test_trailers_only_is_recognized(connected: Connect) -> None:
    """A single HEADERS frame with the status is trailers-only; its metadata is trailing."""
    ended = ended_by(connected, _only([*HEADERS, ("grpc-status", "12"), ("c", "3")]))
    assert (ended.origin, ended.status.code, ended.made_up) == (Origin.TRAILERS_ONLY, 12, False)
    assert (ended.initial_metadata, ended.trailing_metadata) == ((), (("c", "3"),))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NO_ERROR, Code.INTERNAL),
        (ErrorCode.PROTOCOL_ERROR, Code.INTERNAL),
        (ErrorCode.REFUSED_STREAM, Code.UNAVAILABLE),
        (ErrorCode.CANCEL, Code.CANCELLED),
        (ErrorCode.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED),
        (ErrorCode.INADEQUATE_SECURITY, Code.PERMISSION_DENIED),
        (ErrorCode.HTTP_1_1_REQUIRED, Code.UNKNOWN),
        (0xDEADBEEF, Code.UNKNOWN),
    ],
)
def test_a_reset_is_mapped_by_grpcs_table(connected: Connect, code: int, status: Code) -> None:
    """RST_STREAM before a status leads to the one that gRPC over HTTP2, Errors, lists."""
    ended = ended_by(connected, lambda peer, stream_id: peer.send(3, 0, stream_id, int(code).to_bytes(4, "big")))
    assert (ended.status.code, ended.origin, ended.reset_code) == (status, Origin.RST_STREAM, code)
    assert ended.made_up
    assert ended.server_status is None


@pytest.mark.parametrize(("passed", "code"), [(True, Code.DEADLINE_EXCEEDED), (False, Code.CANCELLED)])
def test_a_reset_after_the_deadline_is_an_expired_deadline(passed: bool, code: Code) -> None:
    """A server's CANCEL at the deadline is DEADLINE_EXCEEDED, and still made up."""
    response = ResponseState(lambda *_: None, frozenset(), 1000)
    response.take_reset(ErrorCode.CANCEL, 1.0, deadline_passed=passed)
    assert response.ended is not None
    assert (response.ended.status.code, response.ended.origin) == (code, Origin.RST_STREAM)


def test_an_expired_deadline_resets_the_stream(connected: Connect) -> None:
    """The client sends RST_STREAM with CANCEL and records what the server answers."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        assert peer.until_kind(FrameType.RST_STREAM).payload == (8).to_bytes(4, "big")
        peer.send(FrameType.RST_STREAM, 0, stream_id, (5).to_bytes(4, "big"))
        hold(peer)

    with scripted(script) as address, connected(address).open("List", deadline=0.05) as stream:
        stream.close_send()
        assert stream.end().code == Code.DEADLINE_EXCEEDED
        assert stream.origin is Origin.CLIENT_DEADLINE
        assert stream.await_reset() == ErrorCode.STREAM_CLOSED


def test_a_reset_after_the_end_changes_nothing(connected: Connect) -> None:
    """RST_STREAM after trailers is recorded, and the response is not discarded (RFC 9113, section 8.1)."""

    def script(peer: Peer) -> None:
        peer.greet()
        stream_id = peer.until_kind(FrameType.HEADERS).stream_id
        peer.answer(stream_id, 2)
        peer.send(FrameType.RST_STREAM, 0, stream_id, bytes(4))
        hold(peer)

    with scripted(script) as address, connected(address).route() as stream:
        assert stream.await_reset() == ErrorCode.NO_ERROR
        assert len(stream.collect()) == 2
        assert stream.recv() is EOF
        assert stream.origin is Origin.TRAILERS
        assert not stream.violations


@pytest.mark.parametrize(
    ("http_status", "code"),
    [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (431, 13),
        (500, 2),
        (502, 14),
        (503, 14),
        (504, 14),
        (418, 2),
    ],
)
def test_an_http_status_without_grpc_status_is_mapped(connected: Connect, http_status: int, code: int) -> None:
    """A response that is not gRPC is mapped by http-grpc-status-mapping.md, and the status shows its beginning."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, [(":status", str(http_status)), ("content-type", "text/html")])
        peer.send(FrameType.DATA, 1, stream_id, b"<h1>sorry\x1b[31m</h1>")

    ended = ended_by(connected, act)
    assert (ended.status.code, ended.origin, ended.http_status) == (code, Origin.HTTP_STATUS, http_status)
    assert "<h1>sorry\\x1b[31m</h1>" in ended.status.message


def test_a_grpc_status_in_an_http_error_is_used(connected: Connect) -> None:
    """A grpc-status takes precedence, even in the headers of an HTTP error with a body."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, [(":status", "415"), ("content-type", "text/plain"), ("grpc-status", "3")])
        peer.send(FrameType.DATA, 1, stream_id, b"wrong type")

    ended = ended_by(connected, act)
    assert (ended.status.code, ended.server_status) == (3, (3, ""))


def test_a_missing_status_is_unknown_and_never_ok(connected: Connect) -> None:
    """Trailers without grpc-status are UNKNOWN, as HTTP status 200 is mapped."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        peer.message(stream_id)
        peer.headers(stream_id, [("x", "y")], end_stream=True)

    ended = ended_by(connected, act)
    assert (ended.status.code, ended.origin) == (Code.UNKNOWN, Origin.HTTP_STATUS)


def test_a_lost_tail_is_never_ok(connected: Connect) -> None:
    """OK after half a message is INTERNAL; the server's status is kept."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        peer.message(stream_id, "whole", 0)
        peer.send(FrameType.DATA, 0, stream_id, framed(response("cut off", 1).SerializeToString())[:9])
        peer.headers(stream_id, OK, end_stream=True)

    def script(peer: Peer) -> None:
        act(peer, peer.accept())
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert stream.recv() == ("whole", 0)
        with pytest.raises(StatusError):
            stream.recv()
        assert stream.ended is not None
        assert stream.ended.origin is Origin.CLIENT_REFUSED
        assert stream.ended.status.code == Code.INTERNAL
        assert stream.ended.server_status == (Code.OK, "")
        assert stream.violations.of(Rule.TRUNCATED_MESSAGE)


def test_an_error_after_half_a_message_is_the_servers(connected: Connect) -> None:
    """A status other than OK explains the missing rest."""

    def act(peer: Peer, stream_id: int) -> None:
        peer.headers(stream_id, HEADERS)
        peer.send(FrameType.DATA, 0, stream_id, b"\x00\x00\x00")
        peer.headers(stream_id, [("grpc-status", "4")], end_stream=True)

    ended = ended_by(connected, act)
    assert (ended.status.code, ended.origin) == (4, Origin.TRAILERS)


def test_a_message_larger_than_the_limit_is_refused(connected: Connect) -> None:
    """The prefix decides, and the stream is reset."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        peer.send(FrameType.DATA, 0, stream_id, b"\x00\xff\xff\xff\xff")
        assert peer.until_kind(FrameType.RST_STREAM).payload == (8).to_bytes(4, "big")
        hold(peer)

    with scripted(script) as address, connected(address, buffer=1000).list("x", 1) as stream:
        ended = stream.await_end()
        assert (ended.origin, ended.status.code) == (Origin.CLIENT_REFUSED, Code.RESOURCE_EXHAUSTED)
        assert stream.violations.of(Rule.MESSAGE_SIZE)


def test_informational_responses_are_skipped_and_kept(connected: Connect) -> None:
    """1xx header blocks precede the response and are not part of it."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, [(":status", "103"), ("link", "x")])
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert len(stream.collect()) == 1
        assert stream.response.informational == [((b":status", b"103"), (b"link", b"x"))]
        assert stream.response.http_status == 200
        assert not stream.violations


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_messages_are_read(connected: Connect, encoding: str) -> None:
    """Messages with the compressed flag are decompressed by grpc-encoding; others may come between them."""
    packed = gzip.compress if encoding == "gzip" else zlib.compress

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, [*HEADERS, ("grpc-encoding", encoding)])
        peer.message(stream_id, "plain", 0)
        small = packed(response("packed" * 100, 1).SerializeToString())
        peer.send(FrameType.DATA, 0, stream_id, framed(small, compressed=1))
        peer.headers(stream_id, OK, end_stream=True)
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        with client.open("List", metadata=[("grpc-accept-encoding", f"identity, {encoding}")]) as stream:
            stream.send_last("x", 1)
            assert stream.collect() == [("plain", 0), ("packed" * 100, 1)]
            assert not stream.violations


def test_grpcio_compresses_for_a_client_that_offers_it(grpcio_address: str, connected: Connect) -> None:
    """The client decompresses what grpcio compressed."""
    metadata = [("grpc-accept-encoding", "gzip"), ("x-compress", "gzip")]
    with connected(grpcio_address).open("List", metadata=metadata) as stream:
        stream.send_last("z" * 10_000, 1)
        assert stream.recv() == ("z" * 10_000, 0)
        assert stream.response.values(b"grpc-encoding") == [b"gzip"]
        assert stream.response.flow_bytes < 1000
        assert not stream.violations
