"""Escapes and shortens text that came from a target, before it is shown."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 160
"""Characters of one value that a message shows; a longer value is cut, and its length is shown."""


def printable(value: str | bytes, limit: int = LIMIT) -> str:
    """Quote a value as Python does, with control, format and surrogate characters escaped and long values cut.

    A terminal escape sequence, a line break or a bidirectional override in the value therefore has no effect.
    """
    if len(value) <= limit:
        return repr(value)
    unit = "bytes" if isinstance(value, bytes) else "characters"
    return f"{value[:limit]!r}... ({len(value)} {unit})"


def one_line(text: str, limit: int = 2000) -> str:
    """Escape what could break out of a line of text, without adding quotes, and cut it at ``limit`` characters."""
    head = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:limit])
    return head if len(text) <= limit else f"{head}... ({len(text)} characters)"


def block(text: str, limit: int = 4000) -> str:
    """Escape every line of a text, keep its line breaks, and keep only the last ``limit`` characters."""
    tail = text[-limit:]
    lines = "\n".join(one_line(line) for line in tail.splitlines())
    return lines if len(text) <= limit else f"... ({len(text) - limit} characters before)\n{lines}"
