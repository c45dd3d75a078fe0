"""Flow control in both directions: windows that are held, opened by bytes, and obeyed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.wire.peers import HEADERS, Frame, Peer, hold, scripted
from clients.wire.services import response
from pytest_grpcstream.clients.wire import FrameType, Rule, SettingCode, WireClient, framed
from pytest_grpcstream.errors import OperationTimeout
from pytest_grpcstream.values import EOF, Point
from pytest_grpcstream.wire.frames import settings_payload

Connect = Callable[..., WireClient]

SHUT = {SettingCode.INITIAL_WINDOW_SIZE: 0}
SIZE = len(framed(response("w", 0).SerializeToString()))


def test_an_empty_window_stops_data(stack: tuple[str, str], connected: Connect) -> None:
    """Until the window opens, a List returns at most headers."""
    client = connected(stack[1], settings=SHUT, hold_windows=True)
    with client.list("w", 3) as stream:
        assert [one for one in stream.watch(0.2) if one.kind == FrameType.DATA] == []
        assert stream.window == 0
        stream.open_window(1000)
        assert len(stream.collect()) == 3


def test_a_window_opens_by_bytes(stack: tuple[str, str], connected: Connect) -> None:
    """The server sends exactly as many bytes as the window was opened by, even in the middle of a message."""
    client = connected(stack[1], settings=SHUT, hold_windows=True)
    with client.list("w", 3) as stream:
        for granted in (1, 3, 4, SIZE):
            before = stream.response.flow_bytes
            stream.open_window(granted)
            assert stream.await_bytes(before + granted) == before + granted
            assert stream.window == 0
        stream.open_window(10_000)
        assert len(stream.collect()) == 3
        assert not stream.violations


def test_a_window_can_be_held_in_the_middle_of_a_stream(client: WireClient) -> None:
    """A held window is not given back, however much is read; releasing it gives everything back."""
    with client.list("x" * 1000, 200) as stream:
        stream.hold_window()
        read = len(stream.take(60))
        assert not [one for one in stream.frames if one.sent and one.kind == FrameType.WINDOW_UPDATE]
        assert stream.await_bytes(65_535) == 65_535
        assert stream.window == 0
        stream.release_window()
        assert read + len(stream.collect()) == 200


def test_a_stream_can_be_opened_with_its_window_held(client: WireClient) -> None:
    """`hold_window=True` applies only to that stream."""
    with client.open("List", hold_window=True) as held, client.list("y" * 1000, 200) as other:
        held.send_last("x" * 1000, 200)
        assert len(other.collect()) == 200
        held.timeout = 0.2
        with pytest.raises(OperationTimeout):
            held.take(200)
        assert 60 <= held.received <= 65
        held.timeout = 5
        held.release_window()
        assert held.end().ok


def test_the_connection_window_limits_all_streams(stack: tuple[str, str], connected: Connect) -> None:
    """With stream windows of a megabyte and the connection's window held, 65,535 bytes come in all."""
    client = connected(stack[1], settings={SettingCode.INITIAL_WINDOW_SIZE: 1 << 20})
    connection = client.connect()
    connection.hold_window()
    with client.list("x" * 1000, 100) as stream:
        assert stream.await_bytes(65_535) == 65_535
        assert connection.window == 0
        assert [one for one in stream.watch(0.1) if one.kind == FrameType.DATA] == []
        connection.open_window(100)
        assert stream.await_bytes(65_635) == 65_635
        connection.release_window()
        assert len(stream.collect()) == 100


def test_a_larger_connection_window_from_the_start(stack: tuple[str, str], connected: Connect) -> None:
    """The option opens the connection's window right after the first SETTINGS."""
    client = connected(
        stack[1],
        settings={SettingCode.INITIAL_WINDOW_SIZE: 1 << 20},
        connection_window=200_000,
        hold_windows=True,
    )
    assert client.connect().window == 200_000
    with client.list("x" * 1000, 300) as stream:
        assert stream.await_bytes(200_000) == 200_000
        assert client.connection.window == 0


def test_settings_change_the_windows_of_open_streams(grpcio_address: str, connected: Connect) -> None:
    """A window may become negative by SETTINGS; DATA comes only when it is positive again."""
    client = connected(grpcio_address, settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}, hold_windows=True)
    with client.list("x" * 100, 100) as stream:
        assert stream.await_bytes(1000) == 1000
        client.connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 100})
        assert client.connection.await_settings_ack()
        assert stream.window == -900
        stream.open_window(900)
        assert [one for one in stream.watch(0.2) if one.kind == FrameType.DATA] == []
        stream.open_window(50)
        assert stream.await_bytes(1050) == 1050
        client.connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 60_000})
        assert len(stream.collect()) == 100
        assert not client.connection.violations


def test_a_larger_frame_size_is_offered_and_used(grpcio_address: str, connected: Connect) -> None:
    """A server may send larger frames as soon as the client's SETTINGS allow them."""
    client = connected(
        grpcio_address,
        settings={SettingCode.MAX_FRAME_SIZE: 1 << 20, SettingCode.INITIAL_WINDOW_SIZE: 1 << 22},
        connection_window=1 << 22,
    )
    with client.list("x" * 1_000_000, 1) as stream:
        assert isinstance(stream.recv(), Point)
        assert stream.recv() is EOF
        assert not stream.violations


def test_the_client_obeys_the_servers_windows(connected: Connect) -> None:
    """It sends exactly what the smaller window allows, and goes on when the window opens."""
    got: list[int] = []

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.INITIAL_WINDOW_SIZE, 10)])
        peer.until_kind(FrameType.SETTINGS, ack=True)
        first = peer.until_kind(FrameType.DATA)
        got.append(len(first.payload))
        peer.send(FrameType.PING, payload=b"anything")
        got.append(0 if peer.until(lambda one: one.kind in (FrameType.DATA, FrameType.PING)).kind else 1)
        for increment in (1, 5, 1000):
            peer.send(FrameType.WINDOW_UPDATE, 0, first.stream_id, increment.to_bytes(4, "big"))
            got.append(len(peer.until_kind(FrameType.DATA).payload))
        peer.until(lambda one: one.end_stream)
        peer.answer(first.stream_id)
        hold(peer)

    message = framed(Point("x" * 100, 1))
    with scripted(script) as address, connected(address).record() as stream:
        stream.connection.wait(lambda: stream.send_window == 10)
        assert stream.send("x" * 100, 1)
        stream.close_send()
        assert stream.end().ok
    assert got == [10, 0, 1, 5, len(message) - 16]


def test_the_client_obeys_the_servers_frame_size(connected: Connect) -> None:
    """No DATA frame is larger than SETTINGS_MAX_FRAME_SIZE, whatever the windows allow."""
    sizes: list[int] = []

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.MAX_FRAME_SIZE, 20_000), (SettingCode.INITIAL_WINDOW_SIZE, 1 << 20)])
        peer.send(FrameType.WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big"))
        stream_id = peer.until(lambda one: one.end_stream).stream_id
        sizes.extend(len(one.payload) for one in peer.seen if one.kind == FrameType.DATA)
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        stream.send("x" * 50_000, 1)
        stream.close_send()
        assert stream.end().ok
    assert sizes == [20_000, 20_000, 10_000 + len(framed(Point("x" * 50_000, 1))) - 50_000, 0]


def test_the_client_obeys_the_connection_window_of_the_server(connected: Connect) -> None:
    """Whatever the stream's window, only 65,535 bytes are sent before the connection's window opens."""
    got: list[int] = []

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.INITIAL_WINDOW_SIZE, 1 << 20)])
        stream_id = peer.until_kind(FrameType.HEADERS).stream_id
        while sum(got) < 65_535:
            got.append(len(peer.until_kind(FrameType.DATA).payload))
        peer.send(FrameType.PING, payload=b"anything")
        got.append(0 if peer.until(lambda one: one.kind in (FrameType.DATA, FrameType.PING)).kind else 1)
        peer.send(FrameType.WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big"))
        peer.until(lambda one: one.end_stream)
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        stream.connection.wait(lambda: stream.send_window == 1 << 20)
        assert stream.send("x" * 100_000, 1)
        stream.close_send()
        assert stream.end().ok
    assert sum(got) == 65_535
    assert got[-1] == 0


def test_a_change_of_the_servers_window_changes_open_streams(connected: Connect) -> None:
    """SETTINGS_INITIAL_WINDOW_SIZE of the server moves the windows of open streams by the difference."""

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.INITIAL_WINDOW_SIZE, 100)])
        stream_id = peer.until_kind(FrameType.DATA).stream_id
        for value in (10, 1000):
            peer.send(FrameType.SETTINGS, payload=settings_payload([(SettingCode.INITIAL_WINDOW_SIZE, value)]))
        peer.until(lambda one: one.end_stream)
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        stream.connection.wait(lambda: stream.send_window == 100)
        stream.send_bytes(b"x" * 55)
        assert stream.connection.wait(lambda: stream.send_window == 1000 - 60)
        stream.close_send()
        assert stream.end().ok


def test_a_smaller_window_holds_from_its_acknowledgement_on(connected: Connect) -> None:
    """DATA that the server sends before its acknowledgement is not an overrun, DATA after it is."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        peer.until(lambda one: one.kind == FrameType.SETTINGS and len(one.payload) == 6)
        peer.send(FrameType.DATA, 0, stream_id, framed(bytes(495)))
        peer.send(FrameType.SETTINGS, 1)
        peer.send(FrameType.DATA, 0, stream_id, b"\x00")
        hold(peer)

    options = {"settings": {SettingCode.INITIAL_WINDOW_SIZE: 1000}, "hold_windows": True}
    with scripted(script) as address, connected(address, **options).list("x", 1) as stream:
        stream.connection.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 100})
        assert stream.recv_bytes() == bytes(495)
        stream.await_end()
        assert [one.rule for one in stream.connection.violations] == [Rule.STREAM_OVERRUN]
        assert stream.window < 0


def test_a_send_into_an_exhausted_window_times_out(connected: Connect) -> None:
    """The rest is sent as soon as the window opens."""
    got: list[Frame] = []

    def script(peer: Peer) -> None:
        peer.greet([(SettingCode.INITIAL_WINDOW_SIZE, 4)])
        stream_id = peer.until_kind(FrameType.HEADERS).stream_id
        peer.until_kind(FrameType.PING)
        peer.send(FrameType.WINDOW_UPDATE, 0, stream_id, (1000).to_bytes(4, "big"))
        peer.until(lambda one: one.end_stream)
        got.extend(one for one in peer.seen if one.kind == FrameType.DATA)
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address, timeout=0.2).record() as stream:
        with pytest.raises(OperationTimeout, match="flow control"):
            stream.send("late", 1)
        stream.connection.send_ping()
        stream.timeout = 5
        stream.close_send()
        assert stream.end().ok
    assert b"".join(one.payload for one in got) == framed(Point("late", 1))


def test_an_empty_data_frame_needs_no_window(connected: Connect) -> None:
    """The half-close is sent although the server's window is exhausted (RFC 9113, section 6.9.1)."""
    message = framed(Point("x", 1))

    def script(peer: Peer) -> None:
        stream_id = peer.accept([(SettingCode.INITIAL_WINDOW_SIZE, len(message))])
        peer.answer(stream_id)
        hold(peer)

    with scripted(script) as address, connected(address).record() as stream:
        stream.connection.wait(lambda: stream.send_window == len(message))
        stream.send("x", 1)
        assert stream.send_window == 0
        stream.close_send()
        assert stream.end().ok


def test_padding_is_given_back(connected: Connect) -> None:
    """Padding is given back without being read, so that a padded response does not stall."""

    def script(peer: Peer) -> None:
        stream_id = peer.accept()
        peer.headers(stream_id, HEADERS)
        windows = {0: 65_535, stream_id: 65_535}
        payload = bytes([255]) + framed(b"") + bytes(255)
        for _ in range(1000):
            while min(windows.values()) < len(payload):
                update = peer.until_kind(FrameType.WINDOW_UPDATE)
                windows[update.stream_id] += int.from_bytes(update.payload, "big")
            peer.send(FrameType.DATA, 8, stream_id, payload)
            for which in windows:
                windows[which] -= len(payload)
        peer.headers(stream_id, [("grpc-status", "0")], end_stream=True)
        hold(peer)

    with scripted(script) as address, connected(address).list("x", 1) as stream:
        assert len(stream.collect()) == 1000
        assert not stream.violations


def test_a_message_larger_than_the_window_arrives_while_a_reader_waits(
    stack: tuple[str, str], connected: Connect
) -> None:
    """With a window of 100 bytes a message of 10,000 arrives as long as a reader waits, and stalls otherwise."""
    client = connected(stack[1], settings={SettingCode.INITIAL_WINDOW_SIZE: 100})
    with client.list("x" * 10_000, 1) as stream:
        assert stream.await_bytes(100) == 100
        assert [one for one in stream.watch(0.1) if one.kind == FrameType.DATA] == []
        assert stream.recv() == ("x" * 10_000, 0)
        assert stream.recv() is EOF
