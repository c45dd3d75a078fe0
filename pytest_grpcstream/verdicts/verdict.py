"""The words for the verdict on a test, a requirement or a run, and how they rank and count."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final


class Verdict(enum.StrEnum):
    """What came of a test or a requirement; the gravest first, so that the verdict on several tests is their minimum.

    The values are the words of reports and of the terminal.
    """

    FAILED = "failed"
    CHANGED = "changed"  # an expected failure that failed for an unexpected reason
    FIXED = "fixed"  # an expected failure that passes
    FLAKY = "flaky"  # reruns of one test disagree
    INCONCLUSIVE = "inconclusive"
    EXPECTED = "expected"  # an expected failure that failed as the list says
    WARNED = "warned"
    PASSED = "passed"
    NOT_RUN = "not run"
    NOT_APPLICABLE = "not applicable"

    @property
    def gravity(self) -> int:
        """The place among all verdicts: 0 is the gravest."""
        return _GRAVITY[self]

    @property
    def is_failure(self) -> bool:
        """Whether the target was found wrong, or not as a list of expected failures says."""
        return self in _FAILURES

    @property
    def is_red(self) -> bool:
        """Whether it fails the run."""
        return self.is_failure or self is Verdict.INCONCLUSIVE

    @property
    def is_checked(self) -> bool:
        """Whether the requirement was observed on the target, with whatever result."""
        return self.is_failure or self in (Verdict.PASSED, Verdict.WARNED, Verdict.EXPECTED)

    @property
    def column(self) -> Verdict:
        """The verdict under which tables count it: every failure counts as failed."""
        return Verdict.FAILED if self.is_failure else self


_GRAVITY: Final = {verdict: place for place, verdict in enumerate(Verdict)}
_FAILURES: Final = frozenset({Verdict.FAILED, Verdict.CHANGED, Verdict.FIXED, Verdict.FLAKY})


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest of some verdicts.

    Raises:
        ValueError: there are none.
    """
    return min(verdicts, key=lambda verdict: verdict.gravity)


class Conformance(enum.StrEnum):
    """The verdict on a whole run."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    NOTHING_CHECKED = "none"
