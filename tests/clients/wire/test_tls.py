"""TLS: verified certificates, mutual TLS, and one clear error for everything that is not h2 over TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from clients.wire.peers import Peer, hold, scripted
from clients.wire.services import grpcio_server, grpclib_server
from pytest_grpcstream.clients.wire import WireClient, WireOptions, client_context
from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.values import EOF


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority for these tests."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate as a file."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def server_certificate(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate for this machine's loopback address and for one name."""
    return authority.issue_cert("127.0.0.1", "localhost", "grpc.example.test")


@pytest.fixture(scope="module", params=["grpcio", "grpclib"])
def address(request: pytest.FixtureRequest, server_certificate: trustme.LeafCert) -> Iterator[str]:
    """The service over TLS on both stacks in turn."""
    if request.param == "grpcio":
        key, chain = server_certificate.private_key_pem.bytes(), server_certificate.cert_chain_pems[0].bytes()
        with grpcio_server(credentials=grpc.ssl_server_credentials([(key, chain)])) as address:
            yield address
    else:
        with grpclib_server(_server_context(server_certificate)) as address:
            yield address


def _server_context(certificate: trustme.LeafCert, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.set_alpn_protocols(protocols or ("h2",))
    return context


def _refused(client: WireClient, verdict: str) -> None:
    with pytest.raises(TargetError, match=verdict):
        client.connect()
    assert client.connections == []


class TlsServer:
    """A TLS server that hands the connection to a script after the handshake."""

    def __init__(self, context: ssl.SSLContext, script: Callable[[Peer], None]) -> None:
        self._context = context
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> str:
        self._thread.start()
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        channel, _ = self._listener.accept()
        channel.settimeout(10)
        try:
            with self._context.wrap_socket(channel, server_side=True) as secure:
                self._script(Peer(secure))
        except OSError:
            channel.close()  # the handshake failed, or the client went away: the test looks at the client


def test_calls_over_tls(address: str, ca_file: Path) -> None:
    """List, Record and Route work over TLS, even with messages larger than a window and a TLS record."""
    with WireClient(address, context=client_context(ca_file)) as client:
        assert len(client.list("x" * 10_000, 50).collect()) == 50
        with client.route() as stream:
            for number in range(10):
                stream.send("y" * 100_000, number)
                assert stream.recv() == ("y" * 100_000, number)
            stream.close_send()
            assert stream.recv() is EOF
            assert dict(stream.frames[0].fields)[b":scheme"] == b"https"
        with client.record() as stream:
            for number in range(20):
                stream.send("z" * 50_000, number)
            assert stream.close_and_recv() == ("1000000", 20)
        assert client.connection.ping() is not None
        assert not client.connection.violations


def test_the_authority_is_what_is_verified_and_sent(address: str, ca_file: Path) -> None:
    """The certificate must have the name of the authority, and requests carry it."""
    context = client_context(ca_file)
    with (
        WireClient(address, context=context, authority="grpc.example.test:443") as client,
        client.route() as stream,
    ):
        stream.send("a", 1)
        assert stream.recv() == ("a", 0)
        assert dict(stream.frames[0].fields)[b":authority"] == b"grpc.example.test:443"
    _refused(WireClient(address, context=context, authority="other.example.test"), r"not accepted: .*other\.example")


def test_an_unknown_authority_is_one_clear_error(address: str) -> None:
    """A certificate of an untrusted authority is rejected."""
    _refused(WireClient(address, context=client_context()), "its certificate is not accepted")


@pytest.mark.parametrize(("protocols", "selected"), [(("http/1.1",), "no protocol"), (("h3",), "no protocol")])
def test_a_server_that_does_not_select_h2_is_one_clear_error(
    server_certificate: trustme.LeafCert, ca_file: Path, protocols: tuple[str, ...], selected: str
) -> None:
    """ALPN must select h2; the error names what was selected instead."""
    context = _server_context(server_certificate, *protocols)
    with TlsServer(context, hold) as address:
        client = WireClient(address, context=client_context(ca_file))
        _refused(client, f"selected {selected} by ALPN; gRPC needs 'h2'")


def test_another_protocol_than_h2_is_named(server_certificate: trustme.LeafCert, ca_file: Path) -> None:
    """A context that offers more than h2 may get another protocol, which the error names."""
    offering = client_context(ca_file)
    offering.set_alpn_protocols(["http/1.1", "h2"])
    context = _server_context(server_certificate, "http/1.1")
    with TlsServer(context, hold) as address:
        _refused(WireClient(address, context=offering), r"selected 'http/1\.1' by ALPN")


def test_alpn_may_be_optional(server_certificate: trustme.LeafCert, ca_file: Path) -> None:
    """Without ``require_alpn`` a test can connect without ALPN."""
    silent = ssl.create_default_context(cafile=str(ca_file))

    def script(peer: Peer) -> None:
        peer.answer(peer.accept())
        hold(peer)

    options = WireOptions(require_alpn=False)
    with (
        TlsServer(_server_context(server_certificate), script) as address,
        WireClient(address, context=silent, options=options) as client,
    ):
        assert len(client.list("x", 1).collect()) == 1


def test_plaintext_to_tls_and_tls_to_plaintext_are_clear_errors(
    server_certificate: trustme.LeafCert, ca_file: Path
) -> None:
    """Each mismatch has its own words."""
    with TlsServer(_server_context(server_certificate), hold) as address:
        _refused(WireClient(address, timeout=2), f"no HTTP/2 connection to {address}")

    def plain(peer: Peer) -> None:
        peer.socket.recv(100)
        peer.socket.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")

    with scripted(plain) as address:
        _refused(WireClient(address, context=client_context(ca_file), timeout=2), f"no TLS connection to {address}")


@pytest.mark.parametrize("known", [True, False])
def test_mutual_tls(
    authority: trustme.CA, server_certificate: trustme.LeafCert, ca_file: Path, tmp_path: Path, known: bool
) -> None:
    """The client sends the certificate that the server requests; without one the connection fails clearly."""
    mine = authority.issue_cert("client@example.test")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    credentials = grpc.ssl_server_credentials(
        [(server_certificate.private_key_pem.bytes(), server_certificate.cert_chain_pems[0].bytes())],
        root_certificates=ca_file.read_bytes(),
        require_client_auth=True,
    )
    context = client_context(ca_file, tmp_path / "client.pem" if known else None)
    with grpcio_server(credentials=credentials) as address:
        client = WireClient(address, context=context, timeout=2)
        if known:
            assert client.list("known", 1).collect() == [("known", 0)]
            client.close()
        else:
            _refused(client, f"to {address}")


@pytest.mark.parametrize(("way", "goodbye"), [("close", True), ("drop", False)])
def test_only_close_sends_close_notify(
    server_certificate: trustme.LeafCert, ca_file: Path, way: str, goodbye: bool
) -> None:
    """`drop` truncates TLS, which a careful server can distinguish from an orderly end."""
    ends: list[str] = []

    def script(peer: Peer) -> None:
        secure = peer.socket
        assert isinstance(secure, ssl.SSLSocket)
        # A truncation is an error only on request; the attribute is documented as an argument of wrap_socket.
        vars(secure)["suppress_ragged_eofs"] = False
        peer.greet()
        try:
            while secure.recv(4096):
                pass
            ends.append("close_notify")
        except ssl.SSLEOFError:
            ends.append("cut off")

    with TlsServer(_server_context(server_certificate), script) as address:
        client = WireClient(address, context=client_context(ca_file))
        getattr(client.connect(), way)()
        client.close()
    assert ends == ["close_notify" if goodbye else "cut off"]


def test_the_context_needs_tls_1_2() -> None:
    """Older versions are not offered (RFC 9113, section 9.2)."""
    context = client_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
