"""Keeps the targets of a run: each started at its first use, started again after it died, ended at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from pytest_grpcstream.capabilities import Capabilities
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets import launching
from pytest_grpcstream.targets.address import Address, Target, parse
from pytest_grpcstream.targets.connecting import Connector
from pytest_grpcstream.targets.security import PLAINTEXT, Security
from pytest_grpcstream.wire.sockets import accepts

CLIENTS: Final = ("wire", "library")
FAILING_TIMEOUT: Final = 1.0
GONE: Final = 1.0
"""Seconds for which an address may refuse connections before it counts as gone: somebody may be restarting it."""


class SupervisedTarget:
    """A target that stays callable: started when it is first used, and again after it died.

    Attributes:
        text: how the target was named.
        security: how it is reached.
        deaths: how often it was found dead.
    """

    def __init__(
        self,
        what: launching.InProcess | Target,
        *,
        timeout: float,
        security: Security = PLAINTEXT,
        connector: Connector,
        features: frozenset[str] | None = None,
        clients: Sequence[str] = CLIENTS,
    ) -> None:
        self._timeout = timeout
        self._connector = connector
        self._declared = features
        self._clients = clients
        self._features: frozenset[str] | None = None
        self._capabilities: dict[str, Capabilities] = {}
        self.security = security
        self._error: TargetError | None = None
        self._target: Target | None = None
        self._running: launching.Running | None = None
        if isinstance(what, launching.InProcess):
            self._running = what
            self.text = what.description
        else:
            self._target = what
            self.text = str(what)
        self.deaths = 0

    @property
    def running(self) -> launching.Running:
        """The running target; started now if it was not, or is not any more.

        Raises:
            TargetError: it cannot be started, or does not answer. The second time it is said without another try.
        """
        if self._error is not None:
            raise self._error
        if self._running is not None and self._running.exit_reason() is not None:
            self._running.stop()
            self._running = None
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
        """Where the target listens; after it was started again that may be another port."""
        return self.running.address

    @property
    def description(self) -> str:
        """How the target came to run, in a few words."""
        return self.running.description

    @property
    def guarded(self) -> bool:
        """Whether the target is reached as the settings say; what a test serves itself is not."""
        return self._target is not None and self.security != PLAINTEXT

    @property
    def restartable(self) -> bool:
        """Whether a dead target can be started again: everything but an address that was given."""
        return not isinstance(self._target, Address)

    def death_reason(self) -> str | None:
        """Why the target does not answer any more, or None while it does (or was never started)."""
        if self._running is None or self._error is not None:
            return None
        reason = self._running.exit_reason()
        due = time.monotonic() + GONE
        while reason is None and not accepts(self._running.address):
            # A process that just died is better told by how it ended, which may take a moment to be known.
            reason = self._running.exit_reason()
            if reason is None and time.monotonic() > due:
                reason = f"{self._running.address} accepts no connections any more"
            elif reason is None:
                time.sleep(0.05)
        if reason is not None:
            self.deaths += 1
        return reason

    def revive(self) -> bool:
        """Whether the target had died, and is started again at its next use.

        A process that is about to die may accept connections for a moment yet.
        """
        due = time.monotonic() + GONE
        while self.restartable:
            if self.death_reason() is not None:
                self.discard()
                return True
            if time.monotonic() > due:
                break
            time.sleep(0.05)
        return False

    def discard(self) -> None:
        """Let go of a dead target, so that its next use starts it again."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def known_features(self) -> frozenset[str] | None:
        """The optional features, None while they are not known; nothing is probed."""
        return self._features

    def known_capabilities(self, kind: str) -> Capabilities | None:
        """What probing by one kind of client found, None if that has not happened yet."""
        return self._capabilities.get(kind)

    def capabilities(self, kind: str) -> Capabilities:
        """What the target can do, probed by one kind of client at the first call.

        Raises:
            TargetError: it is not there, or exited and cannot be restarted.
        """
        from pytest_grpcstream.targets.probing import Prober

        def prober(client: str) -> Prober:
            return Prober(partial(self._connector.client, self, client), self.revive)

        if self._features is None:
            self._features = prober(self._clients[0]).features() if self._declared is None else self._declared
        if kind not in self._capabilities:
            declared = self._declared is not None
            self._capabilities[kind] = prober(kind).capabilities(self._features, declared=declared)
        return self._capabilities[kind]

    def summary(self) -> str | None:
        """One line about the target, None before it was probed."""
        found = list(self._capabilities.values())
        if not found:
            return None
        works = all(one.working_exchanges for one in found)
        failing = f"; all baseline calls fail; timeouts capped at {FAILING_TIMEOUT:g} s"
        return f"{self.description}; {found[0]}{'' if works else failing}"

    def output(self) -> str:
        """What a launched target has printed lately, escaped."""
        return "" if self._running is None else self._running.output()

    def stop(self) -> None:
        """End the target if this library started it."""
        if self._running is not None:
            self._running.stop()

    def __enter__(self) -> SupervisedTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __str__(self) -> str:
        return self.text


class TargetSupervisor:
    """All targets of a run, each kept once however often it is named."""

    def __init__(
        self,
        *,
        timeout: float,
        connector: Connector,
        security: Security = PLAINTEXT,
        features: frozenset[str] | None = None,
        clients: Sequence[str] = CLIENTS,
    ) -> None:
        self._timeout = timeout
        self._connector = connector
        self._security = security
        self._features = features
        self._clients = clients
        self._named: dict[Target, SupervisedTarget] = {}
        self._served: list[SupervisedTarget] = []

    def named(self, target: Target, security: Security | None = None) -> SupervisedTarget:
        """The target of that text, not yet started.

        Arguments:
            security: how it is reached, if not as the others are.

        Raises:
            TargetError: the text is no target.
        """
        if target not in self._named:
            self._named[target] = self._supervise(target, self._security if security is None else security)
        return self._named[target]

    def _supervise(self, what: launching.InProcess | Target, security: Security = PLAINTEXT) -> SupervisedTarget:
        return SupervisedTarget(
            what,
            timeout=self._timeout,
            security=security,
            connector=self._connector,
            features=self._features,
            clients=self._clients,
        )

    def serve(self, candidate: object) -> SupervisedTarget:
        """Start a target of one's own: by its text, or a servicer object, which is served in this process.

        Raises:
            TargetError: it cannot be served.
        """
        what = parse(candidate) if isinstance(candidate, str) else launching.InProcess(candidate)
        kept = self._supervise(what)
        kept.running  # noqa: B018 - started now, so that a failure is raised here
        self._served.append(kept)
        return kept

    def close(self) -> None:
        """End everything that was started."""
        for kept in (*self._served, *self._named.values()):
            kept.stop()
