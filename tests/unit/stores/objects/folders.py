"""The files that the kubelet mounts for a store, and the Access to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

from modelwright_stores.access import Access, Identity

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass(frozen=True)
class Mount:
    """A folder as /etc/modelwright/stores/NAME of a container is."""

    folder: Path

    def access(self, endpoint: str | None, keys: Mapping[str, str] | None = None) -> Access:
        """An Access with a Secret of these keys, or with none."""
        self.write(keys or {})
        return Access(
            self.folder, "data.store", "lake-keys" if keys else None, endpoint=endpoint, networks=LOOPBACK
        )

    def identity(self, endpoint: str, token: str, identity: Identity) -> Access:
        """An Access with a token of a ServiceAccount, as if an administrator had named its addresses."""
        access = replace(self.access(endpoint), identity=identity, trusted=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        access.token.write_text(token)
        return access

    def trusting(self, access: Access, certificates: str) -> Access:
        """The Access, with the certificates of an authority."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "ca.crt").write_text(certificates)
        return replace(access, authority="ca.crt of ConfigMap corp-ca")

    def write(self, keys: Mapping[str, str]) -> None:
        """Write the keys of the Secret, as the kubelet does when it changes."""
        secret = self.folder / "secret"
        secret.mkdir(parents=True, exist_ok=True)
        for key, value in keys.items():
            (secret / key).write_text(value)
