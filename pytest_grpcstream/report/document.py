"""The content of `report.json`, made of what is known of a run; every field is told in `docs/reports.md`."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final

from pytest_grpcstream.escape import one_line
from pytest_grpcstream.report.files import EVIDENCE
from pytest_grpcstream.settings import Settings
from pytest_grpcstream.verdicts.results import VERDICTS, Results

SCHEMA: Final = 1
"""The version of the format: a field may be added to it, but none is removed or gets another meaning."""
TEXT: Final = 1000
"""Characters of one text, which may come from the target."""
SEVERAL: Final = 50
"""Texts of one list at most, where a target could make it long."""
DISTRIBUTION: Final = "pytest-grpcstream"
_ENDS: Final = (0, 1, 5)
"""The exit codes of runs that came to their end: passed, failed, nothing to run."""


@dataclass
class Course:
    """What is known of a run beside its verdicts.

    Attributes:
        started: when it began.
        ended: when it ended, None before that.
        exit_code: how pytest ended, None before that.
        tests: the ids of the tests of requirements that were selected, as far as that is known.
        whole: whether that is the whole suite, over both clients.
        durations: seconds that each test took, with its setup and teardown.
    """

    started: datetime.datetime
    ended: datetime.datetime | None = None
    exit_code: int | None = None
    tests: frozenset[str] = frozenset()
    whole: bool = False
    durations: dict[str, float] = field(default_factory=dict)

    def is_complete(self, results: Results) -> bool:
        """Whether the run came to its end, and every test of a requirement that was selected has a verdict."""
        return self.exit_code in _ENDS and self.tests == results.verdicts.keys()


def document(settings: Settings, results: Results, course: Course) -> dict[str, Any]:
    """The report of a run, as far as it has come."""
    redact = settings.security.redact

    def shown(text: object) -> str:
        return one_line(redact(str(text)), TEXT)

    complete = course.is_complete(results)
    coverage = results.coverage()
    return {
        "schema": SCHEMA,
        "plugin": {"name": DISTRIBUTION, "version": _version()},
        "complete": complete,
        "whole": course.whole,
        "started": _utc(course.started),
        "ended": None if course.ended is None else _utc(course.ended),
        "exit_code": course.exit_code,
        "verdict": _verdict(results, complete),
        "target": {
            "text": None if settings.target is None else shown(settings.target),
            "source": None if settings.target is None else shown(settings.target_source),
            "descriptions": _shown(results.told, shown),
            "features": _features(results, settings),
            "direct": None if settings.direct is None else shown(settings.direct),
        },
        "clients": list(settings.clients),
        "strict": settings.strict,
        "repeat": settings.repeat,
        "counts": {word: results.counts()[word] for word in VERDICTS},
        "coverage": {
            "checked": coverage.checked,
            "total": coverage.total,
            "unchecked": [
                {"reason": shown(reason), "requirements": names} for reason, names in coverage.unchecked.items()
            ],
            "missing": coverage.missing,
        },
        "disagreements": [
            {"requirement": one.requirement, "test": shown(one.test), "verdicts": one.verdicts}
            for one in results.disagreements()
        ],
        "deaths": _shown(results.deaths, shown),
        "complaints": _shown(results.complaints, shown),
        "hints": list(results.hints()),
        "requirements": list(_requirements(results, shown)),
        "tests": [
            _test(nodeid, entry, course.durations.get(nodeid, 0.0), shown) for nodeid, entry in results.verdicts.items()
        ],
    }


@functools.cache
def _version() -> str:
    return metadata.version(DISTRIBUTION)


def _utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _verdict(results: Results, complete: bool) -> dict[str, str]:
    word = results.conformance()
    if not complete and word != "not conformant":
        # What was not reached could have failed.
        return {"word": "incomplete", "text": f"incomplete; up to then: {results.in_words()}"}
    return {"word": word, "text": f"{'' if complete else 'incomplete; '}{results.in_words()}"}


def _shown(texts: Iterable[object], shown: Callable[[object], str]) -> list[str]:
    listed = list(texts)
    more = len(listed) - SEVERAL
    return [shown(text) for text in listed[:SEVERAL]] + [f"and {more} more"] * (more > 0)


def _features(results: Results, settings: Settings) -> list[str] | None:
    if settings.features is not None:
        return sorted(settings.features)
    entries = results.verdicts.values()
    return next((entry["features"] for entry in entries if entry.get("features") is not None), None)


def _requirements(results: Results, shown: Callable[[object], str]) -> Iterable[dict[str, Any]]:
    verdicts = results.requirements()
    for one in results.asked():
        yield {
            "id": one.id,
            "verdict": verdicts.get(one.id),
            "severity": one.severity,
            "level": one.level,
            "owner": one.owner,
            "sentence": one.sentence,
            "source": one.source,
            "observed": _shown(dict.fromkeys(results.observed.get(one.id, ())), shown),
        }


def _test(nodeid: str, entry: Mapping[str, Any], duration: float, shown: Callable[[object], str]) -> dict[str, Any]:
    evidence = entry.get("evidence", {})
    direct = entry.get("direct")
    return {
        "nodeid": shown(nodeid),
        "requirement": entry["id"],
        "client": entry["client"],
        "verdict": entry["verdict"],
        "reason": shown(entry["reason"]),
        "expected": shown(entry["expected"]) if "expected" in entry else None,
        "actual": shown(entry["actual"]) if "actual" in entry else None,
        "duration": round(duration, 4),
        "timeline": _file(evidence.get("timeline")),
        "pcap": _file(evidence.get("pcap")),
        "note": shown(evidence.get("note") or ""),
        "direct": None if direct is None else {"verdict": direct["verdict"], "reason": shown(direct["reason"])},
    }


def _file(name: str | None) -> str | None:
    """The name of a file of evidence; whatever else a report of a test may say is none."""
    return name if name is not None and EVIDENCE.fullmatch(name) else None
