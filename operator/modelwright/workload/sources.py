"""The sources of data in a pod: the volumes and mounts that fetch needs to read them, and its certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwright.api.rundocument import source_of
from modelwright.workload.podspec import claim_volume, config_map_volume, mount

SOURCE = "/source"
SOURCE_HOLDOUT = "/source-holdout"
CA_FOLDER = "/etc/modelwright/ca"


@dataclass(frozen=True)
class Sources:
    """What a pod needs to read data."""

    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def sources(data: Mapping[str, Any]) -> Sources:
    """The sources of a TrainingJob's `data`, or of a ModelVersion's `evaluate`."""
    volumes, mounts = _source("source", SOURCE, source_of(data))
    holdout = (data.get("holdout") or {}).get("uri")
    if holdout:
        more = _source("source-holdout", SOURCE_HOLDOUT, holdout)
        volumes, mounts = (*volumes, *more[0]), (*mounts, *more[1])
    reference = data.get("caConfigMapRef")
    if reference is None:
        return Sources(volumes, mounts)
    env = {"SSL_CERT_FILE": f"{CA_FOLDER}/{reference['key']}"}
    certificates = config_map_volume("ca", reference["name"])
    return Sources((*volumes, certificates), (*mounts, mount("ca", CA_FOLDER, read_only=True)), env)


def _source(
    name: str, path: str, uri: str
) -> tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]:
    """The volume of a source in the namespace, and its mount; nothing for one outside."""
    scheme, _, rest = uri.partition("://")
    owner = rest.split("/", 1)[0]
    mounts = (mount(name, path, read_only=True),)
    if scheme == "pvc":
        return (claim_volume(name, owner, read_only=True),), mounts
    if scheme == "configmap":
        return (config_map_volume(name, owner),), mounts
    return (), ()
