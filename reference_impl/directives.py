"""The directives of the contract: what the ``pt`` of a request may ask for.

A directive consists of words separated by one space; TEXT is everything after the last of them. This module only parses
directives, and does not know gRPC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_LARGEST_NUMBER = 2**31 - 1
_LONGEST_TOKEN = 256  # a server remembers tokens, so their size must be bounded


@dataclass(frozen=True)
class Abort:
    """``!abort K TEXT``: end with a status code and TEXT as its message."""

    code: int
    """The status code, 1 to 16; it is the request's value."""
    count: int
    """The number of responses that List sends first."""
    text: str


@dataclass(frozen=True)
class Finish:
    """``!finish``: end with OK at once."""


@dataclass(frozen=True)
class Repeat:
    """``!repeat N TEXT``: send N responses instead of the ordinary ones."""

    count: int


@dataclass(frozen=True)
class Echo:
    """``!echo TEXT``: send back what was received."""

    text: str


@dataclass(frozen=True)
class Sleep:
    """``!sleep MS``: wait before going on."""

    seconds: float


@dataclass(frozen=True)
class Watch:
    """``!watch TOKEN``: mark this RPC."""

    token: str


@dataclass(frozen=True)
class Cancelled:
    """``!cancelled TOKEN``: answer whether a marked RPC ended because its client cancelled or disconnected."""

    token: str


Directive = Abort | Finish | Repeat | Echo | Sleep | Watch | Cancelled


class BadDirective(ValueError):
    """Raised when a name begins with a directive, and the rest is not valid for that directive."""


def parse(name: str, value: int, words: frozenset[str]) -> Directive | None:
    """Return the directive in a request's name and value, or None for an ordinary name.

    ``words`` are the directives of the method that received the request, such as ``!abort``; all others are ordinary
    names there. Raises BadDirective, whose message says what the directive takes.
    """
    word, _, rest = name.partition(" ")
    return _PARSERS[word](rest, value) if word in words else None


def _abort(rest: str, value: int) -> Abort:
    count, _, text = rest.partition(" ")
    if not 1 <= value <= 16:
        raise BadDirective(f"!abort takes a status code from 1 to 16 as the value, not {value}")
    return Abort(value, _number("!abort K TEXT", "K", count), text)


def _finish(rest: str, _value: int) -> Finish:
    if rest:
        raise BadDirective(f"!finish takes nothing, not {_shown(rest)}")
    return Finish()


def _repeat(rest: str, _value: int) -> Repeat:
    count, _, _text = rest.partition(" ")
    return Repeat(_number("!repeat N TEXT", "N", count))


def _echo(rest: str, _value: int) -> Echo:
    return Echo(rest)


def _sleep(rest: str, _value: int) -> Sleep:
    return Sleep(_number("!sleep MS", "MS", rest) / 1000)


def _watch(rest: str, _value: int) -> Watch:
    return Watch(_token("!watch TOKEN", rest))


def _cancelled(rest: str, _value: int) -> Cancelled:
    return Cancelled(_token("!cancelled TOKEN", rest))


_PARSERS: dict[str, Callable[[str, int], Directive]] = {
    "!abort": _abort,
    "!cancelled": _cancelled,
    "!echo": _echo,
    "!finish": _finish,
    "!repeat": _repeat,
    "!sleep": _sleep,
    "!watch": _watch,
}


def _number(usage: str, word: str, given: str) -> int:
    # The length is checked before the value, because int() refuses very long numbers with its own error.
    if re.fullmatch("[0-9]{1,10}", given) and int(given) <= _LARGEST_NUMBER:
        return int(given)
    raise BadDirective(f"{usage}: {word} is a number from 0 to {_LARGEST_NUMBER}, not {_shown(given)}")


def _token(usage: str, given: str) -> str:
    if 1 <= len(given) <= _LONGEST_TOKEN and " " not in given:
        return given
    raise BadDirective(f"{usage}: TOKEN is one word of 1 to {_LONGEST_TOKEN} characters, not {_shown(given)}")


def _shown(given: str) -> str:
    """Return a text shortened for a message: a status message travels in a header, and headers are small."""
    return repr(given) if len(given) <= 40 else f"{given[:40]!r}..."
