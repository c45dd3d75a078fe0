"""The options, each of them once: how it is declared, read, explained and given again to repeat a test.

Most options can also be given by an environment variable ``GRPCSTREAM_NAME`` or the ini option ``grpcstream_name``. The
command line wins over the environment, and that over the ini file; lists add up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError, TargetError
from pytest_grpcstream.plugin import option_values as values
from pytest_grpcstream.settings import QUIET, STARTUP, TIMEOUT, Settings
from pytest_grpcstream.targets.address import FORMS, parse
from pytest_grpcstream.targets.security import Security, metadata_field

GROUP: Final = "conformance of gRPC streams"
_SECONDS: Final = "a number of seconds above 0 and at most 3600"
_READABLE: Final = "the path of a readable file"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: its name, such as ``write_expect`` for ``--grpcstream-write-expect``.
        help: what it does, for ``--help``.
        metavar: what its value is called; empty for a flag.
        kind: whether it takes one value, is a flag, or is given repeatedly.
        parse: makes the value of the text; raises ValueError or TargetError for a bad one.
        valid: what a valid text is, for the message about a bad one.
        default: the value when nothing was given.
        is_path: whether a relative path in the ini file is relative to the folder of that file.
        variable: whether an environment variable can give it.
        secret: whether no message may show its text.
        ini_help: what the ini option does, if that is something else.
        repeat: its value in the command that repeats a test, from the settings; None, False or nothing leaves it out.
    """

    name: str
    help: str
    metavar: str = ""
    kind: Literal["value", "flag", "list"] = "value"
    parse: Callable[[str], Any] = str
    valid: str = ""
    default: Any = None
    is_path: bool = False
    variable: bool = True
    secret: bool = False
    ini_help: str = ""
    repeat: Callable[[Settings], Any] = lambda _: None

    @property
    def flag(self) -> str:
        """The option as it is written on the command line."""
        return f"--grpcstream-{self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        """The name of its ini option, and of its value in pytest's options."""
        return f"grpcstream_{self.name}"

    @property
    def environment(self) -> str:
        """The name of its environment variable."""
        return f"GRPCSTREAM_{self.name.upper()}"

    def declare(self, parser: pytest.Parser, group: Any) -> None:
        """Declare the option and its ini option."""
        if self.kind == "flag":
            group.addoption(self.flag, dest=self.key, action="store_true", default=False, help=self.help)
            parser.addini(self.key, self.help, type="bool", default=False)
        elif self.kind == "list":
            group.addoption(self.flag, dest=self.key, metavar=self.metavar, action="append", help=self.help)
            parser.addini(self.key, self.help, type="linelist", default=[])
        else:
            group.addoption(self.flag, dest=self.key, metavar=self.metavar, default=None, help=self.help)
            parser.addini(self.key, self.ini_help or self.help, default="")

    def read(self, config: pytest.Config) -> tuple[Any, str]:
        """The value, and where it comes from.

        Raises:
            SettingError: the value is not valid; the message says what was given, where, and what is valid.
        """
        if self.kind == "flag":
            return bool(config.getoption(self.key, False) or self._ini_flag(config)), f"the option {self.flag}"
        if self.kind == "list":
            given = [self._parse(text, source) for text, source in self._texts(config)]
            return tuple(given), f"the option {self.flag}"
        text, source = next(self._texts(config), (None, ""))
        return (self.default if text is None else self._parse(text, source)), source

    def _ini_flag(self, config: pytest.Config) -> bool:
        try:
            return bool(config.getini(self.key))
        except (ValueError, pytest.UsageError):  # newer versions of pytest raise the latter
            source = f"the ini option {self.key}"
            raise SettingError(f"Invalid {self._words} from {source}; expected true or false") from None

    def _texts(self, config: pytest.Config) -> Iterator[tuple[str, str]]:
        """The texts that were given, each with its source: of a list the ini file's first, else what wins first."""
        option = config.getoption(self.key, None)
        variable = os.environ.get(self.environment, "") if self.variable else ""
        ini = config.getini(self.key)
        sources: list[tuple[str, list[str]]]
        if self.kind == "list":
            sources = [
                (f"the ini option {self.key}", [self._located(text, config) for text in ini]),
                (f"the environment variable {self.environment}", [one for one in variable.split(os.pathsep) if one]),
                (f"the option {self.flag}", list(option or ())),
            ]
        else:
            text = str(ini or "").strip()
            sources = [
                (f"the option {self.flag}", [] if option is None else [str(option)]),
                (f"the environment variable {self.environment}", [variable] if variable else []),
                (f"the ini option {self.key}", [self._located(text, config)] if text else []),
            ]
        for source, texts in sources:
            yield from ((text, source) for text in texts)

    def _located(self, text: str, config: pytest.Config) -> str:
        return str(config.inipath.parent / text) if self.is_path and config.inipath is not None else text

    def _parse(self, text: str, source: str) -> Any:
        try:
            return self.parse(text)
        except TargetError as error:
            raise SettingError(f"Invalid {self._words} from {source}: {error}") from None
        except ValueError as error:
            # A text may be secret; what stands before its colon is shown only if it can be a key.
            shown = _key_of(text) if self.secret else f" {text!r}"
            why = f": {error}" if self.secret and str(error) else f"; expected {self.valid}"
            raise SettingError(f"Invalid {self._words}{shown} from {source}{why}") from None

    @property
    def _words(self) -> str:
        return self.name.replace("_", " ")


def _key_of(text: str) -> str:
    key = re.match(r"[ ]*([\w.-]+):", text, re.ASCII)
    return f" {key[1]!r}" if key else ""


def _shortest(seconds: float) -> str:
    """The shortest text of a number that is read as the same number."""
    text = f"{seconds:g}"
    return text if float(text) == seconds else repr(seconds)


OPTIONS: Final = (
    Option(
        name="target",
        metavar="TARGET",
        help=f"Run the conformance suite against {FORMS}",
        ini_help="Target that the fixtures use; it does not start the suite",
        parse=parse,
        repeat=lambda settings: settings.target,
    ),
    Option(
        name="features",
        metavar="LIST",
        help=f"Features that the target has, instead of probing for them: all, none, or some of {','.join(FEATURES)}",
        parse=values.features,
        valid=f"all, none, or some of {', '.join(FEATURES)}",
        repeat=lambda settings: (
            None if settings.features is None else ",".join(sorted(settings.features)) or values.NO_FEATURES
        ),
    ),
    Option(
        name="client",
        metavar="CLIENT",
        help="Client that the suite runs over: library (grpcio), wire (HTTP/2 frames) or both (default)",
        parse=values.client,
        valid="library, wire or both",
        repeat=lambda settings: settings.client,
    ),
    Option(
        name="timeout",
        metavar="SECONDS",
        help=f"Time that one operation on a stream may take (default {TIMEOUT:g})",
        parse=values.seconds,
        valid=_SECONDS,
        default=TIMEOUT,
        repeat=lambda settings: None if settings.timeout == TIMEOUT else _shortest(settings.timeout),
    ),
    Option(
        name="quiet",
        metavar="SECONDS",
        help=f"Silence after which nothing more is expected (default {QUIET:g})",
        parse=values.seconds,
        valid=_SECONDS,
        default=QUIET,
        repeat=lambda settings: None if settings.quiet == QUIET else _shortest(settings.quiet),
    ),
    Option(
        name="tls",
        kind="flag",
        help="Reach the target by TLS; it must select h2 by ALPN",
        variable=False,
        repeat=lambda settings: settings.security.tls,
    ),
    Option(
        name="ca",
        metavar="FILE",
        help="Authorities to trust, in PEM; defaults to those of the system",
        parse=values.readable_file,
        valid=_READABLE,
        is_path=True,
        repeat=lambda settings: settings.security.ca,
    ),
    Option(
        name="cert",
        metavar="FILE",
        help="Certificate of the client, in PEM, for mutual TLS",
        parse=values.readable_file,
        valid=_READABLE,
        is_path=True,
        repeat=lambda settings: settings.security.cert,
    ),
    Option(
        name="key",
        metavar="FILE",
        help="Key of that certificate, in PEM; defaults to the file of the certificate",
        parse=values.readable_file,
        valid=_READABLE,
        is_path=True,
        repeat=lambda settings: settings.security.key,
    ),
    Option(
        name="authority",
        metavar="NAME",
        help="Authority of every request, and the name that the target's certificate must have",
        parse=values.authority,
        valid="a host name, with or without a port",
        repeat=lambda settings: settings.security.authority,
    ),
    Option(
        name="metadata",
        metavar="KEY:VALUE",
        kind="list",
        help="Metadata of every call, repeatable; $NAME stands for an environment variable, values are never shown",
        parse=metadata_field,
        valid="'key: value' in ASCII, with a lower-case key that neither begins with grpc- nor ends with -bin",
        variable=False,
        secret=True,
    ),
    Option(
        name="startup_timeout",
        metavar="SECONDS",
        help=f"Time that a target may take until it answers (default {STARTUP:g})",
        parse=values.seconds,
        valid=_SECONDS,
        default=STARTUP,
        repeat=lambda settings: None if settings.startup_timeout == STARTUP else _shortest(settings.startup_timeout),
    ),
    Option(
        name="strict",
        kind="flag",
        help="Let warnings fail the run too",
        variable=False,
        repeat=lambda settings: settings.strict,
    ),
    Option(
        name="expect",
        metavar="FILE",
        kind="list",
        help="List of expected failures in TOML, repeatable; each must fail, and for the reason in the list",
        parse=values.readable_file,
        valid=_READABLE,
        is_path=True,
        repeat=lambda settings: settings.expect,
    ),
    Option(
        name="write_expect",
        metavar="FILE",
        help="Write the failures of this run to a list for --grpcstream-expect; needs a full run",
        parse=values.new_file,
        valid="a file path whose parent directory exists",
        is_path=True,
    ),
    Option(
        name="repeat",
        metavar="N",
        help="Run each test of a requirement N times on the same target, and report k of N",
        parse=values.count,
        valid="a number from 1 to 1000",
        default=1,
    ),
    Option(
        name="direct",
        metavar="TARGET",
        help="Upstream server behind a proxy: run every test on both and report differences",
        parse=parse,
    ),
    Option(
        name="report",
        metavar="DIR",
        help="Folder for report.json, summary.md, badge.json, and the evidence of what failed",
        parse=values.writable_folder,
        valid="a writable directory (created if missing)",
        is_path=True,
    ),
)
"""Every option of a run; what is not a setting of a run (--grpcstream-list) is declared beside them."""


def declare_options(parser: pytest.Parser) -> None:
    """Declare every option."""
    group = parser.getgroup("grpcstream", GROUP)
    for option in OPTIONS:
        option.declare(parser, group)
    group.addoption(
        "--grpcstream-list",
        dest="grpcstream_list",
        metavar="FILTER",
        nargs="?",
        const="",
        default=None,
        help="Print the requirements of the suite, or those that match words such as EOF,error; needs no target",
    )


def read_settings(config: pytest.Config) -> Settings:
    """Read the settings of a pytest run.

    Raises:
        SettingError: a value is not valid; the message says where it came from and what is valid.
    """
    read = {option.name: option.read(config) for option in OPTIONS}
    given = {name: value for name, (value, _) in read.items()}
    files: dict[str, Path | None] = {name: given.pop(name) for name in ("ca", "cert", "key")}
    tls = given.pop("tls")
    for name, path in files.items():
        if path is not None and not tls:
            raise SettingError(f"{read[name][1]} needs --grpcstream-tls")
    if files["key"] is not None and files["cert"] is None:
        raise SettingError("--grpcstream-key needs --grpcstream-cert")
    security = Security(tls=tls, authority=given.pop("authority"), metadata=given.pop("metadata"), **files)
    given["expect"] = tuple(dict.fromkeys(given["expect"]))
    return Settings(target_source=read["target"][1], security=security, **given)


def repeat_options(settings: Settings) -> Iterator[str]:
    """The options with which another run comes to the same verdict, except metadata, whose values are secret."""
    for option in OPTIONS:
        value = option.repeat(settings)
        if option.kind == "flag":
            yield from [option.flag] * bool(value)
        elif option.kind == "list":
            yield from (f"{option.flag}={one}" for one in value or ())
        elif value is not None:
            yield f"{option.flag}={value}"
