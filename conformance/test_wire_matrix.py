"""The completion matrix: who ends first, with which result, through which window, with messages of which size.

Every cell is one RPC that must lose nothing: all responses arrive, and the status is the server's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from pytest_grpcstream import (
    STREAM_SERVICE,
    Code,
    Deviation,
    Failure,
    OperationTimeout,
    Point,
    Status,
    StreamError,
    verify,
)
from pytest_grpcstream.clients.wire import SettingCode, WireClient, WireStream

requirement = pytest.mark.grpcstream_requirement

SIZES = {"empty": 0, "small": 10, "over one frame": 20_000, "over one window": 80_000, "1 MiB": 1 << 20}
LARGE = 80_000
"""Bytes from which on a message may be too large for a target."""
COUNT = 3
BLOCKED = 0.1
"""Seconds to wait for headers, which no window holds back; a server that sends them with a message sends none yet."""


def wide_open(stream: WireStream) -> None:
    """The windows are given back as messages are read."""


def shut_until_the_end(stream: WireStream) -> None:
    """Nothing is let through until the server has had time to come to its end; then all at once."""
    with contextlib.suppress(OperationTimeout):
        stream.headers(timeout=BLOCKED)
    verify.pause(BLOCKED / 5)
    stream.connection.open_window(1 << 23)
    stream.open_window(1 << 23)


def shut_in_the_middle_of_a_message(stream: WireStream) -> None:
    """A few bytes are let through, then a few more, then the rest."""
    stream.connection.open_window(1 << 23)
    for count in (3, 4, 9):
        stream.open_window(count)
        stream.await_bytes(stream.response.flow_bytes + count, 0.02)
    stream.open_window(1 << 23)


WINDOWS = (wide_open, shut_until_the_end, shut_in_the_middle_of_a_message)


@dataclass(frozen=True)
class Ending:
    """Who ends a Route, and how: the last request, whether this side half-closes, and the status."""

    last: str
    half_close: bool
    status: Status


OK = Status(Code.OK)
ABORTED = Status(Code.ABORTED, "by the server")
ENDINGS = {
    "the client half-closes": Ending("", True, OK),
    "the server finishes first": Ending("!finish", False, OK),
    "the server finishes after the half-close": Ending("!finish", True, OK),
    "the server aborts first": Ending("!abort 0 by the server", False, ABORTED),
    "the server aborts after the half-close": Ending("!abort 0 by the server", True, ABORTED),
}


def client_for(client: WireClient, window: Callable[[WireStream], None]) -> WireClient:
    """A client of its own: with plain windows, or with shut ones."""
    if window is wide_open:
        return client.fresh()
    return client.fresh(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}, hold_windows=True)


def lost(stream: WireStream, expected: list[Point], status: Status, skip: int) -> Iterator[str]:
    """What is wrong with the end of an RPC, if anything."""
    try:
        got = stream.collect()[skip:]
        verify.same(stream, got, expected, "responses")
    except (Failure, StreamError) as error:
        yield f"{error.expected}, but {error.actual}{'' if stream.ended is None else f'; then {stream.ended}'}"
        return
    told = None if stream.ended is None else stream.ended.server_status
    # An OK may come with any message, an error with its own.
    if told is None or told.code != status.code or (not status.ok and told != status):
        yield f"the status {status} of the server, but {stream.ended}"


class Limits:
    """Sizes that a target refuses, which is a matter of its limits and no loss.

    SIZE-5 advises against a limit below 1 MiB, so it is a warning here too, and the smaller sizes still count.
    """

    def __init__(self) -> None:
        self._refusals: list[str] = []

    def refuse(self, name: str, stream: WireStream) -> bool:
        """Whether a message of this size was refused for it."""
        refused = SIZES[name] >= LARGE and stream.status is not None and stream.status.code == Code.RESOURCE_EXHAUSTED
        if refused:
            self._refusals.append(f"{name}: {stream.status}")
        return refused

    def tell(self) -> None:
        """Warn of what was refused."""
        if self._refusals:
            raise Deviation("messages of up to 1 MiB handled", "; ".join(self._refusals))


@requirement("HALF-12", features=("repeat", "finish", "abort"), observed_by=("route",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_route_loses_nothing_at_its_end(
    grpcstream_wire: WireClient,
    ending: Ending,
    window: Callable[[WireStream], None],
) -> None:
    wrong, limits = list[str](), Limits()
    for size_name, size in SIZES.items():
        point = Point(f"!repeat {COUNT} {'m' * size}", 5)
        with client_for(grpcstream_wire, window) as client, client.open("Route", greeting=False) as stream:
            stream.send(point)
            if ending.last:
                stream.send(ending.last, Code.ABORTED)
            if ending.half_close:
                stream.close_send()
            window(stream)
            found = list(
                lost(stream, STREAM_SERVICE.list_responses(point, COUNT), ending.status, grpcstream_wire.greetings)
            )
            if not limits.refuse(size_name, stream):
                wrong += [f"{size_name}: {one}" for one in found]
    verify.no_findings(wrong, f"all {COUNT} responses and the server's {ending.status}", stream)
    limits.tell()


@requirement("EOF-16", features=("repeat", "abort"), observed_by=("list",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("status", [OK, ABORTED], ids=["OK", "an error"])
def test_a_list_loses_nothing_at_its_end(
    grpcstream_wire: WireClient, window: Callable[[WireStream], None], status: Status
) -> None:
    wrong, limits = list[str](), Limits()
    for size_name, size in SIZES.items():
        # The text of an abort is its status message too, which must stay small; the number of responses grows instead.
        count = COUNT if status.ok else max(COUNT, min(size // 40, 1700))
        name = f"!repeat {COUNT} {'m' * size}" if status.ok else f"!abort {count} {status.message}"
        point = Point(name, Code.ABORTED)
        expected = STREAM_SERVICE.list_responses(point if status.ok else point._replace(value=0), count)
        with client_for(grpcstream_wire, window) as client, client.open("List") as stream:
            stream.send_last(point)
            window(stream)
            found = list(lost(stream, expected, status, 0))
            if not limits.refuse(size_name, stream):
                wrong += [f"{size_name}: {one}" for one in found]
    verify.no_findings(wrong, f"all responses and the server's {status}", stream)
    limits.tell()


@requirement("PAIR-14", features=("finish", "echo"), observed_by=("record",))
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.__name__)
@pytest.mark.parametrize("early", [False, True], ids=["after the half-close", "before it"])
def test_a_record_loses_nothing_at_its_end(
    grpcstream_wire: WireClient, window: Callable[[WireStream], None], early: bool
) -> None:
    wrong, limits = list[str](), Limits()
    for size_name, size in SIZES.items():
        with client_for(grpcstream_wire, window) as client, client.open("Record") as stream:
            stream.send(f"!echo {'m' * size}")
            if early:
                stream.send("!finish")
            else:
                stream.close_send()
            window(stream)
            try:
                got = stream.collect()
            except StreamError as error:
                wrong.append(f"{size_name}: {error.expected}, but {error.actual}")
                continue
            if limits.refuse(size_name, stream):
                continue
            whole = len(got) == 1 and got[0] is not None and (early or got[0] == Point("m" * size, 1))
            ended = stream.ended
            if not whole or ended is None or ended.server_status is None or not ended.server_status.ok:
                wrong.append(f"{size_name}: {len(got)} responses{'' if whole else ', not as asked for'}, {ended}")
    verify.no_findings(wrong, "one whole response and the server's OK", stream)
    limits.tell()
