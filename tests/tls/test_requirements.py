"""The requirements of TLS can fail: each server with one fault fails exactly one of them."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from clients.wire.services import grpclib_server
from tls.certificates import Certificates
from tls.runs import TLS_MODULE, Outcome, Runner, reference
from tls.servers import server_context

OLD = "ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"


def verdicts(outcome: Outcome) -> dict[str, str]:
    """The outcome of every test, by its name."""
    lines = (line.split() for line in outcome.stdout.splitlines() if "conformance/test_transport_security.py::" in line)
    return {words[0].rpartition("::")[2]: words[1] for words in lines if words[1:] and words[1].isupper()}


def accept_old_versions(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context speak TLS 1.0 and 1.1 too, which OpenSSL does at its lowest security level only."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def speaks_tls_1_1(certificates: Certificates) -> bool:
    """Whether this OpenSSL can complete a handshake with TLS 1.1."""
    server = accept_old_versions(server_context(certificates))
    client = accept_old_versions(ssl.create_default_context(cafile=certificates.ca))
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname="localhost") as secure:
            return secure.version() == "TLSv1.1"
    except OSError:
        return False
    finally:
        thread.join(10)


@pytest.mark.filterwarnings(OLD)
def test_server_that_accepts_tls_1_1_fails(runner: Runner, certificates: Certificates) -> None:
    """TLS-3 fails if the server completes a handshake with TLS 1.1."""
    if not speaks_tls_1_1(certificates):
        pytest.skip("this OpenSSL does not support TLS 1.1")
    with grpclib_server(accept_old_versions(server_context(certificates, "h2"))) as address:
        outcome = runner.suite(address, "--grpcstream-tls", f"--grpcstream-ca={certificates.ca}")
    assert outcome.code == 1, outcome.everything
    message = "TLS-3 failed: expected a handshake with TLS 1.1 or older refused; actual: completed in TLSv1.1"
    assert message in outcome.stdout
    assert verdicts(outcome) == {
        "test_the_target_selects_h2": "PASSED",
        "test_old_versions_of_tls_are_refused": "FAILED",
    }


def test_same_server_without_old_versions_passes(runner: Runner, certificates: Certificates) -> None:
    """TLS-3 failed because of the old version only."""
    with grpclib_server(server_context(certificates, "h2")) as address:
        runner.suite(address, "--grpcstream-tls", f"--grpcstream-ca={certificates.ca}").passed("Transport security")


def test_server_without_mutual_tls_fails(runner: Runner, certificates: Certificates) -> None:
    """TLS-5 fails if the run has a client certificate and the server does not ask for one."""
    certificate = [f"--grpcstream-cert={certificates.client_cert}", f"--grpcstream-key={certificates.client_key}"]
    target = reference(certificates=certificates)
    outcome = runner.suite(target, "--grpcstream-tls", f"--grpcstream-ca={certificates.ca}", *certificate)
    assert outcome.code == 1, outcome.everything
    assert "TLS-5 failed: expected a client without a certificate refused; actual: OK" in outcome.stdout
    assert verdicts(outcome) == {
        "test_the_target_selects_h2": "PASSED",
        "test_old_versions_of_tls_are_refused": "PASSED",
        "test_a_client_without_a_certificate_is_not_served": "FAILED",
    }


@pytest.mark.parametrize("tls", [False, True])
def test_requirements_depend_on_the_settings(runner: Runner, certificates: Certificates, tls: bool) -> None:
    """A run without TLS, or without a client certificate, does not contain requirements that need it."""
    options = ["--grpcstream-tls", f"--grpcstream-ca={certificates.ca}"] if tls else []
    outcome = runner.suite("127.0.0.1:1", *options, "--collect-only", "-qq", modules=(TLS_MODULE,))
    found = [line.rpartition("::")[2] for line in outcome.stdout.splitlines() if "::" in line]
    both = ["test_the_target_selects_h2", "test_old_versions_of_tls_are_refused"]
    assert sorted(found) == sorted(both if tls else [])
