"""The verdicts: their order, the groups they fall into, and what a verdict on a test knows of itself."""

from __future__ import annotations

import itertools

import pytest

from pytest_grpcstream.verdicts.verdict import Verdict, gravest
from verdicts.making import judged

FAILURES = {Verdict.FAILED, Verdict.CHANGED, Verdict.FIXED, Verdict.FLAKY}


def test_verdicts_are_ordered_from_failed_to_not_applicable() -> None:
    """Red verdicts are graver than the others, and an observation is graver than none."""
    assert sorted(Verdict, key=lambda verdict: verdict.gravity) == [
        Verdict.FAILED,
        Verdict.CHANGED,
        Verdict.FIXED,
        Verdict.FLAKY,
        Verdict.INCONCLUSIVE,
        Verdict.EXPECTED,
        Verdict.WARNED,
        Verdict.PASSED,
        Verdict.NOT_RUN,
        Verdict.NOT_APPLICABLE,
    ]


@pytest.mark.parametrize(("graver", "milder"), [*itertools.combinations(Verdict, 2)])
def test_gravest_does_not_depend_on_the_order_of_its_arguments(graver: Verdict, milder: Verdict) -> None:
    """Workers of pytest-xdist report in any order."""
    assert gravest([graver, milder]) is gravest([milder, graver]) is graver


def test_gravest_of_no_verdicts_is_an_error() -> None:
    """Without a test there is no verdict, and none is invented."""
    with pytest.raises(ValueError, match="empty"):
        gravest([])


def test_failures_are_what_contradicts_the_target_or_its_list() -> None:
    """An inconclusive test is red, but it did not find the target wrong."""
    assert {verdict for verdict in Verdict if verdict.is_failure} == FAILURES
    assert {verdict for verdict in Verdict if verdict.is_red} == FAILURES | {Verdict.INCONCLUSIVE}


def test_a_requirement_is_checked_once_the_target_was_observed() -> None:
    """Inconclusive, skipped and not run tests observed nothing."""
    unchecked = {verdict for verdict in Verdict if not verdict.is_checked}
    assert unchecked == {Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.NOT_APPLICABLE}


def test_tables_count_every_failure_as_failed() -> None:
    """The other verdicts have columns of their own."""
    assert {verdict: verdict.column for verdict in Verdict} == {
        verdict: Verdict.FAILED if verdict in FAILURES else verdict for verdict in Verdict
    }


def test_the_value_of_a_verdict_is_its_word() -> None:
    """Reports and the terminal show it as it is."""
    assert [str(verdict) for verdict in (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE)] == ["not run", "not applicable"]
    assert f"{Verdict.WARNED}" == "warned"


def test_a_test_verdict_derives_name_and_area() -> None:
    """The name is the id without the module, the area is the prefix of the requirement."""
    test = judged("ABORT-13", test="test_path[wire-/proto.StreamService/List]")
    assert (test.name, test.area) == ("test_path[wire-/proto.StreamService/List]", "ABORT")
