"""Parses the values of options: each function takes the given text, and raises ValueError if it is not valid."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.settings import BOTH, CLIENTS

ALL_FEATURES: Final = "all"
NO_FEATURES: Final = "none"


def client(text: str) -> str:
    """The name of a client, or ``both``."""
    if text not in (*CLIENTS, BOTH):
        raise ValueError
    return text


def seconds(text: str) -> float:
    """A number of seconds that can be waited for."""
    value = float(text)
    if not 0 < value <= 3600:
        raise ValueError
    return value


def features(text: str) -> frozenset[str]:
    """A set of optional features: ``all``, ``none``, or names with commas or blanks between them."""
    words = [word for word in text.replace(",", " ").split() if word]
    if words == [ALL_FEATURES]:
        return frozenset(FEATURES)
    if words == [NO_FEATURES]:
        return frozenset()
    if not words or not set(words) <= set(FEATURES):
        raise ValueError
    return frozenset(words)


def readable_file(text: str) -> Path:
    """A file that can be read."""
    path = Path(text)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError
    return path


def new_file(text: str) -> Path:
    """A file that can be created or replaced."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError
    return path


def writable_folder(text: str) -> Path:
    """A folder that can be written to, created if it is missing; absolute, because a test may change the directory."""
    path = Path(text).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        raise ValueError from None


def count(text: str) -> int:
    """A number of repetitions."""
    value = int(text)
    if not 1 <= value <= 1000:
        raise ValueError
    return value


def authority(text: str) -> str:
    """A host name with or without a port."""
    if not text.isascii() or not text.isprintable() or set(text) & set(" /@"):
        raise ValueError
    return text
