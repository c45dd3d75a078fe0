"""Mutants that answer calls of methods that they do not have."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc

from mutants.registration import StreamServiceServicer

_SERVICE = "/proto.StreamService/"


class _Any(grpc.GenericRpcHandler):
    """Answers every method whose path a servicer accepts.

    Arguments:
        servicer: its `accepts` decides which methods, its `other_answer` answers them.
    """

    def __init__(self, servicer: _AnswersOthers) -> None:
        self._servicer = servicer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of a method, if the servicer accepts it."""
        if not self._servicer.accepts(handler_call_details.method):
            return None
        return grpc.stream_stream_rpc_method_handler(self._servicer.other_answer)


class _AnswersOthers(StreamServiceServicer):
    """Answers methods that the service does not have."""

    def other_methods(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """A handler of all accepted methods."""
        return (_Any(self),)

    def accepts(self, path: str) -> bool:
        """Whether a method with this path is answered."""
        raise NotImplementedError

    def other_answer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answer: OK without a message."""
        del requests, context
        return iter(())


class UnknownMethodIsOk(_AnswersOthers):
    """A method that the service does not have ends with OK."""

    killed_by = "WIRE-1"
    also = frozenset({"WIRE-3"})  # a misspelt method is one of them

    def accepts(self, path: str) -> bool:
        """Whether the path begins like one of the service."""
        return path.startswith(_SERVICE)


class UnknownMethodHangs(_AnswersOthers):
    """A method that the service does not have is never answered."""

    killed_by = "WIRE-1"
    also = frozenset({"WIRE-3", "LOAD-11"})  # misspelt methods, and hundreds of them

    def accepts(self, path: str) -> bool:
        """Whether the path begins like one of the service."""
        return path.startswith(_SERVICE)

    def other_answer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answer: none until the client goes away."""
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()
        yield from requests


class UnknownServiceIsOk(_AnswersOthers):
    """A method of a service that the server does not have ends with OK."""

    killed_by = "WIRE-2"
    also = frozenset({"WIRE-3"})  # a misspelt service is one of them

    def accepts(self, path: str) -> bool:
        """Whether the path belongs to another service."""
        return not path.startswith(_SERVICE)


class PathsIgnoreCase(_AnswersOthers):
    """The path of a method is matched without regard to case."""

    killed_by = "WIRE-3"

    def accepts(self, path: str) -> bool:
        """Whether the path is that of a method, ignoring case."""
        return path.lower() in {f"{_SERVICE}{name}".lower() for name in ("List", "Record", "Route")}
