"""The settings of both sides of a connection, and what is in force of them while acknowledgements are under way."""

from __future__ import annotations

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
"""The largest HPACK table that this client keeps for its requests, in bytes; it may use less than allowed."""


class _Limits(NamedTuple):
    window: int = DEFAULT_WINDOW
    max_frame: int = SMALLEST_MAX_FRAME
    table: int = _DEFAULT_TABLE


class OwnSettings:
    """The settings that this client sent.

    A server uses a value from when it reads the SETTINGS frame, at the latest when it acknowledges it. In between both
    the old and the new value may be in force, so the server is held to the more generous one (RFC 9113, sections 6.5.3
    and 6.9.3). A stream that was opened behind a SETTINGS frame begins with it.

    Attributes:
        acknowledged: how many SETTINGS frames the server acknowledged.
        max_frame: the largest payload that the server may send now, in bytes.
        table: the largest HPACK table that the server may use now, in bytes.
    """

    def __init__(self) -> None:
        self._limits = [_Limits()]
        self.acknowledged = 0
        self.max_frame = self._limits[0].max_frame
        self.table = self._limits[0].table

    @property
    def sent(self) -> int:
        """How many SETTINGS frames were sent."""
        return len(self._limits) - 1

    def send(self, settings: Iterable[tuple[int, int]]) -> None:
        """Note that a SETTINGS frame was sent."""
        now = self._limits[-1]
        for code, value in settings:
            if code == SettingCode.INITIAL_WINDOW_SIZE:
                now = now._replace(window=value)
            elif code == SettingCode.MAX_FRAME_SIZE:
                now = now._replace(max_frame=value)
            elif code == SettingCode.HEADER_TABLE_SIZE:
                now = now._replace(table=value)
        self._limits.append(now)
        self._refresh()

    def acknowledge(self) -> None:
        """Note that the server acknowledged the oldest frame that it had not; one too many changes nothing."""
        self.acknowledged = min(self.sent, self.acknowledged + 1)
        self._refresh()

    def _refresh(self) -> None:
        in_force = self._limits[self.acknowledged :]
        self.max_frame = max(limits.max_frame for limits in in_force)
        self.table = max(limits.table for limits in in_force)

    def window(self, epoch: int) -> int:
        """The initial window of a stream that was opened behind SETTINGS frame number ``epoch``, in bytes."""
        return max(limits.window for limits in self._limits[max(epoch, self.acknowledged) :])


class ServerSettings:
    """The settings that the server sent.

    Attributes:
        values: every setting that it sent, by its code.
        received: how many SETTINGS frames came, acknowledgements not counted.
    """

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.received = 0

    def apply(self, pairs: list[tuple[int, int]]) -> None:
        """Take the pairs of a SETTINGS frame.

        Raises:
            Fault: a value is not allowed (RFC 9113, section 6.5.2).
        """
        self.received += 1
        for code, value in pairs:
            self._check(code, value)
            if code in SettingCode.__members__.values() or len(self.values) < 100:
                self.values[code] = value

    @staticmethod
    def _check(code: int, value: int) -> None:
        error = ErrorCode.PROTOCOL_ERROR
        if code == SettingCode.ENABLE_PUSH:
            good = value == 0
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
        """The initial window of a stream for what this client sends, in bytes."""
        return self.values.get(SettingCode.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)

    @property
    def max_frame(self) -> int:
        """The largest payload that this client may send, in bytes."""
        return self.values.get(SettingCode.MAX_FRAME_SIZE, SMALLEST_MAX_FRAME)

    @property
    def table(self) -> int:
        """The HPACK table that this client's encoder uses, in bytes."""
        return min(self.values.get(SettingCode.HEADER_TABLE_SIZE, _DEFAULT_TABLE), _LARGEST_TABLE)

    @property
    def max_streams(self) -> int | None:
        """How many streams this client may have open, None for no limit."""
        return self.values.get(SettingCode.MAX_CONCURRENT_STREAMS)
