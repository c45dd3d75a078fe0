"""Lists of expected failures as TOML files: read, and written from the failures of a run."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.verdicts.expectations import WILDCARD, Expectation, Expectations
from pytest_grpcstream.verdicts.test_verdict import TestVerdict

if TYPE_CHECKING:
    from tomlkit.items import String

FORM: Final = (
    '[[expect]] tables with id = "EOF-11" (a requirement or a test) and reason = "a pattern of the failure\'s text"; '
    'optional keys are link = "https://...", why = "...", expires = 2030-01-31, client = "wire" or "library", '
    "sometimes = true"
)
_KEYS: Final = {
    "id": str,
    "reason": str,
    "link": str,
    "why": str,
    "client": str,
    "expires": datetime.date,
    "sometimes": bool,
}
_TYPES: Final = {"expires": "date", "sometimes": "boolean"}
_REASON_LENGTH: Final = 160
_HEADER: Final = (
    "# Expected failures, for --grpcstream-expect. Each may have a link, a why, and a day on which it expires.\n"
)


# Reading ----------------------------------------------------------------------------------------------------------


def read(paths: Iterable[Path]) -> Expectations:
    """Read lists of expected failures.

    Raises:
        SettingError: a file cannot be read or is not such a list; the message says which entry and why.
    """
    return Expectations(one for path in paths for one in _read(path))


def _read(path: Path) -> Iterator[Expectation]:
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"Cannot read the expected failures in {path}: {error}") from None
    tables = data.pop("expect", [])
    if data:
        raise SettingError(f"{path}: unknown key {next(iter(data))!r}; expected {FORM}")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingError(f"{path}: 'expect' is not an array of tables; expected {FORM}")
    for place, table in enumerate(tables, 1):
        try:
            yield _entry(table, path, place)
        except ValueError as error:
            raise SettingError(f"Entry {place} of {path}: {error}; expected {FORM}") from None


def _entry(table: dict[str, Any], path: Path, place: int) -> Expectation:
    for key, value in table.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}")
        # A date with a time is a date for isinstance, but not for comparisons.
        if not isinstance(value, _KEYS[key]) or isinstance(value, datetime.datetime):
            raise ValueError(f"{key} is not a {_TYPES.get(key, 'string')}")
    if table.get("sometimes") and not (table.get("why") or table.get("link")):
        raise ValueError("sometimes needs a why or a link")
    if str(table.get("id", "")).strip().endswith(WILDCARD) and not table.get("sometimes"):
        raise ValueError(f"an id that ends with {WILDCARD} needs sometimes = true")
    if missing := [key for key in ("id", "reason") if not table.get(key, "").strip()]:
        raise ValueError(f"{' and '.join(missing)} missing")
    if table.get("client", "") not in ("", "wire", "library"):
        raise ValueError(f"unknown client {table['client']!r}")
    try:
        reason = re.compile(table["reason"])
    except re.error as error:
        raise ValueError(f"the reason is not a pattern: {error}") from None
    if reason.search(""):
        raise ValueError("the reason matches any text")
    return Expectation(
        id=table["id"].strip(),
        reason=reason,
        link=table.get("link", ""),
        why=table.get("why", ""),
        expires=table.get("expires"),
        client=table.get("client", ""),
        sometimes=table.get("sometimes", False),
        file=path,
        place=place,
    )


# Writing ----------------------------------------------------------------------------------------------------------


def render(path: Path, known: Expectations, failing: Sequence[TestVerdict]) -> str:
    """The text of a list in which exactly these tests fail.

    Entries of the old list at ``path`` that still hold are kept with their comments; if a test fails for another
    reason, only the reason is rewritten; entries whose tests do not fail any more are left out.

    Raises:
        SettingError: the old list cannot be read, or its entries are not [[expect]] tables.
    """
    old = list(_read(path)) if path.exists() else []
    header, blocks, footer = _blocks(path, len(old)) if old else (_comments_of(path), [], "")
    fulfilled = {
        (known.entries[place].file, known.entries[place].place) for one in failing for place in one.expectations
    }
    elsewhere = {(file, place) for file, place in fulfilled if file.resolve() != path.resolve()}
    places = {place for place, one in enumerate(known.entries) if (one.file, one.place) in elsewhere}
    left = [one for one in failing if not places.intersection(one.expectations)]
    parts = [header]
    for entry, (comments, table) in zip(old, blocks, strict=True):
        own = [one for one in left if entry.names(one.nodeid, one.requirement, one.client)]
        if not own:
            continue
        holds = any(entry.reason.search(_failure_of(one)) for one in own)
        if entry.is_wildcard and not holds:
            continue  # a new reason would be that of one test, but stand for all of them
        reason = entry.reason.pattern if holds else pattern_of(_failure_of(own[0]))
        if not holds:
            table["reason"] = _string(reason)
        parts.append(f"{comments}[[expect]]\n{table.as_string()}")
        left = [one for one in left if one not in own or not re.search(reason, _failure_of(one))]
    parts.append(footer)
    parts += [f"\n# {one.requirement}\n[[expect]]\n{_new_table(one).as_string()}" for one in left]
    return "".join(parts)


def pattern_of(reason: str) -> str:
    """A pattern of a failure's text that does not depend on the numbers in it, such as times and ports."""
    return re.sub(r"\d+", lambda _: r"\d+", re.escape(reason[:_REASON_LENGTH]).replace(r"\ ", " "))


def _failure_of(test: TestVerdict) -> str:
    """How a test failed, without what a list of expected failures says about it."""
    return test.failure or test.reason


def _comments_of(path: Path) -> str:
    """The text of a list without entries; that of a new one says what it is for."""
    import tomllib

    if not path.exists():
        return _HEADER
    text = path.read_text(encoding="utf-8")
    if tomllib.loads(text):
        raise _no_tables(path)  # an empty array, which no [[expect]] table can follow
    return text


def _no_tables(path: Path) -> SettingError:
    return SettingError(f"{path} was not written: its entries are not [[expect]] tables")


def _blocks(path: Path, count: int) -> tuple[str, list[tuple[str, Any]], str]:
    """The text before the first entry, every entry as the comments right above it and its table, and the rest."""
    import tomlkit
    from tomlkit.items import AoT

    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    tables = document["expect"]
    if not isinstance(tables, AoT) or len(tables) != count:
        raise _no_tables(path)
    before = "".join(item.as_string() for key, item in document.body if key is None)
    header, comments = _split_comments(before)
    blocks: list[tuple[str, Any]] = []
    for table in tables:
        # tomlkit counts what stands above the next [[expect]] to the table before it.
        body = table.value.body
        following: list[str] = []
        while body and body[-1][0] is None:
            following.insert(0, body.pop()[1].as_string())
        own, next_comments = _split_comments("".join(following))
        if own:
            table.add(tomlkit.ws(own))
        blocks.append((comments, table))
        comments = next_comments
    return header, blocks, comments


def _split_comments(text: str) -> tuple[str, str]:
    """Split comments in two: the second part stands right above what follows, with the blank lines before it."""
    lines = text.splitlines(keepends=True)
    start = len(lines)
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    while start > 0 and not lines[start - 1].strip():
        start -= 1
    return "".join(lines[:start]), "".join(lines[start:])


def _new_table(failing: TestVerdict) -> Any:
    import tomlkit

    table = tomlkit.table()
    path, bracket, parameters = failing.nodeid.partition("[")
    table.add("id", _string(path.rpartition("/")[2] + bracket + parameters))
    table.add("reason", _string(pattern_of(_failure_of(failing))))
    return table


def _string(text: str) -> String:
    """A TOML string; a literal one where that is possible, because patterns are full of backslashes."""
    import tomlkit

    return tomlkit.string(text, literal="'" not in text and text.isprintable())
