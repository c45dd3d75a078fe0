"""Certificates made on the spot, and runs of pytest that see no settings of the run that makes them."""

from __future__ import annotations

import os

import pytest

from tls.papers import Papers, issue
from tls.runs import Runner


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates and keys, in files, that no other session has."""
    return issue(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def runner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs of pytest in an empty folder."""
    for name in [name for name in os.environ if name.startswith(("GRPCSTREAM_", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    return Runner(pytester)
