"""Makes the values that the tests of verdicts judge."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

from pytest_grpcstream.verdicts.expectations import Expectation
from pytest_grpcstream.verdicts.results import Results
from pytest_grpcstream.verdicts.test_verdict import TestVerdict
from pytest_grpcstream.verdicts.verdict import Verdict

MODULE = "pytest_grpcstream/conformance/test_ordering.py"
LIST = Path("expect.toml")


def judged(
    requirement: str = "ORD-1",
    verdict: Verdict = Verdict.PASSED,
    test: str = "test_order[wire]",
    client: str = "wire",
    **more: Any,
) -> TestVerdict:
    """The verdict on one test of the ordering module."""
    return TestVerdict(f"{MODULE}::{test}", requirement, client, verdict, **more)


def results(*tests: TestVerdict) -> Results:
    """The results of a run that came to these verdicts, in this order."""
    found = Results()
    for test in tests:
        found.add(test)
    return found


def expectation(name: str, reason: str = "actual: 4", place: int = 1, **more: Any) -> Expectation:
    """One entry of a list of expected failures."""
    values: dict[str, Any] = {
        "link": "",
        "why": "",
        "expires": None,
        "client": "",
        "sometimes": False,
        "file": LIST,
        "place": place,
    }
    return Expectation(id=name, reason=re.compile(reason), **{**values, **more})


def day(offset: int) -> datetime.date:
    """Today, or a day so many days later."""
    return datetime.datetime.now().astimezone().date() + datetime.timedelta(days=offset)
