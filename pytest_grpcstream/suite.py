"""How tests of requirements run: in order of risk, judged by severity, with an eye on the target's health."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.errors import Deviation, Inconclusive, NotApplicable, StreamError, TargetError, Verdict
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.requirements import RISKS, Requirement, registry
from pytest_grpcstream.settings import Settings

if TYPE_CHECKING:
    from pytest_grpcstream.clients.base import Client
    from pytest_grpcstream.features import Traits
    from pytest_grpcstream.keeper import Keeper, KeptTarget

MARKER: Final = "grpcstream_requirement"
PACKAGE: Final = "pytest_grpcstream/conformance"
BACKSTOP: Final = 24
"""The time limit of one test of the suite, in time limits of one operation: pytest-timeout ends what nothing else does."""
TARGET_MISSING: Final = 6
"""The exit code of a run whose target is not there or cannot be started."""
TIMELINES: Final = 3
"""Timelines that the report of a failing test shows at most, the newest ones."""

_CLIENTS: Final = pytest.StashKey["list[Client]"]()


class Died(Verdict):
    """Raised when the target did not survive a test."""


class Judged(Exception):  # noqa: N818 - it carries a report, it is no error of its own
    """The text of a verdict, in place of the exception that a test raised."""


def requirement_of(item: pytest.Item) -> Requirement | None:
    """The requirement that a test names, if it names one."""
    marker = item.get_closest_marker(MARKER)
    return None if marker is None else registry()[marker.args[0]]


def _is_suite_module(path: Path) -> bool:
    if path.parent.name != "conformance" or not path.name.startswith("test_"):
        return False
    from pytest_grpcstream import conformance

    return path.parent == Path(str(conformance.__file__)).parent


class SuitePlugin:
    """The hooks around tests that name a requirement, and what the fixtures share during a run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._keeper: Keeper | None = None
        self._traits: dict[int, Traits] = {}
        self._previous: str | None = None
        self._announce: str | None = None

    # What the fixtures share ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def keeping(self) -> Iterator[Keeper]:
        """The keeper of the run's targets; what it started ends with the block."""
        keeper = self._kept_by()
        try:
            yield keeper
        finally:
            keeper.close()
            self._keeper = None

    def _kept_by(self) -> Keeper:
        from pytest_grpcstream.keeper import Keeper

        if self._keeper is None:
            self._keeper = Keeper(timeout=self.settings.startup_timeout)
        return self._keeper

    def connect(self, kept: KeptTarget) -> Client:
        """A client with a connection of its own."""
        from pytest_grpcstream.clients.library import LibraryClient, open_channel

        return LibraryClient(open_channel(kept.address), timeout=self.settings.timeout, owned=True)

    def traits(self, kept: KeptTarget) -> Traits:
        """What a target is like, found out at the first call."""
        from pytest_grpcstream.features import find_traits

        if id(kept) not in self._traits:
            self._traits[id(kept)] = find_traits(lambda: self.connect(kept), self.settings.features)
        return self._traits[id(kept)]

    def watch(self, node: pytest.Item, client: Client) -> None:
        """Remember a client, so that a failing test shows the timelines of its streams."""
        node.stash.setdefault(_CLIENTS, []).append(client)

    def skip_unless_applicable(self, request: pytest.FixtureRequest) -> None:
        """Skip a test of a requirement whose optional features the target does not have."""
        marker = request.node.get_closest_marker(MARKER)
        needs = () if marker is None else marker.kwargs.get("needs", ())
        if needs:
            traits: Traits = request.getfixturevalue("grpcstream_traits")
            missing = [name for name in needs if name not in traits.features]
            if missing:
                pytest.skip(f"not applicable: the target has no {' and no '.join(missing)}")

    # Collection -------------------------------------------------------------------------------------------------

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module | None:
        """Give the modules of the suite the same ids wherever the package is installed."""
        if not _is_suite_module(module_path):
            return None
        return pytest.Module.from_parent(parent, path=module_path, nodeid=f"{PACKAGE}/{module_path.name}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Order the tests of requirements by risk, mildest first, and give each a backstop."""
        places = [place for place, item in enumerate(items) if item.get_closest_marker(MARKER)]
        for item in (items[place] for place in places):
            self._prepare(config, item)
        ordered = sorted((items[place] for place in places), key=_risk)
        for place, item in zip(places, ordered, strict=True):
            items[place] = item

    def _prepare(self, config: pytest.Config, item: pytest.Item) -> None:
        try:
            requirement = requirement_of(item)
        except KeyError as error:
            raise pytest.UsageError(f"{item.nodeid} names the requirement {error}, which is not registered") from None
        assert requirement is not None  # noqa: S101 - the caller looked for the marker
        item.user_properties += [
            ("requirement", requirement.id),
            ("level", f"{requirement.level} ({requirement.owner})"),
            ("severity", requirement.severity),
        ]
        if item.get_closest_marker("timeout") is None and not config.getoption("timeout", None):
            item.add_marker(pytest.mark.timeout(self.settings.timeout * BACKSTOP))

    # The run ----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Start the target before the first test, so that one that is not there is one message and no test."""
        config = session.config
        distributing = config.pluginmanager.hasplugin("dsession") or hasattr(config, "workerinput")
        suite = any(item.get_closest_marker(MARKER) for item in session.items)
        if suite and self.settings.target is not None and not distributing and not config.option.collectonly:
            try:
                kept = self._kept_by().named(self.settings.target)
                told = f"{kept.description}; {self.traits(kept)}"
            except TargetError as error:
                self._kept_by().close()
                pytest.exit(str(error), returncode=TARGET_MISSING)
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"grpcstream: {told}")
        try:
            return (yield)
        finally:
            if self._keeper is not None:
                self._keeper.close()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Under xdist a target that is not there shows in the first test's setup; that test is then the last."""
        try:
            return (yield)
        except TargetError as error:
            if item.get_closest_marker(MARKER):
                item.session.shouldfail = str(error).splitlines()[0]
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """After a test of a requirement, look whether the target is still there."""
        if item.get_closest_marker(MARKER) is None:
            return (yield)
        try:
            result = yield
        except NotApplicable as reason:
            pytest.skip(f"not applicable: {reason}")
        except Exception as error:
            if death := self._death(item):
                raise death from error
            raise
        if death := self._death(item):
            raise death
        return result

    def _death(self, item: pytest.Item) -> Died | None:
        kept: KeptTarget | None = getattr(item, "funcargs", {}).get("_grpcstream_kept")
        reason = None if kept is None else kept.gone()
        if kept is None or reason is None:
            return None
        if not kept.restartable:
            item.session.shouldfail = f"the target went away during {item.nodeid}: {reason}; the rest was not run"
        output = kept.output()
        stream = next((one for client in item.stash.get(_CLIENTS, []) for one in reversed(client.streams)), None)
        return Died(
            "the target survives this test",
            f"{reason}{f'; its last output:{chr(10)}{output}' if output else ''}",
            stream,
        )

    # Verdicts ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what a test raised into a verdict: failed, warned or inconclusive, with a report to act on."""
        report = yield
        requirement = requirement_of(item) if item.get_closest_marker(MARKER) else None
        error = None if call.excinfo is None else call.excinfo.value
        verdict = "passed" if report.passed else "not applicable" if report.skipped else "failed"
        reason = ""
        if isinstance(error, Verdict):
            reason = f"expected {error.expected}; actual: {error.actual}"
            if requirement is not None:
                verdict = self._judge(report, requirement, error)
                report.longrepr = _shown(error, self._explain(item, requirement, error, verdict))
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if report.failed and requirement is None and call.when == "call":
            self._add_timelines(item, report)
        if requirement is not None and (call.when == "call" or not report.passed):
            report.grpcstream = {"id": requirement.id, "verdict": verdict, "reason": reason.splitlines()[0] if reason else ""}
            if (kept := getattr(item, "funcargs", {}).get("_grpcstream_kept")) is not None and id(kept) in self._traits:
                report.grpcstream["target"] = f"{kept.description}; {self._traits[id(kept)]}"
        return report

    def _judge(self, report: pytest.TestReport, requirement: Requirement, error: Verdict) -> str:
        warning = isinstance(error, Deviation) or (
            requirement.severity != "error" and not isinstance(error, Died | Inconclusive)
        )
        if warning and not self.settings.strict:
            report.outcome = "skipped"
            report.wasxfail = f"{requirement.id}: expected {error.expected}; actual: {error.actual}".splitlines()[0]
            return "warned"
        return "inconclusive" if isinstance(error, Inconclusive) else "failed"

    def _explain(self, item: pytest.Item, requirement: Requirement, error: Verdict, verdict: str) -> str:
        lines = [
            one_line(f"{requirement.id} {verdict}: expected {error.expected}; actual: {error.actual}", 400),
            "",
            f"requirement  {requirement.sentence}",
            f"             {requirement.level} ({requirement.owner}), severity {requirement.severity}; {requirement.source}",
            f"expected     {error.expected}",
            f"actual       {error.actual}",
        ]
        if error.stream is not None:
            lines += [f"timeline     {error.stream!r}", error.stream.timeline.render()]
        elif isinstance(error, StreamError):
            lines.append("timeline     (no stream)")
        lines.append(f"repeat with  {self._command(item)}")
        return "\n".join(lines)

    def _command(self, item: pytest.Item) -> str:
        words = ["pytest"]
        if self.settings.target is not None:
            words.append(f"--grpcstream-target={self.settings.target}")
        if self.settings.features is not None:
            words.append(f"--grpcstream-features={','.join(sorted(self.settings.features)) or 'none'}")
        if item.nodeid.startswith(f"{PACKAGE}/"):
            module, _, rest = item.nodeid.partition("::")
            words += ["--pyargs", f"{module.removesuffix('.py').replace('/', '.')}::{rest}"]
        else:
            words.append(item.nodeid)
        return shlex.join(words)

    def _add_timelines(self, item: pytest.Item, report: pytest.TestReport) -> None:
        streams = [stream for client in item.stash.get(_CLIENTS, []) for stream in client.streams]
        for stream in streams[-TIMELINES:]:
            report.sections.append((f"grpcstream {stream!r}", stream.timeline.render()))


def _risk(item: pytest.Item) -> int:
    requirement = requirement_of(item)
    return 0 if requirement is None else RISKS.index(requirement.risk)


def _shown(error: BaseException, text: str) -> Any:
    judged = Judged(text).with_traceback(error.__traceback__)
    return pytest.ExceptionInfo.from_exception(judged).getrepr(style="value")
