"""The reference server: ``python -m pytest_grpcstream.reference_impl``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import grpc.aio

from pytest_grpcstream.messages import StreamRequest

from . import AioStreamService, StreamService, add_to_server, command_line
from .listening import SERVER_OPTIONS, CannotListen, listen
from .standard_services import add_aio_health, add_health, add_reflection

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CANCEL_TIMEOUT = 1.0  # seconds that cancelled RPCs may take to end


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.tls_cert is None) != (options.tls_key is None) or (options.tls_client_ca and not options.tls_cert):
        parser.error("--tls-cert and --tls-key need each other, and --tls-client-ca needs both")
    try:
        if options.aio:
            asyncio.run(_serve_by_tasks(options))
        else:
            _serve_by_threads(options)
    except CannotListen as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        prog="python -m pytest_grpcstream.reference_impl", description="The reference server of StreamService"
    )
    parser.add_argument(
        "--address",
        type=command_line.address,
        default=command_line.DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help="Where to listen; port 0 picks a free port (default: %(default)s)",
    )
    parser.add_argument("--aio", action="store_true", help="Serve with asyncio tasks instead of threads")
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="How long open streams may continue after SIGTERM or Ctrl-C (default: %(default)s)",
    )
    parser.add_argument(
        "--max-streams",
        type=_count,
        default=1000,
        metavar="N",
        help="Concurrent streams; more are refused with RESOURCE_EXHAUSTED (default: %(default)s)",
    )
    parser.add_argument("--tls-cert", type=_file, metavar="FILE", help="Serve over TLS with this certificate, in PEM")
    parser.add_argument("--tls-key", type=_file, metavar="FILE", help="The key of that certificate, in PEM")
    parser.add_argument(
        "--tls-client-ca", type=_file, metavar="FILE", help="Require client certificates from these authorities, in PEM"
    )
    parser.add_argument("--quiet", action="store_true", help="Do not log requests")
    return parser


def _serve_by_threads(options: argparse.Namespace) -> None:
    server = grpc.server(
        ThreadPoolExecutor(options.max_streams),  # it starts a thread when none is idle
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=options.max_streams,
    )
    add_to_server(StreamService(log=_log(options)), server)
    add_health(server)
    add_reflection(server)
    address = listen(server, options.address, _credentials(options))
    server.start()
    # An event loop, because a signal may arrive in one of gRPC's threads, which does not wake a waiting lock.
    asyncio.run(_announce_and_wait(address, options))
    server.stop(options.grace).wait()


async def _serve_by_tasks(options: argparse.Namespace) -> None:
    server = grpc.aio.server(options=SERVER_OPTIONS, maximum_concurrent_rpcs=options.max_streams)
    add_to_server(AioStreamService(log=_log(options)), server)
    await add_aio_health(server)
    add_reflection(server)
    address = listen(server, options.address, _credentials(options))
    await server.start()
    await _announce_and_wait(address, options)
    await server.stop(options.grace)
    # The tasks of cancelled RPCs are about to end. If asyncio.run() ended them, each would print a traceback.
    ending = asyncio.all_tasks() - {asyncio.current_task()}
    if ending:
        await asyncio.wait(ending, timeout=_CANCEL_TIMEOUT)


async def _announce_and_wait(address: str, options: argparse.Namespace) -> None:
    """Print where the server listens, and return when it must stop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    print(f"StreamService on {address}, {options.max_streams} streams at once", flush=True)
    await stopped.wait()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)  # so that a second Ctrl-C does not wait for the grace period


def _log(options: argparse.Namespace) -> Callable[[StreamRequest], None] | None:
    if options.quiet:
        return None
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("pytest_grpcstream.reference_impl")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return lambda request: logger.info("stream.Recv %s", command_line.shown(request.pt))


def _credentials(options: argparse.Namespace) -> grpc.ServerCredentials | None:
    if options.tls_cert is None:
        return None
    return grpc.ssl_server_credentials(
        [(options.tls_key, options.tls_cert)],
        root_certificates=options.tls_client_ca,
        require_client_auth=options.tls_client_ca is not None,
    )


def _file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name!r} cannot be read: {error.strerror}") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:7]) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
