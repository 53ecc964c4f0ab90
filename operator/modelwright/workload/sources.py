"""The sources of data in a pod: what fetch needs to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.api.rundocument import DVC_FOLDER, source_of
from modelwright.workload.podspec import Parts, claim_volume, config_map_volume, empty_dir, mount

VOLUME = "source"
SOURCE = "/source"
SOURCE_HOLDOUT = "/source-holdout"


def sources(data: Mapping[str, Any]) -> Parts:
    """The sources of a TrainingJob's `data`, or of a ModelVersion's `evaluate`, that lie on volumes."""
    found = [
        _source(VOLUME, SOURCE, source_of(data)),
        _source("source-holdout", SOURCE_HOLDOUT, (data.get("holdout") or {}).get("uri") or ""),
    ]
    if dvc := data.get("dvc"):
        tracked = config_map_volume("dvc", dvc["configMapRef"]["name"])
        found.append(Parts((tracked,), (mount("dvc", DVC_FOLDER, read_only=True),)))
    return Parts(
        tuple(volume for parts in found for volume in parts.volumes),
        tuple(each for parts in found for each in parts.mounts),
    )


def _source(name: str, path: str, uri: str) -> Parts:
    """The volume of a source in the namespace, and its mount; nothing for one outside."""
    scheme, _, rest = uri.partition("://")
    owner = rest.split("/", 1)[0]
    volumes = {
        "pvc": claim_volume(name, owner, read_only=True),
        "configmap": config_map_volume(name, owner),
        "source": empty_dir(name),
    }
    if scheme not in volumes:
        return Parts()
    return Parts((volumes[scheme],), (mount(name, path, read_only=True),))
