"""The suite passes a correct server on plain HTTP/2 frames, whatever it chooses where it has a choice."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pytest

from servers.running import FULL, LIMIT, Outcome, run_suite
from wire_servers.variants import VARIANTS

PROGRAM: Final = Path(__file__).resolve().parent / "serve.py"

WIRE_ONLY: Final = {"padded-data": "grpcio's HTTP/2 stack treats a padded DATA frame as a protocol error"}
"""Variants that only the wire client can talk to, each with the reason."""

THREE_AT_A_TIME: Final = {"CANCEL-4", "LOAD-1", "LOAD-4", "LOAD-8"}
"""Requirements whose tests open more than three calls on a connection."""
WARNED: Final = {
    "no-reset-after-early-end": {"PAIR-13"},
    "list-at-once": {"CARD-2"},
    "three-streams": THREE_AT_A_TIME,
    "one-stream": {
        *THREE_AT_A_TIME,
        "ABORT-7",
        "CANCEL-5",
        "CANCEL-9",
        "CANCEL-16",
        "COMP-1",
        "DEADL-13",
        "FLOW-6",
        "ORD-7",
        "ROBUST-14",
        "ROBUST-18",
    },
}
"""Expected warnings of a variant, because a specification says SHOULD, or because more is customary."""

AT_TIMES: Final = {
    "throttles-a-burst": {"CANCEL-3", "CANCEL-7", "CANCEL-9", "CANCEL-14", "DEADL-13", "LOAD-8"},
    "graceful-shutdown": {"LOAD-1", "LOAD-8", "ORD-7"},
    "abrupt-shutdown": {"DEADL-13", "LOAD-1", "LOAD-8", "ORD-7"},
}
"""Warnings of a variant that occur if a GOAWAY comes while many calls are being opened or cancelled."""

SKIPPED: Final = {"small-windows": ["not applicable: the windows of the target are smaller than 16384 bytes"]}
"""Expected skips of a variant."""


def serve(*options: str) -> str:
    """The target text of this server with these options."""
    return f"exec:{shlex.join([sys.executable, str(PROGRAM), '--port', '{port}', *options])}"


def assert_conformant(
    outcome: Outcome, warned: Collection[str] = (), skipped: Sequence[str] = (), at_times: Collection[str] = ()
) -> None:
    """Assert that the suite checked everything and reported nothing except known warnings."""
    assert outcome.code == 0, outcome.summary()
    assert not outcome.failed, outcome.summary()
    assert set(outcome.warned).difference(at_times) == set(warned), outcome.summary()
    assert outcome.skipped == list(skipped), outcome.summary()
    assert outcome.passed > 0, outcome.summary()


@pytest.mark.timeout(LIMIT + 10)
def test_a_server_without_a_grpc_library_passes_the_whole_suite(tmp_path: Path) -> None:
    """HTTP/2 frames alone satisfy the suite, with both clients."""
    assert_conformant(run_suite(serve(), tmp_path))


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", VARIANTS)
def test_choices_that_http2_and_grpc_leave_open_pass(name: str, tmp_path: Path) -> None:
    """A server may choose its frame boundaries, its window sizes, and what else it sends."""
    both = FULL and name not in WIRE_ONLY
    options = () if both else ("--grpcstream-client=wire",)
    outcome = run_suite(serve("--variant", name), tmp_path, *options)
    assert_conformant(outcome, WARNED.get(name, ()), SKIPPED.get(name, ()), AT_TIMES.get(name, ()))
