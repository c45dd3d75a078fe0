"""Runs of pytest as a user starts them, and their outcomes."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tls.certificates import Certificates

PLAINTEXT_REFERENCE: Final = f"{shlex.quote(sys.executable)} -m pytest_grpcstream.reference_impl --quiet"
TLS_MODULE: Final = "pytest_grpcstream.conformance.test_transport_security"
HALF_CLOSE: Final = "pytest_grpcstream.conformance.test_half_close"
LIMIT: Final = 100
"""Seconds that a run may take."""
SOON: Final = 30
"""Seconds in which a run must refuse a wrong target, even on a busy machine."""
TARGET_MISSING: Final = 6


def reference(*, certificates: Certificates | None = None, cert: str = "server", mutual: bool = False) -> str:
    """The text of a target that starts the reference server as a command.

    Arguments:
        certificates: The certificates to use, None for a server without TLS.
        cert: ``server`` or ``named``.
        mutual: Whether it serves only clients with a certificate.
    """
    words = [f"exec:{PLAINTEXT_REFERENCE} --address 127.0.0.1:{{port}}"]
    if certificates is not None:
        files = {
            "server": (certificates.server_cert, certificates.server_key),
            "named": (certificates.named_cert, certificates.named_key),
        }
        certificate, key = files[cert]
        words += ["--tls-cert", shlex.quote(str(certificate)), "--tls-key", shlex.quote(str(key))]
        if mutual:
            words += ["--tls-client-ca", shlex.quote(str(certificates.ca))]
    return " ".join(words)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        code: The exit code of pytest.
        stdout: The standard output.
        stderr: The standard error.
        report: The text of the JUnit report, empty if none was written.
        seconds: How long the run took.
    """

    code: int
    stdout: str
    stderr: str
    report: str
    seconds: float

    @property
    def everything(self) -> str:
        """All output of the run."""
        return "\n".join([self.stdout, self.stderr, self.report])

    def passed(self, *modules: str) -> None:
        """Assert that the run passed, and ran tests of each area."""
        assert self.code == 0, self.everything
        assert "verdict: conformant in all that was checked\n" in self.stdout
        for area in modules:
            assert area in self.stdout

    def refused_setting(self, message: str) -> None:
        """Assert that the run ended before collection, with this message only."""
        assert self.code == pytest.ExitCode.USAGE_ERROR, self.everything
        assert [line for line in self.stderr.splitlines() if line] == [f"ERROR: {message}"]
        assert "collected" not in self.stdout

    def refused_target(self, message: str) -> None:
        """Assert that the run ended in seconds, before the first test, and printed this message once."""
        assert self.code == TARGET_MISSING, self.everything
        assert self.everything.count(message) == 1, self.everything
        assert "Traceback" not in self.everything
        assert "PASSED" not in self.stdout
        assert self.seconds < SOON


class Runner:
    """Runs pytest in the directory of a test."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    @property
    def folder(self) -> Path:
        """The directory of the runs."""
        return self._pytester.path

    def write(self, **modules: str) -> None:
        """Write Python modules into the directory."""
        self._pytester.makepyfile(**modules)

    def configure(self, **options: object) -> None:
        """Write an ini file with these options; a list takes one line for each of its values."""
        lines = ["[pytest]"]
        for name, value in options.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{name} =", *(f"    {one}" for one in values)]
        self._pytester.makefile(".ini", pytest="\n".join(lines))

    def run(self, *arguments: str) -> Outcome:
        """Run pytest with these arguments."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        began = time.monotonic()
        result = self._pytester.runpytest_subprocess(
            "-v", "-pno:cacheprovider", f"--junitxml={report}", *arguments, timeout=LIMIT
        )
        return Outcome(
            int(result.ret),
            result.stdout.str() + "\n",
            result.stderr.str(),
            report.read_text(encoding="utf-8") if report.exists() else "",
            time.monotonic() - began,
        )

    def suite(self, target: str, *options: str, modules: tuple[str, ...] = (TLS_MODULE,)) -> Outcome:
        """Run a part of the suite against a target."""
        return self.run(f"--grpcstream-target={target}", *options, "--pyargs", *modules)
