"""How the stores of a container are reached: the document in its environment, and the files beside it.

The document (docs/contracts/stores.schema.json) holds nothing that is secret. Credentials are files below
`/etc/modelwright/stores/NAME`: `secret/KEY` of a Secret, `token` of an identity, `ca.crt` of an authority."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from modelwright_stores.failures import StoreError

VARIABLE = "MODELWRIGHT_STORES"
FOLDER = Path("etc/modelwright/stores")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Identity:
    """An identity of a cloud that the token in the file `token` is exchanged for."""

    role_arn: str | None = None
    client_id: str | None = None
    tenant_id: str | None = None
    workload_identity_provider: str | None = None
    service_account: str | None = None
    sts_endpoint: str | None = None


@dataclass(frozen=True)
class Access:
    """How one store is reached.

    `field`: what messages call it, a field of the spec such as `data.store`. `secret`: the name of the Secret whose
    keys are files. `authority`: the ConfigMap and key of the certificates in `ca.crt`. `trusted`: an administrator
    chose the endpoint, so its address is not checked. `networks`: internal addresses that may be reached.
    """

    folder: Path
    field: str = "store"
    secret: str | None = None
    identity: Identity | None = None
    endpoint: str | None = None
    region: str | None = None
    authority: str | None = None
    trusted: bool = False
    networks: tuple[Network, ...] = ()

    @property
    def token(self) -> Path:
        """The file with the token of the identity; the kubelet writes a new one before it expires."""
        return self.folder / "token"

    @property
    def certificates(self) -> Path | None:
        """The file with certificates to trust besides the system's; None if the spec names none. CertificatesNotFound."""
        raise NotImplementedError

    def credentials(self, keys: tuple[str, ...]) -> dict[str, str]:
        """The keys of the Secret that are there, without the space around their values; empty if no Secret is named.

        SecretNotFound if none of `keys` is there."""
        raise NotImplementedError


def accesses(environ: Mapping[str, str], root: Path = Path("/")) -> Mapping[str, Access]:
    """The stores that the document in the environment names: data, holdout, artifacts, champion.

    A store that it does not name is one without credentials: see `plain`. DocumentInvalid."""
    raise NotImplementedError


def plain(environ: Mapping[str, str], field: str) -> Access:
    """A store that needs no credentials, at its own address."""
    raise NotImplementedError
