"""Text in Markdown that shows what was given and does nothing, whoever made it up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pytest_grpcstream.escape import one_line

LIMIT: Final = 300
"""Characters of one value that are shown."""

# All but letters, digits and what has no meaning inside a line. Underscores at the edge of a word have one, and so have
# the colon and the dot by which an address is known.
_ACTIVE: Final = re.compile(r"[^\w ,;:'/=%+.()?^-]|_(?![^\W_])|(?<![^\W_])_|:(?=/)|(?<=www)\.", re.IGNORECASE)
_EDGES: Final = re.compile(r"^ | (?= )| $")


def plain(text: str, limit: int = LIMIT) -> str:
    """A text in one line without any markup; every active character is written as a character reference.

    A reference has no meaning for Markdown, in tables neither. Where a text comes from outside use `code` instead,
    because platforms make links of mentions and numbers in plain text.
    """
    return _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", one_line(text, limit))


def code(text: str, limit: int = LIMIT) -> str:
    """A text from outside as code, in which platforms look for no mentions, numbers, hashes or addresses.

    It is an element, because backticks are no help for a text that has backticks, line breaks or bars in a table.
    """
    return f"<code>{_EDGES.sub('&#160;', plain(text, limit))}</code>" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; the cells are Markdown already, without bars and line breaks."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
