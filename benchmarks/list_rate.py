"""Measure how fast a List of many small messages is read, and in how much memory.

``python benchmarks/list_rate.py`` reads one List of ``!repeat 1000000 x`` in three ways, each in a process of its own,
from two servers: `frame_server.py`, which is fast enough to measure the reader, and the bundled reference, where the
server is the bottleneck. Memory is the peak of the reading process, in all and before the List: the List is read in
flat memory if ten times the messages take no more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import machine, table

SERVERS = {
    "frames": [str(Path(__file__).with_name("frame_server.py"))],
    "reference": ["-m", "pytest_grpcstream.reference_impl", "--quiet", "--address", "127.0.0.1:0"],
}


def _by_wire(address: str, name: str) -> int:
    from pytest_grpcstream import EOF
    from pytest_grpcstream.clients.wire import WireClient

    with WireClient(address, timeout=60) as client, client.list(name) as stream:
        count = 0
        while stream.recv() is not EOF:
            count += 1
        return count


def _by_wire_in_bytes(address: str, name: str) -> int:
    from pytest_grpcstream import EOF
    from pytest_grpcstream.clients.wire import WireClient

    with WireClient(address, timeout=60) as client, client.list(name) as stream:
        count = 0
        while stream.recv_bytes() is not EOF:
            count += 1
        return count


def _by_grpcio(address: str, name: str) -> int:
    import grpc

    from pytest_grpcstream.messages import StreamPoint, StreamRequest

    with grpc.insecure_channel(address) as channel:
        # Without serializers grpcio hands over bytes, as `Stream.recv_bytes` does.
        call: Any = channel.unary_stream("/proto.StreamService/List")
        request = StreamRequest(pt=StreamPoint(name=name)).SerializeToString()
        return sum(1 for _ in call(request, timeout=600))


READERS: dict[str, tuple[str, Callable[[str, str], int]]] = {
    "wire": ("wire client, recv()", _by_wire),
    "wire-bytes": ("wire client, recv_bytes()", _by_wire_in_bytes),
    "grpcio": ("grpcio, bytes", _by_grpcio),
}


def main() -> None:
    """Measure and print, or be the process that reads."""
    parser = argparse.ArgumentParser(description="Measure how fast a List is read, and in how much memory.")
    parser.add_argument("--messages", type=int, default=1_000_000, help="Length of the List (default: %(default)s)")
    parser.add_argument("--server", choices=SERVERS, action="append", help="Server to read from (default: all)")
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        _read(options.read, options.address, options.messages)
        return
    lengths = (options.messages // 10, options.messages)
    print(f"One List of {' and of '.join(f'{one:,}' for one in lengths)} small messages.\n{machine()}\n")
    for server in options.server or SERVERS:
        with _serving(server) as address:
            rows = [_row(reader, address, length) for reader in READERS for length in lengths]
        print(f"from the server: {server}")
        table(["reader", "messages", "seconds", "messages per second", "memory at most", "before the List"], rows)
        print()


@contextlib.contextmanager
def _serving(server: str) -> Iterator[str]:
    """Start a server and yield its address, which is the first line that it prints."""
    process = subprocess.Popen([sys.executable, *SERVERS[server]], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - a pipe was requested
    try:
        found = re.search(r"127\.0\.0\.1:[0-9]+", process.stdout.readline())
        if found is None:
            raise SystemExit(f"the server {server} did not start")
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def _row(reader: str, address: str, messages: int) -> list[str]:
    command = [sys.executable, __file__, "--read", reader, "--address", address, "--messages", str(messages)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(run.stdout)
    if found["count"] != messages:
        raise SystemExit(f"{reader} read {found['count']:.0f} of {messages} messages")
    rate = f"{messages / found['seconds']:,.0f}"
    memory = (f"{found[name]:.0f} MiB" for name in ("peak", "before"))
    return [READERS[reader][0], f"{messages:,}", f"{found['seconds']:.2f}", rate, *memory]


def _read(reader: str, address: str, messages: int) -> None:
    """Read the List, after a short one that imports and allocates what every List needs."""
    read = READERS[reader][1]
    read(address, "!repeat 1000 x")
    before = _peak()
    began = time.perf_counter()
    count = read(address, f"!repeat {messages} x")
    print(json.dumps({"seconds": time.perf_counter() - began, "count": count, "before": before, "peak": _peak()}))


def _peak() -> float:
    """The peak memory of this process, in MiB."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss: bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


if __name__ == "__main__":
    main()
