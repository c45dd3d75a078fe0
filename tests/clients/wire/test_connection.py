"""The connection itself: PING, SETTINGS, GOAWAY, and SETTINGS_MAX_CONCURRENT_STREAMS."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from clients.wire.peers import Frame, Peer, hold, scripted
from pytest_grpcstream.clients.wire import ErrorCode, Flag, FrameType, Origin, SettingCode, WireClient
from pytest_grpcstream.errors import MANY_RESETS, ConcurrencyLimited, OperationTimeout
from pytest_grpcstream.values import EOF, Code

Connect = Callable[..., WireClient]


def answer_one(peer: Peer) -> None:
    """Answer one call and keep the connection open."""
    peer.answer(peer.accept())
    hold(peer)


# PING and SETTINGS ------------------------------------------------------------------------------------------------


def test_a_ping_is_answered_and_timed(client: WireClient) -> None:
    """Both stacks answer a PING, even while a stream is open."""
    with client.route() as stream:
        stream.send("a", 1)
        stream.recv()
        seconds = client.connection.ping(b"12345678")
        assert seconds is not None
        assert 0 <= seconds < 2


def test_an_unanswered_ping_returns_none(connected: Connect) -> None:
    """The PING times out, and nothing else happens."""

    def script(peer: Peer) -> None:
        peer.greet()
        hold(peer)

    with scripted(script) as address:
        connection = connected(address).connect()
        assert connection.ping(timeout=0.1) is None
        assert connection.closed is None


def test_the_servers_pings_and_settings_are_answered(connected: Connect) -> None:
    """PING and SETTINGS of the server are acknowledged in order, with the same payload, and no ACK is answered."""
    seen: list[Frame] = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until_kind(FrameType.SETTINGS, ack=True)
        peer.send(FrameType.PING, payload=b"first---")
        peer.send(FrameType.SETTINGS, payload=b"")
        peer.send(FrameType.PING, Flag.ACK, payload=b"unasked-")
        peer.send(FrameType.PING, payload=b"second--")
        seen.extend(peer.read() for _ in range(3))
        peer.send(FrameType.PING, payload=b"third---")
        seen.append(peer.read())

    with scripted(script) as address:
        connected(address).connect().await_close(2)
    assert [(one.kind, one.flags, one.payload) for one in seen] == [
        (FrameType.PING, Flag.ACK, b"first---"),
        (FrameType.SETTINGS, Flag.ACK, b""),
        (FrameType.PING, Flag.ACK, b"second--"),
        (FrameType.PING, Flag.ACK, b"third---"),
    ]


def test_pings_and_settings_may_be_left_unanswered(connected: Connect) -> None:
    """Without the options neither PING nor SETTINGS is acknowledged."""
    seen: list[Frame] = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.send(FrameType.PING, payload=b"anything")
        seen.append(peer.until_kind(FrameType.PING))
        hold(peer)

    with scripted(script) as address:
        connection = connected(address, answer_pings=False, acknowledge_settings=False).connect()
        connection.send_ping(b"mine----")
        connection.watch(0.1)
    assert [one.payload for one in seen] == [b"mine----"]


def test_the_preface_and_the_first_settings_can_be_chosen(connected: Connect) -> None:
    """Order, repetitions and unknown identifiers of the first SETTINGS are sent as given; so is the preface."""
    raw: list[bytes] = []

    def script(peer: Peer) -> None:
        raw.append(peer.socket.recv(65536))

    settings = [(SettingCode.INITIAL_WINDOW_SIZE, 5), (0x5A5A, 1), (SettingCode.INITIAL_WINDOW_SIZE, 7)]
    with scripted(script) as address:
        client = connected(address, preface=b"no preface", settings=settings, await_settings=False)
        assert client.connect().await_close() is not None
    assert raw[0].startswith(b"no preface\x00\x00\x12\x04\x00\x00\x00\x00\x00")
    assert raw[0].endswith(b"\x00\x04\x00\x00\x00\x05\x5a\x5a\x00\x00\x00\x01\x00\x04\x00\x00\x00\x07")


def test_settings_may_change_in_the_middle_of_streams(client: WireClient) -> None:
    """A SETTINGS frame during a Route is acknowledged, and the Route goes on."""
    with client.route() as stream:
        stream.send("before", 1)
        assert stream.recv() == ("before", 0)
        client.connection.send_settings({SettingCode.HEADER_TABLE_SIZE: 0, 0x5A5A: 3})
        assert client.connection.await_settings_ack()
        stream.send("after", 2)
        assert stream.recv() == ("after", 1)
    for _ in range(3):
        assert client.list("again", 1).collect() == [("again", 0)]
    assert not client.connection.violations


def test_settings_of_the_server_are_known(connected: Connect) -> None:
    """`server_settings` maps codes to values."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_CONCURRENT_STREAMS, 7), (0x99, 1)])
        hold(peer)

    with scripted(script) as address:
        settings = connected(address).connect().server_settings
        assert settings == {SettingCode.MAX_CONCURRENT_STREAMS: 7, 0x99: 1}


def test_opening_a_stream_waits_for_a_free_slot(connected: Connect) -> None:
    """SETTINGS_MAX_CONCURRENT_STREAMS is obeyed: the third stream is opened when one of two has ended."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_CONCURRENT_STREAMS, 2)])
        while True:
            got = peer.until(lambda one: one.end_stream)
            peer.answer(got.stream_id)

    with scripted(script) as address:
        client = connected(address)
        first, second = client.route(), client.route()
        client.connection.timeout = 0.2
        with pytest.raises(ConcurrencyLimited, match="SETTINGS_MAX_CONCURRENT_STREAMS is 2"):
            client.route()
        client.connection.timeout = 5
        first.close_send()
        assert first.end().ok
        third = client.route()
        for stream in (second, third):
            stream.close_send()
            assert stream.end().ok


def test_a_server_that_allows_no_stream_gets_no_allowance(connected: Connect) -> None:
    """A low limit is a choice; a limit of 0 allows no call."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_CONCURRENT_STREAMS, 0)])
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        client.connect().timeout = 0.2
        with pytest.raises(OperationTimeout, match="SETTINGS_MAX_CONCURRENT_STREAMS is 0") as raised:
            client.route()
        assert not isinstance(raised.value, ConcurrencyLimited)


def test_a_test_may_open_more_streams_than_allowed(connected: Connect) -> None:
    """Without ``obey_stream_limit`` every stream is opened at once."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_CONCURRENT_STREAMS, 1)])
        for _ in range(3):
            stream_id = peer.until_kind(FrameType.HEADERS).stream_id
            if stream_id > 1:
                peer.send(FrameType.RST_STREAM, 0, stream_id, int(ErrorCode.REFUSED_STREAM).to_bytes(4, "big"))
        hold(peer)

    with scripted(script) as address:
        client = connected(address, obey_stream_limit=False)
        streams = [client.route() for _ in range(3)]
        assert streams[2].await_end().status.code == Code.UNAVAILABLE
        assert streams[1].await_reset() == ErrorCode.REFUSED_STREAM
        assert streams[0].ended is None


# GOAWAY -----------------------------------------------------------------------------------------------------------


def test_a_goaway_of_this_client_does_not_end_its_streams(grpcio_address: str, connected: Connect) -> None:
    """GOAWAY in the middle of a Route is sent, and the Route goes on to its end."""
    client = connected(grpcio_address)
    with client.route() as stream:
        stream.send("before", 1)
        assert stream.recv() == ("before", 0)
        client.connection.goaway(ErrorCode.NO_ERROR, debug=b"leaving")
        stream.send("after", 1)
        assert stream.recv() == ("after", 1)
        stream.close_send()
        assert stream.recv() is EOF


def test_a_goaway_ends_the_streams_that_it_excludes(connected: Connect) -> None:
    """They end with UNAVAILABLE, earlier ones go on, and a new RPC gets a new connection."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until(lambda one: one.stream_id == 3)
        payload = (1).to_bytes(4, "big") + bytes(4) + b"max_age"
        peer.send(FrameType.GOAWAY, payload=payload)
        peer.until(lambda one: one.end_stream)
        peer.answer(1)
        hold(peer)

    with scripted(script, answer_one) as address:
        client = connected(address)
        kept, excluded = client.route(), client.route()
        ended = excluded.await_end()
        assert (ended.origin, ended.status.code) == (Origin.GOAWAY, Code.UNAVAILABLE)
        assert "max_age" in ended.status.message
        assert excluded.not_processed == "GOAWAY with NO_ERROR b'max_age', last stream 1"
        assert kept.not_processed is None
        goaway = client.connection.await_goaway()
        assert goaway is not None
        assert (goaway.last_stream_id, goaway.code, goaway.debug) == (1, 0, b"max_age")
        kept.close_send()
        assert kept.end().ok
        with client.route() as stream:
            stream.close_send()
            assert stream.end().ok
        assert len(client.connections) == 2


def test_a_stream_may_be_opened_after_a_goaway(connected: Connect) -> None:
    """A test that names the connection can send a server a stream after its GOAWAY."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.send(FrameType.GOAWAY, payload=(2**31 - 1).to_bytes(4, "big") + bytes(4))
        peer.answer(peer.until(lambda one: one.end_stream).stream_id)
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        connection = client.connect()
        assert connection.await_goaway() is not None
        with client.open("Route", connection=connection) as stream:
            stream.close_send()
            assert stream.end().ok


def test_a_goaway_while_a_stream_is_opened_leads_to_a_new_connection(connected: Connect) -> None:
    """A GOAWAY may come after a connection was chosen and before the stream is opened on it."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_CONCURRENT_STREAMS, 1)])
        peer.until(lambda one: one.stream_id == 1)
        time.sleep(0.3)  # by then the client has chosen this connection and waits for a slot on it
        peer.send(FrameType.GOAWAY, payload=(1).to_bytes(4, "big") + bytes(4))
        hold(peer)

    with scripted(script, answer_one) as address:
        client = connected(address)
        client.connect().await_settings_ack()
        first = client.route()
        with client.route() as stream:
            stream.close_send()
            assert stream.end().ok
        assert len(client.connections) == 2
        assert first.not_processed is None


@pytest.mark.parametrize(
    ("last", "code"), [(0, ErrorCode.NO_ERROR), (1, ErrorCode.PROTOCOL_ERROR)], ids=["nothing taken", "error"]
)
def test_other_goaways_are_not_a_graceful_shutdown(connected: Connect, last: int, code: int) -> None:
    """A server that processes no call, or sends an error code, did not shut down gracefully."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until(lambda one: one.stream_id == 3)
        peer.send(FrameType.GOAWAY, payload=last.to_bytes(4, "big") + int(code).to_bytes(4, "big"))
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        _, excluded = client.route(), client.route()
        assert excluded.await_end().origin is Origin.GOAWAY
        assert excluded.not_processed is None


@pytest.mark.parametrize(
    ("resets", "code", "throttled"),
    [
        (MANY_RESETS, ErrorCode.ENHANCE_YOUR_CALM, True),
        (MANY_RESETS - 1, ErrorCode.ENHANCE_YOUR_CALM, False),
        (MANY_RESETS, ErrorCode.INTERNAL_ERROR, False),
    ],
    ids=["many resets", "few resets", "another code"],
)
def test_many_resets_lead_to_enhance_your_calm(connected: Connect, resets: int, code: int, throttled: bool) -> None:
    """RFC 9113, section 10.5: ENHANCE_YOUR_CALM after many resets is the server's choice; another end is not."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until(lambda one: (one.kind, one.stream_id) == (FrameType.RST_STREAM, 2 * resets - 1))
        peer.send(FrameType.GOAWAY, payload=(2 * resets - 1).to_bytes(4, "big") + int(code).to_bytes(4, "big"))
        hold(peer)

    with scripted(script) as address:
        client = connected(address)
        with client.fresh() as storm:
            for _ in range(resets):
                storm.route().reset()
            assert storm.connection.wait(lambda: bool(storm.connection.goaways))
            assert (client.enhance_your_calm() is not None) == throttled
            assert client.enhance_your_calm() == storm.enhance_your_calm()
