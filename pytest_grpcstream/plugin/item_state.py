"""The state of one test while it runs: its target, its clients, and what it observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_grpcstream.clients.client import Client
    from pytest_grpcstream.clients.stream import Stream
    from pytest_grpcstream.targets.supervisor import SupervisedTarget


@dataclass
class ItemState:
    """The state of one test.

    Attributes:
        target: the target that the test calls, None before its fixture was set up.
        clients: every client that the test was given, the newest last.
        on_upstream: whether the test runs on the upstream server now.
        observed: what the target did where a specification leaves a choice.
        late_death: how the target died after the test before this one.
        not_run: why the test cannot run any more, empty if it can.
        budget_note: why tests after this one wait less.
    """

    target: SupervisedTarget | None = None
    clients: list[Client] = field(default_factory=list)
    on_upstream: bool = False
    observed: list[str] = field(default_factory=list)
    late_death: str = ""
    not_run: str = ""
    budget_note: str = ""

    @property
    def streams(self) -> list[Stream]:
        """Every stream that the test's clients remember, the newest last."""
        return [stream for client in self.clients for stream in client.streams]


_KEY: Final = pytest.StashKey[ItemState]()


def state_of(item: pytest.Item) -> ItemState:
    """The state of a test."""
    return item.stash.setdefault(_KEY, ItemState())


def reset_state(item: pytest.Item, *, on_upstream: bool = False) -> None:
    """Let go of a test's clients and their timelines: a session keeps its tests until its end."""
    item.stash[_KEY] = ItemState(on_upstream=on_upstream)
