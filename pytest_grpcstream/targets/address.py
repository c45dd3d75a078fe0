"""The text of a target, parsed once into a small frozen value."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final, TypeAlias

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.escape import printable

REFERENCE: Final = "pytest_grpcstream.reference_impl"
"""The module of the bundled reference server."""
FORMS: Final = (
    "host:port, [::1]:port, unix:/path, package.module:Attribute, "
    "'exec:COMMAND --port {port}', reference or reference:aio"
)
"""The valid forms of a target, for messages."""

_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]+)")
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Address:
    """The address of a server that already runs, ``host:port`` or ``unix:path``. It is never stopped."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PythonPath:
    """The import path of a servicer, which is served in a separate process."""

    text: str
    module: str
    attribute: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Command:
    """A command that starts a server; ``{port}`` in its arguments stands for the port to listen on."""

    text: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def with_port(self, port: int) -> list[str]:
        """Return the arguments with ``{port}`` replaced."""
        return [argument.replace("{port}", str(port)) for argument in self.arguments]


Target: TypeAlias = Address | PythonPath | Command


def parse(text: str) -> Target:
    """Parse the text of a target.

    Raises:
        TargetError: The text has none of the valid forms (`FORMS`); the message lists them.
    """
    text = text.strip()
    if text == "reference":
        return PythonPath(text, REFERENCE, "serve")
    if text == "reference:aio":
        return PythonPath(text, REFERENCE, "serve_aio")
    if text.startswith("exec:"):
        return _command(text)
    if text.startswith("unix:"):
        if not text.removeprefix("unix:").removeprefix("//"):
            raise TargetError(f"target {printable(text)} has no socket path; write unix:/path/of/the/socket")
        return Address(text)
    if match := _HOST.fullmatch(text):
        if not 0 < int(match["port"]) < 65536:
            raise TargetError(f"target {printable(text)}: port {match['port']} is not in 1..65535")
        return Address(text)
    module, separator, attribute = text.partition(":")
    if separator and _DOTTED.fullmatch(module) and _DOTTED.fullmatch(attribute):
        return PythonPath(text, module, attribute)
    raise TargetError(f"target {printable(text)} is not valid; valid forms: {FORMS}")


def _command(text: str) -> Command:
    try:
        arguments = tuple(shlex.split(text.removeprefix("exec:")))
    except ValueError as error:
        raise TargetError(f"target {printable(text)}: the command cannot be split: {error}") from None
    if not arguments:
        raise TargetError(f"target {printable(text)} has no command; write 'exec:COMMAND --port {{port}}'")
    if not any("{port}" in argument for argument in arguments):
        raise TargetError(
            f"target {printable(text)}: the command has no {{port}}, the placeholder for the port to listen on; "
            "write it as in 'exec:./server --port {port}'"
        )
    return Command(text, arguments)
