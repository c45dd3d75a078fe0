"""The text of a target is parsed once; an invalid text raises one sentence."""

from __future__ import annotations

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets.address import FORMS, REFERENCE, Address, Command, PythonPath, parse


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8888",
        "localhost:1",
        "example.test:65535",
        "my_service-1:80",
        "[::1]:8888",
        "[fe80::1%eth0]:8888",
        "[::ffff:127.0.0.1]:80",
        "unix:/run/stream.sock",
        "unix:///run/stream.sock",
        "unix:stream.sock",
    ],
)
def test_address_is_kept_verbatim(text: str) -> None:
    """A host with a port, and a unix socket, are addresses of running servers."""
    assert parse(text) == Address(text)


@pytest.mark.parametrize(
    ("text", "module", "attribute"),
    [
        ("server:StreamService", "server", "StreamService"),
        ("my.pkg.server:StreamService", "my.pkg.server", "StreamService"),
        ("server:Holder.Inner", "server", "Holder.Inner"),
        ("_private:_make", "_private", "_make"),
        ("größe:Dienst", "größe", "Dienst"),
        ("server2:v1", "server2", "v1"),
    ],
)
def test_import_path_has_module_and_attribute(text: str, module: str, attribute: str) -> None:
    """The colon separates the module to import from the attribute to look up in it."""
    assert parse(text) == PythonPath(text, module, attribute)


@pytest.mark.parametrize("text", ["reference", "reference:aio"])
def test_reference_has_two_flavours(text: str) -> None:
    """Both are served like any servicer, by an import path that the user need not know."""
    target = parse(text)
    assert isinstance(target, PythonPath)
    assert (target.text, target.module) == (text, REFERENCE)
    assert parse("reference") != parse("reference:aio")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("exec:./server --port {port}", ("./server", "--port", "{port}")),
        ("exec: ./server :{port}", ("./server", ":{port}")),
        ("exec:'my server' --name \"a b\" {port}", ("my server", "--name", "a b", "{port}")),
        ("exec:sh -c 'exec ./server $HOME {port} {port}'", ("sh", "-c", "exec ./server $HOME {port} {port}")),
    ],
)
def test_command_is_split_like_a_shell_does(text: str, arguments: tuple[str, ...]) -> None:
    """Quotes keep words together; variables are not expanded."""
    assert parse(text) == Command(text, arguments)


def test_every_port_placeholder_is_replaced() -> None:
    """``{port}`` is replaced inside an argument and twice in one; other braces stay."""
    target = parse("exec:./server -l 127.0.0.1:{port} --also={port},{port} {} {name}")
    assert isinstance(target, Command)
    assert target.with_port(5000) == ["./server", "-l", "127.0.0.1:5000", "--also=5000,5000", "{}", "{name}"]


def test_target_is_shown_as_the_user_wrote_it() -> None:
    """Messages show the text of a target without surrounding whitespace."""
    for text in ("127.0.0.1:8888", "server:StreamService", "reference", "exec:./server {port}"):
        assert str(parse(f"  {text}\n")) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"target '' is not valid; valid forms: {FORMS}"),
        ("localhost", f"target 'localhost' is not valid; valid forms: {FORMS}"),
        ("http://localhost:80", f"target 'http://localhost:80' is not valid; valid forms: {FORMS}"),
        ("::1:8888", f"target '::1:8888' is not valid; valid forms: {FORMS}"),
        ("localhost:http2/x", f"target 'localhost:http2/x' is not valid; valid forms: {FORMS}"),
        ("server:", f"target 'server:' is not valid; valid forms: {FORMS}"),
        (":8888", f"target ':8888' is not valid; valid forms: {FORMS}"),
        ("my.server:2nd", f"target 'my.server:2nd' is not valid; valid forms: {FORMS}"),
        ("my..server:Class", f"target 'my..server:Class' is not valid; valid forms: {FORMS}"),
        ("localhost:0", "target 'localhost:0': port 0 is not in 1..65535"),
        ("localhost:65536", "target 'localhost:65536': port 65536 is not in 1..65535"),
        ("unix:", "target 'unix:' has no socket path; write unix:/path/of/the/socket"),
        ("unix://", "target 'unix://' has no socket path; write unix:/path/of/the/socket"),
        ("exec:", "target 'exec:' has no command; write 'exec:COMMAND --port {port}'"),
        (
            "exec:./server",
            "target 'exec:./server': the command has no {port}, the placeholder for the port to listen on; write it as "
            "in 'exec:./server --port {port}'",
        ),
        (
            "exec:./server '{port}",
            'target "exec:./server \'{port}": the command cannot be split: No closing quotation',
        ),
        ("a\x1b[31m\nb", f"target 'a\\x1b[31m\\nb' is not valid; valid forms: {FORMS}"),
    ],
)
def test_invalid_target_is_refused_with_the_valid_forms(text: str, message: str) -> None:
    """The message is one printable line: escape sequences never reach the terminal."""
    with pytest.raises(TargetError) as refused:
        parse(text)
    assert str(refused.value) == message


def test_long_target_is_shortened() -> None:
    """A message stays readable, however long the text is."""
    with pytest.raises(TargetError) as refused:
        parse("x" * 100_000)
    assert len(str(refused.value)) < 500
    assert "... (100000 characters)" in str(refused.value)


@pytest.mark.parametrize("text", ["127.0.0.1:8888", "server:StreamService", "reference", "exec:./server {port}"])
def test_parsed_target_is_hashable(text: str) -> None:
    """Equal texts parse to equal values, so that a target can be a key."""
    assert {parse(text): 1}[parse(f" {text} ")] == 1
