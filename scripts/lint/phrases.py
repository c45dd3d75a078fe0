"""Check that no text of this project uses a phrase that scripts/lint/phrases.toml bans.

Run it as ``python scripts/lint/phrases.py``. For each phrase found it prints the file and the line, the phrase, and
what to write instead; then it exits with 1. It reads documentation, code and settings, but no generated file.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
LIST: Final = Path(__file__).with_suffix(".toml")
CODE: Final = frozenset({".cc", ".go", ".h", ".java", ".js", ".proto", ".py", ".rb", ".rs", ".sh"})
TEXT: Final = frozenset({".Caddyfile", ".cfg", ".conf", ".ini", ".md", ".toml", ".yaml", ".yml"})
GENERATED: Final = re.compile(r"docs/generated/.*|.*\.pb\.go|.*_grpc\.pb\.go|.*\.connect\.go")
BUILT: Final = frozenset({"__pycache__", "build", "dist", "node_modules", "target", "venv"})
"""Names of folders that hold what tools have built or installed."""
SHOWN: Final = frozenset({".ci", ".github"})
"""Hidden folders that belong to the project."""
GAP: Final = r"[\s_#*/]+"
"""What a space of a pattern stands for."""


class Phrase(NamedTuple):
    """A banned phrase.

    Attributes:
        pattern: finds it.
        better: what to write instead.
        example: a text that has it.
        good: a text that looks like it and is allowed, or nothing.
    """

    pattern: re.Pattern[str]
    better: str
    example: str
    good: str


def main(arguments: list[str] | None = None) -> int:
    """Print each banned phrase of a checkout and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the checkout (default: this one)")
    root = parser.parse_args(arguments).root.resolve()
    banned = list(phrases())
    count = 0
    for path in texts(root):
        for line, found, better in check(path.read_text(encoding="utf-8"), banned):
            print(f'{path.relative_to(root).as_posix()}:{line}: "{found}"; better: {better}')
            count += 1
    return int(count > 0)


def phrases() -> Iterator[Phrase]:
    """Yield the banned phrases."""
    for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["phrase"]:
        pattern = entry["pattern"].replace(" ", GAP)
        whole = re.compile(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", re.IGNORECASE | re.MULTILINE)
        yield Phrase(whole, entry["better"], entry["example"], entry.get("good", ""))


def texts(root: Path) -> Iterator[Path]:
    """Yield the files of a checkout that are checked."""
    for name, folders, files in os.walk(root):
        folder = Path(name)
        hidden = {one for one in folders if one.startswith(".")} - SHOWN
        built = {one for one in folders if one.endswith(".egg-info")} | BUILT
        folders[:] = sorted(set(folders) - hidden - built)
        for path in sorted(folder / one for one in files):
            generated = GENERATED.fullmatch(path.relative_to(root).as_posix())
            if path.suffix in CODE | TEXT and not generated and path.name != LIST.name:
                yield path


def check(text: str, banned: Iterable[Phrase]) -> Iterator[tuple[int, str, str]]:
    """Yield the line of each banned phrase in a text, the phrase as it stands there, and what to write instead."""
    for phrase in banned:
        for match in phrase.pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), phrase.better


if __name__ == "__main__":
    sys.exit(main())
