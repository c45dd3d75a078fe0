"""The TLS options of the reference server: an invalid option is one line, with exit code 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tls.certificates import Certificates

TOGETHER = "--tls-cert and --tls-key need each other, and --tls-client-ca needs both"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--tls-cert {server_cert}", TOGETHER),
        ("--tls-key {server_key}", TOGETHER),
        ("--tls-client-ca {ca}", TOGETHER),
        (
            "--tls-cert missing.pem --tls-key {server_key}",
            "argument --tls-cert: 'missing.pem' cannot be read: No such file or directory",
        ),
        ("--tls-cert {server_cert} --tls-key /", "argument --tls-key: '/' cannot be read: Is a directory"),
        (
            "--tls-cert {server_cert} --tls-key {server_key} --tls-client-ca missing.pem",
            "argument --tls-client-ca: 'missing.pem' cannot be read: No such file or directory",
        ),
    ],
)
@pytest.mark.parametrize("flavour", ["", "--aio"], ids=["threads", "asyncio"])
def test_invalid_option_is_reported_in_one_line(
    certificates: Certificates, flavour: str, options: str, message: str
) -> None:
    """The program exits at once, before it listens."""
    words = [flavour] if flavour else []
    run = subprocess.run(
        [sys.executable, "-m", "pytest_grpcstream.reference_impl", "--address", "127.0.0.1:0", *words]
        + [word.format(**vars(certificates)) for word in options.split(" ")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"python -m pytest_grpcstream.reference_impl: {message}\n"
