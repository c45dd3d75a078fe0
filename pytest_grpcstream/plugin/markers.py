"""The markers of tests: which requirement a test checks, and what it takes to check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_grpcstream.requirements.registry import Requirement
    from pytest_grpcstream.settings import Settings

REQUIREMENT: Final = "grpcstream_requirement"
"""The marker by which a test names its requirement."""
STRESS: Final = "grpcstream_stress"
"""The marker of a test that runs only if it is asked for by name."""
TARGET: Final = "grpcstream"
"""The marker by which a test, class or module names a target of its own."""

DECLARATIONS: Final = (
    "grpcstream(target): the target that this test, class or module calls, instead of the run's",
    "grpcstream_requirement(id, *, features=(), observed_by=()): the requirement that this test checks",
    "grpcstream_stress: a test that floods the target or takes long; it runs only if asked for: -m grpcstream_stress",
    "stress: the short name of grpcstream_stress on tests of the suite",
)


def is_requirement(item: pytest.Item | pytest.Function) -> bool:
    """Whether a test names a requirement."""
    return item.get_closest_marker(REQUIREMENT) is not None


def requirement_id(item: pytest.Item) -> str:
    """The id of the requirement that a test names, registered or not; empty if it names none."""
    marker = item.get_closest_marker(REQUIREMENT)
    return "" if marker is None else str(marker.args[0])


def requirement_of(item: pytest.Item) -> Requirement | None:
    """The requirement that a test names, if it names one.

    Raises:
        KeyError: it is not registered.
    """
    if not (name := requirement_id(item)):
        return None
    from pytest_grpcstream.requirements.registry import registry

    return registry()[name]


def client_of(item: pytest.Item, settings: Settings) -> str:
    """The client that a test uses, by its parameter or its fixtures."""
    names = getattr(item, "fixturenames", ())
    if "grpcstream_wire" in names:
        return "wire"
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return str(parameters.get("grpcstream_client", "wire" if settings.client == "wire" else "library"))
