"""The settings of a run: from an option, the environment or the ini file, in that order."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pytest_grpcstream.errors import SettingError, TargetError
from pytest_grpcstream.targets import parse

FEATURES: Final = ("abort", "finish", "repeat", "echo", "sleep", "watch", "metadata")
"""The optional features of a StreamService, by the names that `docs/contract.md` gives them."""

CLIENTS: Final = ("wire", "library")
"""The clients that the suite runs over: HTTP/2 frames over a socket, and grpcio."""

TIMEOUT: Final = 5.0
QUIET: Final = 0.2
STARTUP: Final = 20.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        target: the text of the target, or None.
        target_source: where the target was named: the option, the environment variable or the ini option.
        features: the optional features that the target is said to have, or None to find out.
        client: library, wire or both: what the suite runs over; None for both, and for library in tests of one's own.
        timeout: seconds that one operation on a stream may take.
        quiet: seconds of silence after which nothing more is expected.
        startup_timeout: seconds that a target may take until it answers.
        strict: whether warnings fail the run.
    """

    target: str | None
    target_source: str
    features: frozenset[str] | None
    client: str | None
    timeout: float
    quiet: float
    startup_timeout: float
    strict: bool

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that the suite runs over."""
        return CLIENTS if self.client in (None, "both") else (str(self.client),)


def _client(text: str) -> str:
    if text not in (*CLIENTS, "both"):
        raise ValueError
    return text


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise ValueError
    return value


def _features(text: str) -> frozenset[str]:
    words = [word for word in text.replace(",", " ").split() if word]
    if words == ["all"]:
        return frozenset(FEATURES)
    if words == ["none"]:
        return frozenset()
    if not words or not set(words) <= set(FEATURES):
        raise ValueError
    return frozenset(words)


def _target(text: str) -> str:
    parse(text)
    return text.strip()


class _Sources:
    """Finds a setting in the option, the environment and the ini file."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def find(self, name: str) -> tuple[str | None, str]:
        option = self._config.getoption(f"grpcstream_{name}", None)
        if option is not None:
            return str(option), f"the option --grpcstream-{name.replace('_', '-')}"
        variable = f"GRPCSTREAM_{name.upper()}"
        if os.environ.get(variable):
            return os.environ[variable], f"the environment variable {variable}"
        ini = str(self._config.getini(f"grpcstream_{name}") or "").strip()
        return (ini or None), f"the ini option grpcstream_{name}"

    def read(self, name: str, convert: Callable[[str], _T], valid: str) -> tuple[_T | None, str]:
        text, source = self.find(name)
        if text is None:
            return None, source
        try:
            return convert(text), source
        except TargetError as error:
            raise SettingError(f"Invalid {name} from {source}: {error}") from None
        except ValueError:
            raise SettingError(f"Invalid {name.replace('_', ' ')} {text!r} from {source}; valid is {valid}") from None

    def seconds(self, name: str, default: float) -> float:
        value, _ = self.read(name, _seconds, "a number of seconds above 0 and at most 3600")
        return default if value is None else value


def read_settings(config: Any) -> Settings:
    """Read the settings of a pytest run.

    Raises:
        SettingError: a value is not valid; the message says where it came from and what is valid.
    """
    sources = _Sources(config)
    target, source = sources.read("target", _target, "")
    features, _ = sources.read("features", _features, f"all, none, or some of {', '.join(FEATURES)}")
    client, _ = sources.read("client", _client, "library, wire or both")
    return Settings(
        target=target,
        client=client,
        target_source=source,
        features=features,
        timeout=sources.seconds("timeout", TIMEOUT),
        quiet=sources.seconds("quiet", QUIET),
        startup_timeout=sources.seconds("startup_timeout", STARTUP),
        strict=bool(config.getoption("grpcstream_strict", False) or config.getini("grpcstream_strict")),
    )
