"""Concurrency, endurance and flow control: many calls, slow readers, and calls that nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from pytest_grpcstream import Client, Code, Point, verify
from pytest_grpcstream.parallel import together
from pytest_grpcstream.targets.probing import Capabilities

requirement = pytest.mark.grpcstream_requirement

KIB = "k" * 1024
UNREAD = Point(f"!repeat 400 {KIB * 16}", 0)
"""A List of 6.4 MB: more than the flow-control windows of usual servers and clients."""


@requirement("FLOW-6", needs=("repeat", "duplex"))
def test_a_stalled_call_does_not_hold_up_others(grpcstream: Client, grpcstream_capabilities: Capabilities) -> None:
    with grpcstream.list(UNREAD) as stalled:
        stalled.headers()
        with grpcstream.route() as route:
            verify.greeting(route, grpcstream_capabilities)
            for number in range(10):
                route.send("beside a stalled call", number)
                verify.answer(route)
        verify.serves(grpcstream, grpcstream_capabilities, "while one call is not read")
        verify.reached(stalled.status is None, "a call that is still open", f"it ended with {stalled.status}", stalled)


@requirement("FLOW-6", needs=("repeat",))
def test_a_stalled_call_does_not_hold_up_other_connections(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], grpcstream_capabilities: Capabilities
) -> None:
    with grpcstream.list(UNREAD) as stalled:
        stalled.headers()
        verify.serves(grpcstream_connect(), grpcstream_capabilities, "while a call of another client is not read")


@requirement("FLOW-7", needs=("record",))
def test_a_long_upload_finishes(grpcstream: Client) -> None:
    with grpcstream.record() as stream:
        for number in range(256):
            stream.send(KIB * 32, number)
        verify.only_answer(stream)


@requirement("FLOW-13", needs=("repeat", "list"))
def test_a_slow_reader_gets_everything(grpcstream: Client, grpcstream_quiet: float) -> None:
    with grpcstream.list(UNREAD) as stream:
        expected = verify.counted(UNREAD, 400)
        for place in range(3):
            verify.pause(grpcstream_quiet)
            verify.same(stream, stream.take(1), expected[place : place + 1], "one response after a while")
        verify.responses(stream, expected[3:], "the rest of the responses")


@requirement("LOAD-1", needs=("duplex",))
def test_a_hundred_open_calls_all_make_progress(grpcstream: Client, grpcstream_capabilities: Capabilities) -> None:
    streams = [grpcstream.route() for _ in range(100)]
    for stream in streams:
        verify.greeting(stream, grpcstream_capabilities)
    for number in range(3):
        for stream in streams:
            stream.send("one of a hundred", number)
        for stream in streams:
            verify.answer(stream)
    for stream in streams:
        stream.close_send()
    for stream in streams:
        verify.eof(stream)


@requirement("LOAD-2")
def test_twenty_connections_are_all_served(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], grpcstream_capabilities: Capabilities
) -> None:
    clients = [grpcstream, *(grpcstream_connect() for _ in range(19))]
    together(
        [partial(verify.serves, client, grpcstream_capabilities, "on twenty connections at once") for client in clients]
    )


@requirement("LOAD-4", needs=("duplex",))
def test_idle_open_calls_do_not_starve_a_new_connection(
    grpcstream: Client, grpcstream_capabilities: Capabilities, grpcstream_connect: Callable[[], Client]
) -> None:
    for number in range(50):
        stream = grpcstream.route()
        verify.greeting(stream, grpcstream_capabilities)
        stream.send("idle from now on", number)
        verify.answer(stream)
    verify.serves(grpcstream_connect(), grpcstream_capabilities, "while fifty calls are open and idle")


def six(client: Client, connect: Callable[[], Client]) -> list[Client]:
    """Six clients, because many calls that are reset on one connection look like an attack (RFC 9113, section 10.5)."""
    return [client, *(connect() for _ in range(5))]


@requirement("LOAD-11")
def test_many_unknown_methods_leave_the_server_responsive(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], grpcstream_capabilities: Capabilities
) -> None:
    for client in six(grpcstream, grpcstream_connect):
        for number in range(50):
            with client.open(f"NoSuchMethod{number}") as stream:
                stream.close_send()
                stream.end()
    verify.serves(grpcstream_connect(), grpcstream_capabilities, "after 300 calls of unknown methods")


@requirement("LOAD-11", needs=("abort",))
def test_many_aborts_leave_the_server_responsive(
    grpcstream: Client, grpcstream_connect: Callable[[], Client], grpcstream_capabilities: Capabilities
) -> None:
    for client in six(grpcstream, grpcstream_connect):
        for number in range(50):
            with client.open(("Record", "Route")[number % 2]) as stream:
                stream.send("!abort 0 many", Code.ABORTED)
                verify.status(stream, Code.ABORTED)
    verify.serves(grpcstream_connect(), grpcstream_capabilities, "after 300 aborted calls")
