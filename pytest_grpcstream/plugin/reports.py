"""pytest's reports of tests of requirements, each with its verdict, also across the processes of pytest-xdist."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pytest_grpcstream.verdicts.test_verdict import TestVerdict

_VERDICTS: Final[weakref.WeakKeyDictionary[pytest.TestReport, TestVerdict]] = weakref.WeakKeyDictionary()
_SERIALIZED: Final = "$grpcstream_verdict"
_IDENTIFIERS: Final = frozenset({"nodeid", "requirement", "client", "verdict"})
"""Fields of a verdict that other parts of the plugin look up: pytest shows the id of a test as it is."""


class FailureTextError(Exception):
    """The text about a failure, shown instead of the exception that a test raised."""


def attach_verdict(report: pytest.TestReport, verdict: TestVerdict) -> None:
    """Attach the verdict on a test to the report of it, replacing an earlier one."""
    _VERDICTS[report] = verdict


def verdict_of(report: pytest.TestReport) -> TestVerdict | None:
    """The verdict that is attached to a report; None for a phase without one, and for tests without a requirement."""
    return _VERDICTS.get(report)


def update_verdict(report: pytest.TestReport, **changes: Any) -> TestVerdict:
    """Change fields of the verdict that is attached to a report."""
    verdict = _VERDICTS[report] = dataclasses.replace(_VERDICTS[report], **changes)
    return verdict


# What pytest shows -------------------------------------------------------------------------------------------------


def text_of(report: pytest.TestReport) -> str:
    """The text about the failure in a report; empty if there is none."""
    return "" if report.longrepr is None or isinstance(report.longrepr, tuple) else str(report.longrepr)


def show_failure(report: pytest.TestReport, text: str, error: BaseException | None = None) -> None:
    """Make a report a failure with this text.

    Arguments:
        error: the exception that the test raised, if there was one; its place stays in the report.
    """
    report.outcome = "failed"
    report.__dict__.pop("wasxfail", None)
    _show(report, text, error)


def show_expected(report: pytest.TestReport, reason: str, text: str = "", error: BaseException | None = None) -> None:
    """Make a report what pytest calls an expected failure (xfail): it is shown, and does not fail the run."""
    report.outcome = "skipped"
    report.wasxfail = reason
    if text:
        _show(report, text, error)


def show_passed(report: pytest.TestReport, text: str, error: BaseException) -> None:
    """Make a report a success, whatever the test raised."""
    report.outcome = "passed"
    _show(report, text, error)


def _show(report: pytest.TestReport, text: str, error: BaseException | None) -> None:
    if error is None:
        report.longrepr = text
    else:
        shown = FailureTextError(text).with_traceback(error.__traceback__)
        report.longrepr = pytest.ExceptionInfo.from_exception(shown).getrepr(style="value")


# What another process gets -----------------------------------------------------------------------------------------


class SerializationPlugin:
    """Sends verdicts along with the reports of pytest-xdist."""

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Add the verdict to the plain values of a report."""
        data = yield
        if data is not None and isinstance(report, pytest.TestReport) and report in _VERDICTS:
            import msgspec

            data[_SERIALIZED] = msgspec.to_builtins(_VERDICTS[report])
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(
        self, data: dict[str, Any]
    ) -> Generator[
        None, pytest.CollectReport | pytest.TestReport | None, pytest.CollectReport | pytest.TestReport | None
    ]:
        """Attach the verdict to the report that is made of plain values."""
        plain = data.pop(_SERIALIZED, None)
        report = yield
        if plain is not None and isinstance(report, pytest.TestReport):
            import msgspec

            from pytest_grpcstream.verdicts.test_verdict import TestVerdict

            attach_verdict(report, msgspec.convert(plain, TestVerdict))
        return report


def redact_report(config: pytest.Config, report: pytest.TestReport, redact: Callable[[str], str]) -> pytest.TestReport:
    """The report without secret values, wherever a test may have shown what the target echoed."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, dict):
            return {key: one if key in _IDENTIFIERS else clean(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(clean(one) for one in value)
        return value

    # The form in which pytest-xdist sends reports, because it consists of plain values.
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    names = ("longrepr", "sections", "user_properties", "wasxfail", _SERIALIZED)
    data.update({name: clean(data[name]) for name in names if name in data})
    restored: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
    return restored
