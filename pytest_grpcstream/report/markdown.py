"""Text in Markdown that is shown as it was given and has no effect, wherever it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pytest_grpcstream.escape import one_line

TEXT_LIMIT: Final = 300
"""Characters of one text that are shown."""

# All but letters, digits and what has no meaning inside a line. Underscores at the edge of a word have one, and so have
# the colon and the dot that make an address.
_ACTIVE: Final = re.compile(r"[^\w ,;:'/=%+.()?^-]|_(?![^\W_])|(?<![^\W_])_|:(?=/)|(?<=www)\.", re.IGNORECASE)
_EDGES: Final = re.compile(r"^ | (?= )| $")


def escape(text: str, limit: int = TEXT_LIMIT) -> str:
    """A text in one line without any markup; every active character is written as a character reference.

    A reference has no meaning for Markdown, in tables neither. For text from outside use `format_code` instead: in
    other text platforms turn mentions and numbers into links.
    """
    return _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", one_line(text, limit))


def format_code(text: str, limit: int = TEXT_LIMIT) -> str:
    """A text from outside as code, in which platforms look for no mentions, numbers, hashes or addresses.

    It is an HTML element: backticks cannot quote text with backticks, line breaks, or bars in a table.
    """
    return f"<code>{_EDGES.sub('&#160;', escape(text, limit))}</code>" if text else ""


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; the cells are Markdown already, without bars and line breaks."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
