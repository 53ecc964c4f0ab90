"""Stores outside the namespace, in a pod: how a container reaches them, and with which credentials.

A container gets what is not secret as a document in its environment (docs/contracts/stores.schema.json), and
credentials as files that only it mounts. The operator names Secrets, and never reads one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.api.stores import AUDIENCES, SECRET_KEYS, Identity, Store
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body
from modelwright.workload.podspec import SECRET_MODE, Parts, mount

VARIABLE = "MODELWRIGHT_STORES"
FOLDER = "/etc/modelwright/stores"
# How names of their volumes begin.
VOLUMES = "store-"
# The kubelet writes a new token when less than a fifth of its time is left.
TOKEN_SECONDS = 3600
SCHEMES = tuple(SECRET_KEYS)
_BOUNDARIES = ("", "/", "?")


@dataclass(frozen=True)
class Use:
    """A store that a container uses.

    `name`: data, holdout, artifacts or champion. `field`: what messages call it. `store`: what the spec says of it, if
    it does. `authority`: the certificates that the spec names beside the store.
    """

    name: str
    uri: str
    field: str
    store: Mapping[str, Any] | None = None
    authority: Mapping[str, Any] | None = None


def is_outside(uri: str) -> bool:
    """True if a uri names something outside the cluster's own volumes."""
    return uri.partition("://")[0] in SCHEMES


def access(settings: Settings, *uses: Use) -> Parts:
    """What a container needs to reach stores; nothing for what lies on volumes of the namespace."""
    outside = [use for use in uses if is_outside(use.uri)]
    resolved = [(use, store) for use in outside if (store := _resolved(settings, use)) is not None]
    document: dict[str, Any] = {}
    if outside and settings.allowed_networks:
        document["networks"] = list(settings.allowed_networks)
    if resolved:
        document["stores"] = {use.name: _entry(settings, use, store) for use, store in resolved}
    files = [(use, found) for use, store in resolved if (found := _files(use, store))]
    return Parts(
        volumes=tuple(_volume(use.name, found) for use, found in files),
        mounts=tuple(mount(VOLUMES + use.name, f"{FOLDER}/{use.name}", read_only=True) for use, _ in files),
        env={VARIABLE: json.dumps(document, sort_keys=True)} if document else {},
    )


def kept_access(pod: Mapping[str, Any], name: str) -> Parts:
    """What a container of a pod was given to reach stores."""
    containers = (*(pod.get("initContainers") or ()), *(pod.get("containers") or ()))
    given: Mapping[str, Any] = next((each for each in containers if each.get("name") == name), {})
    variables = given.get("env") or ()
    return Parts(
        volumes=tuple(each for each in pod.get("volumes") or () if each["name"].startswith(VOLUMES)),
        mounts=tuple(each for each in given.get("volumeMounts") or () if each["name"].startswith(VOLUMES)),
        env={each["name"]: each["value"] for each in variables if each["name"] == VARIABLE},
    )


def version_use(version: Body, name: str, field: str) -> Use:
    """The store of a ModelVersion's file."""
    artifact = version["spec"]["artifact"]
    return Use(name, str(artifact["uri"]), field, artifact.get("store"))


def _resolved(settings: Settings, use: Use) -> Store | None:
    """The store as the spec describes it, else as the administrator's longest fitting prefix does."""
    store = _default(settings, use.uri) if use.store is None else Store.model_validate(use.store)
    if use.authority is None:
        return store
    given = {"caConfigMapRef": dict(use.authority)}
    if store is None:
        return Store.model_validate(given)
    return Store.model_validate({**store.model_dump(by_alias=True, exclude_none=True), **given})


def _default(settings: Settings, uri: str) -> Store | None:
    fitting = (default for default in settings.stores if _begins(uri, default.prefix))
    longest = max(fitting, key=lambda default: len(default.prefix), default=None)
    return None if longest is None else longest.store


def _begins(uri: str, prefix: str) -> bool:
    """True if a uri is below a prefix: `s3://lake` is no prefix of `s3://lake-2/a`, nor `oci://host` of one with a
    port."""
    prefix = prefix.rstrip("/")
    if not uri.startswith(prefix):
        return False
    follows = uri[len(prefix) :][:1]
    has_path = "/" in prefix.partition("://")[2]
    return follows in _BOUNDARIES or (uri.startswith("oci://") and has_path and follows in {":", "@"})


def _entry(settings: Settings, use: Use, store: Store) -> dict[str, Any]:
    """What the document says of a store."""
    authority = store.ca_config_map_ref
    identity = store.identity
    parts = {
        "field": use.field,
        "secret": store.secret_ref and store.secret_ref.name,
        "endpoint": store.endpoint,
        "region": store.region,
        "authority": authority and f"{authority.key} of ConfigMap {authority.name}",
        "trusted": _is_trusted(settings, store) or None,
        "identity": identity and identity.model_dump(by_alias=True, exclude_none=True, exclude={"audience"}),
    }
    return {key: value for key, value in parts.items() if value is not None}


def _addresses(store: Store) -> set[str]:
    """The addresses that a store names."""
    given = (store.endpoint, store.identity and store.identity.sts_endpoint)
    return {address for address in given if address}


def _is_trusted(settings: Settings, store: Store) -> bool:
    """True if the administrator names all the addresses that this store does: they need no other check."""
    known = {address for default in settings.stores for address in _addresses(default.store)}
    named = _addresses(store)
    return bool(named) and named <= known


def _files(use: Use, store: Store) -> list[dict[str, Any]]:
    """What the files of a store are made of. Missing ones are left out: the step reports them, with the remedy."""
    sources: list[dict[str, Any]] = []
    if store.secret_ref is not None:
        keys = SECRET_KEYS[use.uri.partition("://")[0]]
        items = [{"key": key, "path": f"secret/{key}"} for key in keys]
        sources.append({"secret": {"name": store.secret_ref.name, "items": items, "optional": True}})
    if store.identity is not None:
        token = {
            "audience": _audience(store.identity),
            "expirationSeconds": TOKEN_SECONDS,
            "path": "token",
        }
        sources.append({"serviceAccountToken": token})
    if store.ca_config_map_ref is not None:
        items = [{"key": store.ca_config_map_ref.key, "path": "ca.crt"}]
        sources.append(
            {"configMap": {"name": store.ca_config_map_ref.name, "items": items, "optional": True}}
        )
    return sources


def _audience(identity: Identity) -> str:
    """Who checks the token: as the identity says, else the cloud's own default."""
    if identity.audience is not None:
        return identity.audience
    if identity.workload_identity_provider is not None:
        return f"https://iam.googleapis.com/{identity.workload_identity_provider}"
    return AUDIENCES["roleArn" if identity.role_arn is not None else "clientId"]


def _volume(name: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": VOLUMES + name, "projected": {"sources": sources, "defaultMode": SECRET_MODE}}
