"""Shared by the benchmarks: tables, spreads, and a description of the machine."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from importlib import metadata

IDLE = 1.5
"""The load average above which other programs affect the numbers."""


def machine() -> str:
    """The version of Python and of the libraries that matter, the number of cores, and the load."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("pytest", "grpcio", "protobuf", "hpack"))
    load = os.getloadavg()[0]
    about = f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores, load average {load:.2f}"
    return about if load < IDLE else f"{about}\nThe machine is busy with something else: do not trust these numbers."


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """The median of values, with the smallest and the largest."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} {unit} ({low} to {high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their head, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()
