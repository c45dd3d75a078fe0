"""The certificates and keys of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Papers:
    """Files in PEM.

    Attributes:
        ca: the authority that issued all certificates here.
        other_ca: an authority that issued none.
        server_cert: a certificate for the loopback address.
        server_key: its key.
        named_cert: a certificate for ``greeter.example`` alone.
        named_key: its key.
        client_cert: a certificate of a client.
        client_key: its key.
        client_both: both in one file.
        nonsense: a file that holds no certificate.
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


def issue(folder: Path) -> Papers:
    """Make an authority, certificates for two servers and a client, and files that are wrong."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other_ca.pem")
    certificates = {
        "server": authority.issue_cert("127.0.0.1", "localhost"),
        "named": authority.issue_cert("greeter.example"),
        "client": authority.issue_cert("client@greeter.example"),
    }
    for name, certificate in certificates.items():
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    certificates["client"].private_key_and_cert_chain_pem.write_to_path(folder / "client_both.pem")
    (folder / "nonsense.pem").write_text("neither a certificate nor a key\n", encoding="utf-8")
    return Papers(
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
