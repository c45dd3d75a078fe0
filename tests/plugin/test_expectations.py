"""--grpcstream-expect: a listed test must fail, for the reason in the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.results import cases

OPTIONS = ("--grpcstream-features=none",)
Expecting = Callable[..., pytest.RunResult]

either_way = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])


@pytest.fixture
def expecting(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> Expecting:
    """Run the ordering tests on a List that skips one number, with a list of expected failures."""

    def start(text: str, *options: str, target: str = "plugin.servicers:ListSkipsOne") -> pytest.RunResult:
        (pytester.path / "expect.toml").write_text(text, encoding="utf-8")
        listed = (*OPTIONS, "--grpcstream-expect=expect.toml", "--junitxml=report.xml", "-rA", *options)
        return judge(serve(target), "message_order", options=listed)

    return start


def entry(name: str, reason: str = "expected .*actual", **more: str) -> str:
    """The text of one entry."""
    lines = ["[[expect]]", f'id = "{name}"', f"reason = '{reason}'"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items()), ""])


RACE = {"sometimes": "true", "why": '"a race"'}

ALL = "".join(entry(name) for name in ("ORD-1", "ORD-6", "ORD-7", "ORD-11"))
"""An entry for every requirement of the ordering tests that ListSkipsOne breaks."""


@either_way
def test_listed_failures_are_expected(expecting: Expecting, pytester: pytest.Pytester, workers: Sequence[str]) -> None:
    """They are xfails, the run passes, and its verdict counts them."""
    result = expecting(ALL, *workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert "failed" not in result.parseoutcomes()
    verdicts = {case.verdict for case in cases(pytester.path / "report.xml").values()}
    assert verdicts == {"passed", "warned", "skipped"}
    result.stdout.fnmatch_lines(["verdict: conformant in all that was checked, except * expected failure(s)"])


def test_expected_failure_is_reported_with_link_and_explanation(expecting: Expecting) -> None:
    """An entry may also have a day on which it expires."""
    more = {"link": '"https://example.org/1"', "why": '"it leaves one out"', "expires": "2999-12-31"}
    result = expecting(ALL.replace(entry("ORD-1"), entry("ORD-1", **more)))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["XFAIL *ORD-1, expected (it leaves one out; https://example.org/1): expected *"])


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_list_is_strict(expecting: Expecting, text: str, message: str) -> None:
    """A test that does not fail as listed fails the run, and the message names the entry."""
    rest = "".join(entry(name) for name in ("ORD-1", "ORD-6", "ORD-7", "ORD-11") if f'"{name}"' not in text)
    result = expecting(text + rest)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([message, "verdict: NOT conformant: *"])


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        (("--grpcstream-target=127.0.0.1:1",), True),
        (("--pyargs", "pytest_grpcstream.conformance"), True),
        (("--grpcstream-target=127.0.0.1:1", "--grpcstream-client=wire"), False),
        (("--grpcstream-target=127.0.0.1:1", "-k", "not test_record_pairing"), False),
        (("--pyargs", "pytest_grpcstream.conformance.test_record_pairing"), False),
    ],
    ids=["target", "package", "one client", "deselected", "one module"],
)
def test_whole_suite_is_all_tests_over_both_clients(
    run: Run, pytester: pytest.Pytester, options: Sequence[str], whole: bool
) -> None:
    """Only such a run shows that nothing fails any more as an entry says, and may write a list."""
    pytester.makeconftest(
        """
        from pytest_grpcstream.plugin.session import Run

        def pytest_collection_finish(session):
            print("the whole suite:", Run.of(session.config).selection.whole)
        """
    )
    run(*options, "--collect-only", "-q").stdout.fnmatch_lines([f"the whole suite: {whole}"])


@pytest.fixture
def run_whole(run: Run, pytester: pytest.Pytester) -> Run:
    """Run two modules over both clients as if they were the whole suite, which takes minutes."""
    pytester.makeconftest(
        """
        from pytest_grpcstream.plugin.session import Run

        def pytest_collection_finish(session):
            Run.of(session.config).selection.whole = True
        """
    )
    modules = [f"pytest_grpcstream.conformance.test_{name}" for name in ("message_order", "record_pairing")]
    return lambda *arguments: run(*OPTIONS, *arguments, "--pyargs", *modules)


@either_way
def test_stale_entry_fails_a_run_of_the_whole_suite(
    run_whole: Run, reference: str, pytester: pytest.Pytester, workers: Sequence[str]
) -> None:
    """Its tests do not fail any more, or it matches no test. An entry that may pass must match a test too."""
    racy = "".join(entry(name, **RACE) for name in ("test_no_such_*", "PAIR-1", "test_list_*", "test_nowhere"))
    text = entry("ORD-1") + entry("test_no_such_test") + racy
    (pytester.path / "expect.toml").write_text(text, encoding="utf-8")
    result = run_whole(f"--grpcstream-target={reference}", "--grpcstream-expect=expect.toml", *workers)
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


def test_entries_of_tests_that_were_not_selected_are_ignored(
    judge: Judge, reference: str, pytester: pytest.Pytester
) -> None:
    """A run of a part of the suite says nothing about the rest."""
    (pytester.path / "expect.toml").write_text(entry("ORD-1") + entry("HALF-1"), encoding="utf-8")
    result = judge(reference, "record_pairing", options=("--grpcstream-expect=expect.toml",))
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[expect]\n", "*Cannot read the expected failures in expect.toml: *"),
        (entry("ORD-1", sometimes="true"), "*Entry 1 of expect.toml: sometimes needs a why or a link; expected *"),
    ],
)
def test_mistake_in_a_list_is_a_usage_error(expecting: Expecting, text: str, message: str) -> None:
    """Before anything runs."""
    result = expecting(text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_entry_with_sometimes_may_pass(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """The run passes, whether the test fails for the listed reason or passes."""
    name = "test_record_is_answered_exactly_once[library-7]"
    racy = entry(name, "every second one", sometimes="true", why='"a race"')
    (pytester.path / "expect.toml").write_text(racy, encoding="utf-8")
    target = serve("plugin.servicers:EverySecondRecord")
    options = (*OPTIONS, "--grpcstream-expect=expect.toml")
    outcomes = [judge(target, f"record_pairing::{name}", options=options) for _ in range(2)]
    assert [result.ret for result in outcomes] == [pytest.ExitCode.OK, pytest.ExitCode.OK]
    assert sorted(str(result.parseoutcomes()) for result in outcomes) == ["{'passed': 1}", "{'xfailed': 1}"]


@either_way
def test_entry_with_a_star_names_many_tests(expecting: Expecting, workers: Sequence[str]) -> None:
    """Those that fail for its reason are expected, and the others may pass."""
    result = expecting(entry("test_message_order.py::test_*", **RACE), *workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert result.parseoutcomes()["passed"] > 0
    result.stdout.fnmatch_lines(["verdict: conformant in all that was checked, except * expected failure(s)"])


@either_way
def test_entry_with_a_star_is_limited_to_its_reason(expecting: Expecting, workers: Sequence[str]) -> None:
    """A failure for another reason fails the run; so does a failure of a test that it does not name."""
    result = expecting(entry("*", "no such reason", **RACE), *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ORD-1 changed: failed for an unexpected reason: [*] (entry 1 *"])
    result = expecting(entry("test_record_pairing.py::*", **RACE), *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*verdict: NOT conformant: failed: *ORD-1*"])


def test_missing_list_is_a_usage_error(judge: Judge, reference: str) -> None:
    """It is not treated as an empty list."""
    result = judge(reference, "message_order", options=("--grpcstream-expect=missing.toml",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Invalid expect 'missing.toml' from the option --grpcstream-expect; *"])


def test_lists_of_the_ini_file_and_of_options_add_up(expecting: Expecting, pytester: pytest.Pytester) -> None:
    """Paths in the ini file are relative to its folder."""
    (pytester.path / "more.toml").write_text(entry("ORD-1"), encoding="utf-8")
    pytester.makeini("[pytest]\ngrpcstream_expect = more.toml\n")
    assert expecting(ALL.replace(entry("ORD-1"), "")).ret == pytest.ExitCode.OK


def test_warning_may_be_listed(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """It is then expected, even in a strict run."""
    (pytester.path / "expect.toml").write_text(entry("ROBUST-4", "UNKNOWN"), encoding="utf-8")
    options = (*OPTIONS, "--grpcstream-strict", "--grpcstream-expect=expect.toml")
    result = judge(serve("plugin.servicers:UnknownWithoutPoint"), "survival_of_messages", options=options)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["xfailed"] == 3


WRITE = "--grpcstream-write-expect=written.toml"


@pytest.mark.parametrize(
    ("workers", "options"), [((), ("--grpcstream-expect=written.toml",)), (("-n2",), ())], ids=["alone", "xdist"]
)
def test_written_list_makes_the_next_run_pass(
    run_whole: Run, serve: Serve, pytester: pytest.Pytester, workers: Sequence[str], options: Sequence[str]
) -> None:
    """Links, comments and entries that still hold are kept, whether the run expects the old list or not."""
    kept = "# The header.\n\n# A comment.\n" + entry("ORD-1", "expected", link='"https://example.org/1"')
    other = '\n[[expect]]\nid = "ORD-11"  # about it\nreason = "no such reason"\nlink = "https://example.org/11"\n'
    (pytester.path / "written.toml").write_text(kept + other + entry("PAIR-1"), encoding="utf-8")
    target = f"--grpcstream-target={serve('plugin.servicers:ListSkipsOne')}"
    first = run_whole(target, WRITE, *options, *workers)
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(["grpcstream: written.toml was written: * expected failure(s)"])
    text = (pytester.path / "written.toml").read_text(encoding="utf-8")
    assert text.startswith(kept)
    assert 'id = "ORD-11"  # about it\nreason = ' in text
    assert 'link = "https://example.org/11"' in text
    assert "no such reason" not in text
    assert "PAIR-1" not in text
    second = run_whole(target, "--grpcstream-expect=written.toml", *workers)
    assert second.ret == pytest.ExitCode.OK, second.stdout.str()


def test_listed_test_that_was_skipped_is_not_written(run_whole: Run, serve: Serve, pytester: pytest.Pytester) -> None:
    """It does not fail, although the list makes the run fail."""
    skipped = entry("test_route_echoes_names_and_values_as_they_were_sent[library]")
    (pytester.path / "written.toml").write_text(skipped, encoding="utf-8")
    target = f"--grpcstream-target={serve('plugin.servicers:ListSkipsOne')}"
    result = run_whole(target, WRITE, "--grpcstream-expect=written.toml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ORD-6 changed: it was skipped, *"])
    assert "test_route_echoes_names" not in (pytester.path / "written.toml").read_text(encoding="utf-8")


def test_list_is_not_written_from_a_run_that_stopped(run_whole: Run, serve: Serve, pytester: pytest.Pytester) -> None:
    """The tests that were not reached have no verdict."""
    result = run_whole(f"--grpcstream-target={serve('plugin.servicers:ListSkipsOne')}", WRITE, "-x")
    result.stdout.fnmatch_lines(["grpcstream: written.toml was not written: that needs the whole suite, *"])
    assert not (pytester.path / "written.toml").exists()


def test_list_is_not_written_from_a_part_of_the_suite(judge: Judge, reference: str, pytester: pytest.Pytester) -> None:
    """It would say that every other test passes."""
    (pytester.path / "written.toml").write_text("# mine\n", encoding="utf-8")
    result = judge(reference, "record_pairing", options=(WRITE,))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["grpcstream: written.toml was not written: that needs the whole suite, *"])
    assert (pytester.path / "written.toml").read_text(encoding="utf-8") == "# mine\n"
