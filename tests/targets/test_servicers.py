"""Servicers of every form are served in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pytest_grpcstream import EOF, Code, LibraryClient, TargetError
from pytest_grpcstream.clients.grpcio import open_channel
from pytest_grpcstream.messages import StreamResponse
from pytest_grpcstream.targets.launching import InProcess
from pytest_grpcstream.targets.servicers import load
from pytest_grpcstream.targets.serving import STREAMS, serve
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
    """A client with its own connection."""
    return LibraryClient(open_channel(address), owned=True)


def name_of(address: str) -> str:
    """The name that the servicer at an address answers with."""
    with client(address) as connected, connected.route() as stream:
        stream.send("who is there", 1)
        [point] = stream.take(1)
        stream.close_send()
        assert stream.recv() is EOF
        assert point is not None
        return point.name


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_servicer_is_served(name: str) -> None:
    """A class, an instance, a factory and a function are distinguished, and so are async methods."""
    with InProcess(FORMS[name]) as running:
        assert name_of(running.address) == name


def test_coroutine_function_gets_an_asynchronous_server() -> None:
    """A coroutine function may await before it registers."""
    with InProcess(servicers.async_function) as running:
        assert name_of(running.address) == "async class"
        assert running.description.startswith("async_function, served in this process at 127.0.0.1:")


def test_missing_method_is_unimplemented() -> None:
    """A servicer may have Route only; the other methods end with UNIMPLEMENTED."""
    with InProcess(servicers.Plain) as running, client(running.address) as connected:
        assert connected.list("anyone").end().code == Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (servicers.broken, "broken() raised ConnectionError: no database"),
        (servicers.static, "static(server) raised KeyError: '_Server'"),
        (servicers.NeedsArguments, "NeedsArguments() raised TypeError: "),
        (
            servicers.number,
            "number() returned int, which is not a servicer: it has none of the methods List, Record, Route",
        ),
        (servicers.NoMethods, "NoMethods() returned NoMethods, which is not a servicer: it has none of the methods "),
        (3, "int is not a servicer: it has none of the methods List, Record, Route"),
        (None, "NoneType is not a servicer: it has none of the methods List, Record, Route"),
    ],
)
def test_invalid_servicer_is_refused(candidate: object, message: str) -> None:
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
            "there is no module 'no_such.module' to import; it must be in the current directory or on PYTHONPATH",
        ),
        (
            "targets.no_such",
            "Class",
            "there is no module 'targets.no_such' to import; it must be in the current directory or on PYTHONPATH",
        ),
        ("targets.servicers", "Missing", "module 'targets.servicers' has no attribute 'Missing'"),
        ("targets.servicers", "Holder.Missing", "module 'targets.servicers' has no attribute 'Holder.Missing'"),
    ],
)
def test_missing_module_or_attribute_is_named(module: str, attribute: str, message: str) -> None:
    """The message says whether the module or the attribute is missing, and shows its whole path."""
    with pytest.raises(TargetError) as refused:
        load(module, attribute)
    assert str(refused.value) == message


def test_address_in_use_is_an_error() -> None:
    """The address is never shared with the server that has it."""
    with InProcess(servicers.Plain) as running, pytest.raises(TargetError, match=f"cannot listen on {running.address}"):
        serve(servicers.Plain, "second", running.address)


@pytest.mark.parametrize("candidate", [servicers.Plain, servicers.Async])
def test_open_streams_end_when_the_server_stops(candidate: object) -> None:
    """A stream that is open when the server stops ends at once, and not with OK."""
    with InProcess(candidate) as running, client(running.address) as connected, connected.route() as stream:
        stream.send("first", 0)
        stream.take(1)
        running.stop()
        running.stop()
        assert stream.end().code in (Code.UNAVAILABLE, Code.CANCELLED)


def test_endless_handler_does_not_delay_the_stop() -> None:
    """Stopping returns although a handler never checks whether its RPC is over."""
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
    """One stream too many is refused at once; it does not wait until another one ends."""
    with InProcess(servicers.Plain) as running, client(running.address) as connected:
        streams = [connected.route() for _ in range(STREAMS)]
        for stream in streams:
            stream.send("open", 0)
        for stream in streams:
            stream.take(1)
        assert connected.route().end().code == Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("candidate", [servicers.Plain, servicers.Async])
def test_stopped_server_leaves_no_thread(candidate: object) -> None:
    """Once the server has stopped, its threads end."""
    before = set(threading.enumerate())
    with InProcess(candidate) as running:
        name_of(running.address)
    due = time.monotonic() + 10
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < due, left
        time.sleep(0.01)
