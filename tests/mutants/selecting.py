"""A pytest plugin that selects tests by requirement: ``-p mutants.selecting --requirements=ORD-1,EOF-1``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    parser.addoption("--requirements", default="", help="Ids of the requirements to check (default: all)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the selected requirements."""
    wanted = {one for one in config.getoption("--requirements").split(",") if one}
    if not wanted:
        return
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        marker = item.get_closest_marker("grpcstream_requirement")
        (kept if marker is not None and marker.args[0] in wanted else dropped).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept
