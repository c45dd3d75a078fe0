"""The names of the files of a report, and how they are written: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

REPORT: Final = "report.json"
SUMMARY: Final = "summary.md"
BADGE: Final = "badge.json"
TIMELINES: Final = "timelines"
PCAP: Final = "pcap"

EVIDENCE: Final = re.compile(
    rf"{TIMELINES}/[A-Za-z0-9_-][A-Za-z0-9._-]*\.jsonl|{PCAP}/[A-Za-z0-9_-][A-Za-z0-9._-]*\.pcap"
)
"""The relative name of a file of evidence: in its folder, and nowhere else."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_READABLE: Final = 80


def safe_name(nodeid: str, shown: str) -> str:
    """A file name for a test, without suffix: letters, digits, ``_`` and ``-``; no two tests have the same one.

    Arguments:
        nodeid: the id of the test.
        shown: the id as it may be shown, without secrets.
    """
    readable = _UNSAFE.sub("-", shown.rpartition("::")[2]).strip("-")[:_READABLE]
    digest = hashlib.sha256(nodeid.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{readable or 'test'}-{digest}"


def write(path: Path, content: str | bytes) -> None:
    """Put a file in its place in one step: whoever reads it, or ends this process, finds the old or the new one.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    os.replace(unfinished, path)


def dumped(document: Mapping[str, Any]) -> str:
    """A document as JSON in ASCII, each test and each requirement on a line of its own.

    Python's encoder is quick only without an indent, and a long report is written again and again.
    """
    parts = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n  " + ",\n  ".join(json.dumps(one) for one in value) + "\n ]"
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
