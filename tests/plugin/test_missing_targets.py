"""A missing target causes one clear message within seconds, and no test runs."""

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

StartOther = Callable[..., str]

OPTIONS = ("--grpcstream-features=none", "--grpcstream-startup-timeout=1")


@pytest.fixture
def start_other() -> Iterator[StartOther]:
    """Start a server that is not a target, by its kind, and return its address."""
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


def assert_missing(result: pytest.RunResult, *messages: str) -> None:
    """The run ended with the exit code of a missing target, and printed each message once."""
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 6, text
    assert result.parseoutcomes().keys() <= {"deselected", "warnings"}, text
    for message in messages:
        assert text.count(message) == 1, text
    assert "INTERNALERROR" not in text
    assert len([line for line in result.outlines if "Exit: " in line]) == 1


def test_closed_port_is_named(judge: Judge) -> None:
    """The server was not started."""
    address = closed_port()
    assert_missing(
        judge(address, "record_pairing", options=OPTIONS), f"nothing answers at {address}: Connection refused"
    )


def test_missing_unix_socket_is_named(judge: Judge, tmp_path: Path) -> None:
    """The server was started elsewhere."""
    address = f"unix:{tmp_path}/socket"
    assert_missing(
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
def test_other_protocol_is_named(judge: Judge, start_other: StartOther, name: str, message: str) -> None:
    """The message says what the server speaks instead."""
    address = start_other(name)
    assert_missing(judge(address, "record_pairing", options=OPTIONS), f"{address} {message}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "no_such_module:Service",
            "there is no module 'no_such_module' to import; it must be in the current directory",
        ),
        ("plugin.servicers:Missing", "module 'plugin.servicers' has no attribute 'Missing'"),
        ("broken:factory", "broken:factory() raised ConnectionError: no database"),
        ("unimportable:Service", "importing 'unimportable' failed: RuntimeError: no configuration"),
    ],
)
def test_servicer_that_cannot_be_served_is_explained(
    judge: Judge, pytester: pytest.Pytester, target: str, message: str
) -> None:
    """A wrong import path and a servicer that fails have different messages."""
    pytester.makepyfile(
        broken="def factory(): raise ConnectionError('no database')",
        unimportable="raise RuntimeError('no configuration')",
    )
    result = judge(target, "record_pairing", options=OPTIONS[:1])
    assert_missing(result, f"target {target} could not be served: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--exit=3", "--say=no such option"), "did not start: it exited with code 3"),
        (("--never-listen", "--say=waiting"), "within 1 s"),
    ],
)
def test_command_that_does_not_serve_is_shown_with_its_output(
    judge: Judge, options: tuple[str, ...], message: str
) -> None:
    """Both standard output and standard error are in the message."""
    result = judge(command(*options), "record_pairing", options=OPTIONS)
    assert_missing(result, message, "--- its output ---", "and this on standard error")


def test_missing_command_is_named(judge: Judge) -> None:
    """As it was given."""
    result = judge("exec:./no-such-server {port}", "record_pairing", options=OPTIONS)
    assert_missing(result, "cannot start './no-such-server': No such file or directory")


def test_run_of_the_whole_suite_without_its_target_takes_seconds(run: Run) -> None:
    """Hundreds of tests do not each wait for the same target."""
    began = time.monotonic()
    address = closed_port()
    assert_missing(run(f"--grpcstream-target={address}"), f"nothing answers at {address}: Connection refused")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("kind", ["address", "servicer"])
def test_workers_without_their_target_stop_early(judge: Judge, kind: str) -> None:
    """Under pytest-xdist each worker reports it once, and the run fails without an internal error."""
    target = closed_port() if kind == "address" else "plugin.servicers:Missing"
    result = judge(target, "record_pairing", "end_of_stream", "half_close", options=(*OPTIONS, "-n2"))
    text = result.stdout.str() + result.stderr.str()
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.INTERRUPTED or result.ret == pytest.ExitCode.TESTS_FAILED, text
    assert "INTERNALERROR" not in text
    assert 1 <= outcomes.pop("errors") <= 2
    assert not outcomes
    assert (f"nothing answers at {target}" if kind == "address" else "has no attribute 'Missing'") in text


def test_own_test_without_its_target_is_an_error(run: Run, pytester: pytest.Pytester) -> None:
    """The other tests of a project run; those that need the target report why they cannot."""
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


def test_fixture_without_a_target_explains_how_to_name_one(run: Run, pytester: pytest.Pytester) -> None:
    """The message lists all four ways."""
    pytester.makepyfile("def test_one(grpcstream): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E *TargetError: no target was given: use --grpcstream-target=TARGET, the ini option grpcstream_target, "
            "the marker grpcstream(target=...), or override the fixture grpcstream_target"
        ]
    )
