"""Certificates made for the session, and runs of pytest that inherit no settings."""

from __future__ import annotations

import os

import pytest

from tls.certificates import Certificates, issue
from tls.runs import Runner


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates and keys, in files, made for this session."""
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def runner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs pytest in an empty directory."""
    for name in [name for name in os.environ if name.startswith(("GRPCSTREAM_", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    return Runner(pytester)
