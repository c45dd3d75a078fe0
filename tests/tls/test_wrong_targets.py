"""A target that cannot be reached as the settings say is one message, in seconds, and no test."""

from __future__ import annotations

import pytest

from tls.papers import Papers
from tls.runs import HALF_CLOSE, Runner, reference
from tls.servers import HandShaker, server_context

TLS = "--grpcstream-tls"


def test_a_plaintext_server_is_told_from_one_with_tls(runner: Runner, papers: Papers) -> None:
    """Who asks for TLS where none is spoken is told to leave it out."""
    outcome = runner.suite(reference(), TLS, f"--grpcstream-ca={papers.ca}")
    outcome.refused_target("speaks HTTP/2 without TLS; remove --grpcstream-tls")


def test_a_tls_server_is_told_from_one_without(runner: Runner, papers: Papers) -> None:
    """Who forgets to ask for TLS is told to."""
    outcome = runner.suite(reference(papers=papers), modules=(HALF_CLOSE,))
    outcome.refused_target("speaks TLS; use --grpcstream-tls")


@pytest.mark.parametrize("trusted", ["other_ca", "system"])
def test_an_authority_that_is_not_trusted_is_told(runner: Runner, papers: Papers, trusted: str) -> None:
    """A certificate counts only if an authority issued it that the run was told to trust, or that the system does."""
    options = [f"--grpcstream-ca={papers.other_ca}"] if trusted == "other_ca" else []
    outcome = runner.suite(reference(papers=papers), TLS, *options)
    outcome.refused_target("its certificate is not accepted: ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [([], "IP address mismatch"), (["--grpcstream-authority=elsewhere.example"], "Hostname mismatch")],
)
def test_a_certificate_of_another_name_is_told(runner: Runner, papers: Papers, options: list[str], reason: str) -> None:
    """The certificate must have the name of the authority, which is the address unless the run says otherwise."""
    target = reference(papers=papers, cert="named")
    outcome = runner.suite(target, TLS, f"--grpcstream-ca={papers.ca}", *options)
    outcome.refused_target(f"its certificate is not accepted: {reason}")


def test_the_authority_mends_a_name(runner: Runner, papers: Papers) -> None:
    """Who reaches a server by its address says by which name it is known, over either client."""
    target = reference(papers=papers, cert="named")
    options = [f"--grpcstream-ca={papers.ca}", "--grpcstream-authority=greeter.example:8443"]
    test = f"{HALF_CLOSE}::test_route_answers_each_request_before_the_next"
    runner.suite(target, TLS, *options, modules=(test,)).passed("[library]", "[wire]")


@pytest.mark.parametrize(
    ("protocols", "selected"), [((), "no protocol"), (("http/1.1",), "no protocol"), (("http/1.1", "h2"), "")]
)
def test_h2_must_be_selected(runner: Runner, papers: Papers, protocols: tuple[str, ...], selected: str) -> None:
    """TLS without h2 is the message; a server that selects it, and then is silent, is another one."""
    with HandShaker(server_context(papers, *protocols)) as address:
        outcome = runner.suite(address, TLS, f"--grpcstream-ca={papers.ca}")
    if selected:
        outcome.refused_target(f"the TLS server at {address} selected {selected} by ALPN; gRPC needs 'h2'")
    else:
        outcome.refused_target(f"{address} accepted a connection but sent no SETTINGS within 5 s")


def test_files_that_hold_something_else_are_told(runner: Runner, papers: Papers) -> None:
    """A file that can be read but holds no certificate is named with what it was taken for."""
    outcome = runner.suite(reference(papers=papers), TLS, f"--grpcstream-ca={papers.nonsense}")
    outcome.refused_target(f"the certificates for TLS cannot be used ({papers.nonsense}): ")


def test_a_key_of_another_certificate_is_told(runner: Runner, papers: Papers) -> None:
    """A certificate and a key that do not belong together are noticed before anybody is asked."""
    files = [f"--grpcstream-cert={papers.client_cert}", f"--grpcstream-key={papers.server_key}"]
    runner.suite(reference(papers=papers), TLS, *files).refused_target("KEY_VALUES_MISMATCH")


def test_a_certificate_without_a_key_is_told(runner: Runner, papers: Papers) -> None:
    """Without the option for the key it must be in the same file."""
    outcome = runner.suite(reference(papers=papers), TLS, f"--grpcstream-cert={papers.client_cert}")
    outcome.refused_target("without --grpcstream-key the key must be in the file of the certificate")


def test_a_server_that_wants_a_certificate_is_not_reached_without(runner: Runner, papers: Papers) -> None:
    """A run without a certificate ends at a server that serves nobody without one."""
    outcome = runner.suite(reference(papers=papers, mutual=True), TLS, f"--grpcstream-ca={papers.ca}")
    outcome.refused_target("was started, but no ")


@pytest.mark.parametrize("target", ["reference", "reference:aio"])
def test_the_bundled_reference_is_served_without_tls(runner: Runner, target: str) -> None:
    """What the plugin serves itself it serves in plaintext, and says what to do instead."""
    outcome = runner.suite(target, TLS)
    outcome.refused_target("is served without TLS; --grpcstream-tls needs an address or a command")
