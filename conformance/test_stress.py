"""Stress: floods and malicious clients, bounded in number and time. Only -m stress runs these tests.

Whatever a server does to the flooding connection is correct, as long as it serves other clients during and after the
flood. What the flood costs the server, memory above all, is not visible to a client.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import pytest

from pytest_grpcstream import STREAM_SERVICE, Observe, verify
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
from pytest_grpcstream.verify.wire import (
    describe_connection,
    each,
    encode_literally,
    expect_answer,
    expect_refusal,
    expect_served,
    has_connection_error,
    send_record,
)

pytestmark = [pytest.mark.grpcstream_stress, pytest.mark.stress]
requirement = pytest.mark.grpcstream_requirement

CALLS = 2000
"""Calls that are reset at once."""
ROUNDS = 4
"""Rounds of these calls; after each the server must serve another client."""
FRAMES = 10_000
"""Frames of one flood."""
BATCH = 500
"""Frames per write."""
BLOCKS = 320
"""CONTINUATION frames of 16 KiB: 5 MiB in all."""
SLOW = 20
"""Slow clients at the same time."""
STEP = 0.1
"""Seconds between two bytes of a slow client."""


@contextlib.contextmanager
def flooding(client: WireClient, what: str) -> Iterator[WireClient]:
    """A client that ignores the stream limit. After it, whatever became of it, the server keeps serving others."""
    with client.fresh(obey_stream_limit=False) as flood:
        yield flood
    with client.fresh() as new:
        verify.serves(new, f"after {what}")


def send_in_batches(connection: Connection, count: int, send: Callable[[int], None], batch: int = BATCH) -> None:
    """Call ``send`` ``count`` times, a batch per write, until the connection ends; wait until each batch is taken."""
    for start in range(0, count, batch):
        if has_connection_error(connection) or not connection.usable:
            return
        with connection.corked():
            for number in range(start, min(count, start + batch)):
                send(number)
        connection.wait(lambda: connection.can_take_data, 1.0)


# Floods -----------------------------------------------------------------------------------------------------------


@requirement("ROBUST-7")
def test_rapid_resets_leave_others_served(grpcstream_wire: WireClient) -> None:
    with flooding(grpcstream_wire, f"{CALLS} calls that were reset at once") as flood:
        connection = flood.connect()

        def begin_and_reset(_: int) -> None:
            with flood.open("Route", connection=connection, greeting=False) as stream:
                stream.reset(ErrorCode.CANCEL)

        for _ in range(ROUNDS):
            send_in_batches(connection, CALLS // ROUNDS, begin_and_reset)
            verify.serves(grpcstream_wire, "beside a client that resets its calls at once")


@requirement("ROBUST-10")
def test_streams_that_the_server_must_reset_leave_others_served(grpcstream_wire: WireClient) -> None:
    with flooding(grpcstream_wire, f"{CALLS} streams that the server had to reset") as flood:
        connection = flood.connect()

        def provoke(number: int) -> None:
            stream = flood.open("Record", connection=connection)
            if number % 2:
                connection.send_frame(FrameType.WINDOW_UPDATE, bytes(4), stream_id=stream.stream_id)
            else:
                stream.data(framed(STREAM_SERVICE.plain), end_stream=True)
                stream.data(framed(STREAM_SERVICE.plain))

        for _ in range(ROUNDS):
            send_in_batches(connection, CALLS // ROUNDS, provoke)
            verify.serves(grpcstream_wire, "beside a client whose streams must be reset")


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
def test_floods_of_small_frames_leave_others_served(grpcstream_wire: WireClient, name: str) -> None:
    with flooding(grpcstream_wire, f"{FRAMES} frames: {name}") as flood:
        connection = flood.connect()
        flood.open("Record", stream_id=1)
        send_in_batches(connection, FRAMES, lambda number: FLOODS[name](connection, number))
        verify.serves(grpcstream_wire, f"beside a flood of {name}")


# Header blocks ----------------------------------------------------------------------------------------------------


@requirement("ROBUST-8")
def test_an_endless_header_block_leaves_others_served(grpcstream_wire: WireClient, grpcstream_observe: Observe) -> None:
    fields = encode_literally(Headers([("x-endless", "e" * 107)] * 135))
    with flooding(grpcstream_wire, "a header block of 5 MiB without an end") as flood:
        connection = flood.connect()

        def go_on(_: int) -> None:
            connection.send_frame(FrameType.CONTINUATION, fields, stream_id=1)

        connection.send_frame(FrameType.HEADERS, fields, stream_id=1)
        send_in_batches(connection, BLOCKS, go_on, batch=16)
        verify.serves(grpcstream_wire, "beside a header block without an end")
        connection.wait(lambda: has_connection_error(connection), 1.0)
        grpcstream_observe(f"a header block of 5 MiB without an end: {describe_connection(connection)}")


@requirement("ROBUST-19")
def test_a_header_block_that_expands_is_refused(grpcstream_wire: WireClient) -> None:
    with flooding(grpcstream_wire, "a header block that expands to 17 MiB") as flood:
        usual = encode_literally(flood.request_headers("Record"))
        # A literal field that enters the table (RFC 7541, section 6.2.1), then nothing but references to it.
        entry = b"\x40" + encode_literally(Headers([("x-bomb", "b" * 4000)]))[1:]
        stream = send_record(flood, shape=Shape(block=usual + entry + b"\xbe" * 4500))
        expect_refusal(stream, "a refusal of a header block that expands to 17 MiB")


# Slow and strange clients -----------------------------------------------------------------------------------------


@requirement("ROBUST-11", observed_by=("record",))
def test_slow_clients_do_not_delay_others(grpcstream_wire: WireClient) -> None:
    message = framed(STREAM_SERVICE.plain)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(grpcstream_wire.fresh()).open("Record") for _ in range(SLOW)]
        for place in range(len(message)):
            for stream in slow:
                stream.data(message[place : place + 1], end_stream=place == len(message) - 1)
            verify.pause(STEP)
            verify.serves(grpcstream_wire, f"beside {SLOW} slow clients")
        for stream in slow:
            expect_served(stream, "the slow client served too, once it has sent its request")


@requirement("ROBUST-11")
def test_slow_headers_do_not_delay_others(grpcstream_wire: WireClient) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(grpcstream_wire.fresh()).connect() for _ in range(SLOW)]
        block = encode_literally(grpcstream_wire.request_headers("Record"))[:10]
        for place, byte in enumerate(block):
            kind = FrameType.CONTINUATION if place else FrameType.HEADERS
            for connection in slow:
                connection.send_frame(kind, bytes([byte]), stream_id=1)
            verify.pause(STEP)
            verify.serves(grpcstream_wire, f"beside {SLOW} clients with slow headers")


@requirement("ROBUST-16")
def test_paths_that_are_not_text_do_no_harm(grpcstream_wire: WireClient) -> None:
    paths = {
        "not UTF-8": b"/proto.StreamService/\xff\xfe",
        "half a character": b"/proto.StreamService/Record\xc3",
        "not ASCII": "/proto.StreamService/caf\u00e9".encode(),
    }

    def check(client: WireClient, path: bytes) -> None:
        headers = client.request_headers("Record").replaced(":path", path)
        expect_answer(send_record(client, headers), "any answer to a path that is not text")

    each(grpcstream_wire, paths, check)
