"""The certificates and keys of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files in PEM.

    Attributes:
        ca: The authority that issued all certificates.
        other_ca: An authority that issued no certificate.
        server_cert: A certificate for the loopback address.
        server_key: The key of ``server_cert``.
        named_cert: A certificate for ``greeter.example`` only.
        named_key: The key of ``named_cert``.
        client_cert: A client certificate.
        client_key: The key of ``client_cert``.
        client_both: The client certificate and its key in one file.
        nonsense: A file without a certificate.
    """

    ca: Path
    other_ca: Path
    server_cert: Path
    server_key: Path
    named_cert: Path
    named_key: Path
    client_cert: Path
    client_key: Path
    client_both: Path
    nonsense: Path


def issue(folder: Path) -> Certificates:
    """Make an authority, certificates for two servers and a client, and a file without a certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other_ca.pem")
    issued = {
        "server": authority.issue_cert("127.0.0.1", "localhost"),
        "named": authority.issue_cert("greeter.example"),
        "client": authority.issue_cert("client@greeter.example"),
    }
    for name, certificate in issued.items():
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    issued["client"].private_key_and_cert_chain_pem.write_to_path(folder / "client_both.pem")
    (folder / "nonsense.pem").write_text("neither a certificate nor a key\n", encoding="utf-8")
    return Certificates(
        ca=folder / "ca.pem",
        other_ca=folder / "other_ca.pem",
        server_cert=folder / "server.pem",
        server_key=folder / "server.key",
        named_cert=folder / "named.pem",
        named_key=folder / "named.key",
        client_cert=folder / "client.pem",
        client_key=folder / "client.key",
        client_both=folder / "client_both.pem",
        nonsense=folder / "nonsense.pem",
    )
