"""Mutants that misread request messages: their DATA frames, flags and sizes."""

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
    """The prefixed length of the first message in a frame; more than the frame if truncated."""
    return 5 + int(struct.unpack_from(">I", content, 1)[0]) if len(content) >= 5 else 5


class SplitMessageMisread(Mutant, Connection):
    """A message that does not end in its DATA frame is dropped."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the complete messages of a frame."""
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
    """A DATA frame shorter than a message prefix is dropped."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver frames that can hold a prefix."""
        super().deliver(stream, frame, content if len(content) >= 5 else b"")


class PrefixAloneIsEmptyMessage(Mutant, Connection):
    """A DATA frame that contains only a prefix is treated as an empty message."""

    killed_by = "ORD-5"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver a lone prefix with length 0."""
        super().deliver(stream, frame, bytes(5) if len(content) == 5 else content)


class PaddingDelivered(Mutant, Connection):
    """The padding of a DATA frame is delivered as content."""

    killed_by = "H2-8"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver the whole payload."""
        super().deliver(stream, frame, frame.payload)


class PaddedDataRefused(Mutant, Connection):
    """A padded DATA frame ends the stream."""

    killed_by = "H2-8"

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver frames without padding."""
        if len(content) != len(frame.payload):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
        super().deliver(stream, frame, content)


class _LenientFlags(Envelopes):
    """Treats flags other than 0 and 1 as 0."""

    def check(self, flag: int, length: int) -> None:
        super().check(flag & 1, length)

    def next(self) -> bytes | None:
        if self._received and self._received[0] > 1:
            self._received[0] = 0
        return super().next()


class UnknownFlagIsPlain(Mutant, Call):
    """A message with flag 2 is read as uncompressed."""

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
    """Checks the size of a message only once it is complete."""

    def check(self, flag: int, length: int) -> None:
        if len(self._received) >= 5 + length:
            super().check(flag, length)


class OversizeWaitsForBody(Mutant, Call):
    """A message that is too large is refused only after all of it was received."""

    killed_by = "SIZE-3"
    ENVELOPES = _WaitsForAll


class _OutOfRange(Envelopes):
    """Uses another status code for messages that are too large."""

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
    """Treats a length as a signed 32-bit number."""

    def check(self, flag: int, length: int) -> None:
        if length >= 2**31:
            os._exit(134)
        super().check(flag, length)


class ExitsOnNegativeLength(Mutant, Call):
    """The process exits on a prefix that announces 2 GiB or more, which it reads as a negative length."""

    killed_by = "SIZE-4"
    also = frozenset({"ROBUST-18"})  # one of its faults is such a prefix
    ENVELOPES = _SignedLength


class NegativeLengthBlocksTheConnection(Mutant, Connection):
    """After a prefix that announces 2 GiB or more, nothing more is read from the connection."""

    killed_by = "SIZE-4"
    also = frozenset({"ROBUST-18"})  # one of its faults is such a prefix
    blocked = False

    def on_frame(self, frame: Frame) -> None:
        """Handle the frame unless a huge message is pending."""
        if not self.blocked:
            super().on_frame(frame)

    def deliver(self, stream: Stream, frame: Frame, content: bytes) -> None:
        """Deliver, and check the length of the first message."""
        self.blocked = stream.received == 0 and first_message(content) >= 2**31
        super().deliver(stream, frame, content)


class UndecodableRequestEndsTheConnection(Mutant, Call):
    """A request that is not valid protobuf ends the connection, not only its own RPC."""

    killed_by = "ROBUST-18"
    also = frozenset({"WIRE-15"})  # the status is lost with the connection

    def finish(self, code: int, message: str = "") -> None:
        """End the RPC, or the connection."""
        if "cannot be decoded" in message:
            self.stream.connection.fail(ConnectionFault(ErrorCode.INTERNAL_ERROR, message))
        else:
            super().finish(code, message)
