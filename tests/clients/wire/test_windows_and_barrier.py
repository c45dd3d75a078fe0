"""The accounts beneath a connection: both windows, the settings in force, and what the peer has provably read."""

from __future__ import annotations

from pytest_grpcstream.clients.wire import SettingCode
from pytest_grpcstream.wire.barrier import Barrier
from pytest_grpcstream.wire.settings import OwnSettings, PeerSettings
from pytest_grpcstream.wire.windows import ReceiveWindow, SendWindow


def test_an_update_is_due_from_half_of_the_window_on() -> None:
    """Smaller credits wait; the update gives back all of them."""
    window = ReceiveWindow(100)
    assert window.consume(60)
    assert not window.credit(49)
    assert not window.update_due
    assert window.credit(1)
    assert window.give_back() == 50
    assert (window.remaining, window.owed) == (90, 0)


def test_an_overrun_is_one_byte_more_than_the_window() -> None:
    """The last byte of the window may be sent, the next one not."""
    window = ReceiveWindow(10)
    assert window.consume(10)
    assert not window.consume(1)
    assert window.remaining == -1


def test_a_held_window_owes_until_it_is_released() -> None:
    """Credits are kept, and opening it by hand still works."""
    window = ReceiveWindow(10, held=True)
    window.consume(10)
    assert not window.credit(10)
    window.open(4)
    assert window.remaining == 4
    assert not window.credit(0)
    window.release()
    assert window.credit(0)
    assert window.give_back() == 10
    window.hold()
    assert not window.credit(10)
    window.write_off()
    window.release()
    assert not window.update_due


def test_a_larger_window_is_given_back_in_larger_updates() -> None:
    """Half of the window counts what the test opened and what SETTINGS_INITIAL_WINDOW_SIZE changed."""
    window = ReceiveWindow(10)
    assert window.threshold == 5
    window.open(10)
    assert window.threshold == 10
    window.rebase(30)
    assert (window.remaining, window.threshold) == (40, 20)
    window.rebase(0)
    assert (window.remaining, window.threshold) == (10, 5)


def test_an_empty_window_is_given_back_byte_by_byte() -> None:
    """The threshold is never 0, so that no update with an increment of 0 is sent."""
    window = ReceiveWindow(0)
    assert not window.update_due
    assert window.credit(1)


def test_a_send_window_grows_up_to_two_to_the_31() -> None:
    """One byte more is an overflow, which the owner reports and may clamp."""
    window = SendWindow(65_535)
    window.consume(1)
    assert window.open(2**31 - 65_535)
    assert window.remaining == 2**31 - 1
    assert not window.open(1)
    window.clamp()
    assert window.remaining == 2**31 - 1
    assert window.open(-(2**31))
    assert window.remaining == -1


def test_an_answer_confirms_what_was_sent_before_its_mark() -> None:
    """A reset between two PINGs is read when the second one is answered."""
    barrier = Barrier()
    barrier.send_ping(b"first---")
    reset = barrier.mark
    barrier.send_ping(b"second--")
    barrier.answer_ping(b"first---", 1.0)
    assert not barrier.has_passed(reset)
    barrier.answer_ping(b"second--", 2.0)
    assert barrier.has_passed(reset)
    assert barrier.answered_at(b"second--") == 2.0


def test_answers_to_nothing_are_ignored() -> None:
    """Neither an unknown payload, nor a second answer, nor one acknowledgement too many proves anything."""
    barrier = Barrier()
    barrier.answer_ping(b"unknown-", 1.0)
    assert barrier.answered_at(b"unknown-") is None
    assert not barrier.acknowledge_settings()
    assert not barrier.has_passed(0)
    barrier.send_settings()
    before = barrier.settings_in_force
    assert barrier.acknowledge_settings()
    assert (before, barrier.settings_in_force) == (False, True)
    assert barrier.has_passed(0)
    assert (barrier.settings_sent, barrier.settings_acknowledged) == (1, 1)


def test_a_repeated_payload_waits_for_its_newest_answer() -> None:
    """Sending a PING forgets the answer to an earlier one with the same bytes."""
    barrier = Barrier()
    barrier.send_ping(b"the same")
    barrier.answer_ping(b"the same", 1.0)
    barrier.send_ping(b"the same")
    assert barrier.answered_at(b"the same") is None
    barrier.answer_ping(b"the same", 2.0)
    assert barrier.answered_at(b"the same") == 2.0
    barrier.forget_ping(b"the same")
    assert barrier.answered_at(b"the same") is None


def test_the_most_generous_settings_are_in_force_until_their_acknowledgement() -> None:
    """A smaller value holds from its acknowledgement on, a larger one from its sending on."""
    own = OwnSettings()
    own.send([(SettingCode.INITIAL_WINDOW_SIZE, 100), (SettingCode.MAX_FRAME_SIZE, 20_000)])
    assert own.newest == 1
    assert own.window(0) == 65_535
    assert own.window(1) == 100
    assert own.max_frame == 20_000
    own.acknowledge()
    assert own.window(0) == 100
    own.send([(SettingCode.INITIAL_WINDOW_SIZE, 200), (SettingCode.HEADER_TABLE_SIZE, 1 << 16)])
    own.send([(SettingCode.INITIAL_WINDOW_SIZE, 50)])
    assert [own.window(number) for number in range(4)] == [200, 200, 200, 50]
    assert own.table == 1 << 16
    for _ in range(3):
        own.acknowledge()
    assert own.window(1) == 50
    assert own.max_frame == 20_000


def test_settings_of_the_peer_change_the_initial_window_by_the_difference() -> None:
    """`apply` returns how far the windows of open streams move."""
    peer = PeerSettings()
    assert peer.apply([(SettingCode.INITIAL_WINDOW_SIZE, 10), (SettingCode.INITIAL_WINDOW_SIZE, 100)]) == 100 - 65_535
    assert peer.apply([]) == 0
    assert (peer.window, peer.received, peer.max_streams) == (100, 2, None)
