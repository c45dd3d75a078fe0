"""The results of a run: what the verdicts on its tests amount to."""

from __future__ import annotations

import itertools

import pytest

from pytest_grpcstream.requirements.registry import AREAS, registry
from pytest_grpcstream.verdicts.results import Disagreement, Results
from pytest_grpcstream.verdicts.verdict import Conformance, Verdict
from verdicts.making import judged, results

ERRORS = [one.id for one in registry().values() if one.severity == "error" and not one.only]
RED = [verdict for verdict in Verdict if verdict.is_red]


# Adding -----------------------------------------------------------------------------------------------------------


def test_later_verdict_on_a_test_replaces_the_earlier_one() -> None:
    """A failure in teardown follows the success of the call."""
    found = results(judged(), judged(verdict=Verdict.FAILED, reason="in teardown"))
    assert [test.reason for test in found.verdicts.values()] == ["in teardown"]
    assert found.counts() == {Verdict.FAILED: 1}


def test_add_gathers_what_a_test_reports_beside_its_verdict() -> None:
    """Targets, deaths and budget notes count once, in the order of first use; observations belong to a requirement."""
    found = results(
        judged(test="test_a", target="B", late_death="B died", budget_note="capped", observed=("one", "two")),
        judged(test="test_b", target="A", late_death="B died", budget_note="capped", observed=("one",)),
        judged("ORD-2", test="test_c", target="B", observed=("three",)),
        judged("ORD-3", test="test_d"),
    )
    assert list(found.targets) == ["B", "A"]
    assert list(found.deaths) == ["B died"]
    assert list(found.budget_notes) == ["capped"]
    assert found.observed == {"ORD-1": ["one", "two", "one"], "ORD-2": ["three"]}


# Requirements and areas -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdicts", [*itertools.permutations([Verdict.PASSED, Verdict.WARNED, Verdict.FLAKY])])
def test_requirement_has_the_gravest_verdict_of_its_tests(verdicts: tuple[Verdict, ...]) -> None:
    """Whatever the order in which they were reported."""
    tests = [judged(verdict=verdict, test=f"test_{verdict}") for verdict in verdicts]
    assert results(*tests).requirements() == {"ORD-1": Verdict.FLAKY}


def test_requirements_are_in_the_order_of_the_registry() -> None:
    """Requirements without a test are left out."""
    found = results(judged("HALF-1"), judged("ORD-2", test="test_b"), judged("ORD-1", test="test_c"))
    assert list(found.requirements()) == ["ORD-1", "ORD-2", "HALF-1"]


def test_areas_count_tests_by_column() -> None:
    """Areas are in the order of reports, and an area without a test is left out."""
    found = results(
        judged("HALF-1", Verdict.NOT_RUN, "test_a"),
        judged("ORD-1", Verdict.FIXED, "test_b"),
        judged("ORD-2", Verdict.FAILED, "test_c"),
        judged("ORD-2", Verdict.WARNED, "test_d"),
    )
    assert list(found.areas()) == ["ORD", "HALF"]
    assert found.areas() == {"ORD": {Verdict.FAILED: 2, Verdict.WARNED: 1}, "HALF": {Verdict.NOT_RUN: 1}}
    assert set(found.areas()) <= AREAS.keys()


# Clients that disagree --------------------------------------------------------------------------------------------


def both(wire: Verdict, library: Verdict, name: str = "test_order[{}-1]") -> Results:
    """The results of one test over both clients."""
    return results(
        judged(verdict=wire, test=name.format("wire"), client="wire"),
        judged(verdict=library, test=name.format("library"), client="library"),
    )


@pytest.mark.parametrize("name", ["test_order[{}]", "test_order[{}-1]", "test_order[1-{}]"])
def test_clients_that_disagree_are_paired_by_test(name: str) -> None:
    """The client is one of the parameters, at any place."""
    verdicts = {"library": Verdict.FAILED, "wire": Verdict.PASSED}
    assert list(both(Verdict.PASSED, Verdict.FAILED, name).disagreements()) == [
        Disagreement("ORD-1", name.format("*"), verdicts)
    ]


def test_clients_that_agree_are_not_reported() -> None:
    """Neither are different tests over different clients, also if the name of a test has the name of a client."""
    assert not list(both(Verdict.FAILED, Verdict.FAILED).disagreements())
    assert not list(both(Verdict.FAILED, Verdict.PASSED, "test_{}_only").disagreements())


# Coverage ---------------------------------------------------------------------------------------------------------


def test_only_error_level_requirements_are_counted_as_checked() -> None:
    """A checked warning is not missing, but does not count either."""
    coverage = results(judged("ORD-1"), judged("ORD-2", Verdict.FAILED, "test_b"), judged("EOF-4")).coverage()
    assert (coverage.checked, coverage.total) == (1, len(ERRORS))
    coverage = results(judged("ORD-1"), judged("EOF-4", test="test_b")).coverage()
    assert (coverage.checked, coverage.total) == (1, len(ERRORS))
    assert not {"ORD-1", "EOF-4"} & set(coverage.missing)


def test_one_observation_is_enough_to_check_a_requirement() -> None:
    """A test that could not observe it takes nothing away."""
    coverage = results(judged(), judged(verdict=Verdict.INCONCLUSIVE, test="test_b", reason="why")).coverage()
    assert (coverage.checked, coverage.unchecked) == (1, {})


def test_unchecked_requirements_are_grouped_by_reason() -> None:
    """Of several tests the gravest gives the reason, then the first by name, whatever the order of reports."""
    tests = [
        judged("ORD-1", Verdict.NOT_APPLICABLE, "test_a", reason="no echo"),
        judged("ORD-1", Verdict.INCONCLUSIVE, "test_c", reason="second by name"),
        judged("ORD-1", Verdict.INCONCLUSIVE, "test_b", reason="first by name"),
        judged("ORD-2", Verdict.NOT_RUN, "test_d", reason="target down"),
        judged("EOF-4", Verdict.NOT_RUN, "test_e", reason="target down"),
    ]
    for order in itertools.permutations(tests):
        coverage = results(*order).coverage()
        assert coverage.checked == 0
        assert coverage.unchecked == {"first by name": ["ORD-1"], "target down": ["ORD-2", "EOF-4"]}


def test_requirements_without_a_test_are_missing() -> None:
    """Those of TLS are missing only from a run that has a test of one."""
    assert Results().coverage().missing == [one.id for one in registry().values() if not one.only]
    coverage = results(judged("TLS-1")).coverage()
    assert (coverage.checked, coverage.total) == (1, len(ERRORS) + 1)
    assert "TLS-1" not in coverage.missing
    assert "TLS-3" not in coverage.missing


# The verdict on the run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", Verdict)
def test_conformance_follows_from_a_verdict(verdict: Verdict) -> None:
    """Red ones deny it; warnings and skipped tests alone prove nothing."""
    if verdict.is_red:
        conformance = Conformance.NOT_CONFORMANT
    elif verdict in (Verdict.PASSED, Verdict.EXPECTED):
        conformance = Conformance.CONFORMANT
    else:
        conformance = Conformance.NOTHING_CHECKED
    assert results(judged(verdict=verdict)).conformance() is conformance


def test_run_without_verdicts_checked_nothing() -> None:
    """The words say so, and are not those of a success."""
    assert Results().conformance() is Conformance.NOTHING_CHECKED
    assert Results().in_words() == "none, nothing could be checked"


@pytest.mark.parametrize("verdict", RED)
def test_red_requirements_are_named(verdict: Verdict) -> None:
    """Each once, in the order of the registry."""
    found = results(
        judged("HALF-1", verdict, "test_a"),
        judged("ORD-1", verdict, "test_b"),
        judged("ORD-1", verdict, "test_c"),
        judged("ORD-2", test="test_d"),
    )
    assert found.in_words() == f"NOT conformant: {verdict}: ORD-1, HALF-1"


def test_words_about_a_run_name_everything_that_is_wrong() -> None:
    """The gravest verdict comes first; stale entries, expected failures and warnings follow."""
    found = results(
        judged("ORD-1", Verdict.INCONCLUSIVE, "test_a"),
        judged("ORD-2", Verdict.FLAKY, "test_b"),
        judged("ORD-3", Verdict.FAILED, "test_c", late_death="it died"),
        judged("ORD-4", Verdict.EXPECTED, "test_d"),
        judged("EOF-4", Verdict.WARNED, "test_e"),
    )
    found.complaints.append("ORD-9 matches no test")
    assert found.in_words() == (
        "NOT conformant: failed: ORD-3; flaky: ORD-2; inconclusive: ORD-1; 1 stale expected failure(s), "
        "except 1 expected failure(s), with 1 warning(s)"
    )


def test_late_death_alone_denies_conformance() -> None:
    """No verdict on a test shows it, so the words do."""
    found = results(judged(late_death="it died"))
    assert found.conformance() is Conformance.NOT_CONFORMANT
    assert found.in_words() == "NOT conformant: the target died"


def test_stale_expected_failure_alone_denies_conformance() -> None:
    """All tests may be green."""
    found = results(judged())
    found.complaints += ["ORD-1 does not fail any more", "ORD-2 matches no test"]
    assert found.in_words() == "NOT conformant: 2 stale expected failure(s)"


def test_words_about_a_conformant_run_name_what_is_tolerated() -> None:
    """Expected failures and warnings are counted."""
    found = results(judged(), judged("ORD-2", Verdict.EXPECTED, "test_b"), judged("EOF-4", Verdict.WARNED, "test_c"))
    assert found.in_words() == ("conformant in all that was checked, except 1 expected failure(s), with 1 warning(s)")
    assert results(judged()).in_words() == "conformant in all that was checked"


def test_hints_come_from_red_verdicts_only() -> None:
    """What is expected to fail needs no advice."""
    reason = "the RPC ended with UNAVAILABLE 'HTTP status 502'"
    assert list(results(judged(verdict=Verdict.FAILED, reason=reason)).hints())
    assert not list(results(judged(verdict=Verdict.EXPECTED, reason=reason)).hints())
