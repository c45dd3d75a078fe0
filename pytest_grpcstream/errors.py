"""The errors that this library raises; those about a target have an expected and an actual text."""

from __future__ import annotations

from typing import Final, Protocol

from pytest_grpcstream.timeline import Timeline
from pytest_grpcstream.values import Status

FEW_STREAMS: Final = range(1, 100)
"""Limits of concurrent streams below the advice of RFC 9113, section 6.5.2; 0 is excluded, as it allows no call."""
MANY_RESETS: Final = 20
"""Number of resets on a connection from which a server may see an attack: the lowest usual limit."""


class RecordedStream(Protocol):
    """The part of a stream that an error reports: its timeline, its status and the time of its end."""

    @property
    def method(self) -> str:
        """The path of the RPC."""

    @property
    def timeline(self) -> Timeline:
        """What happened on the stream so far."""

    @property
    def over(self) -> float | None:
        """When this side read the end of the RPC or abandoned it, by `time.monotonic`; None before that."""

    @property
    def status(self) -> Status | None:
        """How the RPC ended, or None until its end was read."""


class Error(Exception):
    """Base of every error that pytest-grpcstream raises on purpose."""


class SettingError(Error):
    """Raised when an option, an ini value, an environment variable or a marker argument is not valid."""


class TargetError(Error):
    """Raised when a target is malformed, cannot be started, or does not answer."""


class Mismatch(Error):
    """Base of the errors that judge a target: what was expected, what happened, and on which stream.

    Arguments:
        expected: what the requirement demands, one phrase.
        actual: what was observed, one phrase, already escaped.
        stream: the stream whose timeline shows it, if there is one.
    """

    def __init__(self, expected: str, actual: str, stream: RecordedStream | None = None) -> None:
        super().__init__(f"expected {expected}; actual: {actual}")
        self.expected = expected
        self.actual = actual
        self.stream = stream
        # Later events, such as the test's own cancel, did not cause the mismatch.
        self.deciding = None if stream is None else stream.timeline.last


class Failure(Mismatch):
    """Raised when a target does not do what a requirement demands."""


class Deviation(Mismatch):
    """Raised when a target does something harmless that a specification advises against: a warning."""


class TargetDied(Mismatch):
    """Raised when the target did not survive a test."""


class Inconclusive(Mismatch):
    """Raised when a requirement cannot be observed because its precondition does not hold."""


class NotApplicable(Error):
    """Raised when a requirement does not apply to this target."""


class StreamError(Mismatch):
    """Base of the errors that an operation on a stream raises."""


class OperationTimeout(StreamError):
    """Raised when an operation on a stream did not finish within its time limit."""


class ConcurrencyLimited(OperationTimeout, Deviation):
    """Raised when a server allows fewer concurrent streams than are open, and fewer than RFC 9113 advises (6.5.2)."""


class NotProcessed(Deviation):
    """Raised when a server shut a connection down gracefully without processing a call, so that a client can retry it.

    RFC 9113, section 6.8: streams above the last one that GOAWAY names were not processed.
    """


class EnhanceYourCalm(Deviation):
    """Raised when a server throttled the test (ENHANCE_YOUR_CALM) because the test had reset many streams.

    RFC 9113, section 10.5: a server may choose what it treats as an attack.
    """


class StatusError(StreamError):
    """Raised when the RPC ended with a status other than OK; all earlier responses were read first."""

    def __init__(self, expected: str, status: Status, stream: RecordedStream) -> None:
        super().__init__(expected, f"the RPC ended with {status}", stream)
        self.status = status


class CardinalityError(StreamError):
    """Raised when an RPC ended with OK but without the one response that its method requires, or with more."""


class MessageError(StreamError):
    """Raised when the bytes of a response are not a ``StreamResponse``."""
