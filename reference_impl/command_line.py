"""What the command lines of the server and the client share."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from pytest_grpcstream.messages import StreamPoint

DEFAULT_ADDRESS = "127.0.0.1:8888"

_LONGEST_NAME = 200  # characters of a name that are shown; a name may be megabytes long


class Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message without the usage, and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def address(text: str) -> str:
    """Return an address unchanged; raises argparse.ArgumentTypeError if it is not HOST:PORT."""
    match = re.fullmatch(r"(?:[\w.-]+|\[[\w.:%]+\]):([0-9]{1,5})", text, re.ASCII)
    if match is None or int(match[1]) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as {DEFAULT_ADDRESS} or [::1]:8888")
    return text


def shown(point: StreamPoint) -> str:
    """Return a point as the classic programs print it, in one line whatever its name contains."""
    name = point.name[:_LONGEST_NAME]
    rest = len(point.name) - len(name)
    escaped = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    return f"pt.name: {escaped}{f'... and {rest} more' if rest else ''}, pt.value: {point.value}"
