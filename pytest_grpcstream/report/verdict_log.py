"""The verdicts of a run as lines of JSON, appended as the tests end, so that a report can be recovered after a crash.

The first line is a `RunInfo`, every other one a `LoggedVerdict`. `report.json` replaces the file at the end of the run.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from pytest_grpcstream.report.building import RunProgress, build_report
from pytest_grpcstream.report.values import Report, RunInfo
from pytest_grpcstream.verdicts.results import Results
from pytest_grpcstream.verdicts.test_verdict import TestVerdict


@dataclass(frozen=True)
class LoggedVerdict:
    """The verdict on a test, and what the test took until then, in seconds; its teardown is not over yet."""

    test: TestVerdict
    duration: Annotated[float, msgspec.Meta(ge=0)]


class VerdictLog:
    """Appends verdicts to a file. What was appended outlives this process, even if it is killed.

    Attributes:
        error: why the newest verdicts are not in the file, None if they are.
    """

    def __init__(self, path: Path, show: Callable[[str], str]) -> None:
        self._path = path
        self._show = show
        self._file: io.FileIO | None = None
        self._pending = b""
        self.error: OSError | None = None

    def start(self, info: RunInfo) -> None:
        """Replace the file by one without verdicts.

        Raises:
            OSError: it cannot be written.
        """
        self.close()
        self._pending = msgspec.json.encode(info) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            self.error = error
        self._flush()
        if self.error is not None:
            raise self.error

    def append(self, test: TestVerdict, duration: float) -> None:
        """Append a verdict. If that fails, as on a full disk, the next call tries again with both."""
        self._pending += msgspec.json.encode(LoggedVerdict(_show_all(test, self._show), round(duration, 4))) + b"\n"
        self._flush()

    def close(self) -> None:
        """Close the file. Calling it twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Close and remove the file.

        Raises:
            OSError: it cannot be removed.
        """
        self.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._file is None:
            return
        try:
            # Without a buffer, a full disk may take a part; the rest stays pending, so that lines are never mixed up.
            while self._pending:
                self._pending = self._pending[self._file.write(self._pending) :]
            self.error = None
        except OSError as error:
            self.error = error


_RUN_INFO: Final = msgspec.json.Decoder(RunInfo)
_LOGGED_VERDICT: Final = msgspec.json.Decoder(LoggedVerdict)
_T = TypeVar("_T")


def recover_report(content: bytes) -> Report:
    """The report of a run that did not come to its end, from the content of its file of verdicts.

    Raises:
        ValueError: this is not such a file; the message says which line is wrong.
        msgspec.ValidationError: a value is not valid in a report.
        RecursionError: a line is nested too deeply.
    """
    # What follows the last line break is empty, or was cut when the run was killed.
    lines = content.split(b"\n")[:-1]
    if not lines:
        raise ValueError("it has no complete line")
    results, progress = Results(), RunProgress()
    info = _decode(_RUN_INFO, lines, 0)
    for index in range(1, len(lines)):
        logged = _decode(_LOGGED_VERDICT, lines, index)
        results.add(logged.test)
        progress.durations[logged.test.nodeid] = logged.duration
    report = build_report(info, results, progress, str)
    # The types of a TestVerdict are wider than those of a report.
    return msgspec.convert(msgspec.to_builtins(report), Report)


def _decode(decoder: msgspec.json.Decoder[_T], lines: Sequence[bytes], index: int) -> _T:
    try:
        return decoder.decode(lines[index])
    except msgspec.DecodeError as error:
        raise ValueError(f"line {index + 1}: {error}") from None


def _show_all(test: TestVerdict, show: Callable[[str], str]) -> TestVerdict:
    """A verdict whose texts may stand in a file."""
    return replace(
        test,
        nodeid=show(test.nodeid),
        reason=show(test.reason),
        expected=None if test.expected is None else show(test.expected),
        actual=None if test.actual is None else show(test.actual),
        target=show(test.target),
        observed=tuple(show(one) for one in test.observed),
        evidence=replace(test.evidence, note=show(test.evidence.note)),
        upstream=None if test.upstream is None else replace(test.upstream, reason=show(test.upstream.reason)),
        failure=show(test.failure),
        late_death=show(test.late_death),
        budget_note=show(test.budget_note),
    )
