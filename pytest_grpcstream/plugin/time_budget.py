"""The time budget: the limit of one operation, shortened once the run is red and waiting would only delay it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_grpcstream.capabilities import FAILED_BASELINE_TIMEOUT

LOST_TIME_LIMIT: Final = 60.0
"""Seconds lost to timeouts of failed error-level requirements, after which the others wait less."""
SHORTENED_TIMEOUT: Final = 2.0
"""Seconds that one operation may take from then on."""


@dataclass
class TimeBudget:
    """The time limit of one operation, as it changes during a run.

    Attributes:
        timeout: seconds that one operation may take at first.
        may_shorten: whether the limit may become shorter. With a list of expected failures a run need not be red.
        lost: seconds lost to timeouts of error-level requirements that failed.
    """

    timeout: float
    may_shorten: bool = True
    lost: float = 0.0

    def limit(self, *, serves: bool | None) -> float:
        """Seconds that one operation of a test of a requirement may take.

        Arguments:
            serves: whether the target can do any baseline exchange, None while that is not known.
        """
        if serves is False:
            return min(self.timeout, FAILED_BASELINE_TIMEOUT)
        return self.timeout if self.lost <= LOST_TIME_LIMIT else min(self.timeout, SHORTENED_TIMEOUT)

    def note_lost(self, seconds: float, *, serves: bool | None) -> str:
        """Count the time that an error-level requirement took to fail; return what to say if the limit gets shorter."""
        before = self.limit(serves=serves)
        if not self.may_shorten or seconds < before:
            return ""
        self.lost += seconds
        if (limit := self.limit(serves=serves)) < before:
            return f"timeouts capped at {limit:g} s after {self.lost:.0f} s lost to timeouts"
        return ""
