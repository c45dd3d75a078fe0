"""Checks the health of the target: it must survive every test of a requirement and serve the next."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_grpcstream.capabilities import EXCHANGES
from pytest_grpcstream.errors import Deviation, Inconclusive, Mismatch, NotApplicable, TargetDied, TargetError
from pytest_grpcstream.escape import one_line
from pytest_grpcstream.plugin.item_state import reset_state, state_of
from pytest_grpcstream.plugin.markers import client_of, is_requirement, requirement_of
from pytest_grpcstream.plugin.outcomes import skip_not_applicable
from pytest_grpcstream.plugin.requirement_marker import RequirementMarker
from pytest_grpcstream.plugin.session import Run

if TYPE_CHECKING:
    from pytest_grpcstream.targets.supervisor import SupervisedTarget

ATTEMPTS: Final = 3
"""How often a target is tried after a failure: one that fails now and then has not died."""


class HealthPlugin:
    """The hooks around each test of a requirement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._previous: tuple[str, SupervisedTarget] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keep nothing of a test after it was reported."""
        try:
            return (yield)
        finally:
            reset_state(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Notice a target that died after the previous test; stop the run if no target is left."""
        if not is_requirement(item):
            return (yield)
        self._notice_late_death(item)
        try:
            return (yield)
        except TargetError as error:
            target = state_of(item).target
            if target is not None and target.restartable and (reason := target.death_reason()) is not None:
                raise self._report_death(item, target, reason) from error
            # Under pytest-xdist, or if a dead target cannot be restarted: every other test would say the same.
            item.session.shouldfail = str(error).splitlines()[0]
            raise

    def _notice_late_death(self, item: pytest.Item) -> None:
        previous, self._previous = self._previous, None
        if previous is None:
            return
        nodeid, target = previous
        reason = target.death_reason()
        if reason is None:
            return
        # Reported with this test, because the report of the previous one is already written.
        state_of(item).late_death = f"the target died after {nodeid}: {one_line(reason)}"
        if target.restartable:
            target.discard()
            return
        item.session.shouldfail = f"the target stopped after {nodeid}: {one_line(reason)}; the rest was not run"
        # The fixture of the target skips the test: pytest must have set a test up before it can tear it down.
        state_of(item).not_run = item.session.shouldfail

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """After a test of a requirement, check whether the target still serves."""
        if not is_requirement(item):
            return (yield)
        self._require_exchanges(item)
        began = time.monotonic()
        try:
            result = yield
        except NotApplicable as reason:
            skip_not_applicable(str(reason))
        except Exception as error:
            seconds = time.monotonic() - began
            if death := self._check_death(item) or self._check_responsive(item, error):
                raise death from error
            if (allowance := self._find_allowance(item, error)) not in (None, error):
                raise allowance from error
            self._note_lost_time(item, error, seconds)
            raise
        if death := self._check_death(item):
            raise death
        return result

    def _require_exchanges(self, item: pytest.Item) -> None:
        """A requirement is inconclusive if the target fails a baseline exchange by which it is observed."""
        target = state_of(item).target
        marker = RequirementMarker.of(item)
        if target is None or marker is None or not marker.observed_by:
            return
        failures = target.capabilities(client_of(item, self._run.settings)).failed_exchanges
        if failed := [name for name in marker.observed_by if name in failures]:
            names = " and ".join(EXCHANGES[name] for name in failed)
            how = "; ".join(dict.fromkeys(failures[name] for name in failed))
            raise Inconclusive(f"{names}, by which this is observed", f"prerequisite failed: {names}: {how}")

    def _find_allowance(self, item: pytest.Item, failed: Exception) -> Exception | None:
        """The warning that replaces a failure for which a correct server may be responsible."""
        from pytest_grpcstream.verdicts.allowances import Circumstances, find_allowance

        state, client = state_of(item), client_of(item, self._run.settings)
        target = state.target
        if target is None:
            return find_allowance(failed, Circumstances(state.clients, serves=False))
        ask = partial(self._run.connector.stream_limit, target) if client == "library" else None
        serves = bool(target.capabilities(client).working_exchanges)
        return find_allowance(failed, Circumstances(state.clients, serves, ask))

    def _note_lost_time(self, item: pytest.Item, failed: Exception, seconds: float) -> None:
        requirement = requirement_of(item)
        if requirement is None or requirement.severity != "error" or isinstance(failed, Deviation):
            return
        target = state_of(item).target
        known = None if target is None else target.known_capabilities(client_of(item, self._run.settings))
        serves = None if known is None else bool(known.working_exchanges)
        state_of(item).budget_note = self._run.budget.note_lost(seconds, serves=serves)

    def _check_responsive(self, item: pytest.Item, failed: Exception) -> TargetDied | None:
        """After a failure: whether the target still does the baseline exchanges that it could do at first."""
        target = state_of(item).target
        if target is None:
            return None
        client = client_of(item, self._run.settings)
        if not target.capabilities(client).working_exchanges:
            return None
        # Calls that the test left open are its own: a server with few threads may have none free meanwhile.
        for stream in state_of(item).streams:
            stream.close()
        actual = self._try_exchanges(target, client)
        if (reason := target.death_reason()) is not None:
            return self._report_death(item, target, reason)  # it was dying, and that took a moment
        if actual is None:
            return None
        why = f"; the test itself found: {one_line(str(failed), 300)}" if isinstance(failed, Mismatch) else ""
        return self._report_death(item, target, f"it still runs, but {actual}{why}")

    def _try_exchanges(self, target: SupervisedTarget, kind: str) -> str | None:
        """How a target fails the baseline exchanges it could do at first, in every attempt; None if it serves."""
        from pytest_grpcstream import verify

        actual = ""
        for _ in range(ATTEMPTS):
            began = time.monotonic()
            try:
                with self._run.connector.client(target, kind, capabilities=target.capabilities(kind)) as client:
                    verify.serves(client, "after this test")
            except Mismatch as error:
                actual = error.actual
            else:
                return None
            if time.monotonic() - began > self._run.settings.timeout:
                break  # it hangs: another attempt would only cost the same time again
        return actual

    def _check_death(self, item: pytest.Item) -> TargetDied | None:
        target = state_of(item).target
        if target is None:
            return None
        reason = target.death_reason()
        if reason is None:
            self._previous = (item.nodeid, target)
            return None
        return self._report_death(item, target, reason)

    def _report_death(self, item: pytest.Item, target: SupervisedTarget, reason: str) -> TargetDied:
        output = target.output()
        if target.restartable:
            target.discard()
        else:
            item.session.shouldfail = f"the target stopped during {item.nodeid}: {reason}; the rest was not run"
        printed = f"; its last output:\n{output}" if output else ""
        stream = next(reversed(state_of(item).streams), None)
        return TargetDied("the target still serves after this test", f"{reason}{printed}", stream)
