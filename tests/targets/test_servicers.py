"""Servicer objects are served in this process, in every form that they may have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pytest_grpcstream import EOF, Code, LibraryClient, TargetError
from pytest_grpcstream.clients.grpcio import open_channel
from pytest_grpcstream.messages import StreamResponse
from pytest_grpcstream.targets.launching import InProcess
from pytest_grpcstream.targets.serving import STREAMS, load, serve
from targets import servicers

FORMS = {
    "class": servicers.Plain,
    "instance": servicers.instance,
    "factory": servicers.factory,
    "function of a server": servicers.function,
    "default False": servicers.WithOptionalArguments,
    "attribute of an attribute": servicers.Holder.Inner,
    "async class": servicers.Async,
    "async method": servicers.AsyncMethods,
}


def client(address: str) -> LibraryClient:
    """A client with a connection of its own."""
    return LibraryClient(open_channel(address), owned=True)


def name_of(address: str) -> str:
    """Which servicer answers at an address."""
    with client(address) as connected, connected.route() as stream:
        stream.send("who is there", 1)
        [point] = stream.take(1)
        stream.close_send()
        assert stream.recv() is EOF
        assert point is not None
        return point.name


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_servicer_is_served(name: str) -> None:
    """A class, an instance, a factory and a function are told apart, and so is what is asynchronous."""
    with InProcess(FORMS[name]) as running:
        assert name_of(running.address) == name


def test_a_coroutine_function_gets_an_asynchronous_server() -> None:
    """It may await before and after it registers."""
    with InProcess(servicers.async_function) as running:
        assert name_of(running.address) == "async class"
        assert running.description.startswith("async_function, served in this process at 127.0.0.1:")


def test_a_method_that_a_servicer_lacks_is_unimplemented() -> None:
    """A servicer of Route alone is a servicer; the other methods end with UNIMPLEMENTED."""
    with InProcess(servicers.Plain) as running, client(running.address) as connected:
        assert connected.list("nobody").end().code == Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (servicers.broken, "broken() raised ConnectionError: no database"),
        (servicers.static, "static(server) raised KeyError: '_Server'"),
        (servicers.NeedsArguments, "NeedsArguments() raised TypeError: "),
        (
            servicers.number,
            "number made a int, which is not a servicer: it has none of the methods List, Record, Route",
        ),
        (servicers.NoMethods, "NoMethods made a NoMethods, which is not a servicer: it has none of the methods "),
        (3, "int is not a servicer: it has none of the methods List, Record, Route"),
        (None, "NoneType is not a servicer: it has none of the methods List, Record, Route"),
    ],
)
def test_what_is_no_servicer_is_refused(candidate: object, message: str) -> None:
    """The message names the candidate and what is wrong with it."""
    with pytest.raises(TargetError) as refused:
        InProcess(candidate)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("module", "attribute", "message"),
    [
        (
            "no_such.module",
            "Class",
            "there is no module 'no_such.module' to import; it is looked for in the current folder and on PYTHONPATH",
        ),
        (
            "targets.no_such",
            "Class",
            "there is no module 'targets.no_such' to import; it is looked for in the current folder and on PYTHONPATH",
        ),
        ("targets.servicers", "Missing", "module 'targets.servicers' has no attribute 'Missing'"),
        ("targets.servicers", "Holder.Missing", "module 'targets.servicers' has no attribute 'Holder.Missing'"),
    ],
)
def test_what_cannot_be_found_is_named(module: str, attribute: str, message: str) -> None:
    """The module and the attribute are told apart, and the whole path is told."""
    with pytest.raises(TargetError) as refused:
        load(module, attribute)
    assert str(refused.value) == message


def test_an_address_that_is_taken_is_an_error() -> None:
    """It is never shared with who has it."""
    with InProcess(servicers.Plain) as running, pytest.raises(TargetError, match=f"cannot listen on {running.address}"):
        serve(servicers.Plain, "second", running.address)


@pytest.mark.parametrize("candidate", [servicers.Plain, servicers.Async])
def test_open_streams_end_when_it_stops(candidate: object) -> None:
    """Stopping waits for nobody: a stream that is open then ends at once, not with OK."""
    with InProcess(candidate) as running, client(running.address) as connected, connected.route() as stream:
        stream.send("first", 0)
        stream.take(1)
        running.stop()
        running.stop()
        assert stream.end().code in (Code.UNAVAILABLE, Code.CANCELLED)


def test_a_handler_that_never_ends_does_not_keep_it() -> None:
    """Stopping comes back within a second although a handler looks at nothing."""
    release = threading.Event()

    class Stubborn(servicers.Plain):
        def Route(self, *_: object) -> Iterator[StreamResponse]:
            yield servicers.response("waiting")
            release.wait(60)

    with InProcess(Stubborn) as running, client(running.address) as connected, connected.route() as stream:
        stream.take(1)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 5
        release.set()


def test_streams_beyond_the_limit_are_refused() -> None:
    """One stream too many is told so at once; it does not wait until another one ends."""
    with InProcess(servicers.Plain) as running, client(running.address) as connected:
        streams = [connected.route() for _ in range(STREAMS)]
        for stream in streams:
            stream.send("open", 0)
        for stream in streams:
            stream.take(1)
        assert connected.route().end().code == Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("candidate", [servicers.Plain, servicers.Async])
def test_it_leaves_no_thread(candidate: object) -> None:
    """When it has stopped and nobody calls any more, its threads are gone."""
    before = set(threading.enumerate())
    with InProcess(candidate) as running:
        name_of(running.address)
    due = time.monotonic() + 10
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < due, left
        time.sleep(0.01)
