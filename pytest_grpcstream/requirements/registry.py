"""The registry of requirements: what the suite checks, how severe a violation is, and which source demands it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]
RISKS: Final = ("plain", "abort", "cancel", "load", "oversize", "malformed")
"""What the tests of a requirement do to a server, mildest first. The suite runs in this order."""

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
"""The titles of the areas by the prefix of their ids, in the order of reports."""


@dataclass(frozen=True)
class Requirement:
    """One rule that a StreamService must, should or may keep.

    Attributes:
        id: its permanent name, such as ``ABORT-1``.
        sentence: the rule.
        level: MUST, SHOULD or MAY, as the source says.
        owner: who makes the rule: gRPC, RFC 9113, protobuf or the contract.
        severity: whether a violation fails the run (error), is shown (warning) or is only reported (info).
        source: the document and section that contain the rule.
        risk: what its tests do to a server; one of `RISKS`.
        features: the optional features without which none of its tests can run.
        only: the kind of run to which it applies: tls, mtls, or empty for every run.
    """

    id: str
    sentence: str
    level: str
    owner: str
    severity: Severity
    source: str
    risk: str
    features: tuple[str, ...] = ()
    only: str = ""

    @property
    def area(self) -> str:
        """The area of the requirement: the prefix of its id, a key of `AREAS`."""
        return self.id.partition("-")[0]

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence}"


@functools.cache
def registry() -> dict[str, Requirement]:
    """Return every requirement of the shipped suite by its id, in the order of requirements.toml."""
    # Only a run of the suite reads the file; any other run of pytest does not pay for the imports.
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
            features=tuple(entry.get("features", ())),
            only=entry.get("only", ""),
        )
        for name, entry in tomllib.loads(text).items()
    }
