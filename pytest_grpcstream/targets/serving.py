"""Serves a Python StreamService: a class, an instance, a factory or a function that registers on a server itself."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import threading
from concurrent import futures
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from pytest_grpcstream import messages
from pytest_grpcstream.errors import TargetError

STREAMS: Final = 512
"""Streams that a served servicer can have open at once; more are refused with RESOURCE_EXHAUSTED, not kept waiting."""

_SERVICE: Final = "proto.StreamService"
_METHODS: Final = ("List", "Record", "Route")
_BASE: Final = "StreamServiceServicer"
_REGISTRATION: Final = "add_StreamServiceServicer_to_server"
# A port that is taken must be an error, not shared with whoever has it; and grpcio answers requests that it takes for
# malformed up to a second late ("tarpit"), which guards the open internet and only slows tests down.
_OPTIONS: Final = (("grpc.so_reuseport", 0), ("grpc.http.tarpit", 0))


class Handle(Protocol):
    """A server that runs."""

    address: str

    def stop(self, grace: float) -> None:
        """Stop it; open streams get ``grace`` seconds."""


def load(module: str, attribute: str) -> object:
    """Import ``module`` and return its ``attribute``, which may have dots.

    Raises:
        TargetError: there is no such module or attribute, or importing it failed.
    """
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(f"{missing}."):
            raise TargetError(
                f"there is no module {module!r} to import; it is looked for in the current folder and on PYTHONPATH"
            ) from None
        raise TargetError(f"importing {module!r} failed: {error}") from error
    except Exception as error:
        raise TargetError(f"importing {module!r} failed: {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise TargetError(f"module {module!r} has no attribute {attribute!r}") from None
    return found


def _required_parameters(factory: Any) -> int:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def _has_methods(candidate: object) -> bool:
    return not isinstance(candidate, type) and any(callable(getattr(candidate, name, None)) for name in _METHODS)


def _registers_itself(candidate: object) -> bool:
    return inspect.isroutine(candidate) and _required_parameters(candidate) == 1


def make_servicer(candidate: object, name: str) -> object:
    """Turn a class, an instance or a factory into a servicer object.

    Raises:
        TargetError: it is none of these, or it raised.
    """
    made = candidate
    if not _has_methods(made):
        if not callable(made):
            raise TargetError(f"{name} is not a servicer: it has none of the methods {', '.join(_METHODS)}")
        try:
            made = made()
        except Exception as error:
            raise TargetError(f"{name}() raised {type(error).__name__}: {error}") from error
    if not _has_methods(made):
        raise TargetError(
            f"{name} made a {type(made).__name__}, which is not a servicer: it has none of the methods "
            f"{', '.join(_METHODS)}"
        )
    return made


def _is_async(servicer: object) -> bool:
    functions = [getattr(servicer, name, None) for name in _METHODS]
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in functions)


def _generated_registration(servicer: object) -> Any:
    """The user's own ``add_StreamServiceServicer_to_server``, found beside the generated base class of the servicer."""
    for base in type(servicer).__mro__:
        module = sys.modules.get(base.__module__)
        if base.__name__ == _BASE and hasattr(module, _REGISTRATION):
            return getattr(module, _REGISTRATION)
    return None


def _serialize(response: Any) -> bytes:
    # Any message class will do, so that a servicer may build its answers with generated classes of its own.
    serialized: bytes = response.SerializeToString()
    return serialized


def register(servicer: object, server: Any) -> None:
    """Add a servicer to a server, by its own generated registration or, without one, by its methods' names."""
    registration = _generated_registration(servicer)
    if registration is not None:
        registration(servicer, server)
        return
    makers = {
        "List": grpc.unary_stream_rpc_method_handler,
        "Record": grpc.stream_unary_rpc_method_handler,
        "Route": grpc.stream_stream_rpc_method_handler,
    }
    handlers = {
        name: maker(getattr(servicer, name), messages.StreamRequest.FromString, _serialize)
        for name, maker in makers.items()
        if callable(getattr(servicer, name, None))
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))


def _bind(server: Any, address: str) -> str:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise TargetError(f"cannot listen on {address}: {error}") from error
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


class _ThreadedServer:
    """A `grpc.server` with a thread for every open stream."""

    def __init__(self, candidate: object, name: str, address: str) -> None:
        self._pool = futures.ThreadPoolExecutor(STREAMS, thread_name_prefix="grpcstream-servicer")
        self._server = grpc.server(self._pool, options=_OPTIONS, maximum_concurrent_rpcs=STREAMS)
        if _registers_itself(candidate):
            _call_registration(candidate, name, self._server)
        else:
            register(candidate, self._server)
        self.address = _bind(self._server, address)
        self._server.start()

    def stop(self, grace: float) -> None:
        # A handler that never looks whether its RPC is over must not keep this process.
        self._server.stop(grace).wait(grace + 0.3)
        self._pool.shutdown(wait=False, cancel_futures=True)


class _AsyncServer:
    """A `grpc.aio` server on an event loop in a thread of its own."""

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
        if _registers_itself(candidate):
            outcome = _call_registration(candidate, name, self._server)
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


def _call_registration(function: Any, name: str, server: Any) -> Any:
    try:
        return function(server)
    except Exception as error:
        raise TargetError(f"{name}(server) raised {type(error).__name__}: {error}") from error


def serve(candidate: object, name: str, address: str = "127.0.0.1:0") -> Handle:
    """Serve a servicer class, an instance, a factory without arguments, or a function that takes the server.

    A function that takes the server gets a `grpc.Server`, or a `grpc.aio.Server` if it is a coroutine function;
    otherwise methods written with ``async`` decide between the two.

    Arguments:
        name: what messages call the candidate.
        address: where to listen; port 0 picks a free one.

    Raises:
        TargetError: it is none of these, it raised, or the address cannot be had.
    """
    if _registers_itself(candidate):
        return (_AsyncServer if inspect.iscoroutinefunction(candidate) else _ThreadedServer)(candidate, name, address)
    servicer = make_servicer(candidate, name)
    return (_AsyncServer if _is_async(servicer) else _ThreadedServer)(servicer, name, address)
