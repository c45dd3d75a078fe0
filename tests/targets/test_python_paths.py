"""Servicers named by their import path are served in a separate process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_grpcstream import TargetError
from pytest_grpcstream.targets.address import REFERENCE
from pytest_grpcstream.targets.launching import GRACE
from pytest_grpcstream.wire.sockets import accepts
from targets.conftest import Start
from targets.test_servicers import client, name_of
from targets.witness import LIMIT, Witness

PROTO = """
syntax = "proto3";
package proto;
service StreamService { rpc Route(stream StreamRequest) returns (stream StreamResponse) {} }
message StreamPoint { string name = 1; int32 value = 2; }
message StreamRequest { StreamPoint pt = 1; }
message StreamResponse { StreamPoint pt = 1; }
"""
GENERATED = """
import stream_pb2
import stream_pb2_grpc


class StreamService(stream_pb2_grpc.StreamServiceServicer):
    def Route(self, requests, context):
        for request in requests:
            assert isinstance(request, stream_pb2.StreamRequest), type(request)
            yield stream_pb2.StreamResponse(pt=stream_pb2.StreamPoint(name=__name__))
"""


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("Plain", "class"),
        ("Holder.Inner", "attribute of an attribute"),
        ("function", "function of a server"),
        ("async_function", "async class"),
    ],
)
def test_servicer_is_served_by_its_import_path(start: Start, attribute: str, name: str) -> None:
    """Every form that is served in this process is served in a separate one too."""
    running = start(f"targets.servicers:{attribute}")
    assert name_of(running.address) == name
    assert running.description == f"targets.servicers:{attribute}, started at {running.address}"
    assert running.launched


@pytest.mark.parametrize("text", ["reference", "reference:aio"])
def test_reference_is_served_by_its_name(start: Start, text: str) -> None:
    """The reference needs no import path, and its description does not show one."""
    running = start(text)
    with client(running.address) as connected, connected.list("ping", 5) as stream:
        assert stream.collect()[0] == ("ping", 5)
    assert running.description == f"the bundled reference, started at {running.address}"
    assert REFERENCE not in running.description


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def generated(project: Path) -> Path:
    """A project with its own generated code, as users have who already have a StreamService."""
    source = project / "stream.proto"
    source.write_text(PROTO, encoding="utf-8")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", source.name]
    subprocess.run(command, cwd=project, check=True, timeout=60)
    package = project / "my_pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "server.py").write_text(GENERATED, encoding="utf-8")
    return project


@pytest.mark.usefixtures("generated")
def test_servicer_on_generated_code_keeps_its_own_messages(start: Start) -> None:
    """It is registered by its generated function; its messages never meet ours of the same name."""
    running = start("my_pkg.server:StreamService")
    assert name_of(running.address) == "my_pkg.server"


def test_module_is_found_in_the_current_directory(start: Start, project: Path) -> None:
    """The module needs no installation and no PYTHONPATH, and can import its neighbours."""
    (project / "neighbour.py").write_text("NAME = 'from the current directory'", encoding="utf-8")
    (project / "server.py").write_text(
        "import neighbour\nfrom targets.servicers import Plain\n\ndef make():\n    return Plain(neighbour.NAME)\n",
        encoding="utf-8",
    )
    assert name_of(start("server:make").address) == "from the current directory"


@pytest.fixture
def failing(project: Path) -> Path:
    """A project whose modules cannot be imported, each for its own reason."""
    sources = {
        "raises": "raise ValueError('bad\\nconfig \\x1b[31m')",
        "needs": "import not_installed",
        "exits": "import sys; sys.exit('go away')",
        "kills": "import os; print('so long', flush=True); os.kill(os.getpid(), 9)",
        "hangs": "import threading; print('connecting', flush=True); threading.Event().wait()",
    }
    for name, source in sources.items():
        (project / f"{name}.py").write_text(source, encoding="utf-8")
    shutil.rmtree(project / "__pycache__", ignore_errors=True)
    return project


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        (
            "raises:X",
            "target raises:X could not be served: importing 'raises' failed: ValueError: bad\\nconfig \\x1b[31m",
            "config \\x1b[31m",
        ),
        (
            "needs:X",
            "target needs:X could not be served: importing 'needs' failed: No module named 'not_installed'",
            "ModuleNotFoundError: No module named 'not_installed'",
        ),
        ("exits:X", "target exits:X could not be served: it exited with code 1", "go away"),
        ("kills:X", "target kills:X could not be served: it was killed by SIGKILL", "so long"),
        (
            "targets.servicers:broken",
            "target targets.servicers:broken could not be served: targets.servicers:broken() raised ConnectionError: "
            "no database",
            "ConnectionError: no database",
        ),
    ],
)
def test_failed_servicer_is_reported_with_its_output(start: Start, text: str, first: str, last: str) -> None:
    """The first line says why, and the output below shows where."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start(text, timeout=60)
    lines = str(failed.value).splitlines()
    assert time.monotonic() - began < LIMIT
    assert lines[:2] == [first, "--- its output ---"]
    assert lines[-1] == last


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "no_such:X",
            "target no_such:X could not be served: there is no module 'no_such' to import; it must be in the current "
            "directory or on PYTHONPATH",
        ),
        (
            "targets.servicers:Missing",
            "target targets.servicers:Missing could not be served: module 'targets.servicers' has no attribute "
            "'Missing'",
        ),
        (
            "targets.servicers:NoMethods",
            "target targets.servicers:NoMethods could not be served: targets.servicers:NoMethods() returned NoMethods, "
            "which is not a servicer: it has none of the methods List, Record, Route",
        ),
    ],
)
def test_wrong_path_is_reported_in_one_line(start: Start, text: str, message: str) -> None:
    """A wrong path needs no traceback."""
    with pytest.raises(TargetError) as failed:
        start(text)
    assert str(failed.value) == message


@pytest.mark.usefixtures("failing")
def test_hanging_import_is_killed(start: Start) -> None:
    """After the startup timeout the message shows the output so far; the process gets no grace."""
    began = time.monotonic()
    with pytest.raises(TargetError) as failed:
        start("hangs:X", timeout=2)
    lines = str(failed.value).splitlines()
    assert time.monotonic() - began < 2 + GRACE
    assert lines == ["target hangs:X did not report an address within 2 s", "--- its output ---", "connecting"]


def test_stopping_kills_the_servicer_s_process_group(start: Start, project: Path, seen: Witness) -> None:
    """A thread that never ends and a child process do not survive."""
    (project / "busy.py").write_text(
        "import socket, subprocess, sys, threading\n"
        f"socket_of_this = socket.create_connection(('127.0.0.1', {seen.port}))\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        f"child = 'import socket, threading; s = socket.create_connection((\"127.0.0.1\", {seen.port})); '\n"
        "subprocess.Popen([sys.executable, '-S', '-c', child + 'threading.Event().wait()'])\n"
        "from targets.servicers import Plain\n",
        encoding="utf-8",
    )
    running = start("busy:Plain")
    seen.await_lives(2)
    with client(running.address) as connected, connected.route() as stream:
        stream.send("open", 1)
        stream.take(1)
        running.stop()
        assert not stream.end().ok
    seen.await_ends()
    assert not accepts(running.address)


def test_servicer_s_output_is_readable(start: Start, project: Path) -> None:
    """The output is kept for the report of a death."""
    (project / "chatty.py").write_text("print('hello')\nfrom targets.servicers import Plain\n", encoding="utf-8")
    assert start("chatty:Plain").output() == "hello"
