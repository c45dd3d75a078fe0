"""The names of the files of a report, and how they are written: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

REPORT: Final = "report.json"
VERDICTS: Final = "verdicts.jsonl"
SUMMARY: Final = "summary.md"
BADGE: Final = "badge.json"
TIMELINES: Final = "timelines"
PCAP: Final = "pcap"

TIMELINE_PATTERN: Final = rf"{TIMELINES}/[A-Za-z0-9_-][A-Za-z0-9._-]*\.jsonl"
PCAP_PATTERN: Final = rf"{PCAP}/[A-Za-z0-9_-][A-Za-z0-9._-]*\.pcap"
"""The relative names of files of evidence: in their folder, and nowhere else."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_READABLE_LIMIT: Final = 80
"""Characters of a test's name in the name of a file at most."""


def make_safe_name(nodeid: str, shown: str) -> str:
    """A file name for a test, without suffix: letters, digits, ``_`` and ``-``; no two tests have the same one.

    Arguments:
        nodeid: the id of the test.
        shown: the id as it may be shown, without secrets.
    """
    readable = _UNSAFE.sub("-", shown.rpartition("::")[2]).strip("-")[:_READABLE_LIMIT]
    digest = hashlib.sha256(nodeid.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{readable or 'test'}-{digest}"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file in one step: a reader finds the old or the new one, even if this process is killed meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    os.replace(unfinished, path)
