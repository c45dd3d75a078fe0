"""Supervises the targets of a run: starts each at its first use, again after it died, and stops it at the end."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_grpcstream.capabilities import FAILED_BASELINE_TIMEOUT
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets import launching
from pytest_grpcstream.targets.address import Address, Target, parse
from pytest_grpcstream.targets.security import PLAINTEXT, Security
from pytest_grpcstream.wire.sockets import accepts

if TYPE_CHECKING:
    from pytest_grpcstream.capabilities import Capabilities
    from pytest_grpcstream.targets.connecting import Connector
    from pytest_grpcstream.targets.probing import Prober

REFUSAL_TIMEOUT: Final = 1.0
"""Seconds for which an address may refuse connections before the target counts as dead: it may be restarting."""


class SupervisedTarget:
    """A target that stays callable: it is started at its first use, and again after it died.

    Arguments:
        what: The parsed target, or a servicer that already runs in this process.
        timeout: Seconds that the target may take until it answers.
        connector: Opens the clients that probe the target.
        features_probed_by: The kind of client that probes the optional features, ``wire`` or ``library``.
        declared_features: The optional features that the user declared, or None to probe them.
        security: How clients reach the target.

    Attributes:
        text: The target as the user named it.
        security: How clients reach the target.
        deaths: How often the target was found dead.
    """

    def __init__(
        self,
        what: launching.InProcess | Target,
        *,
        timeout: float,
        connector: Connector,
        features_probed_by: str = "wire",
        declared_features: frozenset[str] | None = None,
        security: Security = PLAINTEXT,
    ) -> None:
        self._timeout = timeout
        self._connector = connector
        self._features_probed_by = features_probed_by
        self._declared_features = declared_features
        self.security = security
        self._error: TargetError | None = None
        self._replaced = ""
        self._target: Target | None = None
        self._running: launching.Running | None = None
        self._features: frozenset[str] | None = None
        self._capabilities: dict[str, Capabilities] = {}
        if isinstance(what, launching.InProcess):
            self._running = what
            self.text = what.description
        else:
            self._target = what
            self.text = str(what)
        self.deaths = 0

    @property
    def running(self) -> launching.Running:
        """The running target; it is started if it does not run.

        Raises:
            TargetError: The target cannot be started, or does not answer. Later uses raise the same error at once.
        """
        if self._error is not None:
            raise self._error
        if self._running is not None and (reason := self._running.exit_reason()) is not None:
            self._replaced = reason
            self.deaths += 1
            self.discard()
        if self._running is None:
            assert self._target is not None  # noqa: S101 - only a servicer object has none, and that one runs
            try:
                self._running = launching.start(self._target, timeout=self._timeout, security=self.security)
            except TargetError as error:
                self._error = error
                raise
        return self._running

    @property
    def address(self) -> str:
        """Where the target listens; the port may change when it is restarted."""
        return self.running.address

    @property
    def description(self) -> str:
        """How the target was started, in a few words."""
        return self.running.description

    @property
    def restartable(self) -> bool:
        """Whether a dead target can be restarted; a server that the user started cannot."""
        return not isinstance(self._target, Address)

    # What it can do ---------------------------------------------------------------------------------------------

    def capabilities(self, kind: str) -> Capabilities:
        """Return what the target can do over one kind of client; the first call probes it.

        Arguments:
            kind: ``wire`` or ``library``.

        Raises:
            TargetError: The target cannot be started, or died while it was probed and cannot be restarted.
        """
        declared = self._declared_features
        if self._features is None:
            self._features = self._prober(self._features_probed_by).find_features() if declared is None else declared
        if kind not in self._capabilities:
            prober = self._prober(kind)
            self._capabilities[kind] = prober.find_capabilities(self._features, declared=declared is not None)
            self._replaced = ""  # a death while probing means that a feature is absent, and no test caused it
        return self._capabilities[kind]

    def known_capabilities(self, kind: str) -> Capabilities | None:
        """Return what earlier probing found over one kind of client; None before it was probed."""
        return self._capabilities.get(kind)

    @property
    def known_features(self) -> frozenset[str] | None:
        """The optional features that earlier probing found, or that were declared; None before it was probed."""
        return self._features

    def description_line(self) -> str | None:
        """Return one line about a probed target: how it was started and what it can do. None before it was probed."""
        found = list(self._capabilities.values())
        if not found:
            return None
        failed = f"; all baseline calls fail; timeouts capped at {FAILED_BASELINE_TIMEOUT:g} s"
        works = all(one.working_exchanges for one in found)
        return f"{self.description}; {found[0]}{'' if works else failed}"

    def _prober(self, kind: str) -> Prober:
        from pytest_grpcstream.targets.probing import Prober

        return Prober(partial(self._connector.client, self, kind), self.discard_if_dead)

    # Life and death ---------------------------------------------------------------------------------------------

    def death_reason(self) -> str | None:
        """Return why the target stopped answering, and count its death; None while it answers, or was never started.

        A process that exited and was replaced at its next use counts as well; its death is returned once.

        An address that refuses connections is asked again for up to `REFUSAL_TIMEOUT` seconds.
        """
        if self._replaced:
            replaced, self._replaced = self._replaced, ""
            return replaced
        if self._running is None or self._error is not None:
            return None
        reason = self._running.exit_reason()
        due = time.monotonic() + REFUSAL_TIMEOUT
        while reason is None and not accepts(self._running.address):
            # The exit code of a process that just died says more, but may take a moment to be known.
            reason = self._running.exit_reason()
            if reason is None and time.monotonic() > due:
                reason = f"{self._running.address} no longer accepts connections"
            elif reason is None:
                time.sleep(0.05)
        if reason is not None:
            self.deaths += 1
        return reason

    def discard_if_dead(self) -> bool:
        """Return whether the target had died; if so, its next use restarts it.

        A process that is about to die may accept connections for a moment, so the target is watched for
        `REFUSAL_TIMEOUT` seconds.
        """
        due = time.monotonic() + REFUSAL_TIMEOUT
        while self.restartable:
            if self.death_reason() is not None:
                self.discard()
                return True
            if time.monotonic() > due:
                break
            time.sleep(0.05)
        return False

    def forget_death(self) -> None:
        """Forget that the target died earlier, so that the test that uses it next is not blamed."""
        if self._running is not None and self._running.exit_reason() is not None:
            self.discard()
        self._replaced = ""

    def discard(self) -> None:
        """Drop a dead target, so that its next use restarts it."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def output(self) -> str:
        """Return the last part of what a launched target printed, escaped."""
        return "" if self._running is None else self._running.output()

    def stop(self) -> None:
        """Stop the target if this library started it."""
        if self._running is not None:
            self._running.stop()

    def __enter__(self) -> SupervisedTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __str__(self) -> str:
        return self.text


class TargetSupervisor:
    """All targets of a run, each supervised once however often it is named.

    Arguments:
        timeout: Seconds that a target may take until it answers.
        connector: Opens the clients that probe the targets.
        features_probed_by: The kind of client that probes optional features, ``wire`` or ``library``.
        declared_features: The optional features that the user declared, or None to probe them.
        security: How clients reach named targets. Targets that a test serves are reached in plaintext.
    """

    def __init__(
        self,
        *,
        timeout: float,
        connector: Connector,
        features_probed_by: str = "wire",
        declared_features: frozenset[str] | None = None,
        security: Security = PLAINTEXT,
    ) -> None:
        self._security = security
        self._named: dict[Target, SupervisedTarget] = {}
        self._served: list[SupervisedTarget] = []
        self._supervise = partial(
            SupervisedTarget,
            timeout=timeout,
            connector=connector,
            features_probed_by=features_probed_by,
            declared_features=declared_features,
        )

    def named(self, target: Target, security: Security | None = None) -> SupervisedTarget:
        """Return the supervised target; it starts at its first use.

        Arguments:
            security: How clients reach it; defaults to the security of the supervisor.
        """
        if target not in self._named:
            chosen = self._security if security is None else security
            self._named[target] = self._supervise(target, security=chosen)
        return self._named[target]

    def serve(self, candidate: object) -> SupervisedTarget:
        """Start another target: the text of one, or a servicer, which is served in this process.

        Raises:
            TargetError: The text is not valid, or the target cannot be started.
        """
        what = parse(candidate) if isinstance(candidate, str) else launching.InProcess(candidate)
        target = self._supervise(what)
        target.running  # noqa: B018 - started now, so that a failure is raised here
        self._served.append(target)
        return target

    def close(self) -> None:
        """Stop everything that was started."""
        for target in (*self._served, *self._named.values()):
            target.stop()
