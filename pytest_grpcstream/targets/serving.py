"""Serves a Python StreamService in this process, on a `grpc.Server` or a `grpc.aio.Server`."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent import futures
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets.servicers import call_registration, is_async, make_servicer, register, registers_itself

STREAMS: Final = 512
"""Streams that a served servicer can have open at once; more are refused with RESOURCE_EXHAUSTED, not kept waiting."""

# A port in use must be an error, not shared with the process that has it. And grpcio delays its answers to requests
# that it considers malformed by up to a second ("tarpit"): that protects open servers and only slows tests down.
_OPTIONS: Final = (("grpc.so_reuseport", 0), ("grpc.http.tarpit", 0))


class Handle(Protocol):
    """A running server.

    Attributes:
        address: Where it listens, in grpcio's notation.
    """

    address: str

    def stop(self, grace: float) -> None:
        """Stop the server; open streams get ``grace`` seconds to end."""


class _ThreadedServer:
    """A `grpc.Server` with a thread for every open stream."""

    def __init__(self, candidate: object, name: str, address: str) -> None:
        self._pool = futures.ThreadPoolExecutor(STREAMS, thread_name_prefix="grpcstream-servicer")
        self._server = grpc.server(self._pool, options=_OPTIONS, maximum_concurrent_rpcs=STREAMS)
        if registers_itself(candidate):
            call_registration(candidate, name, self._server)
        else:
            register(candidate, self._server)
        self.address = _bind(self._server, address)
        self._server.start()

    def stop(self, grace: float) -> None:
        # A handler that never checks whether its RPC is over must not keep this process alive.
        self._server.stop(grace).wait(grace + 0.3)
        self._pool.shutdown(wait=False, cancel_futures=True)


class _AsyncServer:
    """A `grpc.aio.Server` on an event loop in its own thread."""

    def __init__(self, candidate: object, name: str, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpcstream-servicer", daemon=True)
        self._thread.start()
        try:
            self.address = self._run(self._start(candidate, name, address))
        except BaseException:
            self._end_loop()
            raise

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self, candidate: object, name: str, address: str) -> str:
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=STREAMS)
        if registers_itself(candidate):
            outcome = call_registration(candidate, name, self._server)
            if inspect.isawaitable(outcome):
                await outcome
        else:
            register(candidate, self._server)
        bound = _bind(self._server, address)
        await self._server.start()
        return bound

    def stop(self, grace: float) -> None:
        self._run(self._server.stop(grace))
        del self._server  # grpc.aio ends its own thread with the last object of its kind
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _bind(server: Any, address: str) -> str:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise TargetError(f"cannot listen on {address}: {error}") from error
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


def serve(candidate: object, name: str, address: str = "127.0.0.1:0") -> Handle:
    """Serve a candidate (see `pytest_grpcstream.targets.servicers`).

    A function that takes the server gets a `grpc.Server`, or a `grpc.aio.Server` if it is a coroutine function. A
    servicer is served on a `grpc.aio.Server` if one of its methods is ``async``, otherwise on a `grpc.Server`.

    Arguments:
        name: The name of the candidate in messages.
        address: Where to listen; port 0 picks a free port.

    Raises:
        TargetError: The candidate is not valid, it raised, or the address is in use.
    """
    if registers_itself(candidate):
        return (_AsyncServer if inspect.iscoroutinefunction(candidate) else _ThreadedServer)(candidate, name, address)
    servicer = make_servicer(candidate, name)
    return (_AsyncServer if is_async(servicer) else _ThreadedServer)(servicer, name, address)
