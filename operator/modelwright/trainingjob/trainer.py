"""What the spec gives the container of a trainer's own image: variables, volumes and devices. Pure.

It is read back from the Job of a run for the recipe in the lineage: names of Secrets and ConfigMaps, never what is in
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.api.rundocument import trainer_variables

# Names of the user's volumes in the pod begin so, and meet none of the operator's.
OWN = "own-"


def trainer_environment(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variables of the trainer's container: the literal ones, and those that the kubelet reads elsewhere.

    They are in the order of the spec, so that one may refer to one before it as $(NAME).
    """
    given = {each["name"]: each for each in spec["trainer"].get("env") or ()}
    return [
        {"name": name, "valueFrom": given[name]["valueFrom"]}
        if name in given and given[name].get("valueFrom")
        else {"name": name, "value": value}
        for name, value in trainer_variables(spec).items()
    ]


def own_volumes(trainer: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The user's volumes, with names of their own."""
    return tuple({**volume, "name": OWN + volume["name"]} for volume in trainer.get("volumes") or ())


def own_mounts(trainer: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Where they are in the container."""
    return tuple({**mount, "name": OWN + mount["name"]} for mount in trainer.get("volumeMounts") or ())


def own_parts(train: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The user's variables from elsewhere, volumes and mounts, as the spec had them, from the pod of a run."""
    mounts = [_named(each) for each in train.get("volumeMounts") or () if each["name"].startswith(OWN)]
    volumes = [_named(each) for each in pod.get("volumes") or () if str(each.get("name")).startswith(OWN)]
    parts = {
        "envFrom": list(train.get("envFrom") or ()),
        "volumes": [_without_mode(volume) for volume in volumes],
        "volumeMounts": mounts,
    }
    return {name: part for name, part in parts.items() if part}


def _named(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**part, "name": str(part["name"]).removeprefix(OWN)}


def _without_mode(volume: Mapping[str, Any]) -> dict[str, Any]:
    """A volume without the mode of its files, which the API server fills in."""
    return {
        key: {name: value for name, value in part.items() if name != "defaultMode"}
        if isinstance(part, Mapping)
        else part
        for key, part in volume.items()
    }


def without_devices(resources: Mapping[str, Any]) -> dict[str, Any]:
    """The resources without devices, whose names have a domain."""
    return {
        part: {name: amount for name, amount in amounts.items() if "/" not in name}
        if part in ("requests", "limits") and isinstance(amounts, Mapping)
        else amounts
        for part, amounts in resources.items()
    }
