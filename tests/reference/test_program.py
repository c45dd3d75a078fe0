"""The server program and the classic client."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from pytest_grpcstream.reference_impl.__main__ import main as serve
from pytest_grpcstream.reference_impl.client import main as call_server

from pytest_grpcstream.messages import DESCRIPTOR, StreamPoint, StreamRequest, StreamResponse

from .harness import DEADLINE, SERVER, Program, Requests, Stub, drain

Start = Callable[..., Program]
Connect = Callable[[str], Stub]

FLAVOURS = pytest.mark.parametrize("options", [(), ("--aio",)], ids=["sync", "aio"])

CLASSIC = [
    *(f"resp: pt.name: gRPC Stream Client: List, pt.value: {value}" for value in range(1234, 1241)),
    "resp: pt.name: gRPC Stream Server: Record, pt.value: 1",
    *(f"resp: pt.name: gRPC Stream Server: Route, pt.value: {value}" for value in range(7)),
    "Server Closed",
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=DEADLINE, check=False
    )


def run_client(address: str) -> subprocess.CompletedProcess[str]:
    """Run the classic client."""
    return run(sys.executable, "-m", "pytest_grpcstream.reference_impl.client", address)


@FLAVOURS
def test_classic_client_and_server_work_together(start_program: Start, options: tuple[str, ...]) -> None:
    """The server prints its address in one line, logs each request, and exits with 0 on SIGTERM."""
    program = start_program(*options)
    assert program.first_line == f"StreamService on {program.address}, 1000 streams at once\n"
    client = run_client(program.address)
    assert client.stdout.splitlines() == CLASSIC
    assert (client.returncode, client.stderr) == (0, "")
    program.signal(signal.SIGTERM)
    code, output, log = program.wait()
    assert (code, output) == (0, "")
    assert log.splitlines() == [
        "stream.Recv pt.name: gRPC Stream Client: List, pt.value: 1234",
        *["stream.Recv pt.name: gRPC Stream Client: Record, pt.value: 9999"] * 7,
        *["stream.Recv pt.name: gRPC Stream Client: Route, pt.value: 1111"] * 7,
    ]


def test_log_has_one_line_per_request(start_program: Start, connect: Connect) -> None:
    """Control characters of a name are escaped, and a long name is shortened."""
    program = start_program()
    stub = connect(program.address)
    for name in ("two\nlines \x1b[31m\u202e naïve \U0001f642", "x" * 1000):
        assert len(drain(stub.list(name))) == 7
    drain(stub.send_list(StreamRequest()))
    program.signal(signal.SIGINT)
    code, _, log = program.wait()
    assert code == 0
    assert log.splitlines() == [
        "stream.Recv pt.name: two\\nlines \\x1b[31m\\u202e naïve \U0001f642, pt.value: 0",
        f"stream.Recv pt.name: {'x' * 200}... and 800 more, pt.value: 0",
        "stream.Recv pt.name: , pt.value: 0",
    ]


@FLAVOURS
def test_open_streams_continue_during_the_grace_period(
    start_program: Start, connect: Connect, options: tuple[str, ...]
) -> None:
    """After SIGTERM the server waits for an open stream to end, and exits then."""
    program = start_program(*options, "--grace", "60", "--quiet")
    requests = Requests()
    call = connect(program.address).route(requests)
    requests.send("before")
    assert next(call).pt.value == 0
    program.signal(signal.SIGTERM)
    wait_until_refused(program.address)
    requests.send("after")
    assert next(call).pt.value == 1
    requests.half_close()
    assert drain(call) == []
    assert call.code() is grpc.StatusCode.OK
    assert program.wait() == (0, "", "")


@FLAVOURS
def test_streams_are_cancelled_after_the_grace_period(
    start_program: Start, connect: Connect, options: tuple[str, ...]
) -> None:
    """After the grace period the server exits with 0, whatever its streams are blocked in."""
    program = start_program(*options, "--grace", "0.2")
    stub = connect(program.address)
    requests = Requests()
    calls = [stub.route(requests), stub.list("!watch x"), stub.list("!sleep 60000"), stub.record(requests)]
    requests.send("one of them reads it")
    calls[1].initial_metadata()
    program.signal(signal.SIGTERM)
    code, output, log = program.wait()
    assert (code, output) == (0, "")
    assert {line.split(" ", maxsplit=1)[0] for line in log.splitlines()} <= {"stream.Recv"}
    for call in calls[:3]:
        drain(call)
    assert all(call.code() is not grpc.StatusCode.OK for call in calls)
    requests.half_close()
    requests.half_close()


@FLAVOURS
def test_streams_beyond_the_limit_are_refused(start_program: Start, connect: Connect, options: tuple[str, ...]) -> None:
    """One stream too many ends with RESOURCE_EXHAUSTED at once; after another has ended, a new one is served."""
    program = start_program(*options, "--max-streams", "2")
    assert program.first_line == f"StreamService on {program.address}, 2 streams at once\n"
    stub = connect(program.address)
    held = [stub.list("!watch x") for _ in range(2)]
    for call in held:
        call.initial_metadata()
    refused = stub.list("too many")
    assert drain(refused) == []
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    held[0].cancel()
    until = time.monotonic() + DEADLINE
    while (call := stub.list("room again")) and not drain(call):
        assert time.monotonic() < until
    held[1].cancel()


@pytest.mark.parametrize(("options", "host"), [((), "localhost"), (("--aio",), "127.0.0.1")], ids=["sync", "aio"])
def test_port_in_use_is_reported_in_one_line(options: tuple[str, ...], host: str) -> None:
    """The message has the reason of the operating system and no traceback, for host names too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        refused = run(*SERVER, "--address", address, *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"cannot listen on {address}: Address already in use\n"


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", ":8888", "127.0.0.1:65536", "::1:8888", "a b:1", "[]:1"])
@pytest.mark.parametrize(("main", "option"), [(serve, ["--address"]), (call_server, [])], ids=["server", "client"])
def test_invalid_address_is_reported_in_one_line(
    main: Callable[[list[str]], int], option: list[str], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Server and client say what was given, and what is valid."""
    with pytest.raises(SystemExit) as ended:
        main([*option, address])
    output, error = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert re.fullmatch(rf".+: argument .+: {re.escape(repr(address))} is not HOST:PORT, such as .+\n", error)


@pytest.mark.parametrize(
    "options",
    [("--max-streams", "0"), ("--max-streams", "x"), ("--grace", "-1"), ("--grace", "nan"), ("--port", "1")],
    ids=" ".join,
)
def test_invalid_option_is_reported_in_one_line(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the option."""
    with pytest.raises(SystemExit) as ended:
        serve(["--address", "127.0.0.1:0", *options])
    output, error = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert error.count("\n") == 1
    assert options[0] in error


@FLAVOURS
def test_program_serves_health_and_reflection(start_program: Start, options: tuple[str, ...]) -> None:
    """Health reports SERVING for the server and the service, and reflection has the definition of the service."""
    program = start_program(*options)
    with grpc.insecure_channel(program.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", "proto.StreamService"):
            response = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE)
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        reflection = ProtoReflectionDescriptorDatabase(channel)
        assert list(reflection.get_services()) == ["proto.StreamService"]
        found = reflection.FindFileContainingSymbol("proto.StreamService")
        assert found.SerializeToString() == DESCRIPTOR.serialized_pb


def test_client_prints_responses_of_an_eager_server() -> None:
    """A server whose Route speaks first sends one more response; its List may have any number."""

    def route(requests: Iterator[StreamRequest], _context: Any) -> Iterator[StreamResponse]:
        yield response("eager", 0)
        for number, _ in enumerate(requests, 1):
            yield response("eager", number)

    def response(name: str, value: int) -> StreamResponse:
        return StreamResponse(pt=StreamPoint(name=name, value=value))

    coders: Any = {
        "request_deserializer": StreamRequest.FromString,
        "response_serializer": StreamResponse.SerializeToString,
    }
    handlers = {
        "List": grpc.unary_stream_rpc_method_handler(lambda _request, _context: iter([response("once", -1)]), **coders),
        "Record": grpc.stream_unary_rpc_method_handler(
            lambda requests, _context: response("counted", len(list(requests))), **coders
        ),
        "Route": grpc.stream_stream_rpc_method_handler(route, **coders),
    }
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("proto.StreamService", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        client = run_client(f"127.0.0.1:{port}")
        server.stop(0).wait()
    assert client.stdout.splitlines() == [
        "resp: pt.name: once, pt.value: -1",
        "resp: pt.name: counted, pt.value: 7",
        *(f"resp: pt.name: eager, pt.value: {value}" for value in range(8)),
        "Server Closed",
    ]
    assert (client.returncode, client.stderr) == (0, "")


def test_client_reports_a_missing_server_in_one_line() -> None:
    """A server that cannot be reached is exit code 1 without a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        client = run_client(address)
    assert (client.returncode, client.stdout) == (1, "")
    assert re.fullmatch(rf"{re.escape(address)}: UNAVAILABLE: .+\n", client.stderr)


def wait_until_refused(address: str) -> None:
    """Wait until nothing accepts a new connection at an address."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), timeout=DEADLINE).close()
        except ConnectionError:
            return
    raise AssertionError("connections are still accepted")
