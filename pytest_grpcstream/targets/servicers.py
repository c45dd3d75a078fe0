"""Makes a servicer of the StreamService from what the user names, and registers it on a grpcio server.

A candidate is a servicer class, an instance, a factory without arguments, or a function that takes the server and
registers on it itself.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any, Final

import grpc

from pytest_grpcstream import messages
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.service import STREAM_SERVICE

_METHODS: Final = ("List", "Record", "Route")
_BASE: Final = "StreamServiceServicer"
_REGISTRATION: Final = "add_StreamServiceServicer_to_server"


def load(module: str, attribute: str) -> object:
    """Import ``module`` and return its ``attribute``, which may have dots.

    Raises:
        TargetError: The module or the attribute does not exist, or the import failed.
    """
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(f"{missing}."):
            raise TargetError(
                f"there is no module {module!r} to import; it must be in the current directory or on PYTHONPATH"
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


def registers_itself(candidate: object) -> bool:
    """Whether a candidate is a function that takes the server and registers on it itself."""
    return inspect.isroutine(candidate) and _count_required_parameters(candidate) == 1


def _count_required_parameters(function: Any) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def call_registration(function: Any, name: str, server: Any) -> Any:
    """Let a function register on the server itself, and return what it returned.

    Raises:
        TargetError: The function raised.
    """
    try:
        return function(server)
    except Exception as error:
        raise TargetError(f"{name}(server) raised {type(error).__name__}: {error}") from error


def make_servicer(candidate: object, name: str) -> object:
    """Make a servicer from a class, an instance or a factory.

    Raises:
        TargetError: The candidate has none of these forms, or it raised.
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
            f"{name}() returned {type(made).__name__}, which is not a servicer: it has none of the methods "
            f"{', '.join(_METHODS)}"
        )
    return made


def _has_methods(candidate: object) -> bool:
    return not isinstance(candidate, type) and any(callable(getattr(candidate, name, None)) for name in _METHODS)


def is_async(servicer: object) -> bool:
    """Whether a method of a servicer is a coroutine function or an asynchronous generator."""
    functions = [getattr(servicer, name, None) for name in _METHODS]
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in functions)


def register(servicer: object, server: Any) -> None:
    """Add a servicer to a server, by its own generated registration or, without one, by its methods' names."""
    registration = _find_generated_registration(servicer)
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
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(STREAM_SERVICE.name, handlers),))


def _find_generated_registration(servicer: object) -> Any:
    """The user's own ``add_StreamServiceServicer_to_server``, found beside the generated base class of the servicer."""
    for base in type(servicer).__mro__:
        module = sys.modules.get(base.__module__)
        if base.__name__ == _BASE and hasattr(module, _REGISTRATION):
            return getattr(module, _REGISTRATION)
    return None


def _serialize(response: Any) -> bytes:
    # Any message class is accepted, so that a servicer may build its responses with its own generated classes.
    serialized: bytes = response.SerializeToString()
    return serialized
