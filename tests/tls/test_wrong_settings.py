"""A setting that cannot be right is one message, before anything is collected or contacted."""

from __future__ import annotations

import pytest

from tls.papers import Papers
from tls.runs import Runner

TLS = "--grpcstream-tls"
NOWHERE = "127.0.0.1:1"
METADATA = "'key: value' in ASCII, with a lower-case key that neither begins with grpc- nor ends with -bin"


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_missing_file_is_named(runner: Runner, name: str) -> None:
    """The message has the path, the option and what is valid."""
    runner.suite(NOWHERE, TLS, f"--grpcstream-{name}=missing.pem").refused_setting(
        f"Invalid {name} 'missing.pem' from the option --grpcstream-{name}; expected the path of a readable file"
    )


def test_a_missing_file_of_the_ini_is_named(runner: Runner) -> None:
    """The message has the path as it was looked for, next to the ini file."""
    runner.configure(grpcstream_tls="true", grpcstream_ca="missing.pem")
    runner.suite(NOWHERE).refused_setting(
        f"Invalid ca '{runner.folder / 'missing.pem'}' from the ini option grpcstream_ca; "
        "expected the path of a readable file"
    )


def test_a_folder_is_no_file(runner: Runner) -> None:
    """A folder where a file belongs is refused like a path that is not there."""
    outcome = runner.suite(NOWHERE, TLS, f"--grpcstream-ca={runner.folder}")
    outcome.refused_setting(
        f"Invalid ca '{runner.folder}' from the option --grpcstream-ca; expected the path of a readable file"
    )


def test_a_key_needs_its_certificate(runner: Runner, papers: Papers) -> None:
    """A key alone proves nothing, so that it must be a mistake."""
    outcome = runner.suite(NOWHERE, TLS, f"--grpcstream-key={papers.client_key}")
    outcome.refused_setting("--grpcstream-key needs --grpcstream-cert")


@pytest.mark.parametrize("name", ["ca", "cert"])
def test_certificates_need_tls(runner: Runner, papers: Papers, name: str) -> None:
    """Certificates without TLS would silently not be used."""
    outcome = runner.suite(NOWHERE, f"--grpcstream-{name}={papers.client_both}")
    outcome.refused_setting(f"the option --grpcstream-{name} needs --grpcstream-tls")


def test_certificates_of_the_ini_need_tls(runner: Runner, papers: Papers) -> None:
    """It is said where the setting stands."""
    runner.configure(grpcstream_ca=papers.ca)
    runner.suite(NOWHERE).refused_setting("the ini option grpcstream_ca needs --grpcstream-tls")


@pytest.mark.parametrize("name", ["gre eter", "user@greeter", "greeter/path", "gréeter"])
def test_an_authority_is_a_name(runner: Runner, name: str) -> None:
    """What could not be an authority is refused before it is sent."""
    runner.suite(NOWHERE, f"--grpcstream-authority={name}").refused_setting(
        f"Invalid authority {name!r} from the option --grpcstream-authority; "
        "expected a host name, with or without a port"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: abcdef", "metadata 'Authorization'"),
        ("key-bin: abcdef", "metadata 'key-bin'"),
        ("grpc-timeout: 1S", "metadata 'grpc-timeout'"),
        ("key: gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m", "metadata 'key'"),
        (": abcdef", "metadata"),
        ("abcdef", "metadata"),
        ("authorization=Bearer abc:def", "metadata"),
    ],
)
def test_bad_metadata_is_refused_without_its_value(runner: Runner, text: str, shown: str) -> None:
    """Only what can be a key is shown: the rest may be a secret that was put in the wrong way."""
    outcome = runner.suite(NOWHERE, f"--grpcstream-metadata={text}")
    outcome.refused_setting(f"Invalid {shown} from the option --grpcstream-metadata; expected {METADATA}")


def test_an_unknown_variable_is_named(runner: Runner) -> None:
    """A variable that is not there is not taken for an empty one."""
    runner.suite(NOWHERE, "--grpcstream-metadata=authorization: Bearer $NO_SUCH_TOKEN").refused_setting(
        "Invalid metadata 'authorization' from the option --grpcstream-metadata: "
        "the environment variable NO_SUCH_TOKEN is not set"
    )


def test_bad_metadata_of_the_ini_is_refused(runner: Runner) -> None:
    """The ini file is judged like the option, one line after the other."""
    runner.configure(grpcstream_metadata=["x-good: 1", "x-token: $NO_SUCH_TOKEN"])
    runner.suite(NOWHERE).refused_setting(
        "Invalid metadata 'x-token' from the ini option grpcstream_metadata: "
        "the environment variable NO_SUCH_TOKEN is not set"
    )


def test_the_value_of_a_variable_is_judged(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable whose value metadata cannot carry is refused, and neither printed nor cut."""
    monkeypatch.setenv("TOKEN", "line one\nline two")
    outcome = runner.suite(NOWHERE, "--grpcstream-metadata=x-token: $TOKEN")
    outcome.refused_setting(f"Invalid metadata 'x-token' from the option --grpcstream-metadata; expected {METADATA}")
