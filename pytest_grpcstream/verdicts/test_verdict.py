"""The verdict on one test of a requirement, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_grpcstream.verdicts.verdict import Verdict


@dataclass(frozen=True)
class UpstreamVerdict:
    """What came of the same test on the upstream server behind a proxy.

    Attributes:
        verdict: the verdict on the upstream server.
        reason: why, in one line.
    """

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Evidence:
    """The files that show what happened in a test, by their names relative to the folder of the report.

    Attributes:
        timeline: the file of timelines.
        pcap: the capture of the connections.
        note: why a file is missing or incomplete.
    """

    timeline: str | None = None
    pcap: str | None = None
    note: str = ""


@dataclass(frozen=True)
class TestVerdict:
    """The verdict on one test of a requirement.

    Attributes:
        nodeid: the id of the test.
        requirement: the id of its requirement.
        client: the client it ran over: ``wire`` or ``library``.
        verdict: what came of it.
        reason: why, in one line; empty for a test that simply passed.
        expected: what the requirement asks for, if the test found a mismatch.
        actual: what was observed instead.
        target: one line about the target.
        features: the optional features of the target, None while they are not known.
        observed: what the target did where a specification leaves a choice.
        expectations: the places of the expected failures (`Expectations.entries`) that this verdict fulfils.
        evidence: the files that show what happened.
        upstream: what came of it on the upstream server, if the run compares with one.
        failure: how the test failed, in one line, if a list of expected failures made the verdict another one; empty if
            it did not fail.
        late_death: how the target died after the test before this one, empty if it did not.
        budget_note: why tests after this one wait less, empty if they do not.
    """

    __test__ = False  # pytest must not take the name for a class of tests

    nodeid: str
    requirement: str
    client: str
    verdict: Verdict
    reason: str = ""
    expected: str | None = None
    actual: str | None = None
    target: str = ""
    features: tuple[str, ...] | None = None
    observed: tuple[str, ...] = ()
    expectations: tuple[int, ...] = ()
    evidence: Evidence = Evidence()
    upstream: UpstreamVerdict | None = None
    failure: str = ""
    late_death: str = ""
    budget_note: str = ""

    @property
    def name(self) -> str:
        """The test's own name, without the path of its module."""
        return self.nodeid.rpartition("::")[2]

    @property
    def area(self) -> str:
        """The area of its requirement, such as ``EOF``."""
        return self.requirement.partition("-")[0]
