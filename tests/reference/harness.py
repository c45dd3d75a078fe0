"""Servers and stubs for the tests of the reference implementation: plain grpcio, without the plugin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from pytest_grpcstream.reference_impl import AioStreamService, StreamService, add_to_server

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse

DEADLINE = 10.0  # seconds; a test that needs all of them has failed
SERVER = [sys.executable, "-m", "pytest_grpcstream.reference_impl"]

Points = list[tuple[str, int]]


def request(name: str, value: int = 0) -> StreamRequest:
    """Return a request with a point."""
    return StreamRequest(pt=StreamPoint(name=name, value=value))


def point(response: StreamResponse) -> tuple[str, int]:
    """Return the name and value in a response."""
    return response.pt.name, response.pt.value


def fresh_token() -> str:
    """Return a token that marks no other RPC."""
    return uuid.uuid4().hex


class Requests:
    """A stream of requests that a test extends while the RPC is open."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[StreamRequest | None] = queue.SimpleQueue()

    def send(self, name: str, value: int = 0) -> None:
        """Send a request with a point."""
        self.put(request(name, value))

    def put(self, message: StreamRequest) -> None:
        """Send any message."""
        self._queue.put(message)

    def half_close(self) -> None:
        """End the stream of requests."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[StreamRequest]:
        return iter(self._queue.get, None)


class Stub:
    """A connection to a server and the three methods, each with a deadline."""

    def __init__(self, address: str) -> None:
        # Channels to one address share a connection unless each has its own pool.
        channel = grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))
        coders: dict[str, Any] = {
            "request_serializer": StreamRequest.SerializeToString,
            "response_deserializer": StreamResponse.FromString,
        }
        self._channel = channel
        self._list = channel.unary_stream("/proto.StreamService/List", **coders)
        self._list_of_stream = channel.stream_stream("/proto.StreamService/List", **coders)
        self._record = channel.stream_unary("/proto.StreamService/Record", **coders)
        self._route = channel.stream_stream("/proto.StreamService/Route", **coders)

    def disconnect(self) -> None:
        """Close the connection, and every RPC on it."""
        self._channel.close()

    def list(self, name: str, value: int = 0, **options: Any) -> Any:
        """Call List; the call is an iterator of responses."""
        return self.send_list(request(name, value), **options)

    def send_list(self, message: StreamRequest, **options: Any) -> Any:
        """Call List with any message."""
        return self._list(message, **{"timeout": DEADLINE, **options})

    def list_of_stream(self, requests: Iterable[StreamRequest], **options: Any) -> Any:
        """Call List with any number of requests."""
        return self._list_of_stream(iter(requests), **{"timeout": DEADLINE, **options})

    def record(self, requests: Iterable[StreamRequest], **options: Any) -> Any:
        """Call Record; the call's result() is the response."""
        return self._record.future(iter(requests), **{"timeout": DEADLINE, **options})

    def route(self, requests: Iterable[StreamRequest], **options: Any) -> Any:
        """Call Route; the call is an iterator of responses."""
        return self._route(iter(requests), **{"timeout": DEADLINE, **options})

    def send_bytes(self, method: str, requests: Iterable[bytes]) -> Any:
        """Call a method with any bytes as requests."""
        call: Any = self._channel.stream_stream(f"/proto.StreamService/{method}")
        return call(iter(requests), timeout=DEADLINE)

    def was_cancelled(self, token: str) -> bool:
        """Ask once whether the server noticed that the client of a marked RPC cancelled or disconnected."""
        [response] = self.list(f"!cancelled {token}")
        assert response.pt.name == f"!cancelled {token}"
        return bool(response.pt.value)

    def wait_until_cancelled(self, token: str) -> None:
        """Ask until the server has noticed it."""
        until = time.monotonic() + DEADLINE
        while not self.was_cancelled(token):
            assert time.monotonic() < until, "the server never noticed the end of the RPC"

    def works(self) -> bool:
        """Return whether the server still serves."""
        return [point(response) for response in self.list("still there?", 5)] == [
            ("still there?", value) for value in range(5, 12)
        ]


def drain(call: Any) -> Points:
    """Read List or Route to its end, whatever the status, and return the points."""
    points: Points = []
    with contextlib.suppress(grpc.RpcError):
        points.extend(point(response) for response in call)
    return points


def status_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """Wait for the end of an RPC and return its status; the responses of a stream must have been read."""
    return call.code(), call.details()


class Served:
    """A server in this process: its address, and the requests that it has read."""

    def __init__(self) -> None:
        self.address = ""
        self._changed = threading.Condition()
        self._names: set[str] = set()

    def log(self, message: StreamRequest) -> None:
        """Note a request that the server has read."""
        with self._changed:
            self._names.add(message.pt.name)
            self._changed.notify_all()

    def wait_until_read(self, name: str) -> None:
        """Wait until the server has read a request of this name."""
        with self._changed:
            assert self._changed.wait_for(lambda: name in self._names, DEADLINE), f"the server never read {name}"


@contextlib.contextmanager
def serving(flavour: str, streams: int = 600) -> Iterator[Served]:
    """Serve one flavour of the reference in this process; the sync flavour has ``streams`` threads."""
    served = Served()
    with _serving_by_threads(served, streams) if flavour == "sync" else _serving_by_tasks(served):
        yield served


@contextlib.contextmanager
def _serving_by_threads(served: Served, streams: int) -> Iterator[None]:
    with ThreadPoolExecutor(streams) as threads:
        server = grpc.server(threads)
        add_to_server(StreamService(log=served.log), server)
        served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield
        assert server.stop(0).wait(DEADLINE), "the server did not stop"


@contextlib.contextmanager
def _serving_by_tasks(served: Served) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> grpc.aio.Server:
        server = grpc.aio.server()
        add_to_server(AioStreamService(log=served.log), server)
        served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(DEADLINE)
    yield
    asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(DEADLINE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Program:
    """The server program, started on a free port."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [*SERVER, "--address", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert self._process.stdout is not None
        self.first_line = self._process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:[0-9]+", self.first_line)
        if found is None:
            raise AssertionError(f"no address in {self.first_line!r}: {self._process.communicate()[1]}")
        self.address = found[0]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self._process.send_signal(number)

    def wait(self) -> tuple[int, str, str]:
        """Wait until the program has ended; return its exit code, the rest of its output, and its log."""
        output, log = self._process.communicate(timeout=DEADLINE)
        return self._process.returncode, output, log

    def kill(self) -> None:
        """Kill the program if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
