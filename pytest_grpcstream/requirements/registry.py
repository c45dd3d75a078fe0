"""The registry of requirements: what the suite checks, how much it matters, and where it is written."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]
RISKS: Final = ("plain", "abort", "cancel", "load", "oversize", "malformed")
"""What a test of a requirement does to a server, mildest first; the suite runs in this order."""

AREAS: Final = {
    "ORD": "Message order and integrity",
    "EOF": "End of stream",
    "PAIR": "Record: SendAndClose and CloseAndRecv",
    "HALF": "Half-close and full duplex",
    "CARD": "Number of requests",
    "ABORT": "Errors on abort",
    "CANCEL": "Cancellation",
    "DEADL": "Deadlines",
    "META": "Metadata",
    "STAT": "Status on the wire",
    "WIRE": "Validity of requests",
    "COMP": "Compression",
    "SIZE": "Message sizes",
    "H2": "HTTP/2",
    "FLOW": "Flow control",
    "CONN": "Connections",
    "LOAD": "Concurrency and endurance",
    "ROBUST": "Survival",
    "TLS": "Transport security",
}
"""The areas of requirements, by the prefix of their ids, in the order of reports."""


@dataclass(frozen=True)
class Requirement:
    """One sentence that a StreamService must hold, should hold or may hold.

    Attributes:
        id: its name for ever, such as ``ABORT-1``.
        sentence: what it asks for.
        level: MUST, SHOULD or MAY, in the words of its source.
        owner: whose words they are: gRPC, RFC 9113, protobuf or the contract.
        severity: whether breaking it fails a run (error), is shown (warning) or is only told (info).
        source: the document and section.
        risk: what its tests do to a server; one of `RISKS`.
        needs: the optional features without which none of its tests says anything.
        only: the kind of run that it concerns: tls, mtls, or empty for every run.
    """

    id: str
    sentence: str
    level: str
    owner: str
    severity: Severity
    source: str
    risk: str
    needs: tuple[str, ...] = ()
    only: str = ""

    @property
    def area(self) -> str:
        """The prefix of its id."""
        return self.id.partition("-")[0]

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence}"


@functools.cache
def registry() -> dict[str, Requirement]:
    """Every requirement of the shipped suite by its id, in the order of the registry."""
    # Only a run of the suite reads it; a plain run of pytest does not pay for the imports.
    import tomllib
    from importlib import resources

    text = (resources.files("pytest_grpcstream.conformance") / "requirements.toml").read_text(encoding="utf-8")
    return {
        name: Requirement(
            id=name,
            sentence=entry["sentence"],
            level=entry["level"],
            owner=entry["owner"],
            severity=entry.get("severity", "error"),
            source=entry["source"],
            risk=entry.get("risk", "plain"),
            needs=tuple(entry.get("needs", ())),
            only=entry.get("only", ""),
        )
        for name, entry in tomllib.loads(text).items()
    }
