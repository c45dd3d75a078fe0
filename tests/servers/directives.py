"""Directives of the StreamService contract: what the name of a point requests."""

from __future__ import annotations

from typing import Final, NamedTuple

_NUMBERED: Final = frozenset({"!abort", "!repeat"})
_WORDS: Final = frozenset({"!abort", "!finish", "!repeat", "!echo", "!sleep", "!watch", "!cancelled"})


class BadDirectiveError(Exception):
    """Raised when a directive's number is malformed or not one that its word allows."""


class Directive(NamedTuple):
    """A directive: its word, its number (0 if it has none), its TEXT or TOKEN. The word is "" for an ordinary name."""

    word: str
    number: int = 0
    text: str = ""


def parse(name: str, value: int) -> Directive:
    """Parse the name and the value of a point.

    Raises:
        BadDirectiveError: the name begins with a directive's word, but the rest of it or the value is invalid.
    """
    word, _, rest = name.partition(" ")
    if word not in _WORDS:
        return Directive("")
    if word == "!abort" and not 1 <= value <= 16:
        raise BadDirectiveError(f"{value} is not a status code in 1..16")
    if word == "!sleep":
        return Directive(word, _natural(rest))
    if word in _NUMBERED:
        number, _, text = rest.partition(" ")
        return Directive(word, _natural(number), text)
    return Directive(word, text=rest)


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadDirectiveError(f"{text[:40]!r} is not a non-negative number")
    return int(text)
