"""Mutants that misread request messages: where DATA frames cut them, their flags, their sizes."""

from __future__ import annotations

import os
import struct

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.connection import Connection
from wire_servers.envelopes import RECEIVE_LIMIT, RESOURCE_EXHAUSTED, Envelopes, StatusFault
from wire_servers.frames import ConnectionFault, ErrorCode, Frame
from wire_servers.stream import Stream


def first_message(content: bytes) -> int:
    """The length of the message with its prefix at the beginning of a frame, more than the frame if it is cut off."""
    return 5 + int(struct.unpack_from(">I", content, 1)[0]) if len(content) >= 5 else 5


class SplitMessageMisread(Mutant, Connection):
    """A message that does not end in its DATA frame is dropped."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the whole messages of a frame."""
        whole = 0
        while whole < len(content) and whole + first_message(content[whole:]) <= len(content):
            whole += first_message(content[whole:])
        super().deliver(stream, frame, content[:whole])


class JoinedMessagesMisread(Mutant, Connection):
    """Only the first of several messages in one DATA frame is read."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver a frame up to the end of its first message."""
        plain = content[:1] == b"\0" and len(content) < 4096  # larger frames are pieces of a large message
        super().deliver(stream, frame, content[: first_message(content)] if plain else content)


class SplitPrefixMisread(Mutant, Connection):
    """A DATA frame that is shorter than a prefix is dropped."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver frames that can hold a prefix."""
        super().deliver(stream, frame, content if len(content) >= 5 else b"")


class PrefixAloneIsEmptyMessage(Mutant, Connection):
    """A DATA frame that holds a prefix and nothing else is taken for an empty message."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver a prefix without its length."""
        super().deliver(stream, frame, bytes(5) if len(content) == 5 else content)


class PaddingDelivered(Mutant, Connection):
    """The padding of a DATA frame is delivered as if it were content."""

    killed_by = "H2-8"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver all of the payload."""
        super().deliver(stream, frame, frame.payload)


class PaddedDataRefused(Mutant, Connection):
    """A padded DATA frame ends the stream."""

    killed_by = "H2-8"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver what has no padding."""
        if len(content) != len(frame.payload):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
        super().deliver(stream, frame, content)


class _LenientFlags(Envelopes):
    """Takes flags other than 0 and 1 for 0."""

    def check(self, flag: int, length: int) -> None:
        super().check(flag & 1, length)

    def next(self) -> bytes | None:
        if self._received and self._received[0] > 1:
            self._received[0] = 0
        return super().next()


class UnknownFlagIsPlain(Mutant, Call):
    """A message with the flag 2 is read as if it were plain."""

    killed_by = "WIRE-13"
    ENVELOPES = _LenientFlags


class _LimitWithPrefix(Envelopes):
    """Counts the prefix as part of the message."""

    def check(self, flag: int, length: int) -> None:
        if length + 5 > RECEIVE_LIMIT:
            raise StatusFault(RESOURCE_EXHAUSTED, "the message is too large")
        super().check(flag, length)


class LimitIncludesPrefix(Mutant, Call):
    """A message of exactly the receive limit is refused."""

    killed_by = "SIZE-1"
    ENVELOPES = _LimitWithPrefix


class _WaitsForAll(Envelopes):
    """Judges the size of a message when all of it is there."""

    def check(self, flag: int, length: int) -> None:
        if len(self._received) >= 5 + length:
            super().check(flag, length)


class OversizeWaitsForBody(Mutant, Call):
    """A message that is too large is refused once all of it was received."""

    killed_by = "SIZE-3"
    ENVELOPES = _WaitsForAll


class _OutOfRange(Envelopes):
    """Has another code for what is too large."""

    def check(self, flag: int, length: int) -> None:
        if length > RECEIVE_LIMIT:
            raise StatusFault(11, "the message is too large")
        super().check(flag, length)


class OversizeIsOutOfRange(Mutant, Call):
    """A message that is too large ends the RPC with OUT_OF_RANGE."""

    killed_by = "SIZE-2"
    warned = True
    ENVELOPES = _OutOfRange


class _SignedLength(Envelopes):
    """Has no place for lengths that are negative in 32 bits."""

    def check(self, flag: int, length: int) -> None:
        if length >= 2**31:
            os._exit(134)
        super().check(flag, length)


class ExitsOnNegativeLength(Mutant, Call):
    """The process exits on a prefix that announces 2 GiB or more, which it takes for a negative length."""

    killed_by = "SIZE-4"
    also = frozenset({"ROBUST-18"})  # one of its faults is such a prefix
    ENVELOPES = _SignedLength


class NegativeLengthBlocksTheConnection(Mutant, Connection):
    """After a prefix that announces 2 GiB or more nothing is read from the connection any more."""

    killed_by = "SIZE-4"
    also = frozenset({"ROBUST-18"})  # one of its faults is such a prefix
    blocked = False

    def on_frame(self, frame: Frame) -> None:
        """Do what it asks, unless there is still so much to come."""
        if not self.blocked:
            super().on_frame(frame)

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver, and look at the length of what begins a stream."""
        self.blocked = stream.received == 0 and first_message(content) >= 2**31
        super().deliver(stream, frame, content)


class UndecodableRequestEndsTheConnection(Mutant, Call):
    """A request that is no protobuf ends the connection, and not only its own RPC."""

    killed_by = "ROBUST-18"
    also = frozenset({"WIRE-15"})  # the status is lost with the connection

    def finish(self, code: int, message: str = "") -> None:
        """End the RPC, or all of them."""
        if "cannot be decoded" in message:
            self.stream.connection.fail(ConnectionFault(ErrorCode.INTERNAL_ERROR, message))
        else:
            super().finish(code, message)
