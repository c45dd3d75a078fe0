"""Floods and malice, bounded in number and time. They run only if they are asked for: -m stress.

Whatever a server does to the connection that floods it is fine: it must only go on serving others, meanwhile and
afterwards. What it spends on it, memory above all, cannot be seen from outside.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import pytest

from pytest_grpcstream import verify
from pytest_grpcstream.clients.wire import (
    Connection,
    ErrorCode,
    FrameType,
    Headers,
    Priority,
    SettingCode,
    Shape,
    WireClient,
    framed,
)
from pytest_grpcstream.plugin.session import observe
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import (
    PLAIN_REQUEST,
    REFUSALS,
    answered,
    asked,
    each,
    given_up,
    outcome,
    refused,
    served,
    told_of,
    uncompressed,
)

pytestmark = [pytest.mark.grpcstream_stress, pytest.mark.stress]
requirement = pytest.mark.grpcstream_requirement

CALLS = 2000
"""Calls that are reset at once."""
ROUNDS = 4
"""Times that others are served meanwhile."""
FRAMES = 10_000
"""Frames of one flood."""
BATCH = 500
"""Frames that are sent in one write."""
BLOCKS = 320
"""CONTINUATION frames of 16 KiB: 5 MiB in all."""
SLOW = 20
"""Slow clients at the same time."""
STEP = 0.1
"""Seconds between two bytes of a slow client."""
IDLE = 10.0


@contextlib.contextmanager
def flooding(client: WireClient, capabilities: Capabilities, what: str) -> Iterator[WireClient]:
    """A client that may do its worst: afterwards, whatever became of it, the server goes on serving others."""
    with client.fresh(obey_stream_limit=False) as flood:
        yield flood
    with client.fresh() as new:
        verify.serves(new, capabilities, f"after {what}")


def in_batches(connection: Connection, count: int, send: Callable[[int], None], batch: int = BATCH) -> None:
    """Send so many frames, many in one write, until the connection is gone; wait for the server to take each batch."""
    for start in range(0, count, batch):
        if given_up(connection) or not connection.usable:
            return
        with connection.corked():
            for number in range(start, min(count, start + batch)):
                send(number)
        connection.wait(lambda: connection.can_take_data, 1.0)


# Floods -----------------------------------------------------------------------------------------------------------


@requirement("ROBUST-7")
def test_rapid_resets_leave_others_served(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    with flooding(grpcstream_wire, grpcstream_capabilities, f"{CALLS} calls that were reset at once") as flood:
        connection = flood.connect()

        def begin_and_reset(_: int) -> None:
            with flood.open("Route", connection=connection) as stream:
                stream.reset(ErrorCode.CANCEL)

        for _ in range(ROUNDS):
            in_batches(connection, CALLS // ROUNDS, begin_and_reset)
            verify.serves(grpcstream_wire, grpcstream_capabilities, "beside a client that resets its calls at once")


@requirement("ROBUST-10")
def test_streams_that_the_server_must_reset_leave_others_served(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    with flooding(grpcstream_wire, grpcstream_capabilities, f"{CALLS} streams that the server had to reset") as flood:
        connection = flood.connect()

        def provoke(number: int) -> None:
            stream = flood.open("Record", connection=connection)
            if number % 2:
                connection.send_frame(FrameType.WINDOW_UPDATE, bytes(4), stream_id=stream.stream_id)
            else:
                stream.data(framed(PLAIN_REQUEST), end_stream=True)
                stream.data(framed(PLAIN_REQUEST))

        for _ in range(ROUNDS):
            in_batches(connection, CALLS // ROUNDS, provoke)
            verify.serves(grpcstream_wire, grpcstream_capabilities, "beside a client whose streams must be reset")


FLOODS: dict[str, Callable[[Connection, int], None]] = {
    "SETTINGS": lambda connection, number: connection.send_frame(
        FrameType.SETTINGS, struct.pack(">HL", SettingCode.MAX_CONCURRENT_STREAMS, number)
    ),
    "PING": lambda connection, number: connection.send_frame(FrameType.PING, number.to_bytes(8, "big")),
    "empty DATA": lambda connection, _: connection.send_frame(FrameType.DATA, stream_id=1),
    "PRIORITY": lambda connection, number: connection.send_frame(
        FrameType.PRIORITY, Priority(weight=number % 256).encode(), stream_id=2 * number + 1
    ),
    "WINDOW_UPDATE": lambda connection, _: connection.send_frame(FrameType.WINDOW_UPDATE, b"\x00\x00\x00\x01"),
    "an unknown type": lambda connection, _: connection.send_frame(0xBE, b"nothing"),
}


@requirement("ROBUST-9")
@pytest.mark.parametrize("name", FLOODS)
def test_floods_of_small_frames_leave_others_served(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, name: str
) -> None:
    with flooding(grpcstream_wire, grpcstream_capabilities, f"{FRAMES} frames: {name}") as flood:
        connection = flood.connect()
        flood.open("Record", stream_id=1)
        in_batches(connection, FRAMES, lambda number: FLOODS[name](connection, number))
        verify.serves(grpcstream_wire, grpcstream_capabilities, f"beside a flood of {name}")


# Header blocks ----------------------------------------------------------------------------------------------------


@requirement("ROBUST-8")
def test_a_header_block_without_an_end_leaves_others_served(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, request: pytest.FixtureRequest
) -> None:
    fields = uncompressed(Headers([("x-endless", "e" * 107)] * 135))
    with flooding(grpcstream_wire, grpcstream_capabilities, "a header block of 5 MiB without an end") as flood:
        connection = flood.connect()
        connection.send_frame(FrameType.HEADERS, fields, stream_id=1)
        in_batches(connection, BLOCKS, lambda _: connection.send_frame(FrameType.CONTINUATION, fields, stream_id=1), 16)
        verify.serves(grpcstream_wire, grpcstream_capabilities, "beside a header block without an end")
        connection.wait(lambda: given_up(connection), 1.0)
        observe(request.node, f"a header block of 5 MiB without an end: {told_of(connection)}")


@requirement("ROBUST-19")
def test_a_header_block_that_grows_is_refused(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    with flooding(grpcstream_wire, grpcstream_capabilities, "a header block that grows to 17 MiB") as flood:
        usual = uncompressed(flood.request_headers("Record"))
        # A literal field that enters the table (RFC 7541, section 6.2.1), then nothing but references to it.
        entry = b"\x40" + uncompressed(Headers([("x-bomb", "b" * 4000)]))[1:]
        stream = asked(flood, shape=Shape(block=usual + entry + b"\xbe" * 4500))
        refused(stream, "a refusal of a header block that grows to 17 MiB", by=REFUSALS)


# Slow and strange -------------------------------------------------------------------------------------------------


@requirement("ROBUST-11", needs=("record",))
def test_slow_clients_do_not_hold_up_others(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    message = framed(PLAIN_REQUEST)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(grpcstream_wire.fresh()).open("Record") for _ in range(SLOW)]
        for place in range(len(message)):
            for stream in slow:
                stream.data(message[place : place + 1], end_stream=place == len(message) - 1)
            verify.pause(STEP)
            verify.serves(grpcstream_wire, grpcstream_capabilities, f"beside {SLOW} slow clients")
        for stream in slow:
            served(stream, "the slow client served too, once it has sent its request")


@requirement("ROBUST-11")
def test_slow_headers_do_not_hold_up_others(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(grpcstream_wire.fresh()).connect() for _ in range(SLOW)]
        block = uncompressed(grpcstream_wire.request_headers("Record"))[:10]
        for place, byte in enumerate(block):
            kind = FrameType.CONTINUATION if place else FrameType.HEADERS
            for connection in slow:
                connection.send_frame(kind, bytes([byte]), stream_id=1)
            verify.pause(STEP)
            verify.serves(grpcstream_wire, grpcstream_capabilities, f"beside {SLOW} clients with slow headers")


@requirement("ROBUST-16")
def test_paths_that_are_no_text_do_no_harm(grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities) -> None:
    paths = {
        "no UTF-8": b"/proto.StreamService/\xff\xfe",
        "half a character": b"/proto.StreamService/Record\xc3",
        "no ASCII": "/proto.StreamService/caf\u00e9".encode(),
    }

    def check(client: WireClient, path: bytes) -> None:
        headers = client.request_headers("Record").replaced(":path", path)
        answered(asked(client, headers), "any answer to a path that is no text")

    each(grpcstream_wire, grpcstream_capabilities, paths, check)


@requirement("CONN-9", needs=("record",))
def test_an_idle_connection_stays_usable(grpcstream_wire: WireClient) -> None:
    served(asked(grpcstream_wire))
    connection = grpcstream_wire.connection
    connection.watch(IDLE)
    verify.fail_unless(connection.usable, f"the connection open after {IDLE:g} s", "it is gone")
    stream = asked(grpcstream_wire)
    outcome(stream)
    served(stream, f"a call served after {IDLE:g} s")
