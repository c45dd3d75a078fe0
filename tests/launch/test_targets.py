"""The text of a target is parsed once, and what is wrong with it is said in one sentence."""

from __future__ import annotations

import pytest

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.settings import FORMS
from pytest_grpcstream.targets.address import REFERENCE, Address, Command, PythonPath, parse


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
def test_an_address_is_taken_as_it_is(text: str) -> None:
    """A host with a port and a unix socket name a server that somebody started."""
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
def test_an_import_path_has_a_module_and_an_attribute(text: str, module: str, attribute: str) -> None:
    """The colon stands between what is imported and what is looked up in it."""
    assert parse(text) == PythonPath(text, module, attribute)


@pytest.mark.parametrize("text", ["reference", "reference:aio"])
def test_the_reference_has_two_flavours(text: str) -> None:
    """They are served like any servicer, by import paths that nobody has to know."""
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
def test_a_command_is_split_like_a_shell_does(text: str, arguments: tuple[str, ...]) -> None:
    """Quotes keep words together, and nothing is expanded."""
    assert parse(text) == Command(text, arguments)


def test_the_port_is_filled_in_wherever_it_stands() -> None:
    """Every ``{port}`` is replaced, also inside of an argument and twice in one; other braces stay."""
    target = parse("exec:./server -l 127.0.0.1:{port} --also={port},{port} {} {name}")
    assert isinstance(target, Command)
    assert target.with_port(5000) == ["./server", "-l", "127.0.0.1:5000", "--also=5000,5000", "{}", "{name}"]


def test_the_text_of_a_target_is_what_it_is_shown_as() -> None:
    """Messages name a target as its user did, without the blanks around."""
    for text in ("127.0.0.1:8888", "server:StreamService", "reference", "exec:./server {port}"):
        assert str(parse(f"  {text}\n")) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"target '' is not understood; a target is {FORMS}"),
        ("localhost", f"target 'localhost' is not understood; a target is {FORMS}"),
        ("http://localhost:80", f"target 'http://localhost:80' is not understood; a target is {FORMS}"),
        ("::1:8888", f"target '::1:8888' is not understood; a target is {FORMS}"),
        ("localhost:http2/x", f"target 'localhost:http2/x' is not understood; a target is {FORMS}"),
        ("server:", f"target 'server:' is not understood; a target is {FORMS}"),
        (":8888", f"target ':8888' is not understood; a target is {FORMS}"),
        ("my.server:2nd", f"target 'my.server:2nd' is not understood; a target is {FORMS}"),
        ("my..server:Class", f"target 'my..server:Class' is not understood; a target is {FORMS}"),
        ("localhost:0", "target 'localhost:0': port 0 is not in 1..65535"),
        ("localhost:65536", "target 'localhost:65536': port 65536 is not in 1..65535"),
        ("unix:", "target 'unix:' names no socket; write unix:/path/of/the/socket"),
        ("unix://", "target 'unix://' names no socket; write unix:/path/of/the/socket"),
        ("exec:", "target 'exec:' has no command; write 'exec:COMMAND --port {port}'"),
        (
            "exec:./server",
            "target 'exec:./server': the command has no {port}; it is replaced by the port that the server must listen "
            "on, as in 'exec:./server --port {port}'",
        ),
        (
            "exec:./server '{port}",
            'target "exec:./server \'{port}": the command cannot be split: No closing quotation',
        ),
        ("a\x1b[31m\nb", f"target 'a\\x1b[31m\\nb' is not understood; a target is {FORMS}"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_valid(text: str, message: str) -> None:
    """A text that is no target is refused by one line, which cannot act on a terminal."""
    with pytest.raises(TargetError) as refused:
        parse(text)
    assert str(refused.value) == message


def test_a_long_text_is_cut() -> None:
    """A message stays readable whatever somebody gives."""
    with pytest.raises(TargetError) as refused:
        parse("x" * 100_000)
    assert len(str(refused.value)) < 500
    assert "... (100000 characters)" in str(refused.value)
