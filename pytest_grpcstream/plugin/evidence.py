"""The evidence of what failed: the timelines of a test, and what its connections sent and received, as files.

It is written by the process that runs the test; under pytest-xdist that is a worker. The names of the files travel with
the test's report, in its entry ``grpcstream``, to the process that writes the report of the run.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.errors import Mismatch
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.session import Run, is_direct
from pytest_grpcstream.report import pcap, timelines
from pytest_grpcstream.report.files import PCAP, TIMELINES, safe_name, write
from pytest_grpcstream.report.subject import Subject, features_of

if TYPE_CHECKING:
    from pytest_grpcstream.clients.wire import Connection

WORTH: Final = ("failed", "inconclusive", "changed")
"""The verdicts that evidence is kept of; a test that is flaky has one of these in the turn that is reported."""
TESTS: Final = 100
"""Tests of which one process writes files at most."""
TIMELINE: Final = 1 << 20
"""Bytes of the timelines of one test at most."""
CAPTURE: Final = 8 << 20
"""Bytes of the capture of one test at most."""
TOTAL: Final = 128 << 20
"""Bytes of all files that one process writes at most."""
VALUE: Final = 500
"""Characters of one value in an entry."""

NO_BYTES: Final = "the library client does not show the bytes of its connection"
SECRET: Final = "no pcap: the bytes may hold values of --grpcstream-metadata"
ENOUGH: Final = "this process has written as much evidence as it may"
_NO_PORT: Final = 50051
"""The port that stands in a capture for a unix socket."""


class EvidencePlugin:
    """Writes files about tests that did not come to a good end, and tells their names in the report of the test."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._known: dict[str, dict[str, Any]] = {}
        self._written = 0

    # Registered after the plugin that judges, so that this wrapper is around that one and sees the verdict.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the entry of a test what only its own process knows."""
        report = yield
        entry: dict[str, Any] | None = report.__dict__.get("grpcstream")
        if entry is None or is_direct(item):
            return report
        error = call.excinfo.value if call.excinfo is not None and isinstance(call.excinfo.value, Mismatch) else None
        entry["features"] = features_of(item)
        if error is not None:
            entry["expected"], entry["actual"] = self._shown(error.expected), self._shown(error.actual)
        if entry["verdict"] in WORTH and item.nodeid not in self._known:
            # What is told of a flaky test is its first turn that is red, so that is the one to keep evidence of.
            self._known[item.nodeid] = self._evidence(item, error)
        entry["evidence"] = self._known.get(item.nodeid, {})
        return report

    def _shown(self, text: str) -> str:
        return one_line(self._run.settings.security.redact(text), VALUE)

    def _evidence(self, item: pytest.Item, error: Mismatch | None) -> dict[str, Any]:
        if len(self._known) >= TESTS or self._written >= TOTAL:
            return {"note": ENOUGH}
        subject = Subject.of(item, error)
        name = safe_name(item.nodeid, self._run.settings.security.redact(item.nodeid))
        evidence: dict[str, Any] = {}
        try:
            if subject.streams or subject.connections:
                text = timelines.rendered(subject, self._run.settings.security.redact, TIMELINE)
                evidence["timeline"] = self._write(f"{TIMELINES}/{name}.jsonl", text.encode("ascii"))
            if subject.connections and self._run.settings.security.metadata:
                evidence["note"] = SECRET
            elif subject.connections:
                content, lost = pcap.capture([_flow(one) for one in subject.connections], CAPTURE)
                evidence["pcap"] = self._write(f"{PCAP}/{name}.pcap", content)
                evidence["note"] = f"{lost} bytes did not fit into the pcap" if lost else ""
            elif subject.streams:
                evidence["note"] = NO_BYTES
        except OSError as problem:
            # The report says it, and the run goes on: the verdicts do not depend on these files.
            evidence["note"] = f"not written: {one_line(str(problem), VALUE)}"
        return evidence

    def _write(self, name: str, content: bytes) -> str:
        write(self._folder / name, content)
        self._written += len(content)
        return name


def _flow(connection: Connection) -> pcap.Flow:
    epoch = time.time() - time.monotonic()
    chunks = [pcap.Bytes(epoch + chunk.at, chunk.sent, chunk.offset, chunk.data) for chunk in connection.tape.chunks()]
    began = time.time() - connection.timeline.elapsed
    return pcap.Flow(_port(connection.address), min([began, *(one.at for one in chunks[:1])]), chunks)


def _port(address: str) -> int:
    port = "" if address.startswith("unix:") else address.rpartition(":")[2]
    return int(port) if port.isascii() and port.isdigit() else _NO_PORT
