"""Certificates of an authority that no system trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files for a server, and what its callers need: `authority` is the PEM text to trust, `ca` a file of it."""

    authority: str
    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a server in this process needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificates(folder: Path, *hosts: str) -> Certificates:
    """Certificates for names and addresses, by an authority of their own, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server = authority.issue_cert(*hosts)
    made = Certificates(
        authority.cert_pem.bytes().decode(), folder / "ca.crt", folder / "tls.crt", folder / "tls.key"
    )
    made.ca.write_text(made.authority)
    made.certificate.write_bytes(b"".join(each.bytes() for each in server.cert_chain_pems))
    made.key.write_bytes(server.private_key_pem.bytes())
    return made
