"""All mutants, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wire_mutants.base import Mutant


def _all() -> Iterator[type[Mutant]]:
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if info.name.startswith("test_"):
            continue
        module = importlib.import_module(f"wire_mutants.{info.name}")
        for one in vars(module).values():
            here = isinstance(one, type) and one.__module__ == module.__name__
            if here and issubclass(one, Mutant) and "killed_by" in vars(one):
                yield one


MUTANTS: Final = {one.__name__: one for one in _all()}
"""Every class that names the requirement that must notice it, by module and in the order of definition."""
