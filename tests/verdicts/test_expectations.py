"""Expected failures: which tests an entry names, what a verdict becomes, and which entries are stale."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_grpcstream.verdicts.expectations import Amended, Expectation, Expectations
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Verdict
from verdicts.making import MODULE, day, expectation, judged

NODEID = "some/pack/test_a.py::test_one[wire-a/b::test_o/x]"
TEXT = "expected 3; actual: 4"


def amend(verdict: Verdict, *entries: Expectation, text: str = TEXT, client: str = "wire") -> Amended:
    """What a verdict on `NODEID`, a test of ORD-1, becomes."""
    return Expectations(entries).amend(NODEID, "ORD-1", client, verdict, text)


# Which tests an entry names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("*", True),
        ("pack/", False),
        ("pack/*", True),
        ("test_a.py::*", True),
        ("test_a.py*", True),
        ("test_o*", True),
        ("test_one[wire-*", True),
        ("test_one[wire-b*", False),
        ("one*", False),
        ("x]*", False),
        ("b::test_o*", False),
    ],
)
def test_id_with_a_star_begins_at_a_folder_a_module_or_a_name(name: str, named: bool) -> None:
    """It begins neither in the middle of a name nor in a parameter."""
    assert expectation(name, sometimes=True).names(NODEID, "ORD-1", "wire") is named


@pytest.mark.parametrize(
    ("name", "named", "exact"),
    [
        ("ORD-1", True, False),
        ("ORD-11", False, False),
        ("test_one", True, False),
        ("test_a.py::test_one", True, False),
        (NODEID, True, True),
        ("test_a.py::test_one[wire-a/b::test_o/x]", True, True),
        ("test_one[wire-a/b::test_o/x]", True, True),
        ("one", False, False),
        ("test_a.py", False, False),
        ("test_one[wire]", False, False),
    ],
)
def test_id_names_a_requirement_a_test_or_all_its_variants(name: str, named: bool, exact: bool) -> None:
    """Only the whole id of a test, from its beginning, its module or its name on, names it alone."""
    entry = expectation(name)
    assert entry.names(NODEID, "ORD-1", "wire") is named
    assert entry.is_exact(NODEID) is exact


def test_entry_of_a_client_names_tests_over_that_client_only() -> None:
    """An entry without a client names the tests over both."""
    assert not expectation("ORD-1", client="library").names(NODEID, "ORD-1", "wire")
    assert expectation("ORD-1", client="wire").names(NODEID, "ORD-1", "wire")
    assert amend(Verdict.FAILED, expectation("ORD-1", client="library")) == Amended(Verdict.FAILED)


# What a verdict becomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", Verdict)
def test_verdict_without_an_entry_is_unchanged(verdict: Verdict) -> None:
    """An entry about another requirement says nothing about this test."""
    assert amend(verdict, expectation("ORD-2", ".")) == Amended(verdict)


@pytest.mark.parametrize("entry", [expectation("ORD-1", "."), expectation(NODEID, ".")], ids=["requirement", "test"])
def test_not_run_is_unchanged(entry: Expectation) -> None:
    """A test that did not run says nothing about an entry, whatever the entry names."""
    assert amend(Verdict.NOT_RUN, entry) == Amended(Verdict.NOT_RUN)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.WARNED])
def test_failure_for_the_listed_reason_is_expected(verdict: Verdict) -> None:
    """The note explains it, and the entries that it fulfils are recorded."""
    entries = (
        expectation("ORD-2"),
        expectation("ORD-1", why="leaves one out", link="https://example.org/1"),
        expectation("test_one", why="leaves one out"),
        expectation(NODEID, "another reason"),
    )
    note = "leaves one out; https://example.org/1"
    assert amend(verdict, *entries) == Amended(Verdict.EXPECTED, note, (1, 2))


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
@pytest.mark.parametrize("name", ["ORD-1", NODEID, "*"])
def test_failure_for_another_reason_is_changed(verdict: Verdict, name: str) -> None:
    """The note says which entry expects what."""
    amended = amend(verdict, expectation(name, "actual: 5", sometimes=name == "*"))
    assert amended == Amended(
        Verdict.CHANGED, f"failed for an unexpected reason: {name} (entry 1 of expect.toml) expects 'actual: 5'"
    )


def test_warning_for_another_reason_is_changed_only_if_an_entry_names_the_test_alone() -> None:
    """Of the tests of a requirement one must fail as listed; the others may be warned."""
    assert amend(Verdict.WARNED, expectation("ORD-1", "actual: 5")) == Amended(Verdict.WARNED)
    assert amend(Verdict.WARNED, expectation(NODEID, "actual: 5")).verdict is Verdict.CHANGED
    racy = expectation(NODEID, "actual: 5", sometimes=True)
    assert amend(Verdict.WARNED, racy) == Amended(Verdict.WARNED)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.WARNED])
def test_failure_after_the_expiry_of_its_entry_is_changed(verdict: Verdict) -> None:
    """The last day still counts, and another entry that holds is enough."""
    yesterday = expectation("ORD-1", expires=day(-1))
    note = f"its expectation expired on {day(-1)}: ORD-1 (entry 1 of expect.toml)"
    assert amend(verdict, yesterday) == Amended(Verdict.CHANGED, note)
    assert amend(verdict, expectation("ORD-1", expires=day(1))).verdict is Verdict.EXPECTED
    assert yesterday.holds_on(day(-1))
    assert not yesterday.holds_on(day(0))
    assert amend(verdict, yesterday, expectation("ORD-1", place=2)) == Amended(Verdict.EXPECTED, "", (1,))


@pytest.mark.parametrize(
    ("verdict", "amended", "what"),
    [
        (Verdict.PASSED, Verdict.FIXED, "it passes"),
        (Verdict.NOT_APPLICABLE, Verdict.CHANGED, "it was skipped"),
    ],
)
def test_listed_test_that_does_not_fail_is_red(verdict: Verdict, amended: Verdict, what: str) -> None:
    """If an entry names it alone and must be fulfilled; the tests of a requirement may pass beside one that fails."""
    entry = expectation(NODEID, place=3)
    note = f"{what}, but is listed as an expected failure: {NODEID} (entry 3 of expect.toml)"
    assert amend(verdict, expectation("ORD-1"), entry) == Amended(amended, note)
    for other in (expectation("ORD-1"), expectation("test_one"), expectation(NODEID, sometimes=True)):
        assert amend(verdict, other) == Amended(verdict)


# Stale entries ----------------------------------------------------------------------------------------------------

FIRST = judged("ORD-1", test="test_order[wire]")
SECOND = judged("ORD-2", test="test_record[library]", client="library")
TESTS = {test.nodeid: (test.requirement, test.client) for test in (FIRST, SECOND)}


def complaints(*entries: Expectation, verdicts: Mapping[str, TestVerdict], full: bool = True) -> list[str]:
    """What is wrong with entries after a run of two tests."""
    return list(Expectations(entries).complaints(TESTS, verdicts, full=full))


def ran(verdict: Verdict, *expectations: int) -> dict[str, TestVerdict]:
    """Verdicts of a run in which the test of ORD-1 came to this one."""
    return {
        FIRST.nodeid: judged("ORD-1", verdict, test="test_order[wire]", expectations=expectations),
        SECOND.nodeid: SECOND,
    }


def test_fulfilled_entry_is_not_stale() -> None:
    """Also if it matches no test of this run, as an entry of another list may."""
    assert complaints(expectation("ORD-1"), verdicts=ran(Verdict.EXPECTED, 0)) == []


def test_entry_that_matches_no_test_is_stale_in_a_full_run() -> None:
    """In a part of the suite only an unknown requirement is known to match nothing."""
    entries = (expectation("test_gone"), expectation("XYZ-1", place=2), expectation("ORD-3", place=3))
    assert complaints(*entries, verdicts=ran(Verdict.PASSED)) == [
        "test_gone (entry 1 of expect.toml) matches no test",
        "XYZ-1 (entry 2 of expect.toml) matches no test",
        "ORD-3 (entry 3 of expect.toml) matches no test",
    ]
    assert complaints(*entries, verdicts=ran(Verdict.PASSED), full=False) == [
        "XYZ-1 (entry 2 of expect.toml) matches no test"
    ]


@pytest.mark.parametrize(
    ("verdict", "complaint"),
    [
        (Verdict.PASSED, "does not fail any more"),
        (Verdict.WARNED, "does not fail any more"),
        (Verdict.NOT_APPLICABLE, "was skipped"),
    ],
)
def test_entry_whose_tests_do_not_fail_is_stale_in_a_full_run(verdict: Verdict, complaint: str) -> None:
    """Unless it may be unfulfilled, or the run was about a part of the suite."""
    entry = expectation("ORD-1")
    assert complaints(entry, verdicts=ran(verdict)) == [f"ORD-1 (entry 1 of expect.toml) {complaint}"]
    assert complaints(entry, verdicts=ran(verdict), full=False) == []
    assert complaints(expectation("ORD-1", sometimes=True), verdicts=ran(verdict)) == []


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.CHANGED, Verdict.FIXED, Verdict.NOT_RUN])
def test_entry_of_a_red_or_missing_verdict_is_not_stale_too(verdict: Verdict) -> None:
    """What is red already needs no second complaint, and what did not run says nothing."""
    assert complaints(expectation("ORD-1"), verdicts=ran(verdict)) == []
    assert complaints(expectation(f"{MODULE}::test_order[wire]"), verdicts={SECOND.nodeid: SECOND}) == []
