"""The time budget: when the time limit of an operation gets shorter, and when it must not."""

from __future__ import annotations

import pytest

from pytest_grpcstream.capabilities import FAILED_BASELINE_TIMEOUT
from pytest_grpcstream.plugin.time_budget import LOST_TIME_LIMIT, SHORTENED_TIMEOUT, TimeBudget

CAPPED = f"timeouts capped at {SHORTENED_TIMEOUT:g} s after 65 s lost to timeouts"


@pytest.mark.parametrize(
    ("timeout", "serves", "limit"),
    [
        (5.0, True, 5.0),
        (5.0, None, 5.0),
        (5.0, False, FAILED_BASELINE_TIMEOUT),
        (0.25, False, 0.25),
        (0.25, True, 0.25),
    ],
)
def test_target_that_fails_every_baseline_exchange_has_less_time(
    timeout: float, serves: bool | None, limit: float
) -> None:
    """As long as that is not known, the limit is the given one; it never gets longer."""
    assert TimeBudget(timeout).limit(serves=serves) == limit


def test_limit_is_shortened_after_the_lost_time() -> None:
    """Once, with one note; exactly the allowed time is not too much."""
    budget = TimeBudget(5.0)
    assert budget.note_lost(LOST_TIME_LIMIT, serves=True) == ""
    assert budget.limit(serves=True) == 5.0
    assert budget.note_lost(5.0, serves=True) == CAPPED
    assert budget.limit(serves=True) == budget.limit(serves=None) == SHORTENED_TIMEOUT
    assert budget.note_lost(5.0, serves=True) == ""


def test_only_timeouts_count_as_lost() -> None:
    """A test that failed before its time limit waited for nothing."""
    budget = TimeBudget(5.0, lost=LOST_TIME_LIMIT)
    assert budget.note_lost(4.9, serves=True) == ""
    assert budget.lost == LOST_TIME_LIMIT
    assert budget.note_lost(5.0, serves=None) == CAPPED


def test_timeouts_at_the_shortened_limit_count_as_lost() -> None:
    """The limit that was in force when the test failed is the one that decides."""
    budget = TimeBudget(5.0, lost=LOST_TIME_LIMIT + 1)
    assert budget.note_lost(SHORTENED_TIMEOUT, serves=True) == ""
    assert budget.lost == LOST_TIME_LIMIT + 1 + SHORTENED_TIMEOUT


@pytest.mark.parametrize("serves", [True, False, None])
def test_run_that_may_be_green_is_never_shortened(serves: bool | None) -> None:
    """With a list of expected failures, no time counts as lost."""
    budget = TimeBudget(5.0, may_shorten=False)
    before = budget.limit(serves=serves)
    assert budget.note_lost(1000.0, serves=serves) == ""
    assert budget.lost == 0
    assert budget.limit(serves=serves) == before


@pytest.mark.parametrize(("timeout", "serves"), [(1.0, True), (5.0, False)])
def test_limit_that_is_short_already_needs_no_note(timeout: float, serves: bool) -> None:
    """It does not change."""
    budget = TimeBudget(timeout, lost=LOST_TIME_LIMIT)
    assert budget.note_lost(5.0, serves=serves) == ""
    assert budget.limit(serves=serves) == 1.0
