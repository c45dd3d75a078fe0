"""The requirements of TLS can fail: servers that are wrong in one way each are caught by the one requirement."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from clients.wire.services import grpclib_server
from tls.papers import Papers
from tls.runs import TLS_MODULE, Outcome, Runner, reference
from tls.servers import server_context

OLD = "ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"


def verdicts(outcome: Outcome) -> dict[str, str]:
    """The outcome of every test, by its name."""
    lines = (line.split() for line in outcome.stdout.splitlines() if "conformance/test_transport_security.py::" in line)
    return {words[0].rpartition("::")[2]: words[1] for words in lines if words[1:] and words[1].isupper()}


def accept_old_versions(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context speak TLS 1.0 and 1.1 too, which OpenSSL does at its lowest level of security only."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def speaks_tls_1_1(papers: Papers) -> bool:
    """Whether this OpenSSL can complete a handshake in TLS 1.1 at all."""
    server = accept_old_versions(server_context(papers))
    client = accept_old_versions(ssl.create_default_context(cafile=papers.ca))
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
def test_a_server_that_accepts_tls_1_1_is_caught(runner: Runner, papers: Papers) -> None:
    """TLS-3 fails if a handshake in TLS 1.1 is completed and the call is answered."""
    if not speaks_tls_1_1(papers):
        pytest.skip("this OpenSSL has no TLS 1.1 at all, so that no server can be made that accepts it")
    with grpclib_server(accept_old_versions(server_context(papers, "h2"))) as address:
        outcome = runner.suite(address, "--grpcstream-tls", f"--grpcstream-ca={papers.ca}")
    assert outcome.code == 1, outcome.everything
    told = "TLS-3 failed: expected a handshake with TLS 1.1 or older refused; actual: completed in TLSv1.1"
    assert told in outcome.stdout
    assert verdicts(outcome) == {
        "test_the_target_selects_h2": "PASSED",
        "test_old_versions_of_tls_are_refused": "FAILED",
    }


def test_the_same_server_without_old_versions_passes(runner: Runner, papers: Papers) -> None:
    """It is the old version alone that TLS-3 finds there."""
    with grpclib_server(server_context(papers, "h2")) as address:
        runner.suite(address, "--grpcstream-tls", f"--grpcstream-ca={papers.ca}").passed("Transport security")


def test_a_server_that_asks_for_no_certificate_is_caught(runner: Runner, papers: Papers) -> None:
    """TLS-5 fails if the run has a certificate to show and the server does not want to see it."""
    certificate = [f"--grpcstream-cert={papers.client_cert}", f"--grpcstream-key={papers.client_key}"]
    target = reference(papers=papers)
    outcome = runner.suite(target, "--grpcstream-tls", f"--grpcstream-ca={papers.ca}", *certificate)
    assert outcome.code == 1, outcome.everything
    assert "TLS-5 failed: expected a client without a certificate refused; actual: OK" in outcome.stdout
    assert verdicts(outcome) == {
        "test_the_target_selects_h2": "PASSED",
        "test_old_versions_of_tls_are_refused": "PASSED",
        "test_a_client_without_a_certificate_is_not_served": "FAILED",
    }


@pytest.mark.parametrize("tls", [False, True])
def test_a_run_without_certificates_has_fewer_requirements(runner: Runner, papers: Papers, tls: bool) -> None:
    """What a run cannot check, because it is not by TLS or not mutual, is not part of it."""
    options = ["--grpcstream-tls", f"--grpcstream-ca={papers.ca}"] if tls else []
    outcome = runner.suite("127.0.0.1:1", *options, "--collect-only", "-qq", modules=(TLS_MODULE,))
    found = [line.rpartition("::")[2] for line in outcome.stdout.splitlines() if "::" in line]
    both = ["test_the_target_selects_h2", "test_old_versions_of_tls_are_refused"]
    assert sorted(found) == sorted(both if tls else [])
