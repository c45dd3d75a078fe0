"""--grpcstream-target: when the shipped suite runs, and when it does not."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from plugin.conftest import Run

SUITE = "pytest_grpcstream/conformance/"
STRESS_TESTS = "pytest_grpcstream.conformance.test_stress"
OWN_TEST = "def test_own(): pass"


def collected(result: pytest.RunResult) -> list[str]:
    """The ids that --collect-only -q has listed."""
    return [line for line in result.outlines if "::" in line]


@pytest.fixture
def untouched() -> Iterator[str]:
    """An address that nobody connects to during the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_bare_run_runs_the_suite(run: Run, core: str) -> None:
    """In an empty folder there is nothing else to run; options such as -k choose from the suite."""
    result = run(f"--grpcstream-target={core}", "--grpcstream-client=library", "-k", "test_record_pairing or test_end")
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert outcomes["passed"] > 5
    result.stdout.fnmatch_lines(["pytest_grpcstream/conformance/test_end_of_stream.py *", "verdict: conformant*"])


def test_collecting_contacts_nothing(run: Run, untouched: str) -> None:
    """The tests are known without their target."""
    result = run(f"--grpcstream-target={untouched}", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    ids = collected(result)
    assert len(ids) > 300
    assert len(set(ids)) == len(ids)
    assert all(one.startswith(SUITE) for one in ids)


def test_collecting_starts_nothing(run: Run, pytester: pytest.Pytester) -> None:
    """A command is not run either."""
    target = "exec:touch started --port {port}"
    assert run(f"--grpcstream-target={target}", "--collect-only", "-q").ret == pytest.ExitCode.OK
    assert not (pytester.path / "started").exists()


def test_a_project_s_own_tests_do_not_run_with_the_suite(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """A bare run with a target means the suite, also where testpaths names others."""
    pytester.makepyfile(test_own=OWN_TEST)
    pytester.makeini("[pytest]\ntestpaths = .\n")
    ids = collected(run(f"--grpcstream-target={untouched}", "--collect-only", "-q"))
    assert ids
    assert all(one.startswith(SUITE) for one in ids)


def test_with_a_path_only_that_runs(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """A target may be given for tests of one's own."""
    pytester.makepyfile(test_own=OWN_TEST)
    result = run(f"--grpcstream-target={untouched}", "test_own.py", "-v")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_own.py::test_own PASSED*"])


def test_with_pyargs_only_that_module_is_collected(run: Run, untouched: str) -> None:
    """One module of the suite, or one test of it, has the id that it has in the whole."""
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
    """A target in the ini file or the environment is for the fixtures; a bare run then runs what it always runs."""
    pytester.makepyfile(test_own=OWN_TEST)
    if source == "ini":
        pytester.makeini(f"[pytest]\ngrpcstream_target = {untouched}\n")
    else:
        monkeypatch.setenv("GRPCSTREAM_TARGET", untouched)
    result = run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"grpcstream: target {untouched} (from the *", "test_own.py::test_own PASSED*"])


def test_an_option_of_a_conftest_does_not_hide_the_suite(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """The value of an option that only the project knows is no path, also with a space before it."""
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


def test_an_option_of_a_conftest_and_a_path_are_told_apart(run: Run, pytester: pytest.Pytester, untouched: str) -> None:
    """With a path behind such an option, only the path runs."""
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
def test_how_a_project_finds_its_tests_does_not_hide_the_suite(
    run: Run, pytester: pytest.Pytester, untouched: str, ini: str
) -> None:
    """What is collected in a project has no influence on what is shipped, whether the suite is named or not."""
    named = ("--collect-only", "-q", "--pyargs", "pytest_grpcstream.conformance.test_half_close")
    expected = collected(run(*named))
    assert expected
    pytester.makeini(f"[pytest]\n{ini}\n")
    assert collected(run(*named)) == expected
    bare = collected(run(f"--grpcstream-target={untouched}", "--collect-only", "-q"))
    assert [one for one in bare if "/test_half_close.py" in one] == expected


def test_ids_are_the_same_everywhere(run: Run, pytester: pytest.Pytester) -> None:
    """Neither the current folder nor pytest's root folder, nor what else is collected, is in the id of a test."""
    named = ("--collect-only", "-q", "--pyargs", "pytest_grpcstream.conformance.test_half_close")
    expected = collected(run(*named))
    assert expected
    assert all(one.startswith(f"{SUITE}test_half_close.py::") for one in expected)
    below = pytester.mkdir("below")
    assert collected(run(*named, f"--rootdir={below}")) == expected
    pytester.makepyfile(test_own=OWN_TEST)
    assert collected(run(*named, "test_own.py")) == [*expected, "test_own.py::test_own"]


def test_a_folder_of_that_name_is_not_the_suite(run: Run, pytester: pytest.Pytester) -> None:
    """A project's own folder called conformance keeps its ids."""
    pytester.mkdir("conformance")
    pytester.makepyfile(**{"conformance/test_own": OWN_TEST})
    assert collected(run("--collect-only", "-q")) == ["conformance/test_own.py::test_own"]


def test_a_plain_run_is_not_disturbed(run: Run, pytester: pytest.Pytester) -> None:
    """Without a target and without a fixture of it, the plugin changes nothing that is printed or returned."""
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


def test_the_markers_are_registered(run: Run) -> None:
    """``pytest --markers`` says what each is for."""
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
    ids=["unasked", "short", "long", "not"],
)
def test_stress_must_be_asked_for(run: Run, expression: tuple[str, ...], selected: bool) -> None:
    """Floods are part of a run only if somebody names them, by either marker."""
    result = run("--grpcstream-target=127.0.0.1:1", "--collect-only", "-q", "--pyargs", *expression, STRESS_TESTS)
    assert ("::test_rapid_resets_leave_others_served" in result.stdout.str()) is selected


def test_the_options_are_documented(run: Run) -> None:
    """``pytest --help`` has a group with every option."""
    result = run("--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["conformance of gRPC streams:", "*--grpcstream-target=TARGET*"])
    for name in ("features", "client", "timeout", "quiet", "startup-timeout", "strict"):
        assert f"--grpcstream-{name}" in result.stdout.str()
