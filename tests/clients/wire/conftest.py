"""Fixtures of the wire client's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clients.wire.services import grpcio_server, grpclib_server
from pytest_grpcstream.clients.wire import WireClient


@pytest.fixture(scope="session", params=["grpcio", "grpclib"])
def stack(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Both gRPC stacks in turn: the name and the address."""
    return request.param, request.getfixturevalue(f"{request.param}_address")


@pytest.fixture(scope="session")
def grpcio_address() -> Iterator[str]:
    """The address of the service on grpcio, where one stack is enough."""
    with grpcio_server() as address:
        yield address


@pytest.fixture(scope="session")
def grpclib_address() -> Iterator[str]:
    """The address of the service on grpclib, whose HTTP/2 is h2."""
    with grpclib_server() as address:
        yield address


@pytest.fixture
def client(stack: tuple[str, str]) -> Iterator[WireClient]:
    """A wire client of both stacks in turn, with a connection of its own."""
    with WireClient(stack[1], timeout=20) as client:
        yield client


@pytest.fixture
def connected() -> Iterator[Callable[..., WireClient]]:
    """A factory of wire clients of any address, closed after the test."""
    clients: list[WireClient] = []

    def connect(address: str, **options: object) -> WireClient:
        made = WireClient(address, timeout=20).fresh(**options)
        clients.append(made)
        return made

    yield connect
    for made in clients:
        made.close()
