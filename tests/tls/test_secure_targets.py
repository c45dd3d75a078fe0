"""A target is reached over TLS and mutual TLS, by both clients, wherever the settings come from."""

from __future__ import annotations

import shutil

import pytest

from tls.certificates import Certificates
from tls.runs import HALF_CLOSE, TLS_MODULE, Runner, reference

PART = (HALF_CLOSE, TLS_MODULE)
AREAS = ("Half-close and full duplex", "Transport security")
CLIENTS = ("[library]", "[wire]")


def test_suite_passes_over_tls(runner: Runner, certificates: Certificates) -> None:
    """With a trusted authority the suite runs over both clients, and checks the requirements of TLS."""
    outcome = runner.suite(
        reference(certificates=certificates), "--grpcstream-tls", f"--grpcstream-ca={certificates.ca}", modules=PART
    )
    outcome.passed(*AREAS, *CLIENTS)
    assert "test_old_versions_of_tls_are_refused PASSED" in outcome.stdout
    assert "test_a_client_without_a_certificate" not in outcome.stdout


@pytest.mark.parametrize("aio", [False, True], ids=["threads", "asyncio"])
def test_suite_passes_over_mutual_tls(runner: Runner, certificates: Certificates, aio: bool) -> None:
    """With a client certificate the suite also checks that a client without one is not served."""
    target = reference(certificates=certificates, mutual=True) + (" --aio" if aio else "")
    certificate = [f"--grpcstream-cert={certificates.client_cert}", f"--grpcstream-key={certificates.client_key}"]
    outcome = runner.suite(target, "--grpcstream-tls", f"--grpcstream-ca={certificates.ca}", *certificate, modules=PART)
    outcome.passed(*AREAS, *CLIENTS)
    assert "test_a_client_without_a_certificate_is_not_served PASSED" in outcome.stdout


def test_settings_may_all_be_in_the_ini_file(
    runner: Runner, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path in the ini file starts at the directory of that file."""
    (runner.folder / "deeper").mkdir()
    (runner.folder / "certificates").mkdir()
    for path in (certificates.ca, certificates.client_both):
        shutil.copy(path, runner.folder / "certificates")
    runner.configure(
        grpcstream_tls="true",
        grpcstream_ca="certificates/ca.pem",
        grpcstream_cert="certificates/client_both.pem",
        grpcstream_authority="greeter.example:443",
        grpcstream_metadata=["x-one: 1", "x-two: 2"],
    )
    target = reference(certificates=certificates, cert="named", mutual=True)
    monkeypatch.chdir(runner.folder / "deeper")
    runner.suite(target, modules=PART).passed(*AREAS, *CLIENTS)


def test_environment_outweighs_the_ini_file(
    runner: Runner, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths and names may come from environment variables."""
    monkeypatch.setenv("GRPCSTREAM_CA", str(certificates.ca))
    monkeypatch.setenv("GRPCSTREAM_AUTHORITY", "greeter.example")
    runner.configure(grpcstream_ca=certificates.other_ca)
    runner.suite(reference(certificates=certificates, cert="named"), "--grpcstream-tls").passed("Transport security")


@pytest.mark.parametrize("client", ["library", "wire"])
def test_fixtures_of_user_tests_speak_tls(runner: Runner, certificates: Certificates, client: str) -> None:
    """User tests reach the target by the same settings, and a servicer that they serve in plaintext."""
    runner.write(
        test_own="""
        from pytest_grpcstream.reference_impl import StreamService

        def exchange(client):
            with client.route() as stream:
                stream.send("ping", 1)
                assert stream.recv() == ("gRPC Stream Server: Route", 0)

        def test_target(grpcstream):
            exchange(grpcstream)

        def test_wire(grpcstream_wire):
            exchange(grpcstream_wire)
            assert grpcstream_wire.authority == "greeter.example"

        def test_connections_of_its_own(grpcstream_connect):
            with grpcstream_connect() as client:
                exchange(client)
        """,
        test_served="""
        import pytest
        from pytest_grpcstream.reference_impl import StreamService

        @pytest.fixture(scope="session")
        def grpcstream_target(grpcstream_serve):
            return grpcstream_serve(StreamService)

        def test_served_here(grpcstream):
            with grpcstream.route() as stream:
                stream.send("ping", 1)
                assert stream.recv() == ("gRPC Stream Server: Route", 0)
        """,
    )
    outcome = runner.run(
        f"--grpcstream-target={reference(certificates=certificates, cert='named', mutual=True)}",
        f"--grpcstream-client={client}",
        "--grpcstream-tls",
        f"--grpcstream-ca={certificates.ca}",
        f"--grpcstream-cert={certificates.client_cert}",
        f"--grpcstream-key={certificates.client_key}",
        "--grpcstream-authority=greeter.example",
        "test_own.py",
        "test_served.py",
    )
    assert outcome.code == 0, outcome.everything
    assert "4 passed" in outcome.stdout
