"""The document of stores, and the files beside it: how a step reaches what lies outside (docs/contracts).

The document holds nothing that is secret. Credentials are files below `FOLDER/NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.api.rundocument import source_of
from modelwright.api.stores import AUDIENCES, SECRET_KEYS, Identity, Store

VARIABLE = "MODELWRIGHT_STORES"
FOLDER = "/etc/modelwright/stores"
# The kubelet writes a new token when less than a fifth of its time is left.
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Use:
    """A store that a step uses.

    `name`: data, holdout, artifacts or champion. `field`: what messages call it. `store`: what the spec says of it, if
    it does. `authority`: the certificates that the spec names beside the store.
    """

    name: str
    uri: str
    field: str
    store: Mapping[str, Any] | None = None
    authority: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Resolved:
    """A store that a step uses, as it is reached. `trusted`: an administrator chose all addresses that it names."""

    use: Use
    store: Store
    trusted: bool = False


def is_outside(uri: str) -> bool:
    """True if a uri names something outside the volumes of the namespace."""
    return uri.partition("://")[0] in SECRET_KEYS


def source_uses(data: Mapping[str, Any], field: str) -> tuple[Use, ...]:
    """The stores that a TrainingJob's `data`, or a ModelVersion's `evaluate`, is read from. `field`: what messages call
    the store of the data.

    The store of the data is also that of a hold-out with the same scheme and, where the uri names a server, the same
    server: no server gets the credentials of another one. Certificates beside the store need only the same scheme.
    """
    uri, store, authority = source_of(data), data.get("store"), data.get("caConfigMapRef")
    uses = [Use("data", uri, field, store, authority)]
    if holdout := (data.get("holdout") or {}).get("uri"):
        alike = _service(uri) == _service(holdout)
        trusts = uri.partition("://")[0] == holdout.partition("://")[0]
        uses.append(Use("holdout", holdout, field, store if alike else None, authority if trusts else None))
    return tuple(use for use in uses if is_outside(use.uri))


def _service(uri: str) -> tuple[str, str]:
    """The scheme, and the host and port where the uri names them: a bucket's are those of its store."""
    scheme, _, rest = uri.partition("://")
    server = rest.partition("/")[0].rpartition("@")[2].lower() if scheme in {"https", "oci"} else ""
    return scheme, server.removesuffix(":443")


def described(use: Use, otherwise: Store | None = None) -> Store | None:
    """The store as the spec describes it, else `otherwise`; with the certificates that the spec names beside it."""
    store = otherwise if use.store is None else Store.model_validate(use.store)
    if use.authority is None:
        return store
    known = {} if store is None else store.model_dump(by_alias=True, exclude_none=True)
    return Store.model_validate({**known, "caConfigMapRef": dict(use.authority)})


def store_variables(resolved: Iterable[Resolved], networks: Sequence[str] = ()) -> dict[str, str]:
    """The environment variable with the document; none if it would be empty. `networks`: internal addresses that may
    be reached."""
    stores = {found.use.name: _entry(found) for found in resolved}
    document = {
        **({"networks": list(networks)} if networks else {}),
        **({"stores": stores} if stores else {}),
    }
    return {VARIABLE: json.dumps(document, sort_keys=True)} if document else {}


def file_sources(found: Resolved) -> list[dict[str, Any]]:
    """What the files of a store are made of, as the sources of a projected volume.

    Missing ones are left out: the step reports them, with the remedy."""
    store, sources = found.store, list[dict[str, Any]]()
    if store.secret_ref is not None:
        keys = SECRET_KEYS[found.use.uri.partition("://")[0]]
        items = [{"key": key, "path": f"secret/{key}"} for key in keys]
        sources.append({"secret": {"name": store.secret_ref.name, "items": items, "optional": True}})
    if store.identity is not None:
        audience = _audience(store.identity)
        token = {"audience": audience, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
        sources.append({"serviceAccountToken": token})
    if authority := store.ca_config_map_ref:
        items = [{"key": authority.key, "path": "ca.crt"}]
        sources.append({"configMap": {"name": authority.name, "items": items, "optional": True}})
    return sources


def store_in(variables: Mapping[str, str], name: str, sources: Iterable[Mapping[str, Any]]) -> Store | None:
    """The store `name` of a document and of the sources of its files; None if the document has none.

    ValueError if it is none that this release can read."""
    try:
        entry = (json.loads(variables.get(VARIABLE, "{}")).get("stores") or {}).get(name)
        return None if entry is None else _store(entry, sources)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{VARIABLE} is not as this release writes it") from error


def _store(entry: Mapping[str, Any], sources: Iterable[Mapping[str, Any]]) -> Store:
    """The store of an entry of the document, and of the sources of its files."""
    parts = {kind: part for source in sources for kind, part in source.items()}
    identity, authority = entry.get("identity"), parts.get("configMap")
    said = {
        "secretRef": entry.get("secret") and {"name": entry["secret"]},
        "identity": identity
        and {**identity, "audience": parts.get("serviceAccountToken", {}).get("audience")},
        "endpoint": entry.get("endpoint"),
        "region": entry.get("region"),
        "caConfigMapRef": authority and {"name": authority["name"], "key": authority["items"][0]["key"]},
    }
    return Store.model_validate({key: value for key, value in said.items() if value})


def _entry(found: Resolved) -> dict[str, Any]:
    """What the document says of a store."""
    store, authority, identity = found.store, found.store.ca_config_map_ref, found.store.identity
    beside = f" ({found.use.field.removesuffix('.store')}.caConfigMapRef)" if found.use.authority else ""
    parts = {
        "field": found.use.field,
        "secret": store.secret_ref and store.secret_ref.name,
        "endpoint": store.endpoint,
        "region": store.region,
        "authority": authority and f"{authority.key} of ConfigMap {authority.name}{beside}",
        "trusted": found.trusted or None,
        "identity": identity and identity.model_dump(by_alias=True, exclude_none=True, exclude={"audience"}),
    }
    return {key: value for key, value in parts.items() if value is not None}


def _audience(identity: Identity) -> str:
    """Who checks the token: as the identity says, else the cloud's own default."""
    if identity.audience is not None:
        return identity.audience
    if identity.workload_identity_provider is not None:
        return f"https://iam.googleapis.com/{identity.workload_identity_provider}"
    return AUDIENCES["roleArn" if identity.role_arn is not None else "clientId"]
