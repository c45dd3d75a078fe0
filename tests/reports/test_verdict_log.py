"""verdicts.jsonl: the verdicts of a run that goes on, from which a report is recovered after a crash."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.building import RunProgress, build_report, describe_run
from pytest_grpcstream.report.reader import ReportError, read
from pytest_grpcstream.report.values import RunInfo
from pytest_grpcstream.report.verdict_log import VerdictLog
from pytest_grpcstream.verdicts.results import Results
from pytest_grpcstream.verdicts.test_verdict import Evidence, TestVerdict, UpstreamVerdict
from pytest_grpcstream.verdicts.verdict import Verdict
from reports.documents import DAY, SETTINGS, as_json, make_verdict
from reports.reading import find_problems

NAME = "verdicts.jsonl"
INFO = describe_run(SETTINGS, DAY, whole=True)
FULL = TestVerdict(
    nodeid="a.py::test_full[wire]",
    requirement="ORD-1",
    client="wire",
    verdict=Verdict.FAILED,
    reason="expected one; actual: another",
    expected="one",
    actual="another",
    target="a target",
    features=("abort", "echo"),
    observed=("one thing",),
    expectations=(1,),
    evidence=Evidence("timelines/x.jsonl", "pcap/x.pcap", "a note"),
    upstream=UpstreamVerdict(Verdict.PASSED, "why"),
    late_death="it died",
    budget_note="less time",
)
"""A verdict in which every field has a value."""


def write_log(folder: Path, *tests: TestVerdict, info: RunInfo = INFO) -> Path:
    """Log verdicts as a run does that is killed afterwards."""
    log = VerdictLog(folder / NAME, one_line)
    log.start(info)
    for test in tests:
        log.append(test, 0.5)
    assert log.error is None
    log.close()
    return folder / NAME


@pytest.mark.parametrize("verdict", Verdict)
def test_recovered_report_is_that_of_the_run_until_then(tmp_path: Path, verdict: Verdict) -> None:
    """With every field of every verdict; it has not ended."""
    tests = [replace(FULL, verdict=verdict), make_verdict("a.py::test_1", "EOF-1", "passed")]
    write_log(tmp_path, *tests)
    results = Results()
    for test in tests:
        results.add(test)
    progress = RunProgress(durations={test.nodeid: 0.5 for test in tests})
    assert read(tmp_path) == build_report(INFO, results, progress, one_line)
    assert read(tmp_path / NAME) == read(tmp_path)
    assert find_problems(as_json(read(tmp_path))) == []
    assert not read(tmp_path).complete


def test_run_without_verdicts_has_a_report(tmp_path: Path) -> None:
    """As soon as it has started."""
    write_log(tmp_path)
    assert (read(tmp_path).tests, read(tmp_path).verdict.word) == ((), "incomplete")


def test_later_verdict_on_a_test_replaces_the_first(tmp_path: Path) -> None:
    """As that of its teardown does."""
    write_log(tmp_path, replace(FULL, verdict=Verdict.PASSED), FULL)
    assert [one.verdict for one in read(tmp_path).tests] == ["failed"]


def test_line_that_was_cut_is_ignored(tmp_path: Path) -> None:
    """Wherever the kill cut it; everything before it stays."""
    path = write_log(tmp_path, make_verdict("a.py::test_1", "EOF-1", "passed"), FULL)
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(content)):
        path.write_bytes(content[:end])
        assert [one.name for one in read(tmp_path).tests] == ["test_1"]


def test_finished_report_wins_over_logged_verdicts(tmp_path: Path) -> None:
    """A run that is killed between the two has both."""
    write_log(tmp_path, FULL)
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ReportError, match=r"report\.json is not a report: "):
        read(tmp_path)


def test_hostile_text_is_one_line_of_the_log(tmp_path: Path) -> None:
    """Control characters and lone surrogates are escaped before they are written."""
    evil = "\x1b[2J\n\ud800\x00"
    hostile = replace(FULL, nodeid=evil, reason=evil, expected=evil, actual=evil, observed=(evil,), target=evil)
    path = write_log(tmp_path, hostile)
    assert len(path.read_bytes().splitlines()) == 2
    [test] = read(tmp_path).tests
    assert {test.nodeid, test.reason, test.expected, test.actual} == {"\\x1b[2J\\n\\ud800\\x00"}


WRONG_LINES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Input data was truncated"),
    "cut-header": (b'{"schema": 1}', "it has no complete line"),
    "short-header": (b'{"schema": 1}\n', "line 1: Object missing required field `plugin`"),
    "verdict": (b"INFO\nVERDICT\n{}\n", "line 3: Object missing required field `test`"),
    "text": (b"INFO\nVERDICT\ntext\nVERDICT\n", "line 3: JSON is malformed: invalid character"),
    "empty-line": (b"INFO\n\nVERDICT\n", "line 2: Input data was truncated"),
    "deep": (b'INFO\n{"later": ' + b"[" * 100_000 + b"\n", "maximum recursion depth exceeded"),
    "client": (b"INFO\nCLIENT\n", "at `$.tests[0].client`"),
    "requirement": (b"INFO\nREQUIREMENT\n", "at `$.tests[0].requirement`"),
}
"""Contents that no run has logged, with names for valid lines, and what is wrong with them."""


@pytest.mark.parametrize("name", WRONG_LINES)
def test_wrong_lines_are_refused_with_their_number(tmp_path: Path, name: str) -> None:
    """As one printable line that names the file."""
    info, verdict = write_log(tmp_path, FULL).read_bytes().splitlines()
    lines = {
        b"INFO": info,
        b"VERDICT": verdict,
        b"CLIENT": verdict.replace(b'"client":"wire"', b'"client":"other"'),
        b"REQUIREMENT": verdict.replace(b'"ORD-1"', b'"\\u001b[2J"'),
    }
    content, problem = WRONG_LINES[name]
    (tmp_path / NAME).write_bytes(b"\n".join(lines.get(line, line) for line in content.split(b"\n")))
    with pytest.raises(ReportError) as raised:
        read(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / NAME} is not a report: ")
    assert problem in str(raised.value)
    assert str(raised.value).isprintable()


def test_newer_log_is_refused_by_its_number(tmp_path: Path) -> None:
    """Whatever else a later version changed."""
    (tmp_path / NAME).write_text('{"schema": 2}\n')
    with pytest.raises(ReportError, match="has schema 2; this version of pytest-grpcstream reads up to 1"):
        read(tmp_path)


def test_file_of_evidence_outside_of_its_folder_is_dropped(tmp_path: Path) -> None:
    """A log may say anything."""
    write_log(tmp_path, replace(FULL, evidence=Evidence("timelines/../x.jsonl", "/etc/passwd")))
    [test] = read(tmp_path).tests
    assert (test.timeline, test.pcap) == (None, None)


class FullDisk:
    """A file that takes a few bytes, then none, and then any number.

    Attributes:
        content: what was written.
        room: how many bytes fit, None for any number.
    """

    def __init__(self) -> None:
        self.content = b""
        self.room: int | None = 20

    def write(self, data: bytes) -> int:
        """Write what fits.

        Raises:
            OSError: nothing fits.
        """
        count = len(data) if self.room is None else min(self.room, len(data))
        if not count:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += data[:count]
        if self.room is not None:
            self.room -= count
        return count

    def close(self) -> None:
        """Close the file."""


def test_verdicts_wait_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is kept until they are written; no line is mixed with another one."""
    disk = FullDisk()
    log = VerdictLog(tmp_path / NAME, one_line)
    log.start(INFO)
    log.close()
    monkeypatch.setattr(log, "_file", disk)
    log.append(make_verdict("a.py::test_1", "EOF-1", "passed"), 0.5)
    assert "No space left" in str(log.error)
    log.append(FULL, 0.5)
    assert "No space left" in str(log.error)
    assert len(disk.content) == 20
    disk.room = None
    log.append(make_verdict("a.py::test_2", "EOF-1", "passed"), 0.5)
    assert log.error is None
    nodeids = [json.loads(line)["test"]["nodeid"] for line in disk.content.splitlines()]
    assert nodeids == ["a.py::test_1", "a.py::test_full[wire]", "a.py::test_2"]
