"""A connector opens clients of either kind to a target, on connections that are the client's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.targets.connecting import Connector
from pytest_grpcstream.targets.launching import InProcess
from pytest_grpcstream.targets.security import PLAINTEXT, Security
from targets import servicers
from targets.scripted import bytes_server, closed_port


@dataclass
class Endpoint:
    """An endpoint without a supervisor."""

    address: str
    security: Security = PLAINTEXT


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A servicer of this process, called with metadata."""
    with InProcess(servicers.Plain) as running:
        yield Endpoint(running.address, Security(metadata=(("token", "sesame"),)))


def answer(client: Client) -> str:
    """The name in the first response of a Route."""
    with client.route() as stream:
        stream.send("hello", 1)
        [point] = stream.take(1)
        assert point is not None
        return point.name


@pytest.mark.parametrize("kind", ["wire", "library"])
def test_client_of_either_kind_connects(endpoint: Endpoint, kind: str) -> None:
    """The kind decides on the client; the timeout of the connector is its default."""
    with Connector(7).client(endpoint, kind) as client:
        assert (client.kind, client.timeout) == (kind, 7)
        assert answer(client) == "class"
    with Connector(7).client(endpoint, kind, timeout=3) as client:
        assert client.timeout == 3


def test_library_client_leaves_a_given_channel_open(endpoint: Endpoint) -> None:
    """The caller of a channel closes it; the client closes only a channel of its own."""
    connector = Connector(7)
    with connector.channel(endpoint) as channel:
        for _ in range(2):
            with connector.library(endpoint, channel=channel) as client:
                assert answer(client) == "class"


@pytest.mark.parametrize(
    ("settings", "limit"),
    [(b"", None), (b"\x00\x03\x00\x00\x00\x07", 7)],
    ids=["no limit", "limit of 7"],
)
def test_stream_limit_is_the_target_s_setting(settings: bytes, limit: int | None) -> None:
    """SETTINGS_MAX_CONCURRENT_STREAMS is setting 3 (RFC 9113, section 6.5.2)."""
    frame = len(settings).to_bytes(3) + b"\x04\x00" + bytes(4) + settings
    with bytes_server(frame) as address:
        assert Connector(7).stream_limit(Endpoint(address)) == limit


def test_unreachable_target_has_no_stream_limit() -> None:
    """The limit only explains a failure; an error of its own would hide that failure."""
    assert Connector(1).stream_limit(Endpoint(closed_port())) is None


def test_importing_it_imports_no_client() -> None:
    """An idle pytest run pays for neither grpcio nor the wire client."""
    code = (
        "import sys; import pytest_grpcstream.targets.connecting; "
        "print([name for name in sys.modules if name == 'grpc' or name.startswith('pytest_grpcstream.clients')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
