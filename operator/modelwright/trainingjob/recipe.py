"""What of a TrainingJob's spec makes a model, read back from the Job of a run: the spec may have changed since. Pure.

It is kept in the ModelVersion for good, and `modelwright reproduce` prints it. So it holds nothing that may be secret:
addresses without query and password, and no values of environment variables whose names look like those of secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from modelwright.api.rundocument import public, trainer_variables
from modelwright.engine.objects import Body
from modelwright.trainingjob.trainer import own_parts

# A ModelVersion with a larger one would be hard to read, and etcd takes 1.5 MB an object.
MOST_BYTES = 64_000
# Of the pod of a run: what the spec says of stores and of DVC, all of it names.
STORES_ANNOTATION = "modelwright.dev/stores"
SECRET = re.compile(r"SECRET|TOKEN|PASS(W|PHRASE)|CREDENTIAL|PRIVATE|AUTH|SIGNATURE|(^|_)KEY", re.IGNORECASE)
# A password in an address, or a query that may hold a signature.
SECRET_VALUE = re.compile(r"://[^/\s]*@|https://[^\s]*\?")


def recipe_of(job: Body, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part of a TrainingJob's spec that this Job was made from; None if it has more than `MOST_BYTES` as JSON.

    `document`: the run document of the Job. Gates are not in it: they make no other model, and the ModelVersion has
    them. `api.rundocument.run_document` of it gives the document again.
    """
    template = job["spec"]["template"]["spec"]
    steps = {step["name"]: step for step in template.get("initContainers") or ()}
    train = steps.get("train") or {}
    recipe = {
        "task": document.get("task"),
        "data": _data(job, document["data"], steps),
        "trainer": _trainer(document, train, template),
        "seed": document.get("seed", 0),
        "resources": train.get("resources"),
        "activeDeadlineSeconds": job["spec"].get("activeDeadlineSeconds"),
    }
    kept = {key: value for key, value in recipe.items() if value is not None and value != {}}
    return kept if len(json.dumps(kept, ensure_ascii=False).encode(errors="replace")) <= MOST_BYTES else None


def stores_in(job: Body) -> dict[str, Any]:
    """What the spec said of stores when the run began: `data` with its store, certificates and DVC file; `artifacts`,
    their store."""
    annotations = (job["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    try:
        said = json.loads(annotations.get(STORES_ANNOTATION) or "{}")
    except ValueError:
        return {}
    parts = said if isinstance(said, dict) else {}
    return {name: part for name, part in parts.items() if isinstance(part, dict)}


def _data(job: Body, data: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The data, with its sources, which only fetch has."""
    pod = job["spec"]["template"]["spec"]
    variables = _variables(steps.get("fetch") or {})
    # The Job of an earlier release has the uri in its document.
    source = variables.get("MODELWRIGHT_SOURCE") or str(data.get("uri", ""))
    holdout = dict(data.get("holdout") or {})
    other = variables.get("MODELWRIGHT_HOLDOUT_SOURCE") or holdout.get("uri")
    if other:
        holdout["uri"] = public(str(other))
    certificates = _certificates(variables, pod)
    made = _source(steps.get("source"), pod)
    return {
        **data,
        **({"source": made} if made else {"uri": public(source)}),
        **({"holdout": holdout} if holdout else {}),
        **({"caConfigMapRef": certificates} if certificates else {}),
        **(stores_in(job).get("data") or {}),
    }


def _source(container: Mapping[str, Any] | None, pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """The container that made the data; None without one."""
    if container is None:
        return None
    volumes = (volume for volume in pod.get("volumes") or () if volume.get("name") == "credentials")
    secret = next((str((volume.get("secret") or {}).get("secretName", "")) for volume in volumes), "")
    own = _variables(container)
    return {
        "image": container["image"],
        **{key: container[key] for key in ("command", "args") if key in container},
        **({"env": [_public_variable(name, value) for name, value in own.items()]} if own else {}),
        **({"secretRef": {"name": secret}} if secret else {}),
    }


def _certificates(variables: Mapping[str, str], pod: Mapping[str, Any]) -> dict[str, str] | None:
    """The ConfigMap that fetch has its certificates from, in the Job of an earlier release."""
    volumes = (volume for volume in pod.get("volumes") or () if volume.get("name") == "ca")
    name = next((str((volume.get("configMap") or {}).get("name", "")) for volume in volumes), "")
    key = variables.get("SSL_CERT_FILE", "").rpartition("/")[2]
    return {"name": name, "key": key} if name and key else None


def _trainer(document: Mapping[str, Any], train: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer, with what only the container of an own image has."""
    code = public_code(document["trainer"].get("code"))
    trainer = {**document["trainer"], **({"code": code} if code else {})}
    if "image" not in trainer:
        return trainer
    given = trainer_variables({**document, "trainer": {}})
    references = {
        str(each["name"]): each["valueFrom"] for each in train.get("env") or () if "valueFrom" in each
    }
    own = [
        {"name": name, "valueFrom": references[name]} if name in references else _public_variable(name, value)
        for name, value in _variables(train).items()
        if name in references or given.get(name) != value
    ]
    return {
        **trainer,
        **{key: train[key] for key in ("command", "args") if key in train},
        **({"env": own} if own else {}),
        **own_parts(train, pod),
    }


def public_code(code: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The source code without a password in the address of its repository, as tools of builds write it."""
    return {**code, "repository": public(str(code.get("repository", "")))} if code else None


def _variables(container: Mapping[str, Any]) -> dict[str, str]:
    return {str(each["name"]): str(each.get("value") or "") for each in container.get("env") or ()}


def _public_variable(name: str, value: str) -> dict[str, str]:
    """A variable, without its value where that may be secret."""
    return (
        {"name": name}
        if SECRET.search(name) or SECRET_VALUE.search(value)
        else {"name": name, "value": value}
    )
