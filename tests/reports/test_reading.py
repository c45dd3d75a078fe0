"""Reading reports back: hostile files are refused with one line, and the published schema says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.report import reader
from pytest_grpcstream.report.files import PCAP_PATTERN, TIMELINE_PATTERN
from pytest_grpcstream.report.reader import ReportError, read
from pytest_grpcstream.report.schema import generate_schema
from pytest_grpcstream.settings import CLIENTS
from pytest_grpcstream.verdicts.verdict import Verdict
from reports.documents import as_json, make_report, write_report
from reports.reading import SCHEMA, find_problems

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "generate_report_schema.py"
VALID = as_json(make_report(("ORD-1", "passed")))


def changed(*place: str | int, value: Any) -> dict[str, Any]:
    """A valid report with another value at a place."""
    report: Any = json.loads(json.dumps(VALID))
    inner = report
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return dict(report)


WRONG: dict[str, tuple[object, str]] = {
    "list": ([], "Expected `object`, got `array`"),
    "object": ({}, "Object missing required field `schema`"),
    "true": (changed("schema", value=True), "Expected `int`, got `bool` - at `$.schema`"),
    "zero": (changed("schema", value=0), "Invalid enum value 0 - at `$.schema`"),
    "missing": ({name: VALID[name] for name in VALID if name != "tests"}, "Object missing required field `tests`"),
    "deep": (changed("tests", 0, "direct", value={"verdict": "failed"}), "field `reason` - at `$.tests[0].direct`"),
    "verdict": (changed("tests", 0, "verdict", value="x\x1b[2J"), "'x\\x1b[2J' - at `$.tests[0].verdict`"),
    "word": (changed("verdict", "word", value="good"), "Invalid enum value 'good' - at `$.verdict.word`"),
    "negative": (changed("tests", 0, "duration", value=-1), "Expected `float` >= 0.0 - at `$.tests[0].duration`"),
    "count": (changed("counts", "passed", value=-1), "Expected `int` >= 0 - at `$.counts[...]`"),
    "no-count": (changed("counts", value={"passed": 1}), "counts has no 'failed'"),
    "other-count": (changed("counts", "perfect", value=1), "Invalid enum value 'perfect' - at `key` in `$.counts`"),
    "repeat": (changed("repeat", value=0), "Expected `int` >= 1 - at `$.repeat`"),
    "text": (changed("target", "text", value=1), "Expected `str | null`, got `int` - at `$.target.text`"),
    "client": (changed("tests", 0, "client", value="wires"), "- at `$.tests[0].client`"),
    "clients": (changed("clients", value=["wire", "wire\n"]), "- at `$.clients[1]`"),
    "feature": (changed("target", "features", value=["echo", "flight"]), "- at `$.target.features[1]`"),
    "id": (changed("requirements", 0, "id", value="ORD-1\n"), "- at `$.requirements[0].id`"),
    "moment": (changed("started", value="2026-01-01"), "- at `$.started`"),
    "path": (changed("tests", 0, "pcap", value="pcap/../../x.pcap"), "- at `$.tests[0].pcap`"),
    "other-path": (changed("tests", 0, "timeline", value="pcap/x.pcap"), "- at `$.tests[0].timeline`"),
    "line-break": (changed("tests", 0, "timeline", value="timelines/x.jsonl\n"), "- at `$.tests[0].timeline`"),
}
"""Documents that are not reports, and what is wrong with them."""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused_with_their_place(tmp_path: Path, name: str) -> None:
    """The message is one printable line; the published schema refuses the document too."""
    document, problem = WRONG[name]
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ReportError) as raised:
        read(path)
    message = str(raised.value)
    assert message.startswith(f"{path} is not a report: ")
    assert problem in message
    assert message.isprintable()
    assert find_problems(document)


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "Input data was truncated"),
    "no-utf-8": (b"\xff\xfe\xfa", "JSON is malformed: invalid character (byte 0)"),
    "cut": (json.dumps(VALID).encode()[:-20], "Input data was truncated"),
    "deep": (b'{"later": ' + b"[" * 100_000, "maximum recursion depth exceeded"),
    "large-number": (b'{"schema": ' + b"9" * 10_000 + b"}", "out of range"),
    "infinite": (json.dumps(changed("exit_code", value=1e999)).encode(), "JSON is malformed: invalid character"),
    "not-a-number": (
        json.dumps(changed("tests", 0, "duration", value=float("nan"))).encode(),
        "JSON is malformed: invalid character",
    ),
    "surrogate": (json.dumps(changed("tests", 0, "reason", value="\ud800.....")).encode(), "JSON is malformed"),
}
"""Contents that are not even JSON that can be read, and why."""


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_is_refused(tmp_path: Path, name: str) -> None:
    """As one printable line, however much or deep it is."""
    content, problem = BROKEN[name]
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ReportError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path} is not a report: ")
    assert problem in str(raised.value)
    assert str(raised.value).isprintable()


def test_large_file_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit protects the memory of the reader."""
    path = write_report(tmp_path / "report.json", make_report())
    size = path.stat().st_size
    monkeypatch.setattr(reader, "SIZE_LIMIT", size)
    read(path)
    monkeypatch.setattr(reader, "SIZE_LIMIT", size - 1)
    with pytest.raises(ReportError, match=f"is not a report: it has more than {size - 1} bytes"):
        read(path)


@pytest.mark.parametrize("version", [2, 10**18])
def test_newer_schema_is_refused_by_its_number(tmp_path: Path, version: int) -> None:
    """Whatever else a later version changed."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"schema": version}))
    with pytest.raises(ReportError, match=f"has schema {version}; this version of pytest-grpcstream reads up to 1"):
        read(path)


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    """A later version may add some, at any depth."""
    path = tmp_path / "report.json"
    document = changed("tests", 0, value={**VALID["tests"][0], "later": [{}]})
    path.write_text(json.dumps({**document, "later": 1}))
    assert as_json(read(path)) == VALID
    assert find_problems({**document, "later": 1}) == []


def test_reports_without_a_count_of_not_run_are_read(tmp_path: Path) -> None:
    """Earlier versions did not know that verdict."""
    counts = {word: count for word, count in VALID["counts"].items() if word != "not run"}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(changed("counts", value=counts)))
    assert read(path).tests == make_report(("ORD-1", "passed")).tests
    assert find_problems(changed("counts", value=counts)) == []


def test_last_of_duplicate_keys_counts(tmp_path: Path) -> None:
    """As in most readers of JSON."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps(VALID)[:-1] + ', "repeat": 7}')
    assert read(path).repeat == 7


# The schema -------------------------------------------------------------------------------------------------------


def test_published_schema_is_generated_from_the_types() -> None:
    """The script that writes it agrees."""
    assert generate_schema() == SCHEMA
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_schema_has_the_words_of_the_package() -> None:
    """Words and names of files have one definition."""
    definitions = SCHEMA["$defs"]
    assert definitions["Verdict"]["enum"] == sorted(Verdict)
    fields = {name: definitions[name]["properties"] for name in ("Report", "TargetInfo", "TestEntry")}
    assert set(fields["Report"]["counts"]["required"]) == {*Verdict} - {"not run"}
    assert fields["Report"]["clients"]["items"]["enum"] == sorted(CLIENTS)
    assert fields["TargetInfo"]["features"]["anyOf"][0]["items"]["enum"] == sorted(FEATURES)
    for name, pattern in (("timeline", TIMELINE_PATTERN), ("pcap", PCAP_PATTERN)):
        assert fields["TestEntry"][name]["anyOf"][0]["pattern"].startswith(f"^{pattern}$")


@pytest.mark.parametrize("exit_code", [None, 0, 1, 2])
def test_written_reports_are_valid(tmp_path: Path, exit_code: int | None) -> None:
    """At any time of a run, with every verdict and with any text."""
    every = [("ORD-1", verdict, "\\ud800 \x00 é") for verdict in Verdict]
    for report in (make_report(exit_code=exit_code), make_report(*every, exit_code=exit_code)):
        assert find_problems(as_json(report)) == []
        write_report(tmp_path / "report.json", report)
