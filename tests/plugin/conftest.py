"""Fixtures of the plugin's tests: runs of pytest in an empty folder, and servers for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_grpcstream.targets import launching
from pytest_grpcstream.targets.address import parse

Run = Callable[..., pytest.RunResult]
Judge = Callable[..., pytest.RunResult]
Serve = Callable[[str], str]

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the environment of these tests away from the runs in them."""
    for name in os.environ:
        if name.startswith(("GRPCSTREAM_", "PYTEST_")) and name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
    # So that a target can be named as plugin.servicers:Core.
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Start a target outside of any run, once per session, and return its address."""
    running: dict[str, launching.Running] = {}

    def address_of(text: str) -> str:
        if text not in running:
            running[text] = launching.start(parse(text))
        return running[text].address

    yield address_of
    for one in running.values():
        one.stop()


@pytest.fixture(scope="session")
def reference(serve: Serve) -> str:
    """The address of a server that has every feature."""
    return serve("reference")


@pytest.fixture(scope="session")
def core(serve: Serve) -> str:
    """The address of a server without any optional feature."""
    return serve("plugin.servicers:Core")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest as a user does, in a process of its own."""

    def start(*arguments: object) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-pno:cacheprovider", *map(str, arguments))

    return start


@pytest.fixture
def judge(run: Run) -> Judge:
    """Run some modules of the suite against a target, over the library client, which is the quickest way.

    The returned function takes the target, modules without ``test_`` or ids of tests in them, and options.
    """

    def start(target: str, *names: str, options: tuple[str, ...] = ("--grpcstream-features=none",)) -> pytest.RunResult:
        modules = [f"pytest_grpcstream.conformance.test_{name}" for name in names]
        client = () if any("client" in option for option in options) else ("--grpcstream-client=library",)
        return run(f"--grpcstream-target={target}", *client, *options, "--pyargs", *modules)

    return start
