"""Concurrency and endurance: many open calls, many connections, and many calls that ended badly."""

from __future__ import annotations

import uuid
from functools import partial

import pytest

from pytest_grpcstream import Client, Code, Connect, OperationTimeout, run_concurrently, verify

requirement = pytest.mark.grpcstream_requirement

EACH = 50
"""Calls that fail on one connection: many resets on one look like an attack (RFC 9113, section 10.5).

On three connections they are more than the threads of a usual pool.
"""


@requirement("LOAD-1", observed_by=("duplex",))
def test_a_hundred_open_calls_all_make_progress(grpcstream: Client) -> None:
    streams = [grpcstream.route() for _ in range(100)]
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
def test_twenty_connections_are_all_served(grpcstream: Client, grpcstream_connect: Connect) -> None:
    clients = [grpcstream, *(grpcstream_connect() for _ in range(19))]
    run_concurrently([partial(verify.serves, client, "on twenty connections at once") for client in clients])


@requirement("LOAD-4", observed_by=("duplex",))
def test_idle_open_calls_do_not_starve_a_new_connection(grpcstream: Client, grpcstream_connect: Connect) -> None:
    for number in range(50):
        stream = grpcstream.route()
        stream.send("idle from now on", number)
        verify.answer(stream)
    verify.serves(grpcstream_connect(), "while fifty calls are open and idle")


# Cancelled calls --------------------------------------------------------------------------------------------------


@requirement("LOAD-8", observed_by=("duplex",))
def test_many_cancelled_routes_leave_the_server_responsive(grpcstream: Client, grpcstream_connect: Connect) -> None:
    for client in (grpcstream, grpcstream_connect(), grpcstream_connect()):
        for number in range(EACH):
            with client.route() as stream:
                stream.send("storm", number)
                verify.answer(stream)
                stream.cancel()
    verify.serves(grpcstream_connect(), f"after {3 * EACH} cancelled Routes")


@requirement("LOAD-8", features=("watch",))
def test_many_cancelled_waits_leave_the_server_responsive(
    grpcstream: Client, grpcstream_connect: Connect, grpcstream_quiet: float
) -> None:
    token, patience = uuid.uuid4().hex, grpcstream_quiet
    for client in (grpcstream, grpcstream_connect(), grpcstream_connect()):
        for _ in range(EACH):
            with client.list(f"!watch {token}") as stream:
                try:
                    stream.headers(timeout=patience)
                except OperationTimeout:
                    # This server sends its headers with the first response: do not wait for the next ones.
                    patience = grpcstream_quiet / 20
                stream.cancel()
    verify.serves(grpcstream_connect(), f"after {3 * EACH} Lists that were cancelled while they waited")


@requirement("LOAD-8", features=("sleep",))
def test_many_cancelled_sleeps_leave_the_server_responsive(
    grpcstream: Client, grpcstream_connect: Connect, grpcstream_quiet: float
) -> None:
    for client in (grpcstream, grpcstream_connect(), grpcstream_connect()):
        streams = [client.record() for _ in range(EACH)]
        for stream in streams:
            # Four times the time limit, in milliseconds: every call still sleeps when it is cancelled.
            stream.send(f"!sleep {int(grpcstream.timeout * 4000)}")
        verify.pause(grpcstream_quiet / 2)
        for stream in streams:
            stream.cancel()
    verify.serves(grpcstream_connect(), f"after {3 * EACH} Records that were cancelled while they slept")


# Failed calls -----------------------------------------------------------------------------------------------------


@requirement("LOAD-11")
def test_many_unknown_methods_leave_the_server_responsive(grpcstream: Client, grpcstream_connect: Connect) -> None:
    for client in (grpcstream, *(grpcstream_connect() for _ in range(5))):
        for number in range(EACH):
            with client.open(f"NoSuchMethod{number}") as stream:
                stream.close_send()
                stream.end()
    verify.serves(grpcstream_connect(), f"after {6 * EACH} calls of unknown methods")


@requirement("LOAD-11", features=("abort",))
def test_many_aborts_leave_the_server_responsive(grpcstream: Client, grpcstream_connect: Connect) -> None:
    for client in (grpcstream, *(grpcstream_connect() for _ in range(5))):
        for number in range(EACH):
            with client.open(("Record", "Route")[number % 2]) as stream:
                stream.send("!abort 0 many", Code.ABORTED)
                verify.status(stream, Code.ABORTED)
    verify.serves(grpcstream_connect(), f"after {6 * EACH} aborted calls")
