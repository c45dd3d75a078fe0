"""The arguments of the marker by which a test names its requirement, read and checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_grpcstream.capabilities import EXCHANGES, FEATURES
from pytest_grpcstream.plugin.markers import REQUIREMENT


@dataclass(frozen=True)
class RequirementMarker:
    """What a test says about the requirement that it checks.

    Attributes:
        id: the id of the requirement.
        features: the optional features of a target without which the test is not applicable.
        observed_by: the baseline exchanges through which the test observes; without one of them it is inconclusive.
    """

    id: str
    features: tuple[str, ...] = ()
    observed_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: pytest.Item) -> RequirementMarker | None:
        """The marker of a test, or None if it names no requirement.

        Raises:
            pytest.UsageError: the marker is not valid.
        """
        marker = item.get_closest_marker(REQUIREMENT)
        if marker is None:
            return None
        if len(marker.args) != 1 or not isinstance(marker.args[0], str):
            raise _error(item, f"takes the id of one requirement, such as {REQUIREMENT}('EOF-5')")
        if unknown := set(marker.kwargs).difference(("features", "observed_by")):
            raise _error(item, f"unknown argument {min(unknown)!r}; valid are features and observed_by")
        return cls(
            marker.args[0],
            _names(item, "features", "feature", marker.kwargs.get("features", ()), FEATURES),
            _names(item, "observed_by", "baseline exchange", marker.kwargs.get("observed_by", ()), EXCHANGES),
        )


def _names(item: pytest.Item, argument: str, what: str, given: Any, known: Collection[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise _error(item, f"{argument}={given!r} is not a tuple of names; valid names are {', '.join(known)}")
    for name in given:
        if name not in known:
            raise _error(item, f"{argument}: unknown {what} {name!r}; valid are {', '.join(known)}")
    return tuple(given)


def _error(item: pytest.Item, text: str) -> pytest.UsageError:
    return pytest.UsageError(f"{item.nodeid}: marker {REQUIREMENT}: {text}")
