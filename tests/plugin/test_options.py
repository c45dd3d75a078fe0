"""The table of options: each is declared once, and the command that repeats a test gives it again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable

import pytest

from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.plugin.options import OPTIONS, Option, read_settings, repeat_options
from pytest_grpcstream.settings import Settings
from pytest_grpcstream.targets.security import Security

Read = Callable[..., Settings]

NAMES = [option.name for option in OPTIONS]
BY_NAME = {option.name: option for option in OPTIONS}

TEXTS: dict[str, tuple[str, ...]] = {
    "target": ("127.0.0.1:1", "unix:/tmp/a b", "exec:./server --name 'a b' --port {port}", "reference:aio"),
    "features": ("none", "all", "echo, abort"),
    "client": ("wire", "library", "both"),
    "timeout": ("7", "0.1", "1e-05", "3.14159265358979"),
    "quiet": ("0.05", "0.123456789"),
    "tls": ("",),
    "ca": ("one.pem", "a folder/two.pem"),
    "cert": ("one.pem", "a folder/two.pem"),
    "key": ("one.pem", "a folder/two.pem"),
    "authority": ("example.org", "example.org:443"),
    "metadata": ("x-key: value", "x-other: value"),
    "startup_timeout": ("60", "1.23456789"),
    "strict": ("",),
    "expect": ("one.toml", "a folder/two.toml"),
    "write_expect": ("written.toml",),
    "repeat": ("3",),
    "direct": ("127.0.0.1:2",),
    "report": ("report",),
}
"""Texts of every option; a flag has none."""

NOT_REPEATED = {"metadata", "write_expect", "repeat", "direct", "report"}
"""Options that the command leaves out: secrets, files that a run writes, and further runs of a test."""

NEEDED = {"ca": ("tls",), "cert": ("tls",), "key": ("tls", "cert")}
"""Options without which another one is not valid."""


@pytest.fixture
def read(pytester: pytest.Pytester) -> Read:
    """Read the settings of a run with these arguments, in a folder that has the files that options name."""
    (pytester.path / "a folder").mkdir()
    for name in ("one.pem", "a folder/two.pem", "one.toml", "a folder/two.toml"):
        (pytester.path / name).touch()

    def read(*arguments: str) -> Settings:
        return read_settings(pytester.parseconfig(*arguments))

    return read


def argument(option: Option, text: str) -> str:
    """An option as it is given on the command line."""
    return option.flag if option.kind == "flag" else f"{option.flag}={text}"


def arguments(names: Iterable[str], place: int = 0) -> list[str]:
    """Some options with the text at a place, and the options that they need."""
    given = dict.fromkeys(one for name in names for one in (*NEEDED.get(name, ()), name))
    return [argument(BY_NAME[name], TEXTS[name][place % len(TEXTS[name])]) for name in given]


# Declarations -----------------------------------------------------------------------------------------------------


def test_every_setting_has_one_option() -> None:
    """The table and the settings agree; what is derived has no option."""
    fields = {field.name for kind in (Settings, Security) for field in dataclasses.fields(kind)}
    assert sorted(NAMES) == sorted(fields - {"target_source", "security"})
    assert sorted(TEXTS) == sorted(NAMES)


@pytest.mark.parametrize("option", OPTIONS, ids=NAMES)
def test_option_has_an_ini_option_of_the_same_name(pytester: pytest.Pytester, option: Option) -> None:
    """Nothing given is the same everywhere: no text, no list, no flag."""
    config = pytester.parseconfig()
    assert not config.getini(option.key)
    assert not config.getoption(option.key)
    assert option.flag == f"--grpcstream-{option.name.replace('_', '-')}"


@pytest.mark.parametrize("option", OPTIONS, ids=NAMES)
def test_help_of_an_option_is_one_phrase(option: Option) -> None:
    """It begins with a capital letter and has no full stop; a value has a name."""
    for text in filter(None, (option.help, option.ini_help)):
        assert text[0].isupper()
        assert not text.endswith(".")
    assert bool(option.metavar) is (option.kind != "flag")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("tls", "strict", "metadata")])
def test_option_is_read_from_every_source_alike(
    read: Read, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The option, the environment variable and the ini option come to the same settings."""
    option, text = BY_NAME[name], TEXTS[name][0]
    if option.is_path:
        text = str(pytester.path / text)
    needed = arguments(NEEDED.get(name, ()))

    def settings(*more: str) -> Settings:
        return dataclasses.replace(read(*needed, *more), target_source="")

    expected = settings(argument(option, text))
    assert expected != settings()
    monkeypatch.setenv(option.environment, text)
    assert settings() == expected
    monkeypatch.delenv(option.environment)
    pytester.makeini(f"[pytest]\n{option.key} = {text}\n")
    assert settings() == expected


@pytest.mark.parametrize("name", ["tls", "strict", "metadata"])
def test_option_without_an_environment_variable_ignores_it(
    read: Read, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Flags and secrets are not picked up from the environment by accident."""
    assert not BY_NAME[name].variable
    monkeypatch.setenv(BY_NAME[name].environment, "x-key: value")
    assert read() == Settings()


def test_lists_of_all_sources_add_up(read: Read, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ini file comes first, and a file that is named twice counts once."""
    pytester.makeini("[pytest]\ngrpcstream_expect = one.toml\n")
    monkeypatch.setenv("GRPCSTREAM_EXPECT", os.pathsep.join(["a folder/two.toml", str(pytester.path / "one.toml")]))
    found = read("--grpcstream-expect=a folder/two.toml", "--grpcstream-expect=one.toml").expect
    assert [str(path) for path in found] == [str(pytester.path / "one.toml"), "a folder/two.toml", "one.toml"]


@pytest.mark.parametrize("name", ["ca", "cert", "key", "expect", "write_expect", "report"])
def test_path_in_the_ini_file_is_relative_to_that_file(
    read: Read, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Wherever pytest is started."""
    text = TEXTS[name][0]
    given = {"grpcstream_tls": "1", "grpcstream_cert": "one.pem", BY_NAME[name].key: text}
    pytester.makeini("\n".join(["[pytest]", *(f"{key} = {value}" for key, value in given.items())]))
    monkeypatch.chdir(pytester.path / "a folder")
    settings = read()
    value = getattr(settings if name in vars(settings) else settings.security, name)
    assert value in (pytester.path / text, (pytester.path / text,))


@pytest.mark.parametrize("name", ["tls", "strict"])
def test_flag_that_is_neither_true_nor_false_names_its_source(read: Read, pytester: pytest.Pytester, name: str) -> None:
    """The message says which ini option it is."""
    pytester.makeini(f"[pytest]\ngrpcstream_{name} = maybe\n")
    message = f"^Invalid {name} from the ini option grpcstream_{name}; expected true or false$"
    with pytest.raises(SettingError, match=message):
        read()


# The command that repeats a test ----------------------------------------------------------------------------------


def test_run_without_options_is_repeated_without_options(read: Read) -> None:
    """Defaults are not repeated."""
    assert list(repeat_options(read())) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name in NAMES if name not in NOT_REPEATED for place in range(len(TEXTS[name]))],
)
def test_option_is_repeated_exactly(read: Read, name: str, place: int) -> None:
    """The settings of the repetition are equal to those of the run."""
    settings = read(*arguments([name], place))
    assert settings != read()
    repeated = list(repeat_options(settings))
    assert any(one.partition("=")[0] == BY_NAME[name].flag for one in repeated)
    assert read(*repeated) == settings


@pytest.mark.parametrize("place", range(4))
def test_all_options_are_repeated_exactly(read: Read, place: int) -> None:
    """Together, and together without any one of them that no other needs."""
    names = [name for name in NAMES if name not in NOT_REPEATED]
    for left_out in ("", *names):
        settings = read(*arguments((name for name in names if name != left_out), place))
        assert read(*repeat_options(settings)) == settings


def test_list_is_repeated_in_its_order(read: Read) -> None:
    """Each file is an option of its own."""
    given = ["--grpcstream-expect=a folder/two.toml", "--grpcstream-expect=one.toml"]
    assert list(repeat_options(read(*given))) == given


def test_values_of_the_environment_and_the_ini_file_are_repeated_as_options(
    read: Read, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says everything, wherever it is run."""
    monkeypatch.setenv("GRPCSTREAM_TARGET", "127.0.0.1:1")
    monkeypatch.setenv("GRPCSTREAM_TIMEOUT", "0.5")
    ini = pytester.makeini("[pytest]\ngrpcstream_strict = true\ngrpcstream_tls = 1\ngrpcstream_ca = one.pem\n")
    settings = read()
    assert (settings.timeout, settings.strict, settings.security.tls) == (0.5, True, True)
    for name in ("TARGET", "TIMEOUT"):
        monkeypatch.delenv(f"GRPCSTREAM_{name}")
    ini.unlink()
    repeated = read(*repeat_options(settings))
    assert dataclasses.replace(repeated, target_source="") == dataclasses.replace(settings, target_source="")


@pytest.mark.parametrize("name", sorted(NOT_REPEATED))
def test_what_a_repetition_must_not_do_again_is_left_out(read: Read, name: str) -> None:
    """It shows no secret, writes no file and runs the test once."""
    assert list(repeat_options(read(*arguments([name])))) == []
