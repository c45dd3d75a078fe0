"""python -m pytest_grpcstream.report: the matrix of several reports, and what changed between two."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugin.conftest import Serve
from pytest_grpcstream.requirements.registry import registry
from reports.conftest import Report
from reports.documents import made, put

HEAVY = ("google.protobuf", "grpc", "h2", "hpack", "hyperframe", "pytest")


def command(*arguments: object, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    words = [sys.executable, "-P", *python, "-m", "pytest_grpcstream.report", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False, timeout=60)


def rows(text: str) -> dict[str, list[str]]:
    """The table of requirements by the first cell of each row."""
    lines = text.split("\n\n")[1].splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line.removesuffix(" |").split(" | ")[1:] for line in lines}


# merge ------------------------------------------------------------------------------------------------------------


def test_reports_of_runs_become_a_matrix(report: Report, serve: Serve, core: str, tmp_path: Path) -> None:
    """A row for each requirement that not all of them passed, in the order of the registry; a column for each."""
    good = put(tmp_path / "good.json", report(core, "record_pairing", "message_order").report)
    failing = serve("reports.servicers:RecordFails")
    modules = ("record_pairing", "survival_of_messages", "validity_of_requests::test_unknown_fields_are_ignored")
    bad = put(tmp_path / "bad.json", report(failing, *modules).report)
    done = command("merge", good, bad, "--name=the good one")
    assert (done.returncode, done.stderr) == (0, "")
    table = rows(done.stdout)
    address = serve("reports.servicers:RecordFails")
    assert table["requirement"] == ["severity", "sentence", "<code>the good one</code>", f"<code>{address}</code>"]
    assert [name for name in table if name in registry()] == [name for name in registry() if name in table]
    assert table["PAIR-1"] == ["error", registry()["PAIR-1"].sentence, "✓", "✗"]
    assert table["ORD-1"][2:] == ["✓", " "]
    assert table["WIRE-16"][2:] == [" ", "✓"]
    assert "PAIR-7" not in table  # not applicable to either
    assert "Legend: ✓ passed, ! warned, ✗ failed, " in done.stdout
    assert "| <code>the good one</code> | conformant | " in done.stdout


def test_every_verdict_has_a_symbol_of_its_own_that_the_legend_explains(tmp_path: Path) -> None:
    """What was not run is empty; what was only skipped, or not run, has no row."""
    verdicts = ("passed", "warned", "expected", "failed", "changed", "fixed", "flaky", "inconclusive")
    names = list(registry())[: len(verdicts)]
    skipped = list(registry())[len(verdicts)]
    first = put(tmp_path / "a.json", made(*zip(names, verdicts, strict=True), (skipped, "not applicable")))
    second = put(tmp_path / "b.json", made((names[0], "not applicable")))
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


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """The target is the name where none was given."""
    path = put(tmp_path / "a.json", made(("ORD-1", "passed")))
    table = rows(command("merge", path, path, path, "--name=one:1 (2)").stdout)
    assert table["requirement"][2:] == ["<code>one:1 (2)</code>", "<code>one:1</code>", "<code>one:1 (3)</code>"]


def test_a_hostile_report_cannot_break_out_of_the_matrix(tmp_path: Path) -> None:
    """Names, sentences, versions and requirements that nobody knows are texts from outside."""
    evil = "<b>|@you\n# `x` \x1b[2J"
    report = made(("ORD-1", "passed"), target=evil)
    report["plugin"]["version"] = evil
    report["requirements"].append({**report["requirements"][0], "id": "ZZZ-1", "verdict": "failed", "sentence": evil})
    done = command("merge", put(tmp_path / "a.json", report), f"--name={evil}")
    assert done.returncode == 0
    assert list(rows(done.stdout))[-1] == "ZZZ-1"
    assert not {"\x1b", "@", "`", "#"} & set(done.stdout.replace("&#", ""))
    assert "<b>" not in done.stdout
    assert all(line.startswith(("|", "Legend: ", "Passed by all: ")) for line in done.stdout.splitlines() if line)


def test_what_all_passed_has_no_row(tmp_path: Path) -> None:
    """One line names it; what one of them did not pass, or was not asked, stays a row."""
    names = list(registry())[:4]
    rest = [(names[1], "passed"), (names[2], "passed"), (names[3], "passed")]
    first = put(tmp_path / "a.json", made((names[0], "passed"), *rest))
    second = put(tmp_path / "b.json", made((names[0], "passed"), (names[1], "warned"), (names[2], "passed")))
    done = command("merge", first, second)
    assert [name for name in rows(done.stdout) if name in registry()] == [names[1], names[3]]
    assert f"\nPassed by all: {names[0]}, {names[2]}.\n" in done.stdout
    assert "Passed by all" not in command("merge", second, put(tmp_path / "c.json", made((names[3], "passed")))).stdout


@pytest.mark.parametrize("count", [8, 9])
def test_many_columns_are_headed_by_numbers(tmp_path: Path, count: int) -> None:
    """The table of the targets has the same numbers."""
    path = put(tmp_path / "a.json", made(("ORD-1", "warned")))
    done = command("merge", *[path] * count, *(f"--name=stack {number}" for number in range(1, count + 1)))
    heads = rows(done.stdout)["requirement"][2:]
    if count > 8:
        assert heads == [str(number) for number in range(1, count + 1)]
        assert done.stdout.startswith("| column | target | verdict | ")
        assert "\n| 9 | <code>stack 9</code> | " in done.stdout
    else:
        assert heads == [f"<code>stack {number}</code>" for number in range(1, count + 1)]
        assert done.stdout.startswith("| target | verdict | ")


def test_there_are_no_more_names_than_reports(tmp_path: Path) -> None:
    """A name without a report is a mistake."""
    path = put(tmp_path / "a.json", made(("ORD-1", "passed")))
    done = command("merge", path, "--name=a", "--name=b")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "there are 2 names for 1 report(s)\n")


# diff -------------------------------------------------------------------------------------------------------------


def test_what_got_worse_between_two_runs_is_told(report: Report, serve: Serve, core: str, tmp_path: Path) -> None:
    """By requirement and by test; the exit code is that of a gate. The other way round it is no regression."""
    old = put(tmp_path / "old.json", report(core, "record_pairing").report)
    new = put(tmp_path / "new.json", report(serve("reports.servicers:RecordFails"), "record_pairing").report)
    done = command("diff", old, new)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"old: {core}: conformant (" in done.stdout
    assert "  PAIR-1 (error): passed -> failed\n" in done.stdout
    test = "test_record_pairing.py::test_record_is_answered_exactly_once[wire-1] (error): passed -> failed: expected "
    assert test in done.stdout
    assert "better: " not in done.stdout
    back = command("diff", new, old)
    assert back.returncode == 0
    assert "regressions: " not in back.stdout
    assert "better: " in back.stdout
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
def test_a_regression_is_something_good_that_was_lost(
    tmp_path: Path, requirement: str, before: str | None, after: str | None, worse: bool
) -> None:
    """A new failure of what was never well is none; what is missing is one if it hurts users."""
    assert (registry()["ORD-1"].severity, registry()["WIRE-18"].severity, registry()["WIRE-8"].severity) == (
        "error", "warning", "info"
    )  # fmt: skip
    paths = [
        put(tmp_path / f"{name}.json", made(*([] if verdict is None else [(requirement, verdict, "why")])))
        for name, verdict in (("old", before), ("new", after))
    ]
    done = command("diff", *paths)
    assert done.returncode == int(worse), done.stdout
    assert ("regressions: 1 test(s)\n" in done.stdout) is worse
    assert f"{before or 'missing'} -> {after or 'missing'}" in done.stdout


def test_what_was_asked_for_differently_is_told(tmp_path: Path) -> None:
    """So that a change need not be taken for the target's."""
    old = made(("ORD-1", "passed"), whole=False, exit_code=0)
    old["target"]["features"] = ["abort", "echo"]
    new = made(("ORD-1", "passed"), strict=True, client="wire", exit_code=2)
    new["target"]["features"] = ["abort", "sleep"]
    done = command("diff", put(tmp_path / "old.json", old), put(tmp_path / "new.json", new))
    assert done.stdout.splitlines()[2:] == [
        "note: clients differs: wire and library, then wire",
        "note: strict differs: no, then yes",
        "note: whole differs: no, then yes",
        "note: features differ: now without echo and with sleep",
        "note: the new run is not complete",
        "no verdict changed",
    ]
    assert done.returncode == 0


def test_a_hostile_report_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    """Its texts are escaped and cut."""
    old, new = made(("ORD-1", "passed")), made(("ORD-1", "failed", "x"), target="\x1b]0;owned\x07" * 1000)
    new["tests"][0].update(nodeid="\x1b[2J\nregressions: 0\u202e", reason="\x07\r\n" * 100_000)
    done = command("diff", put(tmp_path / "old.json", old), put(tmp_path / "new.json", new))
    assert done.returncode == 1
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
    assert "\nregressions: 0" not in done.stdout
    assert len(done.stdout) < 5000


# Both -------------------------------------------------------------------------------------------------------------

VALID = made(("ORD-1", "passed"))
NO_REPORTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is no report: it is not JSON: Expecting value"),
    "no-utf-8": (b"\xff\xfe\xfa", "is no report: it is not JSON: "),
    "deep": (b"[" * 100_000, "is no report: it is not JSON: "),
    "large-number": (b'{"schema": ' + b"9" * 10_000 + b"}", "is no report: it is not JSON: "),
    "list": (b"[]", "is no report: the document is no object"),
    "object": (b"{}", "is no report: the document has no 'schema'"),
    "newer": (
        json.dumps({**VALID, "schema": 2}).encode(),
        "has schema 2; this version of pytest-grpcstream reads up to 1",
    ),
    "true": (json.dumps({**VALID, "schema": True}).encode(), "is no report: schema is not 1"),
    "verdict": (
        json.dumps({**VALID, "tests": [{**VALID["tests"][0], "verdict": "\x1b[2J"}]}).encode(),
        "is no report: tests[0].verdict is none of failed, ",
    ),
    "not-a-number": (
        json.dumps({**VALID, "tests": [{**VALID["tests"][0], "duration": float("nan")}]}).encode(),
        "is no report: tests[0].duration is not 0 or more",
    ),
    "path": (
        json.dumps({**VALID, "tests": [{**VALID["tests"][0], "pcap": "pcap/../../x.pcap"}]}).encode(),
        "is no report: tests[0].pcap does not fit ",
    ),
}


@pytest.mark.parametrize("name", NO_REPORTS)
def test_what_is_no_report_is_one_clear_line(tmp_path: Path, name: str) -> None:
    """The line names the file and what is wrong with it."""
    content, message = NO_REPORTS[name]
    path = tmp_path / f"{name}.json"
    path.write_bytes(content)
    good = put(tmp_path / "good.json", VALID)
    for arguments in (("diff", good, path), ("diff", path, good), ("merge", good, path)):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith(f"{path} {message}")
        assert line.isprintable()


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    """A folder stands for the report in it."""
    done = command("diff", tmp_path / "none.json", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/none.json cannot be read: No such file or directory\n")
    put(tmp_path / "report.json", VALID)
    assert command("diff", tmp_path, tmp_path).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("merge",), ("diff", "one"), ("other",)])
def test_wrong_usage_says_what_is_right(arguments: tuple[str, ...]) -> None:
    """As every command does."""
    done = command(*arguments)
    assert done.returncode == 2
    assert "usage: python -m pytest_grpcstream.report" in done.stderr


def test_it_imports_nothing_heavy(tmp_path: Path) -> None:
    """A job that only compares files needs neither gRPC nor pytest."""
    path = put(tmp_path / "a.json", VALID)
    for arguments in (("merge", path, path), ("diff", path, path)):
        done = command(*arguments, python=("-X", "importtime"))
        assert done.returncode == 0
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "pytest_grpcstream.report.reader" in loaded
        assert loaded.isdisjoint(HEAVY)


def test_the_matrix_can_be_written_in_any_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its symbols are UTF-8 wherever it is piped to."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = command("merge", put(tmp_path / "a.json", VALID))
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓" in done.stdout


def test_a_field_that_is_not_known_is_passed_over(tmp_path: Path) -> None:
    """A later version may add some."""
    report: dict[str, Any] = {**VALID, "later": 1, "tests": [{**VALID["tests"][0], "later": None}]}
    path = put(tmp_path / "a.json", report)
    assert command("diff", path, path).returncode == 0
