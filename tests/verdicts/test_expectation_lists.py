"""Lists of expected failures: mistakes in them are named, and a new list keeps what a user wrote."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.verdicts.expectation_lists import pattern_of, read, render
from pytest_grpcstream.verdicts.expectations import Expectations
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Verdict
from verdicts.making import judged

Write = Callable[[str], Path]

RACE = 'sometimes = true\nwhy = "a race"\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a list, and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "expect.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def entry(name: str, reason: str, more: str = "") -> str:
    """The text of one entry."""
    return f"[[expect]]\nid = '{name}'\nreason = '{reason}'\n{more}"


def failing(requirement: str = "ORD-1", reason: str = "expected 3; actual: 4", **more: str) -> TestVerdict:
    """The verdict on a test that fails."""
    return judged(requirement, Verdict.FAILED, reason=reason, **more)


# Reading ----------------------------------------------------------------------------------------------------------


def test_entry_is_read_with_all_its_keys(write: Write) -> None:
    """Blanks around an id do not count, and an entry knows where it stands."""
    path = write(
        entry("ORD-1", "one")
        + entry(" test_order* ", "a.c", f"{RACE}link = 'https://example.org'\nclient = 'wire'\nexpires = 2030-01-31\n")
    )
    first, second = read([path]).entries
    assert (first.id, first.link, first.why, first.client, first.expires) == ("ORD-1", "", "", "", None)
    assert (first.sometimes, first.file, first.place) == (False, path, 1)
    assert (second.id, second.reason.pattern, second.place) == ("test_order*", "a.c", 2)
    assert (second.link, second.why, second.client) == ("https://example.org", "a race", "wire")
    assert (second.expires, second.sometimes) == (datetime.date(2030, 1, 31), True)


def test_lists_are_read_in_the_order_in_which_they_were_given(write: Write, tmp_path: Path) -> None:
    """Each counts its own entries."""
    other = tmp_path / "other.toml"
    other.write_text(entry("ORD-2", "two"), encoding="utf-8")
    assert [str(one) for one in read([other, write(entry("ORD-1", "one"))]).entries] == [
        "ORD-2 (entry 1 of other.toml)",
        "ORD-1 (entry 1 of expect.toml)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[expect]\n", "Cannot read the expected failures in {path}: "),
        ("a = 1\n", "{path}: unknown key 'a'; expected [[expect]] tables with "),
        ("expect = 1\n", "{path}: 'expect' is not an array of tables; expected [[expect]] tables "),
        ("expect = [1]\n", "{path}: 'expect' is not an array of tables; "),
        ("[[expect]]\n", "Entry 1 of {path}: id and reason missing; expected [[expect]] tables "),
        (entry("ORD-1", " "), "Entry 1 of {path}: reason missing; "),
        (entry(" ", "one"), "Entry 1 of {path}: id missing; "),
        (entry("ORD-1", "one") + entry("ORD-2", "("), "Entry 2 of {path}: the reason is not a pattern: "),
        (entry("ORD-1", "x*"), "Entry 1 of {path}: the reason matches any text; "),
        (entry("ORD-1", "one", "owner = 'me'\n"), "Entry 1 of {path}: unknown key 'owner'; "),
        (entry("ORD-1", "one", "why = 1\n"), "Entry 1 of {path}: why is not a string; "),
        (entry("ORD-1", "one", "sometimes = 1\n"), "Entry 1 of {path}: sometimes is not a boolean; "),
        (entry("ORD-1", "one", "expires = '2030-01-31'\n"), "Entry 1 of {path}: expires is not a date; "),
        (entry("ORD-1", "one", "expires = 2030-01-31T10:00:00\n"), "Entry 1 of {path}: expires is not a date; "),
        (entry("ORD-1", "one", "client = 'curl'\n"), "Entry 1 of {path}: unknown client 'curl'; "),
        (entry("ORD-1", "one", "sometimes = true\n"), "Entry 1 of {path}: sometimes needs a why or a link; "),
        (entry("test_a*", "one"), "Entry 1 of {path}: an id that ends with * needs sometimes = true; "),
    ],
)
def test_mistake_is_named_with_its_entry_and_what_is_valid(write: Write, text: str, message: str) -> None:
    """A list is read to its first mistake."""
    path = write(text)
    with pytest.raises(SettingError) as refused:
        read([path])
    assert str(refused.value).startswith(message.format(path=path))


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """It may be missing, or not be text."""
    with pytest.raises(SettingError, match=r"^Cannot read the expected failures in .*missing\.toml: .*No such file"):
        read([tmp_path / "missing.toml"])
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(SettingError, match=r"^Cannot read the expected failures in .*binary\.toml: 'utf-8' codec"):
        read([tmp_path / "binary.toml"])


# Writing ----------------------------------------------------------------------------------------------------------


def test_new_list_says_what_it_is_for(tmp_path: Path) -> None:
    """It is written also if nothing fails."""
    text = render(tmp_path / "new.toml", Expectations(), [])
    assert text.startswith("# Expected failures, for --grpcstream-expect. ")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    "reason",
    [
        "expected 3 responses within 0.25 s; actual: 4 (127.0.0.1:50051)",
        r"it's a \x1b[31m \"text\" with ''' quotes",
        "a tab\t and a line\nbreak",
        "x" * 1000,
        "(unbalanced [ and * + ? { | ^ $ .",
    ],
)
def test_written_list_expects_the_failures_that_it_was_written_from(write: Write, reason: str) -> None:
    """Whatever the text of a failure, and also if its numbers are others the next time."""
    test = failing(reason=reason)
    known = read([write(render(Path("missing.toml"), Expectations(), [test]))])
    for text in (reason, reason.replace("3", "17").replace("0.25", "5.5")):
        amended = known.amend(test.nodeid, test.requirement, test.client, Verdict.FAILED, text)
        assert amended.verdict is Verdict.EXPECTED, known.entries


def test_written_entry_names_one_test_by_its_module(write: Write) -> None:
    """Each entry has its requirement in a comment; a slash in a parameter is not one of the path."""
    slash = judged("WIRE-7", Verdict.FAILED, "test_type[application/grpc]", reason="4")
    text = render(Path("missing.toml"), Expectations(), [failing(), slash])
    assert "\n# WIRE-7\n[[expect]]\nid = 'test_ordering.py::test_type[application/grpc]'\n" in text
    assert [one.id for one in read([write(text)]).entries] == [
        "test_ordering.py::test_order[wire]",
        "test_ordering.py::test_type[application/grpc]",
    ]


def test_list_in_which_everything_holds_is_unchanged(write: Write) -> None:
    """Its header, comments, blank lines, formatting and quotes are those of the user."""
    text = (
        "# The header.\n\n# About the first.\n[[expect]]\nid = \"ORD-1\"   # aligned\nreason = 'actual: 4'\n\n"
        "# About the second,\n# in two lines.\n[[expect]]\nreason = '5'\nlink = 'https://example.org/2'\n"
        "id = 'ORD-2'\n\n# The end.\n"
    )
    path = write(text)
    assert render(path, Expectations(), [failing(), failing("ORD-2", "5", test="test_b[wire]")]) == text


def test_list_with_comments_only_keeps_them(write: Write) -> None:
    """New entries follow them."""
    path = write("# Mine.\n")
    assert render(path, Expectations(), []) == "# Mine.\n"
    assert render(path, Expectations(), [failing()]).startswith("# Mine.\n\n# ORD-1\n[[expect]]\nid = ")


def test_entry_of_a_changed_failure_gets_a_new_reason(write: Write) -> None:
    """Its other keys and its comments stay."""
    more = "link = 'https://example.org/1'  # open\n"
    path = write("# Why.\n" + entry("ORD-1", "no such reason", more))
    assert render(path, Expectations(), [failing()]) == "# Why.\n" + entry("ORD-1", r"expected \d+; actual: \d+", more)


def test_reason_that_a_list_did_not_expect_is_written_as_it_was(write: Write) -> None:
    """What the same run says about the old entry is not part of the failure."""
    path = write(entry("ORD-1", "no such reason"))
    changed = judged(
        verdict=Verdict.CHANGED,
        reason="failed for an unexpected reason: ORD-1 (entry 1 of expect.toml) expects 'no such reason'; 3",
        failure="3",
    )
    assert render(path, read([path]), [changed]) == entry("ORD-1", r"\d+")
    assert render(Path("missing.toml"), read([path]), [changed]).endswith(
        entry("test_ordering.py::test_order[wire]", r"\d+")
    )


def test_entry_whose_tests_do_not_fail_any_more_is_dropped_with_its_comment(write: Write) -> None:
    """The header and the other entries keep their comments."""
    path = write(
        "# Header.\n\n# One.\n" + entry("ORD-1", "one") + "\n# Two.\n" + entry("ORD-2", "4") + "\n# Three.\n"
        "" + entry("ORD-3", "three")
    )
    text = render(path, Expectations(), [failing("ORD-2")])
    assert text == "# Header.\n\n# Two.\n" + entry("ORD-2", "4")


def test_failure_without_an_entry_is_appended(write: Write) -> None:
    """Also the other failures of a requirement whose entry holds for one of its tests."""
    path = write(entry("ORD-1", "actual: 4"))
    others = [failing(reason="it hangs", test="test_b[wire]"), failing("ORD-2", "it hangs", test="test_c[wire]")]
    text = render(path, Expectations(), [failing(), *others])
    assert text == (
        entry("ORD-1", "actual: 4")
        + "\n# ORD-1\n"
        + entry("test_ordering.py::test_b[wire]", "it hangs")
        + "\n# ORD-2\n"
        + entry("test_ordering.py::test_c[wire]", "it hangs")
    )


def test_entry_of_many_tests_is_never_given_another_reason(write: Write) -> None:
    """The reason of one test would stand for all of them: the test gets an entry of its own."""
    path = write(entry("test_*", "no such reason", RACE))
    text = render(path, Expectations(), [failing()])
    assert [one.id for one in read([write(text)]).entries] == ["test_ordering.py::test_order[wire]"]
    kept = entry("test_*", "actual", RACE)
    assert render(write(kept), Expectations(), [failing()]) == kept


def test_failure_that_another_list_expects_is_not_written(write: Write, tmp_path: Path) -> None:
    """A run may have several lists; each failure stands in one."""
    other = tmp_path / "other.toml"
    other.write_text(entry("ORD-1", "4"), encoding="utf-8")
    path = write("# Mine.\n")
    expected = judged(verdict=Verdict.EXPECTED, reason="expected 3; actual: 4", expectations=(0,))
    assert render(path, read([other]), [expected]) == "# Mine.\n"
    own = write(entry("ORD-1", "4"))
    assert render(own, read([own]), [expected]) == entry("ORD-1", "4")


@pytest.mark.parametrize("text", ["expect = []\n", "expect = [{ id = 'ORD-1', reason = 'one' }]\n"])
def test_inline_array_is_not_rewritten(write: Write, text: str) -> None:
    """[[expect]] tables cannot follow it."""
    path = write(text)
    with pytest.raises(SettingError, match=r"its entries are not \[\[expect\]\] tables"):
        render(path, Expectations(), [failing()])


def test_list_with_a_mistake_is_not_rewritten(write: Write) -> None:
    """Nothing that a user wrote is lost."""
    with pytest.raises(SettingError, match="unknown key 'a'"):
        render(write("a = 1\n"), Expectations(), [])


def test_pattern_of_a_reason_does_not_depend_on_numbers() -> None:
    """Blanks stay readable, and a long reason is cut."""
    assert pattern_of("within 0.25 s (a)") == r"within \d+\.\d+ s \(a\)"
    assert pattern_of("x" * 1000) == "x" * 160
