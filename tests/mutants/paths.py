"""Mutants that answer calls of methods which they do not have."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc

from mutants.registration import StreamServiceServicer

_SERVICE = "/proto.StreamService/"


class _Any(grpc.GenericRpcHandler):
    """Answers every method whose path a servicer takes for one of its own.

    Arguments:
        servicer: whose `accepts` decides and whose `other_answer` answers.
    """

    def __init__(self, servicer: _AnswersOthers) -> None:
        self._servicer = servicer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of a method, if the servicer takes it."""
        if not self._servicer.accepts(handler_call_details.method):
            return None
        return grpc.stream_stream_rpc_method_handler(self._servicer.other_answer)


class _AnswersOthers(StreamServiceServicer):
    """Answers more methods than there are."""

    def other_methods(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """A handler of what is accepted."""
        return (_Any(self),)

    def accepts(self, path: str) -> bool:
        """Whether a method by this path is answered."""
        raise NotImplementedError

    def other_answer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answer: OK and nothing else."""
        del requests, context
        return iter(())


class UnknownMethodIsOk(_AnswersOthers):
    """A method that the service does not have ends with OK."""

    killed_by = "WIRE-1"
    also = frozenset({"WIRE-3"})  # of which a misspelt one is an example

    def accepts(self, path: str) -> bool:
        """Whether the path begins like a method of the service."""
        return path.startswith(_SERVICE)


class UnknownMethodHangs(_AnswersOthers):
    """A method that the service does not have is never answered."""

    killed_by = "WIRE-1"
    also = frozenset({"WIRE-3", "LOAD-11"})  # misspelt ones, and hundreds of them

    def accepts(self, path: str) -> bool:
        """Whether the path begins like a method of the service."""
        return path.startswith(_SERVICE)

    def other_answer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answer: none before the client goes away."""
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()
        yield from requests


class UnknownServiceIsOk(_AnswersOthers):
    """A method of a service that the server does not have ends with OK."""

    killed_by = "WIRE-2"
    also = frozenset({"WIRE-3"})  # of which a misspelt one is an example

    def accepts(self, path: str) -> bool:
        """Whether the path is one of another service."""
        return not path.startswith(_SERVICE)


class PathsIgnoreCase(_AnswersOthers):
    """The path of a method may be spelt in upper or lower case."""

    killed_by = "WIRE-3"

    def accepts(self, path: str) -> bool:
        """Whether the path is that of a method but for its case."""
        return path.lower() in {f"{_SERVICE}{name}".lower() for name in ("List", "Record", "Route")}
