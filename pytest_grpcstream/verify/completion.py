"""Calls that must not lose a response at their end, for any window and any message size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import SettingCode, WireClient, WireStream
from pytest_grpcstream.errors import Deviation, Failure, OperationTimeout, StreamError
from pytest_grpcstream.values import Code, Point, Status

Window: TypeAlias = Callable[[WireStream], None]
"""Opens the flow-control windows of a stream, each in a different way."""

SIZES: Final = {"empty": 0, "small": 10, "over one frame": 20_000, "over one window": 80_000, "1 MiB": 1 << 20}
"""Sizes of messages, in bytes."""
_LARGE: Final = 80_000
"""The size in bytes from which a target may refuse a message as too large."""
_WIDE: Final = 1 << 23
"""Bytes by which a window is opened: more than all responses of a call."""
_HEADERS_TIMEOUT: Final = 0.1
"""Seconds to wait for headers, which need no window. Some servers send them only with the first message."""


def wide_open(stream: WireStream) -> None:
    """Do nothing: the client opens the windows as it reads messages."""


def shut_until_the_end(stream: WireStream) -> None:
    """Keep the windows shut until the server has had time to end the call, then open them wide."""
    with contextlib.suppress(OperationTimeout):
        stream.headers(timeout=_HEADERS_TIMEOUT)
    verify.pause(_HEADERS_TIMEOUT / 5)
    stream.connection.open_window(_WIDE)
    stream.open_window(_WIDE)


def shut_in_the_middle_of_a_message(stream: WireStream) -> None:
    """Open the stream's window by a few bytes three times, then wide."""
    stream.connection.open_window(_WIDE)
    for count in (3, 4, 9):
        stream.open_window(count)
        stream.await_bytes(stream.response.flow_bytes + count, 0.02)
    stream.open_window(_WIDE)


WINDOWS: Final[tuple[Window, ...]] = (wide_open, shut_until_the_end, shut_in_the_middle_of_a_message)


def with_window(client: WireClient, window: Window) -> WireClient:
    """Connect a new client to the same target, with the initial window that ``window`` needs."""
    if window is wide_open:
        return client.fresh()
    return client.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}, hold_windows=True)


def describe_losses(stream: WireStream, expected: Sequence[Point], status: Status, skip: int = 0) -> Iterator[str]:
    """Read a call to its end, and describe missing or wrong responses and a wrong status.

    Arguments:
        status: the expected status of the server. An error must have this message; OK may have any.
        skip: number of responses at the beginning to ignore.
    """
    try:
        verify.same(stream, stream.collect()[skip:], expected, "responses")
    except (Failure, StreamError) as error:
        yield f"{error.expected}, but {error.actual}{'' if stream.ended is None else f'; then {stream.ended}'}"
        return
    got = None if stream.ended is None else stream.ended.server_status
    if got is None or got.code != status.code or (not status.ok and got != status):
        yield f"the status {status} from the server, but {stream.ended}"


class SizeLimits:
    """Collects messages that a target refuses as too large; they do not count as lost.

    SIZE-5 advises against a limit below 1 MiB, so a refusal is a warning here too. Smaller messages must still arrive.
    """

    def __init__(self) -> None:
        self._refusals: list[str] = []

    def refuse(self, name: str, stream: WireStream) -> bool:
        """Whether the target refused the message of this size (a key of `SIZES`) with RESOURCE_EXHAUSTED."""
        ended = stream.status
        refused = SIZES[name] >= _LARGE and ended is not None and ended.code == Code.RESOURCE_EXHAUSTED
        if refused:
            self._refusals.append(f"{name}: {ended}")
        return refused

    def warn(self) -> None:
        """Warn if the target refused messages.

        Raises:
            Deviation: the target refused a message.
        """
        if self._refusals:
            raise Deviation("messages of up to 1 MiB handled", "; ".join(self._refusals))
