"""A correct server with ten threads, as in tutorials: ``python -m servers.few_threads PORT``."""

from __future__ import annotations

import sys
from concurrent import futures
from typing import Any

import grpc
from pytest_grpcstream.reference_impl import add_to_server

from servers.correct import Correct


def main() -> None:
    """Serve until the process ends."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10), options=[("grpc.so_reuseport", 0)])
    servicer: Any = Correct()  # It has the three methods, which is all that matters.
    add_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
