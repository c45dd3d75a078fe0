"""Message sizes on the wire: at the limit, above it, announced only, and in responses."""

from __future__ import annotations

import pytest

from pytest_grpcstream import Code, Deviation, NotApplicable, Point, verify
from pytest_grpcstream.clients.wire import ErrorCode, Origin, WireClient, chunking, framed
from pytest_grpcstream.targets.probing import Capabilities
from pytest_grpcstream.verify.wire import Outcome, outcome, refused, request_of, told

requirement = pytest.mark.grpcstream_requirement

MIB = 1 << 20
USUAL_LIMIT = 4 * MIB
"""The largest message that gRPC libraries take unless they are told otherwise."""
OVER = 5 * MIB
FRAME = 16_384
"""Bytes in each DATA frame of a large message, so that its first frames are read while the rest is sent."""


def takes(client: WireClient, size: int) -> bool:
    """Whether a Record takes a message of a size; it must answer either way."""
    with client.fresh() as own, own.open("Record") as stream:
        stream.send_together([request_of(size)], chunking.every(FRAME), end_stream=True)
        if outcome(stream) is Outcome.SERVED:
            return True
        refused(stream, f"RESOURCE_EXHAUSTED, or OK, for a message of {size} bytes")
        return False


@requirement("SIZE-1", needs=("record",))
def test_a_message_of_exactly_the_limit_is_taken(grpcstream_wire: WireClient) -> None:
    if takes(grpcstream_wire, USUAL_LIMIT + 1):
        raise NotApplicable(f"the limit of the target is not {USUAL_LIMIT} bytes: it takes one more")
    if takes(grpcstream_wire, USUAL_LIMIT):
        return
    if not takes(grpcstream_wire, USUAL_LIMIT - 8):
        raise NotApplicable(f"the limit of the target is not {USUAL_LIMIT} bytes: it does not take 8 less")
    raise Deviation(
        f"a message of {USUAL_LIMIT} bytes taken, as one of {USUAL_LIMIT - 8} is", "it counts the prefix or a byte more"
    )


@requirement("SIZE-3", needs=("record",))
def test_a_message_over_the_limit_is_refused_by_its_prefix(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    with grpcstream_wire.open("Record") as stream:
        stream.write(framed(b"", length=OVER))
        if outcome(stream, grpcstream_quiet * 4) is Outcome.NOTHING and takes(grpcstream_wire, OVER):
            raise NotApplicable(f"the target has no limit below {OVER} bytes")
        if outcome(stream) is Outcome.NOTHING:
            raise Deviation(f"an error for a prefix that announces {OVER} bytes", told(stream), stream)
        refused(stream, "RESOURCE_EXHAUSTED")
    verify.serves(grpcstream_wire.fresh(), grpcstream_capabilities, "after a prefix that announces too much")


@requirement("SIZE-4")
def test_a_prefix_that_announces_4_gib_takes_no_server_down(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities, grpcstream_quiet: float
) -> None:
    for length in (2**32 - 1, 2**31):
        with grpcstream_wire.fresh() as client, client.open("Record") as stream:
            stream.write(framed(b"and some bytes", length=length))
            outcome(stream, grpcstream_quiet)
            stream.reset(ErrorCode.CANCEL)
            verify.serves(client, grpcstream_capabilities, f"after a prefix that announces {length} bytes")
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after prefixes that announce too much")


@requirement("SIZE-8", needs=("echo", "record"))
def test_a_response_above_4_mib_is_whole_or_refused(
    grpcstream_wire: WireClient, grpcstream_capabilities: Capabilities
) -> None:
    texts = [letter * (2 * MIB) for letter in "abc"]
    with grpcstream_wire.open("Record") as stream:
        for text in texts:
            stream.send_together([Point(f"!echo {text}", 1)], chunking.every(FRAME))
        stream.close_send()
        points = stream.collect()
        ended = stream.ended
        if ended is not None and ended.origin in (Origin.TRAILERS, Origin.TRAILERS_ONLY) and not ended.status.ok:
            verify.status(stream, Code.RESOURCE_EXHAUSTED)
        else:
            verify.ended_ok(stream)
            verify.same(stream, points, [Point(",".join(texts), 3)], "a response of 6 MiB")
    verify.serves(grpcstream_wire, grpcstream_capabilities, "after a response of 6 MiB")
