"""How the stores of a container are reached: the document in its environment, and the files beside it.

The document (docs/contracts/stores.schema.json) holds nothing that is secret. Credentials are files below
`/etc/modelwright/stores/NAME`: `secret/KEY` of a Secret, `token` of an identity, `ca.crt` of an authority."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from modelwright_stores.failures import StoreError

VARIABLE = "MODELWRIGHT_STORES"
FOLDER = Path("etc/modelwright/stores")
MAX_SECRET_BYTES = 64 << 10

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
    keys are files. `authority`: what messages call the ConfigMap key of the certificates in `ca.crt`. `trusted`: an
    administrator chose the endpoint, so its address is not checked. `networks`: internal addresses that may be reached.
    `bundle`: further certificates to trust, which the environment names as SSL_CERT_FILE.
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
    bundle: Path | None = None

    @property
    def token(self) -> Path:
        """The file with the token of the identity; the kubelet writes a new one before it expires."""
        return self.folder / "token"

    @property
    def certificates(self) -> Path | None:
        """The file with certificates to trust besides the system's; None if the spec names none.

        CertificatesNotFound."""
        if self.authority is None:
            return None
        path = self.folder / "ca.crt"
        if not path.is_file():
            raise StoreError(
                "CertificatesNotFound",
                f"{self.field}.caConfigMapRef: there is no {self.authority}. Create it, or correct the name.",
            )
        return path

    def credentials(self, keys: Sequence[str]) -> dict[str, str]:
        """The keys of the Secret that are there, without the space around their values; empty if no Secret is named.

        SecretNotFound if none of `keys` is there, SecretIncomplete for a value that is no text."""
        if self.secret is None:
            return {}
        found = {key: self._value(key) for key in keys if (self.folder / "secret" / key).is_file()}
        if not found:
            raise StoreError(
                "SecretNotFound",
                f"{self.field}.secretRef: there is no Secret {self.secret} in this namespace, or it has none "
                f"of the keys {', '.join(keys)}. Create it.",
            )
        return found

    def _value(self, key: str) -> str:
        content = (self.folder / "secret" / key).read_bytes()
        try:
            text = content.decode().strip()
        except UnicodeDecodeError:
            text = ""
        if not text or len(content) > MAX_SECRET_BYTES:
            raise StoreError(
                "SecretIncomplete",
                f"{self.field}.secretRef: key {key} of Secret {self.secret} is empty, too long or no text. Correct it.",
            )
        return text


def accesses(environ: Mapping[str, str], root: Path = Path("/")) -> Mapping[str, Access]:
    """The stores that the document in the environment names: data, holdout, artifacts, champion. DocumentInvalid.

    A store that it does not name needs nothing: see `plain`."""
    document = _document(environ)
    networks, bundle = _networks(document), _bundle(environ)
    try:
        return {
            str(name): _access(entry, root / FOLDER / str(name), networks, bundle)
            for name, entry in (document.get("stores") or {}).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise StoreError("DocumentInvalid", f"{VARIABLE} is not as docs/contracts has it.") from error


def plain(environ: Mapping[str, str], field: str, root: Path = Path("/")) -> Access:
    """A store that needs no credentials, at its own address. DocumentInvalid."""
    networks = _networks(_document(environ))
    return Access(root / FOLDER / "none", field, networks=networks, bundle=_bundle(environ))


def _document(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = json.loads(environ.get(VARIABLE, "{}"))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StoreError("DocumentInvalid", f"{VARIABLE} is no JSON object.")
    return document


def _networks(document: Mapping[str, Any]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(text) for text in document.get("networks") or ())
    except (TypeError, ValueError) as error:
        raise StoreError("DocumentInvalid", f"{VARIABLE}: networks are CIDRs such as 10.0.0.0/8.") from error


def _bundle(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("SSL_CERT_FILE")
    return Path(named) if named else None


def _access(
    entry: Mapping[str, Any], folder: Path, networks: tuple[Network, ...], bundle: Path | None
) -> Access:
    given = entry.get("identity")
    identity = None
    if given is not None:
        identity = Identity(
            role_arn=given.get("roleArn"),
            client_id=given.get("clientId"),
            tenant_id=given.get("tenantId"),
            workload_identity_provider=given.get("workloadIdentityProvider"),
            service_account=given.get("serviceAccount"),
            sts_endpoint=given.get("stsEndpoint"),
        )
    return Access(
        folder,
        entry["field"],
        entry.get("secret"),
        identity,
        entry.get("endpoint"),
        entry.get("region"),
        entry.get("authority"),
        entry.get("trusted", False),
        networks,
        bundle,
    )
