"""The run document: what the steps of a run read of a TrainingJob's spec (docs/contracts/run.schema.json).

It does not say where the data comes from, since the trainer reads it as well: fetch has that from its environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

SOURCES = ("uri", "configMapRef", "caConfigMapRef")


def run_document(
    spec: Mapping[str, Any], *, namespace: str, name: str, run: int, artifacts: str
) -> dict[str, Any]:
    """The document of a run of the TrainingJob `name`. `artifacts`: the uri of the folder that models go to."""
    trainer, data = spec["trainer"], spec["data"]
    holdout = {key: value for key, value in (data.get("holdout") or {}).items() if key != "uri"}
    kept = {key: value for key, value in data.items() if key not in SOURCES}
    return {
        "namespace": namespace,
        "trainingJob": name,
        "run": run,
        "model": spec.get("model") or name,
        "task": spec.get("task"),
        "data": {**kept, **({"holdout": holdout} if holdout else {})},
        "trainer": {
            key: trainer[key] for key in ("sklearn", "preprocess", "image", "code") if key in trainer
        },
        "seed": spec.get("seed", 0),
        "artifacts": {"uri": artifacts},
    }


def source_variables(data: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables that name the sources of the data to fetch."""
    holdout = (data.get("holdout") or {}).get("uri")
    return {
        "MODELWRIGHT_SOURCE": source_of(data),
        **({"MODELWRIGHT_HOLDOUT_SOURCE": holdout} if holdout else {}),
    }


def trainer_variables(spec: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables of a user's own image, which gets no run document."""
    variables = {"MODELWRIGHT_TARGET": spec["data"]["target"], "MODELWRIGHT_SEED": str(spec.get("seed", 0))}
    if spec.get("task"):
        variables["MODELWRIGHT_TASK"] = spec["task"]
    own = {variable["name"]: variable.get("value", "") for variable in spec["trainer"].get("env") or ()}
    return {**variables, **own}


def source_of(data: Mapping[str, Any]) -> str:
    """The uri of the data. A `configMapRef` is the equivalent uri."""
    reference = data.get("configMapRef")
    return f"configmap://{reference['name']}/{reference['key']}" if reference else str(data["uri"])


def public(uri: str) -> str:
    """The uri without its parts that may be secret: a query often holds a signature."""
    if not uri.startswith("https://"):
        return uri
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
