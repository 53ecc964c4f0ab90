"""The run document: what the steps of a run read of a TrainingJob's spec (docs/contracts/run.schema.json).

It does not say where the data comes from, since the trainer reads it as well: fetch has that from its environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from modelwright.api.gates import BETTER_THAN_BASELINE, MAIN, NOT_WORSE_THAN_CHAMPION

SOURCES = ("uri", "configMapRef", "caConfigMapRef", "store", "dvc", "source")
# Where fetch finds the file of a DVC repository.
DVC_FOLDER = "/dvc"
# What of the spec of a ModelVersion says when it may be served.
TERMS = ("gates", "defaultGates", "onInconclusive", "approval")
# Of ten rows the interval of roc_auc errs as seldom as of a thousand: docs/gates.md has the numbers.
_FEW = 10
# A model that is not clearly better than the baseline is of no use; one that is clearly worse than what serves does
# harm. Where neither is clear, the first waits for a person, and the second passes.
DEFAULT_GATES: tuple[Mapping[str, Any], ...] = (
    {
        "name": BETTER_THAN_BASELINE,
        "metric": MAIN,
        "against": "Baseline",
        "minChange": 0,
        "minSamples": _FEW,
    },
    {
        "name": NOT_WORSE_THAN_CHAMPION,
        "metric": MAIN,
        "against": "Champion",
        "minChange": 0,
        "minSamples": _FEW,
        "onInconclusive": "Allow",
    },
)


def run_document(
    spec: Mapping[str, Any],
    *,
    namespace: str,
    name: str,
    run: int,
    artifacts: str,
    champion: Mapping[str, Any] | None = None,
    uid: str | None = None,
) -> dict[str, Any]:
    """The document of a run of the TrainingJob `name`.

    `artifacts`: the uri of the folder that models go to. `champion`: the name, the artifact and the lineage's data and
    hold-out of the version that the model is compared with; None if there is none. `uid`: of the TrainingJob, if it is
    in a cluster.
    """
    trainer, data = spec["trainer"], spec["data"]
    holdout = {key: value for key, value in (data.get("holdout") or {}).items() if key != "uri"}
    kept = {key: value for key, value in data.items() if key not in SOURCES}
    return {
        "namespace": namespace,
        "trainingJob": name,
        **({"uid": uid} if uid else {}),
        "run": run,
        "model": spec.get("model") or name,
        "task": spec.get("task"),
        "data": {**kept, **({"holdout": holdout} if holdout else {})},
        "trainer": {
            key: trainer[key] for key in ("sklearn", "preprocess", "image", "code") if key in trainer
        },
        "seed": spec.get("seed", 0),
        "artifacts": {"uri": artifacts},
        "gates": gates_of(spec),
        **({"champion": dict(champion)} if champion else {}),
    }


def gates_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates of a TrainingJob or ModelVersion, all with a name: its own, then the default ones."""
    own = _named(spec.get("gates") or ())
    if spec.get("defaultGates") == "Disabled":
        return own
    names = {gate["name"] for gate in own}
    return [*own, *(dict(gate) for gate in DEFAULT_GATES if gate["name"] not in names)]


def _named(gates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The gates with names that differ: a number where there is none, and behind one that an earlier gate has."""
    given = {gate["name"] for gate in gates if gate.get("name")}
    taken: set[str] = set()
    named = []
    for place, gate in enumerate(gates, start=1):
        name = gate.get("name")
        if name is None or name in taken:
            base = f"{name or 'gate'}"[:50].rstrip("-")
            numbers = (f"{base}-{number}" for number in count(place))
            name = next(free for free in numbers if free not in given | taken)
        taken.add(name)
        named.append({**gate, "name": name})
    return named


def gates_of_version(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates of a ModelVersion, all with a name. It has the default ones only if it says so, or names data to be
    scored on: versions of earlier releases have no gates."""
    default = "Enabled" if spec.get("evaluate") else "Disabled"
    return gates_of({**spec, "defaultGates": spec.get("defaultGates") or default})


def terms_hash(spec: Mapping[str, Any]) -> str:
    """The digest of the terms of a ModelVersion: 16 hexadecimal digits of sha256.

    It is that of the values, however they are written: 1 and 1.0 are equal, and so are null, empty and absent.
    """
    terms = _plain({name: spec.get(name) for name in TERMS})
    return sha256(json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        parts = {str(name): _plain(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in (None, [], {})} or None
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def source_variables(data: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables that name the sources of the data to fetch."""
    holdout, dvc = (data.get("holdout") or {}).get("uri"), data.get("dvc")
    tracked = dvc and {"file": f"{DVC_FOLDER}/{dvc['configMapRef']['key']}", "path": dvc["path"]}
    return {
        "MODELWRIGHT_SOURCE": source_of(data),
        **({"MODELWRIGHT_HOLDOUT_SOURCE": holdout} if holdout else {}),
        **({"MODELWRIGHT_DVC": json.dumps(tracked, sort_keys=True)} if tracked else {}),
    }


def trainer_variables(spec: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables of a user's own image, which gets no run document."""
    variables = {"MODELWRIGHT_TARGET": spec["data"]["target"], "MODELWRIGHT_SEED": str(spec.get("seed", 0))}
    if spec.get("task"):
        variables["MODELWRIGHT_TASK"] = spec["task"]
    own = {variable["name"]: variable.get("value", "") for variable in spec["trainer"].get("env") or ()}
    return {**variables, **own}


def source_of(data: Mapping[str, Any]) -> str:
    """The uri of the data. A `configMapRef` is the equivalent uri; a container that makes it has its image in one."""
    reference, source = data.get("configMapRef"), data.get("source")
    if source:
        return f"source://{source['image']}"
    return f"configmap://{reference['name']}/{reference['key']}" if reference else str(data["uri"])


def public(uri: str) -> str:
    """The uri without its parts that may be secret: a query often holds a signature."""
    if not uri.startswith("https://"):
        return uri
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
