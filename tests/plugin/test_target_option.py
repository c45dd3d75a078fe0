"""--grpcstream-target: when the shipped suite runs."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from plugin.conftest import Run
from pytest_grpcstream.plugin.options import OPTIONS

SUITE = "pytest_grpcstream/conformance/"
STRESS_TESTS = "pytest_grpcstream.conformance.test_stress"
OWN_TEST = "def test_own(): pass"


def collected(result: pytest.RunResult) -> list[str]:
    """The ids that --collect-only -q listed."""
    return [line for line in result.outlines if "::" in line]


@pytest.fixture
def untouched() -> Iterator[str]:
    """An address to which no client connects during the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_target_alone_runs_the_suite(run: Run, core: str) -> None:
    """Options such as -k select from the suite."""
    result = run(f"--grpcstream-target={core}", "--grpcstream-client=library", "-k", "test_record_pairing or test_end")
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert outcomes["passed"] > 5
    result.stdout.fnmatch_lines(["pytest_grpcstream/conformance/test_end_of_stream.py *", "verdict: conformant*"])


def test_collection_does_not_contact_the_target(run: Run, untouched: str) -> None:
    """The ids of tests do not depend on the target."""
    result = run(f"--grpcstream-target={untouched}", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    ids = collected(result)
    assert len(ids) > 300
    assert len(set(ids)) == len(ids)
    assert all(one.startswith(SUITE) for one in ids)


def test_collection_does_not_start_the_target(run: Run, pytester: pytest.Pytester) -> None:
    """The command is not executed."""
    target = "exec:touch started --port {port}"
    assert run(f"--grpcstream-target={target}", "--collect-only", "-q").ret == pytest.ExitCode.OK
    assert not (pytester.path / "started").exists()


def test_own_tests_do_not_run_with_the_suite(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """A target without a path means the suite, even if testpaths names other tests."""
    pytester.makepyfile(test_own=OWN_TEST)
    pytester.makeini("[pytest]\ntestpaths = .\n")
    ids = collected(run(f"--grpcstream-target={untouched}", "--collect-only", "-q"))
    assert ids
    assert all(one.startswith(SUITE) for one in ids)


def test_path_replaces_the_suite(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """A user can name a target for their own tests."""
    pytester.makepyfile(test_own=OWN_TEST)
    result = run(f"--grpcstream-target={untouched}", "test_own.py", "-v")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_own.py::test_own PASSED*"])


def test_pyargs_selects_modules_and_tests_of_the_suite(run: Run, untouched: str) -> None:
    """Their ids are the same as in a run of the whole suite."""
    module = "pytest_grpcstream.conformance.test_half_close"
    ids = collected(run(f"--grpcstream-target={untouched}", "--collect-only", "-q", "--pyargs", module))
    assert ids
    assert all(one.startswith(f"{SUITE}test_half_close.py::") for one in ids)
    test = ids[0].partition("::")[2]
    alone = run(f"--grpcstream-target={untouched}", "--collect-only", "-q", "--pyargs", f"{module}::{test}")
    assert collected(alone) == ids[:1]


@pytest.mark.parametrize("source", ["ini", "environment"])
def test_only_the_option_starts_the_suite(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, untouched: str, source: str
) -> None:
    """A target in the ini file or the environment is for the fixtures; pytest then runs the tests of the project."""
    pytester.makepyfile(test_own=OWN_TEST)
    if source == "ini":
        pytester.makeini(f"[pytest]\ngrpcstream_target = {untouched}\n")
    else:
        monkeypatch.setenv("GRPCSTREAM_TARGET", untouched)
    result = run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"grpcstream: target {untouched} (from the *", "test_own.py::test_own PASSED*"])


def test_value_of_a_conftest_option_is_not_a_path(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """The suite runs, even if a space separates the option from its value."""
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--foo")

        def pytest_collection_finish(session):
            print("foo is", session.config.getoption("--foo"))
        """
    )
    result = run(f"--grpcstream-target={untouched}", "--foo", "bar", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*foo is bar"])
    assert len(collected(result)) > 300


def test_path_after_a_conftest_option_is_a_path(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """Only the tests at that path run."""
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--foo')")
    pytester.makepyfile(test_own=OWN_TEST)
    result = run(f"--grpcstream-target={untouched}", "--foo", "bar", "test_own.py", "--collect-only", "-q")
    assert collected(result) == ["test_own.py::test_own"]


@pytest.mark.parametrize(
    "ini",
    [
        "python_files = check_*.py\npython_functions = should_*",
        "python_files =\npython_functions =\npython_classes =",
        "norecursedirs = site-packages conformance\naddopts = --import-mode=importlib --strict-markers --strict-config",
    ],
)
def test_discovery_settings_of_a_project_do_not_affect_the_suite(
    run: Run, pytester: pytest.Pytester, untouched: str, ini: str
) -> None:
    """Whether the suite is named by --pyargs or started by the target."""
    named = ("--collect-only", "-q", "--pyargs", "pytest_grpcstream.conformance.test_half_close")
    expected = collected(run(*named))
    assert expected
    pytester.makeini(f"[pytest]\n{ini}\n")
    assert collected(run(*named)) == expected
    suite = collected(run(f"--grpcstream-target={untouched}", "--collect-only", "-q"))
    assert [one for one in suite if "/test_half_close.py" in one] == expected


def test_ids_do_not_depend_on_the_project(run: Run, pytester: pytest.Pytester) -> None:
    """Neither the current directory, nor pytest's rootdir, nor the other tests that are collected change an id."""
    named = ("--collect-only", "-q", "--pyargs", "pytest_grpcstream.conformance.test_half_close")
    expected = collected(run(*named))
    assert expected
    assert all(one.startswith(f"{SUITE}test_half_close.py::") for one in expected)
    below = pytester.mkdir("below")
    assert collected(run(*named, f"--rootdir={below}")) == expected
    pytester.makepyfile(test_own=OWN_TEST)
    assert collected(run(*named, "test_own.py")) == [*expected, "test_own.py::test_own"]


def test_own_folder_called_conformance_is_not_the_suite(run: Run, pytester: pytest.Pytester) -> None:
    """Its tests keep their ids."""
    pytester.mkdir("conformance")
    pytester.makepyfile(**{"conformance/test_own": OWN_TEST})
    assert collected(run("--collect-only", "-q")) == ["conformance/test_own.py::test_own"]


def test_run_without_a_target_is_unchanged(run: Run, pytester: pytest.Pytester) -> None:
    """Neither the output nor the exit code differs from a run without the plugin."""
    pytester.makepyfile(
        test_own="""
        import pytest

        def test_passes(): pass
        def test_fails(): assert 1 == 2
        def test_skips(): pytest.skip("not now")
        @pytest.mark.xfail
        def test_fails_as_expected(): assert 0
        @pytest.fixture
        def broken(): raise ValueError
        def test_errs(broken): pass
        """
    )

    def lines(result: pytest.RunResult) -> list[str]:
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        return [re.sub(r" in [\d.]+s.*", "", line) for line in result.outlines if not line.startswith("plugins: ")]

    assert lines(run("-v", "--strict-markers", "--strict-config")) == lines(
        run("-v", "--strict-markers", "--strict-config", "-pno:grpcstream")
    )


def test_markers_are_registered(run: Run) -> None:
    """``pytest --markers`` describes each."""
    result = run("--markers")
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.grpcstream(target): *",
            "@pytest.mark.grpcstream_requirement(id, [*], features=(), observed_by=()): *",
            "@pytest.mark.grpcstream_stress: *",
            "@pytest.mark.stress: *",
        ]
    )


@pytest.mark.parametrize(
    ("expression", "selected"),
    [((), False), (("-m", "stress"), True), (("-m", "grpcstream_stress"), True), (("-m", "not stress"), False)],
    ids=["default", "short", "long", "not"],
)
def test_stress_tests_run_only_if_selected(run: Run, expression: tuple[str, ...], selected: bool) -> None:
    """By either marker."""
    result = run("--grpcstream-target=127.0.0.1:1", "--collect-only", "-q", "--pyargs", *expression, STRESS_TESTS)
    assert ("::test_rapid_resets_leave_others_served" in result.stdout.str()) is selected


def test_options_are_documented(run: Run) -> None:
    """``pytest --help`` has a group with every option."""
    result = run("--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["conformance of gRPC streams:", "*--grpcstream-target=TARGET*"])
    for option in OPTIONS:
        assert option.flag in result.stdout.str()
