"""What the peer has provably read: everything that was sent before a SETTINGS or PING frame which it has answered."""

from __future__ import annotations

from collections import deque


class Barrier:
    """Matches SETTINGS acknowledgements and PING answers with the frames that they answer.

    Each SETTINGS and PING frame that this side sends is a mark in what it sends. A peer answers SETTINGS in their order
    (RFC 9113, section 6.5.3) and a PING by its payload (section 6.7), so an answer proves that the peer has read
    everything up to the mark.

    Attributes:
        mark: the number of the newest mark, 0 before the first.
        settings_sent: how many SETTINGS frames were sent.
        settings_acknowledged: how many of them the peer has acknowledged.
    """

    def __init__(self) -> None:
        self.mark = 0
        self.settings_sent = 0
        self.settings_acknowledged = 0
        self._confirmed = 0
        self._settings: deque[int] = deque()
        self._pings: dict[bytes, int] = {}
        self._answered: dict[bytes, float] = {}

    def has_passed(self, mark: int) -> bool:
        """Whether the peer has read something that was sent after this mark."""
        return self._confirmed > mark

    def _confirm(self, mark: int) -> None:
        self._confirmed = max(self._confirmed, mark)

    # SETTINGS ---------------------------------------------------------------------------------------------------

    def send_settings(self) -> None:
        """Note that a SETTINGS frame was sent."""
        self.mark += 1
        self.settings_sent += 1
        self._settings.append(self.mark)

    def acknowledge_settings(self) -> bool:
        """Note that the peer acknowledged the oldest SETTINGS frame that it had not; False if there is none."""
        if not self._settings:
            return False
        self.settings_acknowledged += 1
        self._confirm(self._settings.popleft())
        return True

    @property
    def settings_in_force(self) -> bool:
        """Whether the peer has acknowledged every SETTINGS frame."""
        return not self._settings

    # PING -------------------------------------------------------------------------------------------------------

    def send_ping(self, payload: bytes) -> None:
        """Note that a PING was sent; an earlier answer to the same payload is forgotten."""
        self.mark += 1
        self._pings[payload] = self.mark
        self._answered.pop(payload, None)

    def answer_ping(self, payload: bytes, at: float) -> None:
        """Note that the peer answered a PING at a time of `time.monotonic`; an answer to no PING changes nothing."""
        mark = self._pings.pop(payload, None)
        if mark is not None:
            self._answered[payload] = at
            self._confirm(mark)

    def answered_at(self, payload: bytes) -> float | None:
        """When the newest PING with this payload was answered, by `time.monotonic`; None before that."""
        return self._answered.get(payload)

    def forget_ping(self, payload: bytes) -> None:
        """Forget the answer to a PING."""
        self._answered.pop(payload, None)
