"""A target that is not there is one clear message within seconds, and no test is run."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from plugin.conftest import Judge, Run
from targets.scripted import bytes_server, closed_port
from targets.witness import command

Given = Callable[..., str]

OPTIONS = ("--grpcstream-features=none", "--grpcstream-startup-timeout=1")


@pytest.fixture
def given() -> Iterator[Given]:
    """Start a server that is no target, by a name, and return its address."""
    with ExitStack() as stack:

        def start(name: str) -> str:
            if name == "TLS":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
                context.set_alpn_protocols(["h2"])
                return stack.enter_context(bytes_server(context=context))
            greetings = {"mute": b"", "HTTP/1": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"}
            return stack.enter_context(bytes_server(greetings[name]))

        yield start


def missing(result: pytest.RunResult, *messages: str) -> None:
    """The run ended with the exit code for a missing target, and each message stands in its output once."""
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 6, text
    assert result.parseoutcomes().keys() <= {"deselected", "warnings"}, text
    for message in messages:
        assert text.count(message) == 1, text
    assert "INTERNALERROR" not in text
    assert len([line for line in result.outlines if "Exit: " in line]) == 1


def test_a_port_where_nothing_listens(judge: Judge) -> None:
    """Somebody forgot to start the server."""
    address = closed_port()
    missing(judge(address, "record_pairing", options=OPTIONS), f"nothing answers at {address}: Connection refused")


def test_a_unix_socket_that_is_not_there(judge: Judge, tmp_path: Path) -> None:
    """Or started it at another place."""
    address = f"unix:{tmp_path}/socket"
    missing(
        judge(address, "record_pairing", options=OPTIONS), f"nothing answers at {address}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HTTP/1", "speaks HTTP/1, not HTTP/2: it answered b'HTTP/1.1 400 Bad Request'"),
        ("TLS", "speaks TLS"),
        ("mute", "accepts connections but answered the HTTP/2 connection preface with nothing within 1 s"),
    ],
)
def test_a_port_that_speaks_something_else(judge: Judge, given: Given, name: str, message: str) -> None:
    """It is another server, or it is reached in another way."""
    address = given(name)
    missing(judge(address, "record_pairing", options=OPTIONS), f"{address} {message}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:Service", "there is no module 'no_such_module' to import; it is looked for in the current"),
        ("plugin.servicers:Missing", "module 'plugin.servicers' has no attribute 'Missing'"),
        ("broken:factory", "broken:factory() raised ConnectionError: no database"),
        ("unimportable:Service", "importing 'unimportable' failed: RuntimeError: no configuration"),
    ],
)
def test_a_servicer_that_cannot_be_served(judge: Judge, pytester: pytest.Pytester, target: str, message: str) -> None:
    """A wrong path is told from a servicer that fails."""
    pytester.makepyfile(
        broken="def factory(): raise ConnectionError('no database')",
        unimportable="raise RuntimeError('no configuration')",
    )
    result = judge(target, "record_pairing", options=OPTIONS[:1])
    missing(result, f"target {target} could not be served: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--exit=3", "--say=no such option"), "did not start: it exited with code 3"),
        (("--never-listen", "--say=waiting"), "within 1 s"),
    ],
)
def test_a_command_that_does_not_serve(judge: Judge, options: tuple[str, ...], message: str) -> None:
    """What it printed is in the message."""
    result = judge(command(*options), "record_pairing", options=OPTIONS)
    missing(result, message, "--- its output ---", "and this on standard error")


def test_a_command_that_is_not_there(judge: Judge) -> None:
    """It is named as it was given."""
    result = judge("exec:./no-such-server {port}", "record_pairing", options=OPTIONS)
    missing(result, "cannot start './no-such-server': No such file or directory")


def test_a_bare_run_without_its_target_takes_seconds(run: Run) -> None:
    """The whole suite is not run into the same wall hundreds of times."""
    began = time.monotonic()
    address = closed_port()
    missing(run(f"--grpcstream-target={address}"), f"nothing answers at {address}: Connection refused")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("kind", ["address", "servicer"])
def test_workers_without_their_target_end_early(judge: Judge, kind: str) -> None:
    """Under pytest-xdist each worker says it for its first test, and the run fails without an internal error."""
    target = closed_port() if kind == "address" else "plugin.servicers:Missing"
    result = judge(target, "record_pairing", "end_of_stream", "half_close", options=(*OPTIONS, "-n2"))
    text = result.stdout.str() + result.stderr.str()
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.INTERRUPTED or result.ret == pytest.ExitCode.TESTS_FAILED, text
    assert "INTERNALERROR" not in text
    assert 1 <= outcomes.pop("errors") <= 2
    assert not outcomes
    assert (f"nothing answers at {target}" if kind == "address" else "has no attribute 'Missing'") in text


def test_a_test_of_one_s_own_without_its_target_errs(run: Run, pytester: pytest.Pytester) -> None:
    """Only the suite depends on it: other tests of a project go on, and those that need it say why they cannot."""
    pytester.makepyfile(
        """
        def test_one(grpcstream): pass
        def test_two(grpcstream): pass
        def test_other(): pass
        """
    )
    address = closed_port()
    result = run(f"--grpcstream-target={address}", ".")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines([f"E *TargetError: nothing answers at {address}: Connection refused"])


def test_a_fixture_without_any_target_says_how_to_name_one(run: Run, pytester: pytest.Pytester) -> None:
    """All four ways are in the message."""
    pytester.makepyfile("def test_one(grpcstream): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E *TargetError: no target was given: use --grpcstream-target=TARGET, the ini option grpcstream_target, "
            "the marker grpcstream(target=...), or override the fixture grpcstream_target"
        ]
    )
