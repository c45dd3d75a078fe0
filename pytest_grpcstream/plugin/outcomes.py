"""How a test of a requirement ends without a verdict on the target."""

from __future__ import annotations

from typing import NoReturn

import pytest
from _pytest.outcomes import Skipped


class NotRun(Skipped):
    """Raised when a test does not run, because there is no target any more; pytest counts it as skipped."""

    # pytest shows the reason of a skip with the name of the class before it.
    __module__ = "builtins"
    __qualname__ = "Skipped"


def skip_not_run(reason: str) -> NoReturn:
    """End a test that cannot run any more."""
    raise NotRun(f"not run: {reason}")


def skip_not_applicable(reason: str) -> NoReturn:
    """End a test whose requirement does not concern this target or this run."""
    pytest.skip(f"not applicable: {reason}")
