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

WIRE_ONLY: Final = {"padded-data": "grpcio's own HTTP/2 stack takes a padded DATA frame for a protocol error"}
"""Variants that only the wire client can talk to, each with the reason."""

THREE_AT_A_TIME: Final = {"CANCEL-4", "LOAD-1", "LOAD-4", "LOAD-8"}
"""What opens more than three calls on a connection."""
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
"""What a variant is warned of, because a specification says SHOULD, or because it is usual to do more."""

AT_TIMES: Final = {
    "throttles-a-burst": {"CANCEL-3", "CANCEL-7", "CANCEL-9", "CANCEL-14", "DEADL-13", "LOAD-8"},
    "graceful-shutdown": {"LOAD-1", "LOAD-8", "ORD-7"},
    "abrupt-shutdown": {"DEADL-13", "LOAD-1", "LOAD-8", "ORD-7"},
}
"""What a variant is warned of if a GOAWAY comes while many calls are being opened, or cancelled."""

SKIPPED: Final = {"small-windows": ["not applicable: the windows of the target are smaller than 16384 bytes"]}
"""What does not concern a variant."""


def serve(*options: str) -> str:
    """The target that is this server with these options."""
    return f"exec:{shlex.join([sys.executable, str(PROGRAM), '--port', '{port}', *options])}"


def judged_conformant(
    outcome: Outcome, warned: Collection[str] = (), skipped: Sequence[str] = (), at_times: Collection[str] = ()
) -> None:
    """The suite checked everything and said nothing against a server, but for the warnings that are known."""
    assert outcome.code == 0, outcome.summary()
    assert not outcome.failed, outcome.summary()
    assert set(outcome.warned).difference(at_times) == set(warned), outcome.summary()
    assert outcome.skipped == list(skipped), outcome.summary()
    assert outcome.passed > 0, outcome.summary()


@pytest.mark.timeout(LIMIT + 10)
def test_a_server_without_a_grpc_library_passes_the_whole_suite(tmp_path: Path) -> None:
    """What the suite asks for can be had from HTTP/2 frames alone, and both clients see it."""
    judged_conformant(run_suite(serve(), tmp_path))


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_http2_and_grpc_leave_open_is_not_held_against_a_server(name: str, tmp_path: Path) -> None:
    """A server may choose where frames begin and end, how large its windows are, and what else it sends."""
    both = FULL and name not in WIRE_ONLY
    options = () if both else ("--grpcstream-client=wire",)
    outcome = run_suite(serve("--variant", name), tmp_path, *options)
    judged_conformant(outcome, WARNED.get(name, ()), SKIPPED.get(name, ()), AT_TIMES.get(name, ()))
