"""Servers of both flavours, and stubs to call them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .harness import Program, Served, Stub, serving


@pytest.fixture(params=["sync", "aio"], scope="session")
def flavour(request: pytest.FixtureRequest) -> str:
    """The flavour of the reference implementation."""
    return str(request.param)


@pytest.fixture(scope="session")
def served(flavour: str) -> Iterator[Served]:
    """A server of this flavour."""
    with serving(flavour) as server:
        yield server


@pytest.fixture(scope="session")
def stub(served: Served) -> Iterator[Stub]:
    """A stub for the server; a test that breaks the connection makes its own stub."""
    stub = Stub(served.address)
    yield stub
    stub.disconnect()


@pytest.fixture
def start_program() -> Iterator[Callable[..., Program]]:
    """Starts the server program with options."""
    started: list[Program] = []

    def start(*options: str) -> Program:
        started.append(Program(*options))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Stub]]:
    """Makes stubs that each have their own connection."""
    stubs: list[Stub] = []

    def make(address: str) -> Stub:
        stubs.append(Stub(address))
        return stubs[-1]

    yield make
    for stub in stubs:
        stub.disconnect()
