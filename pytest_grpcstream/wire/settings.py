"""The settings of both sides of a connection, and which of this side's are in force while acknowledgements are due."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from pytest_grpcstream.wire.codes import ErrorCode, SettingCode
from pytest_grpcstream.wire.frames import (
    DEFAULT_WINDOW,
    LARGEST_MAX_FRAME,
    LARGEST_WINDOW,
    SMALLEST_MAX_FRAME,
    setting_name,
)
from pytest_grpcstream.wire.rules import Fault, Rule

_DEFAULT_TABLE: Final = 4096
_LARGEST_TABLE: Final = 1 << 16
"""The largest HPACK table that this side keeps for what it sends, in bytes; it may use less than allowed."""
_UNKNOWN_KEPT: Final = 100
"""Settings of the peer beyond this number are dropped, unless they have a name."""


class _Limits(NamedTuple):
    window: int = DEFAULT_WINDOW
    max_frame: int = SMALLEST_MAX_FRAME
    table: int = _DEFAULT_TABLE


class OwnSettings:
    """The settings that this side sent.

    A peer uses a value from when it reads the SETTINGS frame, at the latest when it acknowledges it. In between both
    the old and the new value may be in force, so the peer is held to the more generous one (RFC 9113, sections 6.5.3
    and 6.9.3). A stream that was opened after a SETTINGS frame begins with it.

    Attributes:
        newest: the number of the newest SETTINGS frame, 0 before the first.
        max_frame: the largest payload that the peer may send now, in bytes.
        table: the largest HPACK table that the peer may use now, in bytes.
    """

    def __init__(self) -> None:
        # What the newest acknowledged frame left in force, then one entry for each frame that is not acknowledged.
        self._in_force = deque([_Limits()])
        self.newest = 0
        self._refresh()

    def send(self, settings: Iterable[tuple[int, int]]) -> None:
        """Note that a SETTINGS frame was sent."""
        now = self._in_force[-1]
        for code, value in settings:
            if code == SettingCode.INITIAL_WINDOW_SIZE:
                now = now._replace(window=value)
            elif code == SettingCode.MAX_FRAME_SIZE:
                now = now._replace(max_frame=value)
            elif code == SettingCode.HEADER_TABLE_SIZE:
                now = now._replace(table=value)
        self._in_force.append(now)
        self.newest += 1
        self._refresh()

    def acknowledge(self) -> None:
        """Note that the peer acknowledged the oldest frame that it had not; one too many changes nothing."""
        if len(self._in_force) > 1:
            self._in_force.popleft()
            self._refresh()

    def _refresh(self) -> None:
        self.max_frame = max(limits.max_frame for limits in self._in_force)
        self.table = max(limits.table for limits in self._in_force)

    def window(self, number: int) -> int:
        """The initial window of a stream that was opened after SETTINGS frame number ``number``, in bytes."""
        oldest = self.newest - (len(self._in_force) - 1)
        return max(limits.window for limits in list(self._in_force)[max(0, number - oldest) :])


class PeerSettings:
    """The settings that the peer sent.

    Arguments:
        may_enable_push: whether ENABLE_PUSH may be 1, which only a client may send.

    Attributes:
        values: every setting that it sent, by its code.
        received: how many SETTINGS frames came, acknowledgements not counted.
    """

    def __init__(self, *, may_enable_push: bool = False) -> None:
        self._largest_push = int(may_enable_push)
        self.values: dict[int, int] = {}
        self.received = 0

    def apply(self, pairs: list[tuple[int, int]]) -> int:
        """Take the pairs of a SETTINGS frame and return by how much they change the initial window.

        Raises:
            Fault: a value is not allowed (RFC 9113, section 6.5.2).
        """
        before = self.window
        self.received += 1
        for code, value in pairs:
            self._check(code, value)
            if code in SettingCode.__members__.values() or len(self.values) < _UNKNOWN_KEPT:
                self.values[code] = value
        return self.window - before

    def _check(self, code: int, value: int) -> None:
        error = ErrorCode.PROTOCOL_ERROR
        if code == SettingCode.ENABLE_PUSH:
            good = value <= self._largest_push
        elif code == SettingCode.INITIAL_WINDOW_SIZE:
            good, error = value <= LARGEST_WINDOW, ErrorCode.FLOW_CONTROL_ERROR
        elif code == SettingCode.MAX_FRAME_SIZE:
            good = SMALLEST_MAX_FRAME <= value <= LARGEST_MAX_FRAME
        else:
            good = True
        if not good:
            raise Fault(Rule.BAD_SETTING, error, f"{setting_name(code)} {value}")

    @property
    def window(self) -> int:
        """The initial window of a stream for what this side sends, in bytes."""
        return self.values.get(SettingCode.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)

    @property
    def max_frame(self) -> int:
        """The largest payload that this side may send, in bytes."""
        return self.values.get(SettingCode.MAX_FRAME_SIZE, SMALLEST_MAX_FRAME)

    @property
    def table(self) -> int:
        """The HPACK table that this side's encoder uses, in bytes."""
        return min(self.values.get(SettingCode.HEADER_TABLE_SIZE, _DEFAULT_TABLE), _LARGEST_TABLE)

    @property
    def max_streams(self) -> int | None:
        """How many streams this side may have open, None for no limit."""
        return self.values.get(SettingCode.MAX_CONCURRENT_STREAMS)
