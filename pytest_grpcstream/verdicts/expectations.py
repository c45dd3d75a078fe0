"""Expected failures: a list of what is known to fail, why, and where that is told; strict in every direction."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_grpcstream.errors import SettingError

FORM: Final = (
    '[[expect]] tables with id = "EOF-11" (a requirement or a test) and reason = "a pattern of the failure\'s text", '
    'and, as one likes, link = "https://...", why = "...", expires = 2030-01-31, client = "wire" or "library", '
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
_WORDS: Final = {"expires": "date", "sometimes": "truth value"}
_NO_FAILURES: Final = {"passed": ("fixed", "it passes"), "not applicable": ("changed", "it was skipped")}
_ANY: Final = "*"
_REQUIREMENT: Final = re.compile(r"[A-Z0-9]+-\d+")
_REASON_LENGTH: Final = 160
_HEADER: Final = (
    "# Expected failures, for --grpcstream-expect. Each may have a link, a why, and a day on which it expires.\n"
)


@dataclass(frozen=True)
class Expectation:
    """One entry of a list of expected failures.

    Attributes:
        id: a requirement, or a test: by its whole id, from its module on, from its name on, or all variants of a name;
            or all tests whose id goes on from there as it likes, if it ends with ``*``.
        reason: a pattern that must be found in the text of the failure.
        link: where the failure is told of, such as an issue.
        why: an explanation.
        expires: the last day on which the entry holds.
        client: the client over which it fails, or empty for both.
        sometimes: whether it may pass as well, because it depends on a race in the target.
        file: the list that it stands in.
        place: its number in that list, from 1.
    """

    id: str
    reason: re.Pattern[str]
    link: str
    why: str
    expires: datetime.date | None
    client: str
    sometimes: bool
    file: Path
    place: int

    def __str__(self) -> str:
        return f"{self.id} (entry {self.place} of {self.file.name})"

    @property
    def of_requirement(self) -> bool:
        """Whether it speaks of a requirement, not of a test."""
        return _REQUIREMENT.fullmatch(self.id) is not None

    @property
    def is_wide(self) -> bool:
        """Whether it speaks of every test whose id begins as it says."""
        return self.id.endswith(_ANY)

    def names(self, nodeid: str, requirement: str, client: str) -> bool:
        """Whether it speaks of this test, alone or among others."""
        if self.client not in ("", client):
            return False
        if self.of_requirement:
            return self.id == requirement
        if self.is_wide:
            return _goes_on_from(nodeid, self.id.removesuffix(_ANY))
        return self.is_exact(nodeid) or _ends_with(nodeid.partition("[")[0], self.id)

    def is_exact(self, nodeid: str) -> bool:
        """Whether it speaks of this test alone."""
        return not self.of_requirement and _ends_with(nodeid, self.id)

    def holds_on(self, day: datetime.date) -> bool:
        """Whether it has not expired on a day."""
        return self.expires is None or day <= self.expires


def _ends_with(nodeid: str, name: str) -> bool:
    return nodeid == name or nodeid.endswith((f"/{name}", f"::{name}"))


def _goes_on_from(nodeid: str, start: str) -> bool:
    """Whether a test's id, or what is left of it from its module or its name on, begins with a text."""
    places = (found.end() for found in re.finditer(r"^|/|::", nodeid.partition("[")[0]))
    return any(nodeid.startswith(start, place) for place in places)


@dataclass(frozen=True)
class Listed:
    """What a verdict becomes because of a list.

    Attributes:
        verdict: the verdict with the list in view: expected, changed, fixed, or as it was.
        note: what to say about it, in one line.
        used: the places of the entries, in `Expectations.entries`, that were fulfilled.
    """

    verdict: str
    note: str = ""
    used: tuple[int, ...] = ()


class Expectations:
    """All entries of all lists of a run."""

    def __init__(self, entries: Iterable[Expectation] = ()) -> None:
        self.entries: Final = tuple(entries)

    def judge(self, nodeid: str, requirement: str, client: str, verdict: str, text: str) -> Listed:
        """What a verdict about a test becomes.

        An entry that speaks of several tests, such as a requirement, is fulfilled if one of them fails as it says; the
        others may pass. One that speaks of a single test is not fulfilled by a test that passes or is skipped.

        Arguments:
            text: the text of the failure.
        """
        named = [place for place, one in enumerate(self.entries) if one.names(nodeid, requirement, client)]
        if not named:
            return Listed(verdict)
        exact = [one for place in named if (one := self.entries[place]).is_exact(nodeid) and not one.sometimes]
        if verdict in _NO_FAILURES:
            changed, what = _NO_FAILURES[verdict]
            note = f"{what}, but is listed as an expected failure: {exact[0]}" if exact else ""
            return Listed(changed if exact else verdict, note)
        fitting = [place for place in named if self.entries[place].reason.search(text)]
        today = datetime.datetime.now().astimezone().date()
        if holding := tuple(place for place in fitting if self.entries[place].holds_on(today)):
            return Listed("expected", _told([self.entries[place] for place in holding]), holding)
        if fitting:
            gone = self.entries[fitting[0]]
            return Listed("changed", f"its expectation expired on {gone.expires}: {gone}")
        if verdict == "warned" and not exact:
            return Listed(verdict)
        other = ", ".join(f"{self.entries[place]} expects {self.entries[place].reason.pattern!r}" for place in named)
        return Listed("changed", f"it fails for another reason than is listed: {other}")

    def complaints(
        self, tests: Mapping[str, tuple[str, str]], verdicts: Mapping[str, str], used: set[int], *, full: bool
    ) -> Iterator[str]:
        """What is wrong with entries that no single test can tell: they match nothing, or nothing fails any more.

        Arguments:
            tests: the tests that were selected by their ids, each with its requirement and its client.
            verdicts: the verdicts of those that ran.
            used: the places of the entries that were fulfilled.
            full: whether every test of the suite was selected; only then it is known what an entry does not match.
        """
        for place, one in enumerate(self.entries):
            if place in used:
                continue
            named = [nodeid for nodeid, (name, client) in tests.items() if one.names(nodeid, name, client)]
            seen = {verdicts[nodeid] for nodeid in named if nodeid in verdicts}
            if not named and (full or (one.of_requirement and not _registered(one.id))):
                yield f"{one} matches no test"
            # What is red already needs no second complaint; and a part of the tests does not tell about the rest.
            elif full and not one.sometimes and seen and seen <= {"passed", "warned", "not applicable"}:
                what = "was skipped" if seen == {"not applicable"} else "does not fail any more"
                yield f"{one} {what}"


def _registered(name: str) -> bool:
    from pytest_grpcstream.requirements.registry import registry

    return name in registry()


def _told(entries: Sequence[Expectation]) -> str:
    parts = [part for one in entries for part in (one.why, one.link) if part]
    return "; ".join(dict.fromkeys(parts))


# Reading ----------------------------------------------------------------------------------------------------------


def read(paths: Iterable[Path]) -> Expectations:
    """Read lists of expected failures.

    Raises:
        SettingError: a file cannot be read or is no such list; the message says which entry and why.
    """
    return Expectations(one for path in paths for one in _read(path))


def _read(path: Path) -> Iterator[Expectation]:
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"Cannot read the expected failures in {path}: {error}") from None
    tables = data.pop("expect", [])
    if data or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        strange = f" {next(iter(data))!r} is none." if data else ""
        raise SettingError(f"{path} is no list of expected failures:{strange} valid are {FORM}")
    for place, table in enumerate(tables, 1):
        try:
            yield _entry(table, path, place)
        except ValueError as error:
            raise SettingError(f"Entry {place} of {path}: {error}; valid are {FORM}") from None


def _entry(table: dict[str, Any], path: Path, place: int) -> Expectation:
    for key, value in table.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}")
        # A date with a time is a date for isinstance, but not for comparisons.
        if not isinstance(value, _KEYS[key]) or isinstance(value, datetime.datetime):
            raise ValueError(f"{key} is no {_WORDS.get(key, 'text')}")
    if table.get("sometimes") and not (table.get("why") or table.get("link")):
        raise ValueError("sometimes needs a why or a link")
    if str(table.get("id", "")).strip().endswith(_ANY) and not table.get("sometimes"):
        raise ValueError(f"an id that ends with {_ANY} needs sometimes = true")
    if missing := [key for key in ("id", "reason") if not table.get(key, "").strip()]:
        raise ValueError(f"no {' and no '.join(missing)}")
    if table.get("client", "") not in ("", "wire", "library"):
        raise ValueError(f"no client {table['client']!r}")
    try:
        reason = re.compile(table["reason"])
    except re.error as error:
        raise ValueError(f"the reason is no pattern: {error}") from None
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


@dataclass(frozen=True)
class Failing:
    """A test that fails, for a list that is written.

    Attributes:
        nodeid: its id.
        requirement: its requirement.
        client: its client.
        reason: the text of the failure in one line.
        used: the places of the entries of the run's lists that it fulfills.
    """

    nodeid: str
    requirement: str
    client: str
    reason: str
    used: tuple[int, ...] = ()


def written(path: Path, known: Expectations, failing: Sequence[Failing]) -> str:
    """The text of a list in which exactly these tests fail.

    Entries of the old list at ``path`` that still hold stay as they stand there, with their comments; of one whose
    test fails for another reason only the reason is written anew; what does not fail any more is left out.

    Raises:
        SettingError: the old list cannot be read, or not be divided into its entries.
    """
    old = list(_read(path)) if path.exists() else []
    head, blocks = _blocks(path.read_text(encoding="utf-8")) if old else (_HEADER, [])
    if len(blocks) != len(old):
        raise SettingError(f"{path} is not written: [[expect]] does not stand on lines of its own there")
    fulfilled = {(known.entries[place].file, known.entries[place].place) for one in failing for place in one.used}
    elsewhere = {(file, place) for file, place in fulfilled if file.resolve() != path.resolve()}
    places = {place for place, one in enumerate(known.entries) if (one.file, one.place) in elsewhere}
    left = [one for one in failing if not places.intersection(one.used)]
    parts = [head]
    for entry, block in zip(old, blocks, strict=True):
        own = [one for one in left if entry.names(one.nodeid, one.requirement, one.client)]
        if not own:
            continue
        holds = any(entry.reason.search(one.reason) for one in own)
        if entry.is_wide and not holds:
            continue  # another reason would be one test's, and stand for all
        reason = entry.reason.pattern if holds else pattern_of(own[0].reason)
        parts.append(block if holds else _with_reason(block, reason))
        left = [one for one in left if one not in own or not re.search(reason, one.reason)]
    for one in left:
        lines = ("", f"# {one.requirement}", "[[expect]]", f"id = {_quoted(one.nodeid.rpartition('/')[2])}")
        parts.append("\n".join([*lines, f"reason = {_quoted(pattern_of(one.reason))}", ""]))
    return "".join(parts)


def pattern_of(reason: str) -> str:
    """A pattern of a failure's text that does not depend on the numbers in it, such as times and ports."""
    return re.sub(r"\d+", lambda _: r"\d+", re.escape(reason[:_REASON_LENGTH]).replace(r"\ ", " "))


def _blocks(text: str) -> tuple[str, list[str]]:
    """What stands before the first entry, and every entry with the comments right above it."""
    lines = text.splitlines(keepends=True)
    starts = []
    for number, line in enumerate(lines):
        if line.strip().partition("#")[0].strip() == "[[expect]]":
            start = number
            while start > 0 and lines[start - 1].startswith("#"):
                start -= 1
            while start > 0 and not lines[start - 1].strip():
                start -= 1
            starts.append(start)
    ends = [*starts[1:], len(lines)]
    return "".join(lines[: starts[0]]), ["".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)]


def _with_reason(block: str, pattern: str) -> str:
    line = f"reason = {_quoted(pattern)}"
    changed, count = re.subn(r"(?m)^\s*reason\s*=.*$", lambda _: line, block, count=1)
    return changed if count else f"{block.rstrip()}\n{line}\n"


def _quoted(text: str) -> str:
    """A TOML string; a literal one where that is possible, because patterns are full of backslashes."""
    if "'" not in text and text.isprintable():
        return f"'{text}'"
    escapes = {'"': '\\"', "\\": "\\\\"}
    plain = (escapes.get(char) or (char if char.isprintable() else f"\\U{ord(char):08x}") for char in text)
    return f'"{"".join(plain)}"'
