"""The values that `report.json` consists of, in the order of its fields; `docs/reports.md` describes each of them.

They are the only definition of the format: msgspec reads and checks a report by these types, and `schema.json` is
generated from them. A field may be added under the same number of the schema; none is removed or changes its meaning.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.report.files import PCAP_PATTERN, TIMELINE_PATTERN
from pytest_grpcstream.requirements.registry import Severity
from pytest_grpcstream.settings import CLIENTS
from pytest_grpcstream.verdicts.verdict import Verdict

SCHEMA: Final = 1
"""The version of the format."""
DISTRIBUTION: Final = "pytest-grpcstream"

# In Python, "$" also fits before a line break at the end of a text; in JSON Schema (ECMA-262) it does not.
_END: Final = r"$(?!\n)"
_REQUIRED_COUNTS: Final = [verdict for verdict in Verdict if verdict is not Verdict.NOT_RUN]
"""The verdicts that every report counts; reports by earlier versions do not know "not run"."""


def _matches(pattern: str) -> Meta:
    return Meta(pattern=f"^{pattern}{_END}")


def _is_one_of(words: Iterable[str]) -> Meta:
    listed = sorted(words)
    return Meta(pattern=f"^(?:{'|'.join(listed)}){_END}", extra_json_schema={"enum": listed})


Count: TypeAlias = Annotated[int, Meta(ge=0)]
Moment: TypeAlias = Annotated[str, _matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")]
"""A time in UTC, such as ``2026-01-31T12:00:00.000Z``."""
RequirementId: TypeAlias = Annotated[str, _matches("[A-Z0-9]+-[0-9]+")]
Client: TypeAlias = Annotated[str, _is_one_of(CLIENTS)]
Feature: TypeAlias = Annotated[str, _is_one_of(FEATURES)]
TimelineName: TypeAlias = Annotated[str, _matches(TIMELINE_PATTERN)]
PcapName: TypeAlias = Annotated[str, _matches(PCAP_PATTERN)]
Texts: TypeAlias = tuple[str, ...]


class RunWord(enum.StrEnum):
    """The verdict on a run in a report, which may be that of a run that did not come to its end."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    NOTHING_CHECKED = "none"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class PluginInfo:
    """The plugin that wrote a report."""

    name: Literal["pytest-grpcstream"]
    version: str


@dataclass(frozen=True)
class RunVerdict:
    """The verdict on a run: a word for programs, and the text of the summary."""

    word: RunWord
    text: str


@dataclass(frozen=True)
class TargetInfo:
    """The target of a run; ``direct`` is the upstream server behind it."""

    text: str | None
    source: str | None
    descriptions: Texts
    features: tuple[Feature, ...] | None
    direct: str | None


@dataclass(frozen=True)
class UncheckedInfo:
    """Requirements that were not checked for one reason."""

    reason: str
    requirements: tuple[RequirementId, ...]


@dataclass(frozen=True)
class CoverageInfo:
    """How many error-level requirements were checked, and why others were not."""

    checked: Count
    total: Count
    unchecked: tuple[UncheckedInfo, ...]
    missing: tuple[RequirementId, ...]


@dataclass(frozen=True)
class DisagreementEntry:
    """A test on which the clients come to different verdicts."""

    requirement: RequirementId
    test: str
    verdicts: dict[str, Verdict]


@dataclass(frozen=True)
class RequirementEntry:
    """A requirement that concerns the run, with the gravest verdict of its tests."""

    id: RequirementId
    verdict: Verdict | None
    severity: Severity
    level: str
    owner: str
    sentence: str
    source: str
    observed: Texts


@dataclass(frozen=True)
class DirectVerdict:
    """What came of a test on the upstream server."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class TestEntry:
    """A test of a requirement, and what came of it."""

    __test__ = False  # pytest must not take the name for a class of tests

    nodeid: str
    requirement: RequirementId
    client: Client
    verdict: Verdict
    reason: str
    expected: str | None
    actual: str | None
    duration: Annotated[float, Meta(ge=0)]
    timeline: TimelineName | None
    pcap: PcapName | None
    note: str
    direct: DirectVerdict | None

    @property
    def name(self) -> str:
        """The test's own name, without the path of its module."""
        return self.nodeid.rpartition("::")[2]


@dataclass(frozen=True)
class Report:
    """The report of a run."""

    schema: Literal[1]
    plugin: PluginInfo
    complete: bool
    whole: bool
    started: Moment
    ended: Moment | None
    exit_code: int | None
    verdict: RunVerdict
    target: TargetInfo
    clients: tuple[Client, ...]
    strict: bool
    repeat: Annotated[int, Meta(ge=1)]
    counts: Annotated[
        dict[Verdict, Count],
        Meta(extra_json_schema={"required": _REQUIRED_COUNTS, "propertyNames": {"enum": list(Verdict)}}),
    ]
    coverage: CoverageInfo
    disagreements: tuple[DisagreementEntry, ...]
    deaths: Texts
    complaints: Texts
    hints: Texts
    requirements: tuple[RequirementEntry, ...]
    tests: tuple[TestEntry, ...]

    def __post_init__(self) -> None:
        if missing := [verdict for verdict in _REQUIRED_COUNTS if verdict not in self.counts]:
            raise ValueError(f"counts has no {missing[0].value!r}")


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run at its start, as the report says it."""

    schema: Literal[1]
    plugin: PluginInfo
    whole: bool
    started: Moment
    target: TargetInfo
    clients: tuple[Client, ...]
    strict: bool
    repeat: Annotated[int, Meta(ge=1)]
