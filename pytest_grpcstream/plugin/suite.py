"""How tests of requirements run: in order of risk, on a target that is there, with an eye on its health."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.capabilities import EXCHANGES
from pytest_grpcstream.errors import (
    Deviation,
    Inconclusive,
    Mismatch,
    NotApplicable,
    TargetDied,
    TargetError,
)
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.requirement_marker import RequirementMarker
from pytest_grpcstream.plugin.session import (
    HASTE,
    STRESS,
    Run,
    Selection,
    forget,
    is_requirement,
    requirement_id,
    requirement_of,
    streams_of,
    target_of,
)
from pytest_grpcstream.settings import CLIENTS
from pytest_grpcstream.verdicts.allowances import excuse

if TYPE_CHECKING:
    from pytest_grpcstream.targets.supervisor import SupervisedTarget

PACKAGE: Final = "pytest_grpcstream/conformance"
"""What the ids of the shipped tests begin with, wherever the package is installed."""
BACKSTOP: Final = 24
"""The time limit of one test, in time limits of one operation: pytest-timeout ends what nothing else does."""
LOOKS: Final = 3
"""Times that a target is asked after a failure whether it serves: one that fails now and then is not gone."""
TARGET_MISSING: Final = 6
"""The exit code of a run whose target is not there or cannot be started."""


def _is_suite_module(path: Path) -> bool:
    if path.parent.name != "conformance" or not path.name.startswith("test_"):
        return False
    from pytest_grpcstream import conformance

    return path.parent == Path(str(conformance.__file__)).parent


def _risk(item: pytest.Item) -> int:
    from pytest_grpcstream.requirements.registry import RISKS

    requirement = requirement_of(item)
    return 0 if requirement is None else RISKS.index(requirement.risk)


class SuitePlugin:
    """The hooks around tests that name a requirement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._previous: tuple[str, SupervisedTarget] | None = None
        self._modules: set[str] = set()
        self._deselected = False

    # Collection -------------------------------------------------------------------------------------------------

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module | None:
        """Give the modules of the suite the same ids wherever the package is installed."""
        if not _is_suite_module(module_path):
            return None
        self._modules.add(module_path.name)
        return pytest.Module.from_parent(parent, path=module_path, nodeid=f"{PACKAGE}/{module_path.name}")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests of requirements over each client."""
        if is_requirement(metafunc.definition) and "grpcstream_client" in metafunc.fixturenames:
            metafunc.parametrize("grpcstream_client", self._run.settings.clients)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Notice that somebody wants a part of the suite only."""
        self._deselected |= any(is_requirement(item) for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what does not concern this run, order the rest by risk, mildest first, and give each a backstop."""
        places = [place for place, item in enumerate(items) if is_requirement(item)]
        whole = bool(places) and self._is_whole(config) and not self._deselected
        if left_out := [item for item in items if is_requirement(item) and not self._concerns(config, item)]:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
        places = [place for place, item in enumerate(items) if is_requirement(item)]
        for item in (items[place] for place in places):
            self._prepare(config, item)
        ordered = sorted((items[place] for place in places), key=_risk)
        for place, item in zip(places, ordered, strict=True):
            items[place] = item
        tests = {item.nodeid: (requirement_id(item), self._run.kind_of(item)) for item in ordered}
        self._run.selection = Selection(tests, whole)

    def _is_whole(self, config: pytest.Config) -> bool:
        """Whether nobody asked for certain modules or tests, or for one client."""
        from pytest_grpcstream import conformance

        folder = Path(str(conformance.__file__)).parent
        names = {conformance.__name__, str(folder)}
        named = any(argument in names or str(Path(argument).resolve()) in names for argument in config.args)
        modules = {path.name for path in folder.glob("test_*.py")}
        return named and modules <= self._modules and set(self._run.settings.clients) == set(CLIENTS)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take from a worker of pytest-xdist what the run is about; they all say the same."""
        said = getattr(node, "workeroutput", {}).get("grpcstream")
        if said:
            self._run.selection = Selection({name: (one, kind) for name, one, kind in said["tests"]}, said["whole"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the process that pytest-xdist gathers results in what the run is about."""
        if hasattr(session.config, "workeroutput"):
            selection = self._run.selection
            tests = [(name, one, kind) for name, (one, kind) in selection.tests.items()]
            session.config.workeroutput["grpcstream"] = {"tests": tests, "whole": selection.whole}

    def _concerns(self, config: pytest.Config, item: pytest.Item) -> bool:
        """Whether a test of a requirement belongs to this kind of run: some need TLS, and stress must be asked for."""
        if item.get_closest_marker(STRESS) is not None:
            # The short name is on tests of the suite alone: a project's own marker of that name asks for nothing else.
            names = [name for name in (STRESS, "stress") if item.get_closest_marker(name) is not None]
            if not re.search(rf"\b(?:{'|'.join(names)})\b", config.option.markexpr):
                return False
        from pytest_grpcstream.requirements.registry import registry

        security = self._run.settings.security
        only = getattr(registry().get(requirement_id(item)), "only", "")
        return not only or (security.tls and (only == "tls" or security.cert is not None))

    def _prepare(self, config: pytest.Config, item: pytest.Item) -> None:
        RequirementMarker.of(item)  # a marker that is not valid is an error of the collection
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
            turns = self._run.settings.repeat + (self._run.settings.direct is not None)
            item.add_marker(pytest.mark.timeout(self._run.settings.timeout * BACKSTOP * turns))

    # The target -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Start the target before the first test, so that one that is not there is one message and no test."""
        config = session.config
        distributed = config.pluginmanager.hasplugin("dsession") or hasattr(config, "workerinput")
        suite = any(is_requirement(item) for item in session.items)
        if suite and self._run.settings.target is not None and not distributed and not config.option.collectonly:
            kept: SupervisedTarget | None = None
            try:
                kept = self._run.keeper.named(self._run.settings.target)
                for one in filter(None, (kept, self._run.behind)):
                    for kind in self._run.settings.clients:
                        self._run.capabilities(one, kind)
            except TargetError as error:
                reason = kept.gone() if kept is not None and not kept.restartable else None
                self._run.close()
                went = f"the target went away when it was asked what it can do: {reason}"
                pytest.exit(went if reason else str(error), returncode=TARGET_MISSING)
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"grpcstream: {self._run.told(kept)}")
        try:
            return (yield)
        finally:
            self._run.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keep nothing of a test when it has been reported."""
        try:
            return (yield)
        finally:
            forget(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Notice a target that died after the test before; end the run where there is no target to go on with."""
        if not is_requirement(item):
            return (yield)
        self._notice_late_death(item)
        try:
            return (yield)
        except TargetError as error:
            kept = target_of(item)
            if kept is not None and kept.restartable and (reason := kept.gone()) is not None:
                raise self._buried(item, kept, reason) from error
            # Under xdist, or when a dead target cannot be started again: every other test would say the same.
            item.session.shouldfail = str(error).splitlines()[0]
            raise

    def _notice_late_death(self, item: pytest.Item) -> None:
        previous, self._previous = self._previous, None
        if previous is None:
            return
        nodeid, kept = previous
        reason = kept.gone()
        if reason is None:
            return
        # Told with the report of this test, since that of the culprit is written.
        item.user_properties.append(("grpcstream_death", f"the target died after {nodeid}: {one_line(reason)}"))
        if kept.restartable:
            kept.forget()
            return
        item.session.shouldfail = f"the target went away after {nodeid}: {one_line(reason)}; the rest was not run"
        pytest.skip(f"not run: {item.session.shouldfail}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """After a test of a requirement, look whether the target is still there."""
        if not is_requirement(item):
            return (yield)
        self._require_exchanges(item)
        began = time.monotonic()
        try:
            result = yield
        except NotApplicable as reason:
            pytest.skip(f"not applicable: {reason}")
        except Exception as error:
            seconds = time.monotonic() - began
            if death := self._death(item) or self._unresponsive(item, error):
                raise death from error
            if (found := excuse(self._run, item, error)) not in (None, error):
                raise found from error
            self._note_waiting(item, error, seconds)
            raise
        if death := self._death(item):
            raise death
        return result

    def _note_waiting(self, item: pytest.Item, failed: Exception, seconds: float) -> None:
        """Add up how long a run that is red already has waited for what does not come.

        With a list of expected failures it need not be red.
        """
        requirement = requirement_of(item)
        serious = requirement is not None and requirement.severity == "error" and not isinstance(failed, Deviation)
        red = serious and not self._run.settings.expect
        before = self._run.patience(item)
        if not red or seconds < before:
            return
        self._run.spent += seconds
        if (limit := self._run.patience(item)) < before:
            told = f"after {self._run.spent:.0f} s of waiting in vain, nothing was waited for longer than {limit:g} s"
            item.user_properties.append((HASTE, told))

    def _require_exchanges(self, item: pytest.Item) -> None:
        """Leave a requirement open that is observed by an exchange which this target cannot do at all."""
        kept = target_of(item)
        marker = RequirementMarker.of(item)
        if kept is None or marker is None or not marker.observed_by:
            return
        failures = self._run.capabilities(kept, self._run.kind_of(item)).failed_exchanges
        if broken := [name for name in marker.observed_by if name in failures]:
            names = " and ".join(EXCHANGES[name] for name in broken)
            how = "; ".join(dict.fromkeys(failures[name] for name in broken))
            raise Inconclusive(f"{names}, by which this is observed", f"this target has not even {names}: {how}")

    def _unresponsive(self, item: pytest.Item, failed: Exception) -> TargetDied | None:
        """After a failure: whether the target still does the plain exchanges that it could do at first."""
        kept = target_of(item)
        if kept is None:
            return None
        kind = self._run.kind_of(item)
        capabilities = self._run.capabilities(kept, kind)
        if not capabilities.working_exchanges:
            return None
        from pytest_grpcstream import verify

        # The calls that the test has left open are its own: a server of few threads may have none free meanwhile.
        for stream in streams_of(item):
            stream.close()
        seen = ""
        for _ in range(LOOKS):
            began = time.monotonic()
            try:
                with self._run.connect(kept, kind, capabilities=capabilities) as client:
                    verify.serves(client, "after this test")
            except Mismatch as error:
                seen = error.actual
            else:
                return None
            if time.monotonic() - began > self._run.settings.timeout:
                break  # It hangs: another look would only cost the same time again.
        if (reason := kept.gone()) is not None:
            return self._buried(item, kept, reason)  # it was dying, and that took a moment
        why = f"; the test itself found: {one_line(str(failed), 300)}" if isinstance(failed, Mismatch) else ""
        return self._buried(item, kept, f"it still runs, but {seen}{why}")

    def _death(self, item: pytest.Item) -> TargetDied | None:
        kept = target_of(item)
        if kept is None:
            return None
        reason = kept.gone()
        if reason is None:
            self._previous = (item.nodeid, kept)
            return None
        return self._buried(item, kept, reason)

    def _buried(self, item: pytest.Item, kept: SupervisedTarget, reason: str) -> TargetDied:
        output = kept.output()
        if kept.restartable:
            kept.forget()
        else:
            item.session.shouldfail = f"the target went away during {item.nodeid}: {reason}; the rest was not run"
        said = f"; its last output:\n{output}" if output else ""
        stream = next(reversed(streams_of(item)), None)
        return TargetDied("the target goes on serving after this test", f"{reason}{said}", stream)
