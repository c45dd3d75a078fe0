"""An invalid setting is one message, before collection and before any connection."""

from __future__ import annotations

import pytest

from tls.certificates import Certificates
from tls.runs import Runner

TLS = "--grpcstream-tls"
NOWHERE = "127.0.0.1:1"
METADATA = "'key: value' in ASCII, with a lower-case key that neither begins with grpc- nor ends with -bin"


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_missing_file_is_named(runner: Runner, name: str) -> None:
    """The message has the path, the option and what is valid."""
    runner.suite(NOWHERE, TLS, f"--grpcstream-{name}=missing.pem").refused_setting(
        f"Invalid {name} 'missing.pem' from the option --grpcstream-{name}; expected the path of a readable file"
    )


def test_missing_file_of_the_ini_is_named(runner: Runner) -> None:
    """The message has the full path, which starts at the directory of the ini file."""
    runner.configure(grpcstream_tls="true", grpcstream_ca="missing.pem")
    runner.suite(NOWHERE).refused_setting(
        f"Invalid ca '{runner.folder / 'missing.pem'}' from the ini option grpcstream_ca; "
        "expected the path of a readable file"
    )


def test_directory_is_refused(runner: Runner) -> None:
    """A directory instead of a file is refused like a missing file."""
    outcome = runner.suite(NOWHERE, TLS, f"--grpcstream-ca={runner.folder}")
    outcome.refused_setting(
        f"Invalid ca '{runner.folder}' from the option --grpcstream-ca; expected the path of a readable file"
    )


def test_key_needs_its_certificate(runner: Runner, certificates: Certificates) -> None:
    """A key without a certificate has no effect, so it must be a mistake."""
    outcome = runner.suite(NOWHERE, TLS, f"--grpcstream-key={certificates.client_key}")
    outcome.refused_setting("--grpcstream-key needs --grpcstream-cert")


@pytest.mark.parametrize("name", ["ca", "cert"])
def test_certificates_need_tls(runner: Runner, certificates: Certificates, name: str) -> None:
    """Certificates without TLS would silently be ignored."""
    outcome = runner.suite(NOWHERE, f"--grpcstream-{name}={certificates.client_both}")
    outcome.refused_setting(f"the option --grpcstream-{name} needs --grpcstream-tls")


def test_certificates_of_the_ini_need_tls(runner: Runner, certificates: Certificates) -> None:
    """The message names the ini option."""
    runner.configure(grpcstream_ca=certificates.ca)
    runner.suite(NOWHERE).refused_setting("the ini option grpcstream_ca needs --grpcstream-tls")


@pytest.mark.parametrize("name", ["gre eter", "user@greeter", "greeter/path", "gréeter"])
def test_authority_must_be_a_host_name(runner: Runner, name: str) -> None:
    """A text that cannot be an authority is refused before it is sent."""
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
def test_invalid_metadata_is_refused_without_its_value(runner: Runner, text: str, shown: str) -> None:
    """Only what can be a key is shown: the rest may be a secret in the wrong notation."""
    outcome = runner.suite(NOWHERE, f"--grpcstream-metadata={text}")
    outcome.refused_setting(f"Invalid {shown} from the option --grpcstream-metadata; expected {METADATA}")


def test_missing_variable_is_named(runner: Runner) -> None:
    """A variable that is not set is not treated as empty."""
    runner.suite(NOWHERE, "--grpcstream-metadata=authorization: Bearer $NO_SUCH_TOKEN").refused_setting(
        "Invalid metadata 'authorization' from the option --grpcstream-metadata: "
        "the environment variable NO_SUCH_TOKEN is not set"
    )


def test_invalid_metadata_of_the_ini_is_refused(runner: Runner) -> None:
    """Every line of the ini option is checked like the option."""
    runner.configure(grpcstream_metadata=["x-good: 1", "x-token: $NO_SUCH_TOKEN"])
    runner.suite(NOWHERE).refused_setting(
        "Invalid metadata 'x-token' from the ini option grpcstream_metadata: "
        "the environment variable NO_SUCH_TOKEN is not set"
    )


def test_value_of_a_variable_is_checked(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is not valid in metadata is refused, and not printed."""
    monkeypatch.setenv("TOKEN", "line one\nline two")
    outcome = runner.suite(NOWHERE, "--grpcstream-metadata=x-token: $TOKEN")
    outcome.refused_setting(f"Invalid metadata 'x-token' from the option --grpcstream-metadata; expected {METADATA}")
