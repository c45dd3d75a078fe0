"""Builds the report of a run from its settings and its verdicts."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Final, TypeAlias

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.files import PCAP_PATTERN, TIMELINE_PATTERN
from pytest_grpcstream.report.values import (
    DISTRIBUTION,
    SCHEMA,
    CoverageInfo,
    DirectVerdict,
    DisagreementEntry,
    PluginInfo,
    Report,
    RequirementEntry,
    RunInfo,
    RunVerdict,
    RunWord,
    TargetInfo,
    TestEntry,
    UncheckedInfo,
)
from pytest_grpcstream.settings import Settings
from pytest_grpcstream.verdicts.results import Results
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Conformance, Verdict

TEXT_LIMIT: Final = 1000
"""Characters of one text, which may come from the target."""
LIST_LIMIT: Final = 50
"""Texts of one list at most, where a target could make it long."""
_ENDED_EXIT_CODES: Final = (0, 1, 5)
"""The exit codes of runs that came to their end: passed, failed, nothing to run."""

Show: TypeAlias = Callable[[str], str]
"""Makes a text that may come from the target fit for a report."""


@dataclass
class RunProgress:
    """How far a run has come.

    Attributes:
        ended: when it ended, None before that.
        exit_code: the exit code of pytest, None before that.
        tests: the ids of the tests of requirements that were selected, as far as that is known.
        durations: seconds that each test took, with its setup and teardown.
    """

    ended: datetime.datetime | None = None
    exit_code: int | None = None
    tests: frozenset[str] = frozenset()
    durations: dict[str, float] = field(default_factory=dict)

    def is_complete(self, results: Results) -> bool:
        """Whether the run came to its end, and every test of a requirement that was selected has a verdict."""
        return self.exit_code in _ENDED_EXIT_CODES and self.tests == results.verdicts.keys()


def show_text(settings: Settings, text: str) -> str:
    """A text that may come from the target: without secrets, in one line, and not longer than `TEXT_LIMIT`."""
    return one_line(settings.security.redact(text), TEXT_LIMIT)


def describe_run(settings: Settings, started: datetime.datetime, *, whole: bool) -> RunInfo:
    """What is known of a run at its start.

    Arguments:
        whole: whether the whole suite was selected, over both clients.
    """
    target = TargetInfo(
        text=None if settings.target is None else show_text(settings, str(settings.target)),
        source=None if settings.target is None else show_text(settings, settings.target_source),
        descriptions=(),
        features=None if settings.features is None else tuple(sorted(settings.features)),
        direct=None if settings.direct is None else show_text(settings, str(settings.direct)),
    )
    plugin = PluginInfo(DISTRIBUTION, _version())
    moment = _format_utc(started)
    return RunInfo(SCHEMA, plugin, whole, moment, target, settings.clients, settings.strict, settings.repeat)


def build_report(info: RunInfo, results: Results, progress: RunProgress, show: Show) -> Report:
    """The report of a run, as far as it has come."""
    complete = progress.is_complete(results)
    counts = results.counts()
    descriptions = _limit(results.targets, show)
    return Report(
        schema=info.schema,
        plugin=info.plugin,
        complete=complete,
        whole=info.whole,
        started=info.started,
        ended=None if progress.ended is None else _format_utc(progress.ended),
        exit_code=progress.exit_code,
        verdict=_conclude(results, complete=complete),
        target=replace(info.target, descriptions=descriptions, features=_features(info, results)),
        clients=info.clients,
        strict=info.strict,
        repeat=info.repeat,
        counts={verdict: counts[verdict] for verdict in Verdict},
        coverage=_coverage(results, show),
        disagreements=tuple(
            DisagreementEntry(one.requirement, show(one.test), one.verdicts) for one in results.disagreements()
        ),
        deaths=_limit(results.deaths, show),
        complaints=_limit(results.complaints, show),
        hints=tuple(results.hints()),
        requirements=tuple(_requirements(results, show)),
        tests=tuple(_test(one, progress.durations.get(one.nodeid, 0.0), show) for one in results.verdicts.values()),
    )


@functools.cache
def _version() -> str:
    return metadata.version(DISTRIBUTION)


def _format_utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _conclude(results: Results, *, complete: bool) -> RunVerdict:
    conformance = results.conformance()
    if not complete and conformance is not Conformance.NOT_CONFORMANT:
        # What was not reached could have failed.
        return RunVerdict(RunWord.INCOMPLETE, f"incomplete; up to then: {results.in_words()}")
    return RunVerdict(RunWord(conformance), f"{'' if complete else 'incomplete; '}{results.in_words()}")


def _limit(texts: Iterable[str], show: Show) -> tuple[str, ...]:
    listed = list(texts)
    more = len(listed) - LIST_LIMIT
    return (*(show(text) for text in listed[:LIST_LIMIT]), *[f"and {more} more"] * (more > 0))


def _features(info: RunInfo, results: Results) -> tuple[str, ...] | None:
    if info.target.features is not None:
        return info.target.features
    return next((test.features for test in results.verdicts.values() if test.features is not None), None)


def _coverage(results: Results, show: Show) -> CoverageInfo:
    coverage = results.coverage()
    unchecked = (UncheckedInfo(show(reason), tuple(names)) for reason, names in coverage.unchecked.items())
    return CoverageInfo(coverage.checked, coverage.total, tuple(unchecked), tuple(coverage.missing))


def _requirements(results: Results, show: Show) -> Iterator[RequirementEntry]:
    verdicts = results.requirements()
    for one in results.asked():
        yield RequirementEntry(
            id=one.id,
            verdict=verdicts.get(one.id),
            severity=one.severity,
            level=one.level,
            owner=one.owner,
            sentence=one.sentence,
            source=one.source,
            observed=_limit(dict.fromkeys(results.observed.get(one.id, ())), show),
        )


def _test(test: TestVerdict, duration: float, show: Show) -> TestEntry:
    upstream = test.upstream
    return TestEntry(
        nodeid=show(test.nodeid),
        requirement=test.requirement,
        client=test.client,
        verdict=test.verdict,
        reason=show(test.reason),
        expected=None if test.expected is None else show(test.expected),
        actual=None if test.actual is None else show(test.actual),
        duration=round(duration, 4),
        timeline=_keep(TIMELINE_PATTERN, test.evidence.timeline),
        pcap=_keep(PCAP_PATTERN, test.evidence.pcap),
        note=show(test.evidence.note),
        direct=None if upstream is None else DirectVerdict(upstream.verdict, show(upstream.reason)),
    )


def _keep(pattern: str, name: str | None) -> str | None:
    """The name of a file of evidence, or None: a worker of pytest-xdist may send any text."""
    return name if name is not None and re.fullmatch(pattern, name) else None
