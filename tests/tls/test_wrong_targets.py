"""A target that cannot be reached by the settings is one message, in seconds, and no test runs."""

from __future__ import annotations

import pytest

from tls.certificates import Certificates
from tls.runs import HALF_CLOSE, Runner, reference
from tls.servers import HandShaker, server_context

TLS = "--grpcstream-tls"


def test_plaintext_server_is_recognised(runner: Runner, certificates: Certificates) -> None:
    """A run with TLS on a plaintext server says which option to remove."""
    outcome = runner.suite(reference(), TLS, f"--grpcstream-ca={certificates.ca}")
    outcome.refused_target("speaks HTTP/2 without TLS; remove --grpcstream-tls")


def test_tls_server_is_recognised(runner: Runner, certificates: Certificates) -> None:
    """A run without TLS on a TLS server says which option to add."""
    outcome = runner.suite(reference(certificates=certificates), modules=(HALF_CLOSE,))
    outcome.refused_target("speaks TLS; use --grpcstream-tls")


@pytest.mark.parametrize("trusted", ["other_ca", "system"])
def test_untrusted_authority_is_reported(runner: Runner, certificates: Certificates, trusted: str) -> None:
    """A server certificate is accepted only from an authority that the run or the system trusts."""
    options = [f"--grpcstream-ca={certificates.other_ca}"] if trusted == "other_ca" else []
    outcome = runner.suite(reference(certificates=certificates), TLS, *options)
    outcome.refused_target("its certificate is not accepted: ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [([], "IP address mismatch"), (["--grpcstream-authority=elsewhere.example"], "Hostname mismatch")],
)
def test_certificate_of_another_name_is_reported(
    runner: Runner, certificates: Certificates, options: list[str], reason: str
) -> None:
    """The certificate must have the name of the authority, which is the address by default."""
    target = reference(certificates=certificates, cert="named")
    outcome = runner.suite(target, TLS, f"--grpcstream-ca={certificates.ca}", *options)
    outcome.refused_target(f"its certificate is not accepted: {reason}")


def test_authority_is_the_expected_name(runner: Runner, certificates: Certificates) -> None:
    """The authority option names a server that is reached by its address, over either client."""
    target = reference(certificates=certificates, cert="named")
    options = [f"--grpcstream-ca={certificates.ca}", "--grpcstream-authority=greeter.example:8443"]
    test = f"{HALF_CLOSE}::test_route_answers_each_request_before_the_next"
    runner.suite(target, TLS, *options, modules=(test,)).passed("[library]", "[wire]")


@pytest.mark.parametrize(
    ("protocols", "selected"), [((), "no protocol"), (("http/1.1",), "no protocol"), (("http/1.1", "h2"), "")]
)
def test_h2_must_be_selected(
    runner: Runner, certificates: Certificates, protocols: tuple[str, ...], selected: str
) -> None:
    """A server that does not select h2, and one that selects it but sends nothing, have different messages."""
    with HandShaker(server_context(certificates, *protocols)) as address:
        outcome = runner.suite(address, TLS, f"--grpcstream-ca={certificates.ca}")
    if selected:
        outcome.refused_target(f"the TLS server at {address} selected {selected} by ALPN; gRPC needs 'h2'")
    else:
        outcome.refused_target(f"{address} accepted a connection but sent no SETTINGS within 5 s")


def test_file_without_a_certificate_is_reported(runner: Runner, certificates: Certificates) -> None:
    """A readable file without a certificate is named."""
    outcome = runner.suite(reference(certificates=certificates), TLS, f"--grpcstream-ca={certificates.nonsense}")
    outcome.refused_target(f"the certificates for TLS cannot be used ({certificates.nonsense}): ")


def test_key_of_another_certificate_is_reported(runner: Runner, certificates: Certificates) -> None:
    """A certificate and a key that do not match are noticed before any connection."""
    files = [f"--grpcstream-cert={certificates.client_cert}", f"--grpcstream-key={certificates.server_key}"]
    runner.suite(reference(certificates=certificates), TLS, *files).refused_target("KEY_VALUES_MISMATCH")


def test_certificate_without_a_key_is_reported(runner: Runner, certificates: Certificates) -> None:
    """Without the option for the key, the key must be in the file of the certificate."""
    outcome = runner.suite(reference(certificates=certificates), TLS, f"--grpcstream-cert={certificates.client_cert}")
    outcome.refused_target("without --grpcstream-key the key must be in the file of the certificate")


def test_mutual_tls_needs_a_client_certificate(runner: Runner, certificates: Certificates) -> None:
    """A run without a client certificate stops at a server that requires one."""
    outcome = runner.suite(reference(certificates=certificates, mutual=True), TLS, f"--grpcstream-ca={certificates.ca}")
    outcome.refused_target("was started, but no ")


@pytest.mark.parametrize("target", ["reference", "reference:aio"])
def test_bundled_reference_is_served_without_tls(runner: Runner, target: str) -> None:
    """The plugin serves the reference in plaintext only; the message says what to use instead."""
    outcome = runner.suite(target, TLS)
    outcome.refused_target("is served without TLS; --grpcstream-tls needs an address or a command")
