"""The settings of a run: from an option, the environment or the ini file, in that order."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError, TargetError
from pytest_grpcstream.targets.address import FORMS as FORMS  # noqa: PLC0414 - for those that still import it from here

if TYPE_CHECKING:
    from pytest_grpcstream.targets.security import Security

CLIENTS: Final = ("wire", "library")
"""The clients that the suite runs over: HTTP/2 frames over a socket, and grpcio."""

TIMEOUT: Final = 5.0
QUIET: Final = 0.2
STARTUP: Final = 20.0

_FILES: Final = ("ca", "cert", "key")
_PATHS: Final = (*_FILES, "report")
_METADATA: Final = "'key: value' in ASCII, with a lower-case key that neither begins with grpc- nor ends with -bin"

_READABLE: Final = "the path of a file that can be read"

_T = TypeVar("_T")


class Settings(NamedTuple):
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
        security: how the target is reached: TLS, names and metadata.
        expect: the lists of expected failures.
        write_expect: the list that the failures of this run are written to, or None.
        repeat: how often each test of a requirement runs.
        direct: the text of the target behind the target, which tests are compared with, or None.
        report: the folder that reports of the run are written to, absolute, or None.
    """

    target: str | None
    target_source: str
    features: frozenset[str] | None
    client: str | None
    timeout: float
    quiet: float
    startup_timeout: float
    strict: bool
    security: Security
    expect: tuple[Path, ...] = ()
    write_expect: Path | None = None
    repeat: int = 1
    direct: str | None = None
    report: Path | None = None

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
    from pytest_grpcstream.targets.address import parse

    parse(text)
    return text.strip()


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError
    return path


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError
    return path


def _new_folder(text: str) -> Path:
    path = Path(text).absolute()  # a test may change the working directory
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        raise ValueError from None


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise ValueError
    return value


def _authority(text: str) -> str:
    if not text.isascii() or not text.isprintable() or set(text) & set(" /@"):
        raise ValueError
    return text


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
        if ini and name in _PATHS and self._config.inipath is not None:
            ini = str(self._config.inipath.parent / ini)  # wherever pytest was started, as pytest reads paths
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

    def flag(self, name: str) -> bool:
        """Whether something was asked for by an option without a value, or by the ini option."""
        return bool(self._config.getoption(f"grpcstream_{name}", False) or self._config.getini(f"grpcstream_{name}"))

    def metadata(self) -> Iterator[tuple[str, str]]:
        """The metadata of every call; no message shows a value of it."""
        from pytest_grpcstream.targets.security import metadata_field

        for source, texts in (
            ("the ini option grpcstream_metadata", self._config.getini("grpcstream_metadata")),
            ("the option --grpcstream-metadata", self._config.getoption("grpcstream_metadata", None) or ()),
        ):
            for text in texts:
                try:
                    yield metadata_field(text)
                except ValueError as error:
                    # What stands before a colon is shown only if it can be a key: else it may be a part of the value.
                    key = re.match(r"[ ]*([\w.-]+):", text, re.ASCII)
                    shown = f"metadata {key[1]!r}" if key else "metadata"
                    why = f": {error}" if str(error) else f"; valid is {_METADATA}"
                    raise SettingError(f"Invalid {shown} from {source}{why}") from None

    def files(self, name: str) -> Iterator[Path]:
        """The files of a setting that may be given many times: those of the ini and of the options."""
        folder = Path() if self._config.inipath is None else self._config.inipath.parent
        variable = f"GRPCSTREAM_{name.upper()}"
        listed = [str(folder / text) for text in self._config.getini(f"grpcstream_{name}")]
        given = (
            (f"the ini option grpcstream_{name}", listed),
            (f"the environment variable {variable}", filter(None, os.environ.get(variable, "").split(os.pathsep))),
            (f"the option --grpcstream-{name}", self._config.getoption(f"grpcstream_{name}", None) or ()),
        )
        for source, texts in given:
            for text in texts:
                try:
                    yield _file(text)
                except ValueError:
                    raise SettingError(f"Invalid {name} {text!r} from {source}; valid is {_READABLE}") from None

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
    write_expect, _ = sources.read("write_expect", _new_file, "the path of a file in a folder that there is")
    repeat, _ = sources.read("repeat", _count, "a number from 1 to 1000")
    direct, _ = sources.read("direct", _target, "")
    report, _ = sources.read("report", _new_folder, "a folder that can be made if it is not there, and written to")
    return Settings(
        target=target,
        client=client,
        target_source=source,
        features=features,
        timeout=sources.seconds("timeout", TIMEOUT),
        quiet=sources.seconds("quiet", QUIET),
        startup_timeout=sources.seconds("startup_timeout", STARTUP),
        strict=sources.flag("strict"),
        security=_security(sources),
        expect=tuple(dict.fromkeys(sources.files("expect"))),
        write_expect=write_expect,
        repeat=repeat or 1,
        direct=direct,
        report=report,
    )


def _security(sources: _Sources) -> Security:
    from pytest_grpcstream.targets.security import Security

    files: dict[str, Path | None] = {}
    for name in _FILES:
        files[name], source = sources.read(name, _file, _READABLE)
        if files[name] is not None and not sources.flag("tls"):
            raise SettingError(f"{source} needs --grpcstream-tls")
    if files["key"] is not None and files["cert"] is None:
        raise SettingError("--grpcstream-key needs --grpcstream-cert")
    authority, _ = sources.read("authority", _authority, "a host name, with or without a port")
    return Security(tls=sources.flag("tls"), authority=authority, metadata=tuple(sources.metadata()), **files)
