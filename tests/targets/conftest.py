"""Fixtures for tests that start targets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_grpcstream.targets import launching
from pytest_grpcstream.targets.address import parse
from targets.witness import Witness, witness

Start = Callable[..., launching.Running]


@pytest.fixture
def seen() -> Iterator[Witness]:
    """A witness of the processes that a test starts."""
    with witness() as made:
        yield made


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a target given as text; what a test leaves running is stopped after it."""
    started: list[launching.Running] = []

    def start(text: str, timeout: float = 20.0) -> launching.Running:
        started.append(launching.start(parse(text), timeout=timeout))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files of this process and of those that it starts."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder
