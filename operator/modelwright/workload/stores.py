"""Stores outside the namespace, in a pod: how a container reaches them, and with which credentials.

A container gets what is not secret as a document in its environment, and credentials as files that only it mounts. The
operator names Secrets, and never reads one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from modelwright.api.storedocument import (
    FOLDER,
    VARIABLE,
    Resolved,
    Use,
    described,
    file_sources,
    is_outside,
    store_in,
    store_variables,
)
from modelwright.api.stores import Store
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body
from modelwright.workload.podspec import SECRET_MODE, Parts, mount

# How names of their volumes begin.
VOLUMES = "store-"
_BOUNDARIES = ("", "/", "?")
# A part of a path that a server may take for another folder.
_DOTS = re.compile(r"/(\.|%2e){1,2}(/|\?|$)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def access(settings: Settings, *uses: Use) -> Parts:
    """What a container needs to reach stores; nothing for what lies on volumes of the namespace."""
    outside = [use for use in uses if is_outside(use.uri)]
    resolved = [found for use in outside if (found := _resolved(settings, use)) is not None]
    files = [(found.use.name, sources) for found in resolved if (sources := file_sources(found))]
    return Parts(
        volumes=tuple(_volume(name, sources) for name, sources in files),
        mounts=tuple(mount(VOLUMES + name, f"{FOLDER}/{name}", read_only=True) for name, _ in files),
        env=store_variables(resolved, settings.allowed_networks if outside else ()),
    )


def kept_access(pod: Mapping[str, Any], name: str) -> Parts:
    """What a container of a pod was given to reach stores."""
    given = _container(pod, name)
    known = {each["name"]: each["value"] for each in given.get("env") or () if "value" in each}
    return Parts(
        volumes=tuple(each for each in pod.get("volumes") or () if each["name"].startswith(VOLUMES)),
        mounts=tuple(each for each in given.get("volumeMounts") or () if each["name"].startswith(VOLUMES)),
        env={VARIABLE: known[VARIABLE]} if VARIABLE in known else {},
    )


def with_access(pod: Mapping[str, Any], name: str, parts: Parts) -> Mapping[str, Any]:
    """A pod spec in which a container has `parts` to reach stores, in the place of what it was given; the same one if
    that is the same."""
    if kept_access(pod, name) == parts:
        return pod
    given = _container(pod, name)
    env = [each for each in given.get("env") or () if each["name"] != VARIABLE]
    changed = {
        **given,
        "env": [*env, *({"name": key, "value": value} for key, value in parts.env.items())],
        "volumeMounts": [*parts.mounts, *_others(given.get("volumeMounts"))],
    }
    containers = {
        kind: [changed if each is given else each for each in pod[kind]]
        for kind in ("initContainers", "containers")
        if pod.get(kind)
    }
    return {**pod, **containers, "volumes": [*parts.volumes, *_others(pod.get("volumes"))]}


def _others(named: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """The volumes, or mounts, that are none of a store."""
    return [each for each in named or () if not each["name"].startswith(VOLUMES)]


def kept_store(pod: Mapping[str, Any], name: str) -> Store | None:
    """The store that a container of a pod keeps artifacts in, as it was given; None of a volume of the namespace.

    ValueError if it is none that this release can read."""
    kept = kept_access(pod, name)
    volume: Mapping[str, Any] = next(iter(kept.volumes), {})
    return store_in(kept.env, "artifacts", (volume.get("projected") or {}).get("sources") or ())


def version_use(version: Body, name: str, field: str) -> Use:
    """The store of a ModelVersion's file."""
    artifact = version["spec"]["artifact"]
    return Use(name, str(artifact["uri"]), field, artifact.get("store"))


def _container(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = (*(pod.get("initContainers") or ()), *(pod.get("containers") or ()))
    return next((each for each in containers if each.get("name") == name), {})


def _resolved(settings: Settings, use: Use) -> Resolved | None:
    """The store as the spec describes it, else as the administrator's longest fitting prefix does."""
    store = described(use, _default(settings, use.uri))
    return None if store is None else Resolved(use, store, trusted=_is_trusted(settings, store))


def _default(settings: Settings, uri: str) -> Store | None:
    fitting = (default for default in settings.stores if _begins(uri, default.prefix))
    longest = max(fitting, key=lambda default: len(default.prefix), default=None)
    return None if longest is None else longest.store


def _begins(uri: str, prefix: str) -> bool:
    """True if a uri is below a prefix: `s3://lake` is no prefix of `s3://lake-2/a`, nor `oci://host` of one with a
    port, nor `https://host/a` of `https://host/a/../b`."""
    prefix = prefix.rstrip("/")
    if not uri.startswith(prefix):
        return False
    follows = uri[len(prefix) :][:1]
    has_path = "/" in prefix.partition("://")[2]
    if has_path and _DOTS.search(uri):
        return False
    return follows in _BOUNDARIES or (uri.startswith("oci://") and has_path and follows in {":", "@"})


def _addresses(store: Store) -> set[object]:
    """The servers that a store names."""
    given = (store.endpoint, store.identity and store.identity.sts_endpoint)
    return {_server(address) for address in given if address}


def _server(address: str) -> object:
    """The scheme, host and port of an address, however it is written."""
    try:
        parts = urlsplit(address.lower())
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # a port or brackets that no server has
        return address


def _is_trusted(settings: Settings, store: Store) -> bool:
    """True if the administrator names all the addresses that this store does: they need no other check."""
    known = {address for default in settings.stores for address in _addresses(default.store)}
    named = _addresses(store)
    return bool(named) and named <= known


def _volume(name: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": VOLUMES + name, "projected": {"sources": sources, "defaultMode": SECRET_MODE}}
