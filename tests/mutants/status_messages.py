"""Mutants that lose or change the message of an error."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Final, NoReturn

import grpc

from mutants.base import Mutant
from pytest_grpcstream.messages import StreamRequest, StreamResponse
from servers.calls import Call

MESSAGES: Final = frozenset({"ABORT-5", "ABORT-6", "ABORT-7", "ABORT-13", "ABORT-15", "ABORT-16"})
"""Requirements whose tests check the message of an error as well as its code."""


class MessageIsLost(Mutant):
    """An error arrives without its message."""

    killed_by = "ABORT-3"
    also = MESSAGES  # every message is lost

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC without a message."""
        super().abort(call, code, "" if text else text)


class RouteMessageIsReplaced(Mutant):
    """Route replaces the message of an error with a generic one."""

    killed_by = "ABORT-3"
    also = MESSAGES  # every message is replaced

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; for Route, with a generic message."""
        super().abort(call, code, "an error occurred" if call.method == "Route" else text)


class MessageIsTrimmed(Mutant):
    """White space at both ends of an error's message is lost."""

    killed_by = "ABORT-3"
    also = frozenset({"ABORT-15"})  # its message ends with a blank

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a trimmed message."""
        super().abort(call, code, text.strip())


class MessageCollapsesBlanks(Mutant):
    """Consecutive blanks in an error's message become one."""

    killed_by = "ABORT-3"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a message without consecutive blanks."""
        super().abort(call, code, re.sub(" {2,}", " ", text))


class EmptyMessageIsFilledIn(Mutant):
    """An error without a message gets one."""

    killed_by = "ABORT-3"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; an empty message is filled in."""
        super().abort(call, code, text or "unknown error")


class MessageEndsAtLineBreak(Mutant):
    """Only the first line of an error's message is sent."""

    killed_by = "ABORT-3"
    also = frozenset({"ABORT-16"})  # its message has a line break

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with the first line of the message."""
        super().abort(call, code, text.rstrip("\r\n").partition("\r\n")[0])


class MessageIsEncodedTwice(Mutant):
    """An error's message is percent-encoded twice, so the client sees the escapes."""

    killed_by = "ABORT-3"
    also = frozenset({"ABORT-16"})  # their messages contain characters to escape

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with an encoded message, which grpcio encodes again."""
        super().abort(call, code, urllib.parse.quote(text, safe=" /:,.-_!'"))


class MessageIsDecoded(Mutant):
    """What looks like a percent-escape in an error's message is decoded."""

    killed_by = "ABORT-3"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a decoded message."""
        super().abort(call, code, urllib.parse.unquote(text))


class MessageIsLatin1(Mutant):
    """An error's message is decoded as Latin-1 instead of UTF-8."""

    killed_by = "ABORT-3"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a message of garbled non-ASCII characters."""
        super().abort(call, code, text.encode().decode("latin-1"))


class MessageLosesAstralCharacters(Mutant):
    """Characters beyond the Basic Multilingual Plane are replaced in an error's message."""

    killed_by = "ABORT-3"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with a message limited to 16-bit characters."""
        super().abort(call, code, "".join(char if ord(char) < 0x10000 else "\ufffd" for char in text))


class LongMessageHidesCode(Mutant):
    """An error with a message of more than 3000 characters becomes INTERNAL."""

    killed_by = "ABORT-15"

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC; with another error if the message is long."""
        if len(text) > 3000:
            code, text = grpc.StatusCode.INTERNAL, "the message is too long"
        super().abort(call, code, text)


class MessageInjectsStatus(Mutant):
    """What follows a line break in an error's message is sent as another field of the trailers."""

    killed_by = "ABORT-16"
    also = frozenset({"ABORT-3"})  # the message is changed

    def abort(self, call: Call, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the RPC with the status that the message injects."""
        first, _, rest = text.partition("\r\n")
        name, _, value = rest.partition(": ")
        if name == "grpc-status" and value.strip() == "0":
            call.settle()
            raise _EndsWellError
        super().abort(call, code, first if name == "grpc-status" else text)

    def Record(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> StreamResponse:
        """Client streaming."""
        try:
            return super().Record(requests, context)
        except _EndsWellError:
            return self.response(self.RECORD_NAME, 1)

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Bidirectional streaming."""
        try:
            yield from super().Route(requests, context)
        except _EndsWellError:
            return

    def List(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Server streaming."""
        try:
            yield from super().List(request, context)
        except _EndsWellError:
            return


class _EndsWellError(Exception):
    """Ends an RPC with OK from within nested calls."""
