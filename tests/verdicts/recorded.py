"""A call that was recorded, without any client: only what errors and allowances ask of one."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_grpcstream.timeline import Timeline
from pytest_grpcstream.values import Status


@dataclass(eq=False)
class RecordedCall:
    """A call that began at one time and was over at another.

    Attributes:
        over: when it was over, by the clock of its timeline; None while it is open.
        not_processed: how the server shut down without processing it, None if it did not.
    """

    method: str = "/proto.StreamService/List"
    timeline: Timeline = field(default_factory=Timeline)
    over: float | None = None
    status: Status | None = None
    not_processed: str | None = None


def call(began: float = 0.0, over: float | None = None, not_processed: str | None = None) -> RecordedCall:
    """A call by the times, in seconds, at which it began and was over."""
    recorded = RecordedCall(over=over, not_processed=not_processed)
    recorded.timeline.began = began
    return recorded


@dataclass
class RecordedClient:
    """A client that remembers calls.

    Attributes:
        streams: the calls.
        calm: how the server throttled it, None if it did not.
    """

    streams: list[RecordedCall] = field(default_factory=list)
    calm: str | None = None

    def enhance_your_calm(self) -> str | None:
        """How the server throttled it."""
        return self.calm
