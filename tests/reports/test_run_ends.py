"""The report of a run that does not come to its end: killed, interrupted, stopped, or without a target."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin.conftest import Run, Serve
from pytest_grpcstream.report.reader import read
from reports.conftest import EITHER_WAY, Report
from reports.documents import as_json
from reports.reading import find_problems, load
from targets.witness import PYTEST, until

ONCE = "record_pairing::test_record_is_answered_exactly_once"
STEPS = """
import socket
import pytest

@pytest.mark.grpcstream_requirement("ORD-1")
@pytest.mark.parametrize("number", range(4))
def test_step(grpcstream, number):
    assert grpcstream.list("x").collect()
    if number == 3:
        with socket.create_connection(("127.0.0.1", {port})) as gate:
            gate.recv(1)
"""


@contextmanager
def halfway(folder: Path, core: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A run of four tests that hangs in the last one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(100)
        (folder / "test_steps.py").write_text(STEPS.format(port=listener.getsockname()[1]))
        arguments = [f"--grpcstream-target={core}", "--grpcstream-client=library", "--grpcstream-features=none"]
        with subprocess.Popen(
            [*PYTEST, "-pno:cacheprovider", "--grpcstream-report=out", *arguments, *options, "."],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                gate, _ = listener.accept()
                with gate:
                    yield process, gate
            finally:
                process.kill()


def _await_verdicts(folder: Path, count: int) -> Path:
    """The file of verdicts as soon as it has so many."""
    path = folder / "out" / "verdicts.jsonl"
    until(lambda: path.exists() and path.read_bytes().count(b"\n") == 1 + count)
    return path


@EITHER_WAY
def test_killed_run_leaves_every_verdict(tmp_path: Path, core: str, workers: tuple[str, ...]) -> None:
    """A reader recovers a report of the tests that had ended; it is valid and not complete."""
    with halfway(tmp_path, core, *workers) as (process, _):
        _await_verdicts(tmp_path, 3)
        assert not (tmp_path / "out" / "report.json").exists()
        process.kill()
        process.wait()
    report = read(tmp_path / "out")
    assert find_problems(as_json(report)) == []
    assert [(one.verdict, one.client) for one in report.tests] == [("passed", "library")] * 3
    assert all(one.duration > 0 for one in report.tests)
    assert (report.complete, report.ended, report.exit_code) == (False, None, None)
    assert (report.verdict.word, report.target.text, report.target.features) == ("incomplete", core, ())
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest_grpcstream.report", "merge", str(tmp_path / "out")],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"| <code>{core}</code> | incomplete | " in done.stdout


@EITHER_WAY
def test_interrupted_run_is_incomplete(tmp_path: Path, core: str, workers: tuple[str, ...]) -> None:
    """It has ended, but neither completely nor with success; its report replaces the logged verdicts."""
    with halfway(tmp_path, core, *workers) as (process, _):
        verdicts = _await_verdicts(tmp_path, 3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert not verdicts.exists()
    report = load(tmp_path / "out" / "report.json")
    assert (report["complete"], report["exit_code"], report["verdict"]["word"]) == (False, 2, "incomplete")
    assert report["ended"] is not None
    assert "gRPC streams: incomplete" in (tmp_path / "out" / "summary.md").read_text()
    assert json.loads((tmp_path / "out" / "badge.json").read_text()) == {
        "schemaVersion": 1,
        "label": "grpcstream",
        "message": "incomplete",
        "color": "lightgrey",
    }


def test_run_that_stops_at_a_failure_is_not_complete(report: Report, serve: Serve) -> None:
    """Tests that were not run are missing in it."""
    found = report(serve("plugin.servicers:ListSkipsOne"), "message_order", options=("-x",))
    assert not found.report["complete"]
    assert found.report["verdict"]["text"].startswith("incomplete; NOT conformant: failed: ")


@EITHER_WAY
def test_missing_target_leaves_a_report_without_tests(report: Report, workers: tuple[str, ...]) -> None:
    """It is not complete, and has the exit code."""
    found = report("127.0.0.1:1", ONCE, options=workers)
    assert found.report["exit_code"] == found.result.ret != 0
    assert not found.report["complete"]
    assert found.report["verdict"]["word"] != "conformant"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_full_disk_during_the_run_is_reported_at_its_end(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """It does not stop the run, whose report is written all the same."""
    pytester.makeconftest(
        """
        def pytest_collection_finish(session):
            log = session.config.pluginmanager.get_plugin("grpcstream-report")._log
            log.close()
            log._file = open("/dev/full", "wb", buffering=0)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_something(grpcstream):
            assert grpcstream.list("x").collect()
        """
    )
    options = ("--grpcstream-features=none", "--grpcstream-client=library", "--grpcstream-report=out")
    result = run(f"--grpcstream-target={core}", *options, ".")
    assert result.ret == 0
    assert (
        "report: out/report.json (verdicts.jsonl could not be written during the run: "
        "[Errno 28] No space left on device)"
    ) in result.outlines
    assert len(load(pytester.path / "out" / "report.json")["tests"]) == 1
    assert not (pytester.path / "out" / "verdicts.jsonl").exists()
