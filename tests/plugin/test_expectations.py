"""--grpcstream-expect: what is listed must fail, and for the reason in the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.results import cases
from pytest_grpcstream.verdicts.expectation_lists import read

OPTIONS = ("--grpcstream-features=none",)
Expecting = Callable[..., pytest.RunResult]

either_way = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])


@pytest.fixture
def expecting(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> Expecting:
    """Run the ordering tests on a List that leaves one response out, with a list of expected failures."""

    def start(text: str, *options: str, target: str = "plugin.servicers:ListSkipsOne") -> pytest.RunResult:
        (pytester.path / "expect.toml").write_text(text, encoding="utf-8")
        listed = (*OPTIONS, "--grpcstream-expect=expect.toml", "--junitxml=report.xml", "-rA", *options)
        return judge(serve(target), "message_order", options=listed)

    return start


def entry(name: str, reason: str = "expected .*actual", **more: str) -> str:
    """One entry of a list."""
    lines = ["[[expect]]", f'id = "{name}"', f"reason = '{reason}'"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items()), ""])


RACE = {"sometimes": "true", "why": '"a race"'}

ALL = "".join(entry(name) for name in ("ORD-1", "ORD-6", "ORD-7", "ORD-11"))
"""Every requirement among the ordering tests that ListSkipsOne breaks."""


@either_way
def test_listed_failures_are_expected(expecting: Expecting, pytester: pytest.Pytester, workers: Sequence[str]) -> None:
    """They do not fail the run; they are pytest's xfail, and the end of the run counts them."""
    result = expecting(ALL, *workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert "failed" not in result.parseoutcomes()
    verdicts = {case.verdict for case in cases(pytester.path / "report.xml").values()}
    assert verdicts == {"passed", "warned", "skipped"}
    result.stdout.fnmatch_lines(["verdict: conformant in all that was checked, except * expected failure(s)"])


def test_an_expectation_may_have_a_link_an_explanation_and_a_day(expecting: Expecting) -> None:
    """The report of the expected failure tells them."""
    more = {"link": '"https://example.org/1"', "why": '"it leaves one out"', "expires": "2999-12-31"}
    result = expecting(ALL.replace(entry("ORD-1"), entry("ORD-1", **more)))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["XFAIL *ORD-1, expected (it leaves one out; https://example.org/1): expected *"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            entry("ORD-1", "no such reason"),
            "*ORD-1 changed: failed for an unexpected reason: ORD-1 *",
        ),
        (
            entry("ORD-1", expires="2001-01-31"),
            "*ORD-1 changed: its expectation expired on 2001-01-31: ORD-1 *",
        ),
        (entry("test_route_answers_points_of_default_values[library]"), "*ORD-6 fixed: it passes, but is listed*"),
        (
            entry("test_route_echoes_names_and_values_as_they_were_sent[library]"),
            "*ORD-6 changed: it was skipped, *",
        ),
        (entry("XYZ-1"), "expected failure: XYZ-1 (entry 1 of expect.toml) matches no test"),
    ],
    ids=["other reason", "expired", "passes", "skipped", "matches nothing"],
)
def test_a_list_is_strict(expecting: Expecting, text: str, told: str) -> None:
    """Whatever does not come as it is listed is red, and says which entry is meant."""
    rest = "".join(entry(name) for name in ("ORD-1", "ORD-6", "ORD-7", "ORD-11") if f'"{name}"' not in text)
    result = expecting(text + rest)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([told, "verdict: NOT conformant: *"])


@either_way
def test_an_entry_of_a_requirement_that_holds_is_red_in_a_full_run(
    run: Run, reference: str, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """Only a run of the whole suite can tell that nothing fails any more as an entry says, or that it names no test.

    An entry that need not fail must name a test too.
    """
    racy = "".join(entry(name, **RACE) for name in ("test_no_such_*", "HALF-1", "test_list_*", "test_nowhere"))
    text = entry("ORD-1") + entry("test_no_such_test") + racy
    (pytester.path / "expect.toml").write_text(text, encoding="utf-8")
    result = run(f"--grpcstream-target={reference}", "--grpcstream-expect=expect.toml", *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "expected failure: ORD-1 (entry 1 of expect.toml) does not fail any more",
            "expected failure: test_no_such_test (entry 2 of expect.toml) matches no test",
            "expected failure: test_no_such_[*] (entry 3 of expect.toml) matches no test",
            "expected failure: test_nowhere (entry 6 of expect.toml) matches no test",
            "verdict: NOT conformant: 4 stale expected failure(s)*",
        ]
    )


def test_a_part_of_the_suite_does_not_complain_about_the_rest(
    judge: Judge, reference: str, pytester: pytest.Pytester
) -> None:
    """Entries about tests that were not selected are left alone."""
    (pytester.path / "expect.toml").write_text(entry("ORD-1") + entry("HALF-1"), encoding="utf-8")
    result = judge(reference, "record_pairing", options=("--grpcstream-expect=expect.toml",))
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[expect]\n", "*Cannot read the expected failures in expect.toml: *"),
        ("a = 1\n", "*expect.toml: unknown key 'a'; expected *"),
        ('[[expect]]\nid = "ORD-1"\n', "*Entry 1 of expect.toml: reason missing; expected *"),
        (entry("ORD-1", "("), "*Entry 1 of expect.toml: the reason is not a pattern: *"),
        (entry("ORD-1", ".*"), "*Entry 1 of expect.toml: the reason matches any text*"),
        (entry("ORD-1", sometimes="true"), "*Entry 1 of expect.toml: sometimes needs a why or a link*"),
        (entry("ORD-1", sometimes='"yes"'), "*Entry 1 of expect.toml: sometimes is not a boolean*"),
        (entry("test_list_*"), "*Entry 1 of expect.toml: an id that ends with * needs sometimes = true*"),
        (entry("ORD-1", owner='"me"'), "*Entry 1 of expect.toml: unknown key 'owner'*"),
        (entry("ORD-1", expires='"soon"'), "*Entry 1 of expect.toml: expires is not a date*"),
        (entry("ORD-1", client='"grpcurl"'), "*Entry 1 of expect.toml: unknown client 'grpcurl'*"),
    ],
)
def test_a_mistake_in_a_list_ends_the_run_before_it_begins(expecting: Expecting, text: str, told: str) -> None:
    """The message names the file, the entry and what is valid."""
    result = expecting(text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_what_fails_only_sometimes_may_pass(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """An entry that says so, and why, is fulfilled by a failure for its reason and by a test that passes."""
    name = "test_record_is_answered_exactly_once[library-7]"
    racy = entry(name, "every second one", sometimes="true", why='"a race"')
    (pytester.path / "expect.toml").write_text(racy, encoding="utf-8")
    target = serve("plugin.servicers:EverySecondRecord")
    options = (*OPTIONS, "--grpcstream-expect=expect.toml")
    outcomes = [judge(target, f"record_pairing::{name}", options=options) for _ in range(2)]
    assert [result.ret for result in outcomes] == [pytest.ExitCode.OK, pytest.ExitCode.OK]
    assert sorted(str(result.parseoutcomes()) for result in outcomes) == ["{'passed': 1}", "{'xfailed': 1}"]


@either_way
def test_one_entry_may_speak_of_all_tests_that_begin_so(expecting: Expecting, workers: Sequence[str]) -> None:
    """Those that fail for its reason are expected, those that pass are no matter."""
    result = expecting(entry("test_message_order.py::test_*", **RACE), *workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert result.parseoutcomes()["passed"] > 0
    result.stdout.fnmatch_lines(["verdict: conformant in all that was checked, except * expected failure(s)"])


@either_way
def test_an_entry_that_speaks_of_all_tests_holds_for_its_reason_only(
    expecting: Expecting, workers: Sequence[str]
) -> None:
    """A failure that its pattern does not fit is red, and one of another name is not its own."""
    result = expecting(entry("*", "no such reason", **RACE), *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ORD-1 changed: failed for an unexpected reason: [*] (entry 1 *"])
    result = expecting(entry("test_record_pairing.py::*", **RACE), *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*verdict: NOT conformant: failed: *ORD-1*"])


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
def test_where_an_id_with_a_star_may_begin(name: str, named: bool, tmp_path: Path) -> None:
    """At the beginning of the test's id, of its module or of its name, never in the middle or in a parameter."""
    path = tmp_path / "expect.toml"
    path.write_text(entry(name, **RACE), encoding="utf-8")
    [one] = read([path]).entries
    assert one.names("some/pack/test_a.py::test_one[wire-a/b::test_o/x]", "ORD-1", "wire") is named


def test_a_list_that_is_not_there_is_a_usage_error(judge: Judge, reference: str) -> None:
    """It is not taken for an empty one."""
    result = judge(reference, "message_order", options=("--grpcstream-expect=missing.toml",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Invalid expect 'missing.toml' from the option --grpcstream-expect; *"])


def test_lists_of_the_ini_count_beside_those_of_options(expecting: Expecting, pytester: pytest.Pytester) -> None:
    """Paths of the ini are read from its folder."""
    (pytester.path / "more.toml").write_text(entry("ORD-1"), encoding="utf-8")
    pytester.makeini("[pytest]\ngrpcstream_expect = more.toml\n")
    assert expecting(ALL.replace(entry("ORD-1"), "")).ret == pytest.ExitCode.OK


def test_a_warning_may_be_listed(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """It is expected then, in a strict run too."""
    (pytester.path / "expect.toml").write_text(entry("ROBUST-4", "UNKNOWN"), encoding="utf-8")
    options = (*OPTIONS, "--grpcstream-strict", "--grpcstream-expect=expect.toml")
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), "survival", options=options)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["xfailed"] == 3


WRITE = "--grpcstream-write-expect=written.toml"


@either_way
def test_a_list_is_written_from_a_full_run(
    run: Run, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """The next run with it is green; links, comments and entries that still hold are kept as they stood."""
    kept = "# The header.\n\n# A comment.\n" + entry("ORD-1", "expected", link='"https://example.org/1"')
    other = '\n[[expect]]\nid = "ORD-11"  # about it\nreason = "no such reason"\nlink = "https://example.org/11"\n'
    (pytester.path / "written.toml").write_text(kept + other + entry("HALF-1"), encoding="utf-8")
    target = f"--grpcstream-target={serve('plugin.servicers:ListSkipsOne')}"
    first = run(target, "--grpcstream-features=none", WRITE, *workers)
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(["grpcstream: written.toml was written: * expected failure(s)"])
    text = (pytester.path / "written.toml").read_text(encoding="utf-8")
    assert text.startswith(kept)
    assert 'id = "ORD-11"  # about it\nreason = ' in text
    assert 'link = "https://example.org/11"' in text
    assert "no such reason" not in text
    assert "HALF-1" not in text
    second = run(target, "--grpcstream-features=none", "--grpcstream-expect=written.toml", *workers)
    assert second.ret == pytest.ExitCode.OK, second.stdout.str()


def test_no_list_is_written_from_a_part_of_the_suite(judge: Judge, reference: str, pytester: pytest.Pytester) -> None:
    """It would say that everything else passes."""
    (pytester.path / "written.toml").write_text("# mine\n", encoding="utf-8")
    result = judge(reference, "record_pairing", options=(WRITE,))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["grpcstream: written.toml was not written: that needs the whole suite, *"])
    assert (pytester.path / "written.toml").read_text(encoding="utf-8") == "# mine\n"
