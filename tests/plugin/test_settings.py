"""Settings come from an option, the environment or the ini file, in that order; messages name the source."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plugin.conftest import Run
from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.plugin.options import read_settings
from pytest_grpcstream.settings import QUIET, STARTUP, TIMEOUT, Settings

SOURCES = ("option", "environment", "ini")
SECONDS = "a number of seconds above 0 and at most 3600"

VALUES: dict[str, tuple[tuple[str, object], tuple[str, object], tuple[str, object]]] = {
    "target": (("one:1", "one:1"), ("two:2", "two:2"), ("three:3", "three:3")),
    "features": (("abort", {"abort"}), ("none", set()), ("echo, sleep", {"echo", "sleep"})),
    "client": (("wire", "wire"), ("library", "library"), ("both", "both")),
    "timeout": (("1", 1.0), ("2.5", 2.5), ("3600", 3600.0)),
    "quiet": (("0.1", 0.1), ("1e-1", 0.1), (" 0.3 ", 0.3)),
    "startup_timeout": (("7", 7.0), ("8", 8.0), ("9", 9.0)),
}
"""For each setting and each of the three sources, a value as it is written and as it is read."""

Read = Callable[..., Settings]


def _plain(settings: Settings, name: str) -> object:
    """A setting in the form that is compared: a target by its text."""
    value: object = getattr(settings, name)
    return str(value) if name == "target" else value


@pytest.fixture
def read(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read the settings of a run, with values from some sources."""

    def read(name: str = "", **values: str) -> Settings:
        arguments = []
        if "option" in values:
            arguments.append(f"--grpcstream-{name.replace('_', '-')}={values['option']}")
        if "environment" in values:
            monkeypatch.setenv(f"GRPCSTREAM_{name.upper()}", values["environment"])
        if "ini" in values:
            pytester.makeini(f"[pytest]\ngrpcstream_{name} = {values['ini']}\n")
        return read_settings(pytester.parseconfig(*arguments))

    return read


def test_settings_have_defaults(read: Read) -> None:
    """No target, both clients for the suite, features that are probed, warnings that do not fail the run."""
    settings = read()
    assert (settings.target, settings.features, settings.client) == (None, None, None)
    assert (settings.timeout, settings.quiet, settings.startup_timeout) == (TIMEOUT, QUIET, STARTUP)
    assert settings.clients == ("wire", "library")
    assert not settings.strict
    assert not settings.security.tls


@pytest.mark.parametrize("name", VALUES)
def test_option_overrides_environment_overrides_ini_file(read: Read, name: str) -> None:
    """If several sources have a value, the first in this order counts."""
    written = {source: value for source, (value, _) in zip(SOURCES, VALUES[name], strict=True)}
    read_as = {source: value for source, (_, value) in zip(SOURCES, VALUES[name], strict=True)}
    assert _plain(read(name, ini=written["ini"]), name) == read_as["ini"]
    assert _plain(read(name, environment=written["environment"]), name) == read_as["environment"]
    assert _plain(read(name, option=written["option"]), name) == read_as["option"]


def test_empty_value_is_ignored(read: Read) -> None:
    """An environment variable or ini option without a value falls back to the next source."""
    assert read("timeout", environment="", ini="7").timeout == 7
    assert read("quiet", environment="", ini="").quiet == QUIET


def test_source_of_the_target_is_known(read: Read) -> None:
    """The header of a run shows it."""
    assert read("target", ini="three:3").target_source == "the ini option grpcstream_target"
    assert read("target", environment="two:2").target_source == "the environment variable GRPCSTREAM_TARGET"
    assert read("target", option="one:1").target_source == "the option --grpcstream-target"


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("all", frozenset(FEATURES)),
        ("none", frozenset()),
        ("abort", frozenset({"abort"})),
        ("abort,watch", frozenset({"abort", "watch"})),
        ("abort, watch , abort", frozenset({"abort", "watch"})),
        ("abort watch", frozenset({"abort", "watch"})),
        (",".join(FEATURES), frozenset(FEATURES)),
    ],
)
def test_features_are_a_list_of_names(read: Read, text: str, features: frozenset[str]) -> None:
    """Commas and blanks separate the names; all and none stand alone."""
    assert read("features", option=text).features == features


@pytest.mark.parametrize(
    ("option", "clients"), [("library", ("library",)), ("wire", ("wire",)), ("both", ("wire", "library"))]
)
def test_client_option_selects_the_clients_of_the_suite(read: Read, option: str, clients: tuple[str, ...]) -> None:
    """The suite runs over one of them, or over both."""
    assert read("client", option=option).clients == clients


def test_blanks_around_a_target_are_ignored(read: Read) -> None:
    """An ini file or a shell script may add them."""
    assert str(read("target", option=" reference ").target) == "reference"


INVALID = {
    "target": ("nonsense", "Invalid target from {source}: target 'nonsense' is not valid; valid forms: "),
    "features": ("abort,bogus", "Invalid features 'abort,bogus' from {source}; expected all, none, or some of abort, "),
    "client": ("grpcio", "Invalid client 'grpcio' from {source}; expected library, wire or both"),
    "timeout": ("soon", f"Invalid timeout 'soon' from {{source}}; expected {SECONDS}"),
    "quiet": ("0", f"Invalid quiet '0' from {{source}}; expected {SECONDS}"),
    "startup_timeout": ("-1", f"Invalid startup timeout '-1' from {{source}}; expected {SECONDS}"),
    "authority": ("a b", "Invalid authority 'a b' from {source}; expected a host name, with or without a port"),
}
"""For each setting, an invalid value and the beginning of its message."""


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", INVALID)
def test_message_about_an_invalid_value_names_its_source(read: Read, name: str, source: str) -> None:
    """It also shows the value and says what is valid."""
    text, message = INVALID[name]
    sources = {
        "option": f"the option --grpcstream-{name.replace('_', '-')}",
        "environment": f"the environment variable GRPCSTREAM_{name.upper()}",
        "ini": f"the ini option grpcstream_{name}",
    }
    with pytest.raises(SettingError) as refused:
        read(name, **{source: text})
    assert str(refused.value).startswith(message.format(source=sources[source]))


@pytest.mark.parametrize("text", ["nan", "inf", "3601", "1s", "0x1", "1,5", "", "\x1b[31m"])
def test_time_that_is_not_a_number_of_seconds_is_rejected(read: Read, text: str) -> None:
    """So is a number that is infinite or too large. The message is escaped."""
    with pytest.raises(SettingError, match=r"Invalid timeout '.*' from the option --grpcstream-timeout; ") as refused:
        read("timeout", option=text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("text", ["", "all,abort", "none none", "ABORT", "abort;echo", ","])
def test_unknown_features_are_rejected(read: Read, text: str) -> None:
    """Names are matched exactly."""
    with pytest.raises(SettingError, match="from the option --grpcstream-features; expected all, none, or some of"):
        read("features", option=text)


def test_invalid_value_of_an_overridden_source_is_ignored(read: Read) -> None:
    """Only the value that is used must be valid."""
    assert read("timeout", option="1", environment="soon", ini="later").timeout == 1


@pytest.mark.parametrize("source", SOURCES)
def test_usage_error_comes_before_collection(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The run ends with exit code 4 and one line; no test module is imported."""
    pytester.makepyfile(test_own="raise SystemExit('it was imported')")
    arguments = ["--grpcstream-timeout=soon"] if source == "option" else []
    if source == "environment":
        monkeypatch.setenv("GRPCSTREAM_TIMEOUT", "soon")
    if source == "ini":
        pytester.makeini("[pytest]\ngrpcstream_timeout = soon\n")
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.strip()]
    assert len(errors) == 1
    assert errors[0].startswith("ERROR: Invalid timeout 'soon' from the ")
    assert "it was imported" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("target=local", "Invalid target from the option --grpcstream-target: target 'local' is not valid"),
        ("target=", "Invalid target from the option --grpcstream-target: target '' is not valid"),
        ("features=some", "Invalid features 'some' from the option --grpcstream-features; expected all, none, or"),
        ("client=curl", "Invalid client 'curl' from the option --grpcstream-client; expected library, wire or both"),
    ],
)
def test_invalid_option_of_a_run_of_the_suite_is_a_usage_error(run: Run, option: str, message: str) -> None:
    """It is reported like an invalid option of pytest."""
    result = run("--grpcstream-target=reference", f"--grpcstream-{option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line.startswith(f"ERROR: {message}")]
    assert not result.outlines


def test_usage_error_under_xdist_is_reported_once(run: Run) -> None:
    """No worker is started."""
    result = run("--grpcstream-target=nonsense", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in result.errlines if "Invalid target" in line]) == 1
