"""Flow-control windows of a connection or a stream, in both directions (RFC 9113, section 6.9)."""

from __future__ import annotations

from pytest_grpcstream.wire.frames import LARGEST_WINDOW


class ReceiveWindow:
    """The bytes of DATA that the peer may send, and those that it has to be given back.

    Arguments:
        initial: the window at the start, in bytes.
        held: whether no update is due until `release`.

    Attributes:
        remaining: bytes that the peer may still send; negative after a reduction or an overrun.
        owed: bytes that were consumed and not yet given back.
        held: whether no update is due, whatever is owed.
        threshold: bytes owed from which on an update is worth a frame: half of the window.
    """

    __slots__ = ("_initial", "_opened", "held", "owed", "remaining", "threshold")

    def __init__(self, initial: int, *, held: bool = False) -> None:
        self._initial = initial
        self._opened = 0
        self.remaining = initial
        self.owed = 0
        self.held = held
        self._measure()

    def _measure(self) -> None:
        self.threshold = max(1, (self._initial + self._opened) // 2)

    def consume(self, count: int) -> bool:
        """Count DATA of the peer; False if it is more than the window allowed."""
        self.remaining -= count
        return self.remaining >= 0

    def credit(self, count: int) -> bool:
        """Note that bytes are to be given back; whether an update is due now."""
        self.owed += count
        return self.owed >= self.threshold and not self.held

    @property
    def update_due(self) -> bool:
        """Whether enough is owed to be worth a WINDOW_UPDATE, and nothing is held."""
        return self.owed >= self.threshold and not self.held

    def give_back(self) -> int:
        """Open the window by all that is owed and return the increment, for the WINDOW_UPDATE that says so."""
        increment, self.owed = self.owed, 0
        self.remaining += increment
        return increment

    def write_off(self) -> None:
        """Owe nothing: the peer cannot send any more."""
        self.owed = 0

    def open(self, count: int) -> None:
        """Make the window larger than its initial size, whether it is held or not."""
        self.remaining += count
        self._opened += count
        self._measure()

    def hold(self) -> None:
        """Give nothing back until `release`; what is credited meanwhile stays owed."""
        self.held = True

    def release(self) -> None:
        """Give back again, including what was credited while the window was held."""
        self.held = False

    def rebase(self, initial: int) -> None:
        """Apply another SETTINGS_INITIAL_WINDOW_SIZE of this side (RFC 9113, section 6.9.2)."""
        self.remaining += initial - self._initial
        self._initial = initial
        self._measure()


class SendWindow:
    """The bytes of DATA that this side may send.

    Attributes:
        remaining: how many they still are; negative after a reduction, or after frames that were sent regardless.
    """

    __slots__ = ("remaining",)

    def __init__(self, initial: int) -> None:
        self.remaining = initial

    def consume(self, count: int) -> None:
        """Count DATA that was sent."""
        self.remaining -= count

    def open(self, count: int) -> bool:
        """Take a WINDOW_UPDATE, or a change of the initial size; False if the window is larger than allowed now."""
        self.remaining += count
        return self.remaining <= LARGEST_WINDOW

    def clamp(self) -> None:
        """Reduce a window that is larger than allowed to the largest one."""
        self.remaining = min(self.remaining, LARGEST_WINDOW)
