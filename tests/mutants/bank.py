"""All mutants."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from mutants.base import Mutant


def all_mutants() -> Iterator[type[Mutant]]:
    """Every class that names the requirement that must catch it, by module and in the order of definition."""
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if info.name.startswith(("test_", "conftest", "unlimited", "selecting")):
            continue
        module = importlib.import_module(f"mutants.{info.name}")
        for one in vars(module).values():
            here = isinstance(one, type) and issubclass(one, Mutant) and one.__module__ == module.__name__
            if here and "killed_by" in vars(one):
                yield one
