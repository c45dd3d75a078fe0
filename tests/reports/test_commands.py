"""python -m pytest_grpcstream.report: the matrix of several reports, and the comparison of two."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from plugin.conftest import Serve
from pytest_grpcstream.requirements.registry import registry
from pytest_grpcstream.verdicts.verdict import Verdict
from reports.conftest import Report, Reported
from reports.documents import make_report, write_report

HEAVY = ("google.protobuf", "grpc", "h2", "hpack", "hyperframe", "pytest")


def command(*arguments: object, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    words = [sys.executable, "-P", *python, "-m", "pytest_grpcstream.report", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False, timeout=60)


def save(found: Reported, path: Path) -> Path:
    """Copy the report of a run to a place where no other run replaces it."""
    return Path(shutil.copy(found.folder / "report.json", path))


def rows(text: str) -> dict[str, list[str]]:
    """The table of requirements by the first cell of each row."""
    lines = text.split("\n\n")[1].splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line.removesuffix(" |").split(" | ")[1:] for line in lines}


# merge ------------------------------------------------------------------------------------------------------------


def test_merge_prints_a_row_per_requirement_and_a_column_per_report(
    report: Report, serve: Serve, core: str, tmp_path: Path
) -> None:
    """Rows are in the order of the registry, without requirements that all targets passed."""
    good = save(report(core, "record_pairing", "message_order"), tmp_path / "good.json")
    modules = ("record_pairing", "survival_of_messages", "validity_of_requests::test_unknown_fields_are_ignored")
    bad = save(report(serve("reports.servicers:RecordFails"), *modules), tmp_path / "bad.json")
    done = command("merge", good, bad, "--name=the good one")
    assert (done.returncode, done.stderr) == (0, "")
    table = rows(done.stdout)
    address = serve("reports.servicers:RecordFails")
    assert table["requirement"] == ["severity", "sentence", "<code>the good one</code>", f"<code>{address}</code>"]
    assert [name for name in table if name in registry()] == [name for name in registry() if name in table]
    assert table["PAIR-1"] == ["error", registry()["PAIR-1"].sentence, "✓", "✗"]
    assert table["ORD-1"][2:] == ["✓", " "]
    assert table["WIRE-16"][2:] == [" ", "✓"]
    assert "PAIR-7" not in table  # not applicable to both
    assert "Legend: ✓ passed, ! warned, ✗ failed, " in done.stdout
    assert "| <code>the good one</code> | conformant | " in done.stdout


def test_legend_explains_a_distinct_symbol_for_every_verdict(tmp_path: Path) -> None:
    """Cells of tests that were not run are empty; a requirement that was only skipped, or not run, has no row."""
    verdicts = ("passed", "warned", "expected", "failed", "changed", "fixed", "flaky", "inconclusive")
    names = list(registry())[: len(verdicts)]
    skipped = list(registry())[len(verdicts)]
    first = write_report(
        tmp_path / "a.json", make_report(*zip(names, verdicts, strict=True), (skipped, "not applicable"))
    )
    second = write_report(tmp_path / "b.json", make_report((names[0], "not applicable"), (names[1], "not run")))
    done = command("merge", first, second)
    table = rows(done.stdout)
    symbols = [table[name][2] for name in names]
    assert len(set(symbols)) == len(verdicts)
    assert table[names[0]][3] == "-"
    assert table[names[1]][3] == " "
    assert skipped not in table
    [legend] = [line for line in done.stdout.splitlines() if line.startswith("Legend: ")]
    assert [symbol for symbol in symbols if f"{symbol} " not in legend] == []
    assert legend.endswith("- not applicable, empty: not run.")


def test_columns_with_equal_names_are_numbered(tmp_path: Path) -> None:
    """The default name of a column is its target."""
    path = write_report(tmp_path / "a.json", make_report(("ORD-1", "passed")))
    table = rows(command("merge", path, path, path, "--name=one:1 (2)").stdout)
    assert table["requirement"][2:] == ["<code>one:1 (2)</code>", "<code>one:1</code>", "<code>one:1 (3)</code>"]


def test_hostile_report_cannot_break_out_of_the_matrix(tmp_path: Path) -> None:
    """Names, sentences, versions and unknown requirements are texts from outside."""
    evil = "<b>|@you\n# `x` \x1b[2J"
    report = make_report(("ORD-1", "passed"), target=evil)
    unknown = replace(report.requirements[0], id="ZZZ-1", verdict=Verdict.FAILED, sentence=evil)
    plugin = replace(report.plugin, version=evil)
    report = replace(report, plugin=plugin, requirements=(*report.requirements, unknown))
    done = command("merge", write_report(tmp_path / "a.json", report), f"--name={evil}")
    assert done.returncode == 0
    assert list(rows(done.stdout))[-1] == "ZZZ-1"
    assert not {"\x1b", "@", "`", "#"} & set(done.stdout.replace("&#", ""))
    assert "<b>" not in done.stdout
    assert all(line.startswith(("|", "Legend: ", "Passed by all: ")) for line in done.stdout.splitlines() if line)


def test_requirements_that_all_targets_passed_have_no_row(tmp_path: Path) -> None:
    """One line names them; a requirement that one target did not pass, or was not tested for, keeps its row."""
    names = list(registry())[:4]
    rest = [(names[1], "passed"), (names[2], "passed"), (names[3], "passed")]
    first = write_report(tmp_path / "a.json", make_report((names[0], "passed"), *rest))
    second = write_report(
        tmp_path / "b.json", make_report((names[0], "passed"), (names[1], "warned"), (names[2], "passed"))
    )
    done = command("merge", first, second)
    assert [name for name in rows(done.stdout) if name in registry()] == [names[1], names[3]]
    assert f"\nPassed by all: {names[0]}, {names[2]}.\n" in done.stdout
    assert (
        "Passed by all"
        not in command("merge", second, write_report(tmp_path / "c.json", make_report((names[3], "passed")))).stdout
    )


@pytest.mark.parametrize("count", [8, 9])
def test_more_than_eight_columns_are_headed_by_numbers(tmp_path: Path, count: int) -> None:
    """The table of the targets explains the numbers."""
    path = write_report(tmp_path / "a.json", make_report(("ORD-1", "warned")))
    done = command("merge", *[path] * count, *(f"--name=stack {number}" for number in range(1, count + 1)))
    heads = rows(done.stdout)["requirement"][2:]
    if count > 8:
        assert heads == [str(number) for number in range(1, count + 1)]
        assert done.stdout.startswith("| column | target | verdict | ")
        assert "\n| 9 | <code>stack 9</code> | " in done.stdout
    else:
        assert heads == [f"<code>stack {number}</code>" for number in range(1, count + 1)]
        assert done.stdout.startswith("| target | verdict | ")


def test_more_names_than_reports_are_wrong_usage(tmp_path: Path) -> None:
    """The message says how many were given, and how many are valid."""
    path = write_report(tmp_path / "a.json", make_report(("ORD-1", "passed")))
    done = command("merge", path, "--name=a", "--name=b")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "got 2 names for 1 report(s); at most one --name per report is valid\n",
    )


# diff -------------------------------------------------------------------------------------------------------------


def test_diff_lists_regressions_by_requirement_and_test(
    report: Report, serve: Serve, core: str, tmp_path: Path
) -> None:
    """Its exit code is 1 then; the other way round they are improvements."""
    old = save(report(core, "record_pairing"), tmp_path / "old.json")
    new = save(report(serve("reports.servicers:RecordFails"), "record_pairing"), tmp_path / "new.json")
    done = command("diff", old, new)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"old: {core}: conformant (" in done.stdout
    assert "  PAIR-1 (error): passed -> failed\n" in done.stdout
    test = "test_record_pairing.py::test_record_is_answered_exactly_once[wire-1] (error): passed -> failed: expected "
    assert test in done.stdout
    assert "improvements: " not in done.stdout
    back = command("diff", new, old)
    assert back.returncode == 0
    assert "regressions: " not in back.stdout
    assert "improvements: " in back.stdout
    same = command("diff", tmp_path / "old.json", old)
    assert (same.returncode, same.stdout.splitlines()[2:]) == (0, ["no verdict changed"])


@pytest.mark.parametrize(
    ("requirement", "before", "after", "worse"),
    [
        ("ORD-1", "passed", "failed", True),
        ("ORD-1", "warned", "failed", True),
        ("ORD-1", "passed", "inconclusive", True),
        ("ORD-1", "passed", "flaky", True),
        ("ORD-1", "passed", "changed", True),
        ("ORD-1", "passed", None, True),
        ("ORD-1", "warned", None, True),
        ("ORD-1", "passed", "warned", False),
        ("ORD-1", "passed", "not applicable", False),
        ("ORD-1", "passed", "not run", False),
        ("ORD-1", "passed", "expected", False),
        ("ORD-1", "passed", "fixed", False),
        ("ORD-1", "failed", "inconclusive", False),
        ("ORD-1", "failed", None, False),
        ("ORD-1", "not applicable", None, False),
        ("ORD-1", "not applicable", "failed", False),
        ("ORD-1", "failed", "passed", False),
        ("ORD-1", "expected", "changed", False),
        ("ORD-1", None, "failed", False),
        ("WIRE-18", "passed", "inconclusive", True),
        ("WIRE-18", "passed", "failed", True),
        ("WIRE-18", "passed", None, False),
        ("WIRE-8", "passed", None, False),
    ],
)
def test_regression_is_a_healthy_verdict_that_was_lost(
    tmp_path: Path, requirement: str, before: str | None, after: str | None, worse: bool
) -> None:
    """A requirement that was not healthy before cannot regress; a missing verdict counts at the severity error."""
    assert (registry()["ORD-1"].severity, registry()["WIRE-18"].severity, registry()["WIRE-8"].severity) == (
        "error", "warning", "info"
    )  # fmt: skip
    paths = [
        write_report(
            tmp_path / f"{name}.json", make_report(*([] if verdict is None else [(requirement, verdict, "why")]))
        )
        for name, verdict in (("old", before), ("new", after))
    ]
    done = command("diff", *paths)
    assert done.returncode == int(worse), done.stdout
    assert ("regressions: 1 test(s)\n" in done.stdout) is worse
    assert f"{before or 'missing'} -> {after or 'missing'}" in done.stdout


def test_diff_notes_different_settings(tmp_path: Path) -> None:
    """A change may come from them instead of the target."""
    old = make_report(("ORD-1", "passed"), whole=False, exit_code=0)
    old = replace(old, target=replace(old.target, features=("abort", "echo")))
    new = make_report(("ORD-1", "passed"), strict=True, client="wire", exit_code=2)
    new = replace(new, target=replace(new.target, features=("abort", "sleep")))
    done = command("diff", write_report(tmp_path / "old.json", old), write_report(tmp_path / "new.json", new))
    assert done.stdout.splitlines()[2:] == [
        "note: clients differs: wire and library, then wire",
        "note: strict differs: no, then yes",
        "note: whole differs: no, then yes",
        "note: features differ: now without echo and with sleep",
        "note: the new run is not complete",
        "no verdict changed",
    ]
    assert done.returncode == 0


def test_hostile_report_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    """Its texts are escaped and cut."""
    old, new = make_report(("ORD-1", "passed")), make_report(("ORD-1", "failed", "x"), target="\x1b]0;owned\x07" * 1000)
    hostile = replace(new.tests[0], nodeid="\x1b[2J\nregressions: 0\u202e", reason="\x07\r\n" * 100_000)
    new = replace(new, tests=(hostile,))
    done = command("diff", write_report(tmp_path / "old.json", old), write_report(tmp_path / "new.json", new))
    assert done.returncode == 1
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
    assert "\nregressions: 0" not in done.stdout
    assert len(done.stdout) < 5000


# Both -------------------------------------------------------------------------------------------------------------

VALID = make_report(("ORD-1", "passed"))


def test_file_that_is_not_a_report_is_one_line(tmp_path: Path) -> None:
    """The line names the file and what is wrong with it; nothing else is printed."""
    bad = tmp_path / "bad.json"
    bad.write_text("[]")
    good = write_report(tmp_path / "good.json", VALID)
    for arguments in (("diff", good, bad), ("diff", bad, good), ("merge", good, bad)):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"{bad} is not a report: Expected `object`, got `array`\n"


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    """A folder stands for the report in it."""
    done = command("diff", tmp_path / "none.json", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/none.json cannot be read: No such file or directory\n")
    write_report(tmp_path / "report.json", VALID)
    assert command("diff", tmp_path, tmp_path).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("merge",), ("diff", "one"), ("other",)])
def test_wrong_usage_prints_the_usage(arguments: tuple[str, ...]) -> None:
    """The exit code is 2."""
    done = command(*arguments)
    assert done.returncode == 2
    assert "usage: python -m pytest_grpcstream.report" in done.stderr


def test_commands_import_nothing_heavy(tmp_path: Path) -> None:
    """A job that only compares files does not need gRPC or pytest."""
    path = write_report(tmp_path / "a.json", VALID)
    for arguments in (("merge", path, path), ("diff", path, path)):
        done = command(*arguments, python=("-X", "importtime"))
        assert done.returncode == 0
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "pytest_grpcstream.report.reader" in loaded
        assert loaded.isdisjoint(HEAVY)


def test_matrix_is_utf_8_in_any_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is piped to."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = command("merge", write_report(tmp_path / "a.json", VALID))
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓" in done.stdout
