"""Serves a servicer that accepts requests of any size: ``python -m mutants.unlimited MODULE CLASS PORT``."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from concurrent import futures

import grpc

from mutants.registration import StreamServiceServicer, add_StreamServiceServicer_to_server


def main(module: str, name: str, port: str) -> None:
    """Serve until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    servicer: StreamServiceServicer = getattr(importlib.import_module(module), name)()
    server = grpc.server(futures.ThreadPoolExecutor(500), options=(("grpc.max_receive_message_length", -1),))
    add_StreamServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    stopping.wait()
    server.stop(0).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
