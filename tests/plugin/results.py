"""Reads the JUnit report of a run: the verdict on each test, and its properties."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """One test of a report.

    Attributes:
        verdict: passed, failed, error, skipped or warned.
        message: the first line of the reason, if there is one.
        properties: the properties of the test.
    """

    verdict: str
    message: str
    properties: dict[str, str]


def cases(path: Path) -> dict[str, Case]:
    """The tests of a report by their names."""
    return {f"{case.get('name')}": _case(case) for case in ElementTree.parse(path).iter("testcase")}


def _case(case: ElementTree.Element) -> Case:
    properties = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
    for tag, usual in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            verdict = "warned" if found.get("type") == "pytest.xfail" else usual
            text = found.text if tag != "skipped" else found.get("message")
            return Case(verdict, (text or "").partition("\n")[0], properties)
    return Case("passed", "", properties)
