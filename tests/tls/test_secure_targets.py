"""A target is reached by TLS and by mutual TLS, however the settings are given, over both clients."""

from __future__ import annotations

import shutil

import pytest

from tls.papers import Papers
from tls.runs import HALF_CLOSE, TLS_MODULE, Runner, reference

PART = (HALF_CLOSE, TLS_MODULE)
AREAS = ("Half-close and full duplex", "Transport security")
CLIENTS = ("[library]", "[wire]")


def test_the_suite_passes_over_tls(runner: Runner, papers: Papers) -> None:
    """With an authority to trust the suite runs over both clients, and checks what is required of TLS."""
    outcome = runner.suite(reference(papers=papers), "--grpcstream-tls", f"--grpcstream-ca={papers.ca}", modules=PART)
    outcome.passed(*AREAS, *CLIENTS)
    assert "test_old_versions_of_tls_are_refused PASSED" in outcome.stdout
    assert "test_a_client_without_a_certificate" not in outcome.stdout


@pytest.mark.parametrize("aio", [False, True], ids=["threads", "asyncio"])
def test_the_suite_passes_over_mutual_tls(runner: Runner, papers: Papers, aio: bool) -> None:
    """With a certificate of its own the suite also checks that nobody is served without one."""
    target = reference(papers=papers, mutual=True) + (" --aio" if aio else "")
    certificate = [f"--grpcstream-cert={papers.client_cert}", f"--grpcstream-key={papers.client_key}"]
    outcome = runner.suite(target, "--grpcstream-tls", f"--grpcstream-ca={papers.ca}", *certificate, modules=PART)
    outcome.passed(*AREAS, *CLIENTS)
    assert "test_a_client_without_a_certificate_is_not_served PASSED" in outcome.stdout


def test_the_ini_file_is_enough(runner: Runner, papers: Papers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting of TLS can stand in the ini file; a relative path starts at the folder of that file."""
    (runner.folder / "deeper").mkdir()
    (runner.folder / "certificates").mkdir()
    for path in (papers.ca, papers.client_both):
        shutil.copy(path, runner.folder / "certificates")
    runner.configure(
        grpcstream_tls="true",
        grpcstream_ca="certificates/ca.pem",
        grpcstream_cert="certificates/client_both.pem",
        grpcstream_authority="greeter.example:443",
        grpcstream_metadata=["x-one: 1", "x-two: 2"],
    )
    target = reference(papers=papers, cert="named", mutual=True)
    monkeypatch.chdir(runner.folder / "deeper")
    runner.suite(target, modules=PART).passed(*AREAS, *CLIENTS)


def test_the_environment_names_the_files(runner: Runner, papers: Papers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths and names can come from the environment, such as that of a job, and outweigh the ini file."""
    monkeypatch.setenv("GRPCSTREAM_CA", str(papers.ca))
    monkeypatch.setenv("GRPCSTREAM_AUTHORITY", "greeter.example")
    runner.configure(grpcstream_ca=papers.other_ca)
    runner.suite(reference(papers=papers, cert="named"), "--grpcstream-tls").passed("Transport security")


@pytest.mark.parametrize("client", ["library", "wire"])
def test_the_fixtures_of_a_user_speak_tls(runner: Runner, papers: Papers, client: str) -> None:
    """Tests of one's own reach a guarded target by the same settings, and what they serve themselves without them."""
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
        f"--grpcstream-target={reference(papers=papers, cert='named', mutual=True)}",
        f"--grpcstream-client={client}",
        "--grpcstream-tls",
        f"--grpcstream-ca={papers.ca}",
        f"--grpcstream-cert={papers.client_cert}",
        f"--grpcstream-key={papers.client_key}",
        "--grpcstream-authority=greeter.example",
        "test_own.py",
        "test_served.py",
    )
    assert outcome.code == 0, outcome.everything
    assert "4 passed" in outcome.stdout
