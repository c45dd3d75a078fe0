"""Writes the evidence of failed tests as files: their timelines, and the bytes that their connections carried.

The process that runs the test writes it; under pytest-xdist that is a worker. The names of the files travel with the
verdict on the test to the process that writes the report of the run.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from pytest_grpcstream.errors import Mismatch
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.item_state import state_of
from pytest_grpcstream.plugin.reports import update_verdict, verdict_of
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.report import pcap, timelines
from pytest_grpcstream.report.files import PCAP, TIMELINES, make_safe_name, write_atomically
from pytest_grpcstream.report.subject import Subject
from pytest_grpcstream.verdicts.test_verdict import Evidence
from pytest_grpcstream.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.wire import Connection, WireClient
    from pytest_grpcstream.errors import RecordedStream

KEPT_VERDICTS: Final = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.CHANGED)
"""The verdicts for which evidence is kept; the run of a flaky test that is reported has one of these."""
TEST_LIMIT: Final = 100
"""Tests of which one process writes files at most."""
TIMELINE_LIMIT: Final = 1 << 20
"""Bytes of the timelines of one test at most."""
PCAP_LIMIT: Final = 8 << 20
"""Bytes of the capture of one test at most."""
BYTE_BUDGET: Final = 128 << 20
"""Bytes that one process writes before it stops to keep evidence."""
TEXT_LIMIT: Final = 500
"""Characters of one text of a verdict at most."""

LIBRARY_NOTE: Final = "the library client does not show the bytes of its connection"
SECRET_NOTE: Final = "no pcap: the bytes may contain values of --grpcstream-metadata"
BUDGET_NOTE: Final = "no evidence: this process reached its limit"
_UNIX_SOCKET_PORT: Final = 50051
"""The port of a server on a unix socket in a capture."""


class EvidencePlugin:
    """Writes files about tests that failed, and names them in the verdict on the test."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._kept: dict[str, Evidence] = {}
        self._written = 0

    # Registered after VerdictPlugin, so that this wrapper is around that one and sees the verdict.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the verdict on a test what only its own process knows."""
        report = yield
        test, state = verdict_of(report), state_of(item)
        if test is None or state.on_upstream:
            return report
        error = call.excinfo.value if call.excinfo is not None and isinstance(call.excinfo.value, Mismatch) else None
        features = None if state.target is None else state.target.known_features
        if test.verdict in KEPT_VERDICTS and item.nodeid not in self._kept:
            # A flaky test is reported by its first run that failed, so the evidence of that one is kept.
            self._kept[item.nodeid] = self._keep_evidence(item, error)
        changes: dict[str, Any] = {
            "features": None if features is None else tuple(sorted(features)),
            "evidence": self._kept.get(item.nodeid, Evidence()),
        }
        if error is not None:
            changes |= {"expected": self._show(error.expected), "actual": self._show(error.actual)}
        update_verdict(report, **changes)
        return report

    def _show(self, text: str) -> str:
        return one_line(self._run.settings.security.redact(text), TEXT_LIMIT)

    def _keep_evidence(self, item: pytest.Item, error: Mismatch | None) -> Evidence:
        if len(self._kept) >= TEST_LIMIT or self._written >= BYTE_BUDGET:
            return Evidence(note=BUDGET_NOTE)
        security = self._run.settings.security
        subject = gather_subject(state_of(item).clients, error)
        name = make_safe_name(item.nodeid, security.redact(item.nodeid))
        evidence = Evidence()
        try:
            if subject.streams or subject.connections:
                text = timelines.render_timelines(subject, security.redact, TIMELINE_LIMIT)
                evidence = replace(evidence, timeline=self._write(f"{TIMELINES}/{name}.jsonl", text.encode("ascii")))
            if subject.connections and security.metadata:
                return replace(evidence, note=SECRET_NOTE)
            if subject.connections:
                content, lost = pcap.encode_capture([_flow(one) for one in subject.connections], PCAP_LIMIT)
                note = f"{lost} bytes did not fit into the pcap" if lost else ""
                return replace(evidence, pcap=self._write(f"{PCAP}/{name}.pcap", content), note=note)
            return replace(evidence, note=LIBRARY_NOTE if subject.streams else "")
        except OSError as problem:
            # The report says so, and the run goes on: the verdicts do not depend on these files.
            return replace(evidence, note=f"not written: {one_line(str(problem), TEXT_LIMIT)}")

    def _write(self, name: str, content: bytes) -> str:
        write_atomically(self._folder / name, content)
        self._written += len(content)
        return name


def gather_subject(clients: Iterable[Client], error: Mismatch | None) -> Subject:
    """What a test has used up to now, when it raised ``error``."""
    used = list(_with_descendants(clients))
    streams: list[RecordedStream] = [stream for client in used for stream in client.streams]
    connections = [connection for client in used for connection in _connections(client)]
    if error is not None and error.stream is not None and error.stream not in streams:
        # It may be a stream of a client that was not the test's own, such as the one that probes the target.
        streams.append(error.stream)
        connection = getattr(error.stream, "connection", None)
        if connection is not None and connection not in connections:
            connections.append(connection)
    return Subject(
        tuple(sorted(streams, key=lambda stream: -stream.timeline.elapsed)),
        tuple(sorted(connections, key=lambda connection: -connection.timeline.elapsed)),
        None if error is None else error.deciding,
    )


def _with_descendants(clients: Iterable[Client]) -> Iterator[Client]:
    """Clients, and those that they have made."""
    for client in clients:
        yield client
        if client.kind == "wire":
            yield from _with_descendants(cast("WireClient", client).descendants)


def _connections(client: Client) -> list[Connection]:
    return cast("WireClient", client).connections if client.kind == "wire" else []


def _flow(connection: Connection) -> pcap.Flow:
    epoch = time.time() - time.monotonic()
    chunks = [pcap.Bytes(epoch + one.at, one.sent, one.offset, one.data) for one in connection.byte_log.chunks()]
    began = time.time() - connection.timeline.elapsed
    return pcap.Flow(_port(connection.address), min([began, *(one.at for one in chunks[:1])]), chunks)


def _port(address: str) -> int:
    port = "" if address.startswith("unix:") else address.rpartition(":")[2]
    return int(port) if port.isascii() and port.isdigit() else _UNIX_SOCKET_PORT
