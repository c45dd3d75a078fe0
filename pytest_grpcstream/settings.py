"""The settings of a run: one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_grpcstream.targets.address import Target
from pytest_grpcstream.targets.security import PLAINTEXT, Security

CLIENTS: Final = ("wire", "library")
"""The clients that the suite runs over: HTTP/2 frames over a socket, and grpcio."""
BOTH: Final = "both"

TIMEOUT: Final = 5.0
QUIET: Final = 0.2
STARTUP: Final = 20.0


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        target: the target, or None.
        target_source: where the target was named: the option, the environment variable or the ini option.
        features: the optional features that the target is declared to have, or None to probe for them.
        client: library, wire or both: what the suite runs over; None for both, and for library in users' own tests.
        timeout: seconds that one operation on a stream may take.
        quiet: seconds of silence after which nothing more is expected.
        startup_timeout: seconds that a target may take until it answers.
        strict: whether warnings fail the run.
        security: how the target is reached: TLS, names and metadata.
        expect: the lists of expected failures.
        write_expect: the list that the failures of this run are written to, or None.
        repeat: how often each test of a requirement runs.
        direct: the upstream server behind the target, on which every test runs too, or None.
        report: the folder that reports of the run are written to, absolute, or None.
    """

    target: Target | None = None
    target_source: str = ""
    features: frozenset[str] | None = None
    client: str | None = None
    timeout: float = TIMEOUT
    quiet: float = QUIET
    startup_timeout: float = STARTUP
    strict: bool = False
    security: Security = PLAINTEXT
    expect: tuple[Path, ...] = ()
    write_expect: Path | None = None
    repeat: int = 1
    direct: Target | None = None
    report: Path | None = None

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that the suite runs over."""
        return CLIENTS if self.client in (None, BOTH) else (str(self.client),)
