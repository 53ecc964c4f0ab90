"""Generates the CustomResourceDefinitions from the pydantic models: structural schemas with all bounds and rules.

Run as `python -m modelwright.api.crd FOLDER...`; `make generate` does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelwright.api import API_VERSION, GROUP, VERSION
from modelwright.api import inferenceservice as isvc
from modelwright.api import modelversion as mv
from modelwright.api import trainingjob as tj
from modelwright.api.base import NOT_OBSERVED, Model

# Keywords of JSON Schema that structural schemas have and the models use.
KEPT = {
    "type", "format", "description", "default", "enum", "pattern", "items", "properties", "required",
    "additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "anyOf",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def manifest(self) -> dict[str, Any]:
        """Returns the column for the CRD."""
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            **({"priority": 1} if self.wide else {}),
        }


READY = (
    Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
    Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
)
LAST = (
    Column("Message", ".status.conditions[?(@.type=='Ready')].message", wide=True),
    Column("Age", ".metadata.creationTimestamp", type="date"),
)


@dataclass(frozen=True)
class Resource:
    """One kind of the API."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[Model]
    status: type[Model]
    name_rules: tuple[dict[str, Any], ...]
    columns: tuple[Column, ...]
    # Where the number of pods is, if the kind has one, for `kubectl scale` and autoscalers.
    scale: dict[str, str] | None = None


SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
RESOURCES = (
    Resource(
        "TrainingJob", "trainingjobs", ("tj",), (tj.__doc__ or "").strip(),
        tj.TrainingJobSpec, tj.TrainingJobStatus, tj.NAME_RULES,
        (
            Column("Model", ".status.model"),
            Column("Run", ".status.run.number", type="integer"),
            Column("State", ".status.run.state"),
            Column("Cause", ".status.run.cause.trigger", wide=True),
            Column("Next", ".status.triggers.nextScheduleTime", wide=True),
            *READY,
            Column("Version", ".status.latestModelVersion"),
            *LAST,
        ),
    ),
    Resource(
        "ModelVersion", "modelversions", ("mv",), (mv.__doc__ or "").strip(),
        mv.ModelVersionSpec, mv.ModelVersionStatus, mv.NAME_RULES,
        (
            Column("Model", ".spec.model"),
            *READY,
            Column("Score", ".status.score"),
            Column("Aliases", ".status.aliases"),
            Column("Digest", ".status.shortDigest"),
            Column("TrainingJob", ".spec.lineage.trainingJob", wide=True),
            Column("Quarantined", ".status.conditions[?(@.type=='Quarantined')].reason", wide=True),
            *LAST,
        ),
    ),
    Resource(
        "InferenceService", "inferenceservices", ("mwisvc",), (isvc.__doc__ or "").strip(),
        isvc.InferenceServiceSpec, isvc.InferenceServiceStatus, isvc.NAME_RULES,
        (
            Column("Stable", ".status.stable.version"),
            Column("Canary", ".status.canary.version"),
            Column("Weight", ".status.canary.weight", type="integer"),
            Column("Verdict", ".status.canary.verdict"),
            Column("Replicas", ".status.replicas", type="integer"),
            Column("Pods-Ready", ".status.readyReplicas", type="integer"),
            *READY,
            Column("Url", ".status.url"),
            Column("Drift", ".status.conditions[?(@.type=='DriftDetected')].reason", wide=True),
            *LAST,
        ),
        SCALE,
    ),
)  # fmt: skip


def structural(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Returns a JSON schema of pydantic as a structural schema: without references, null and titles."""
    schema = _without_null(_resolved(schema, definitions))
    result = {k: v for k, v in schema.items() if k in KEPT or k.startswith("x-kubernetes-")}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if isinstance(result.get("additionalProperties"), bool):
        del result["additionalProperties"]
    _simplify_default(result)
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = structural(result[key], definitions)
    if "properties" in result:
        result["properties"] = {k: structural(v, definitions) for k, v in result["properties"].items()}
    if result.get("x-kubernetes-preserve-unknown-fields") or result.get("x-kubernetes-int-or-string"):
        return result
    result.pop("anyOf", None)
    return result


def _simplify_default(schema: dict[str, Any]) -> None:
    """Drops empty defaults. That of an object becomes {}, because its fields have their own defaults."""
    if schema.get("default", ...) in (None, []):
        del schema["default"]
    elif isinstance(schema.get("default"), dict):
        schema["default"] = {}


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema with its reference resolved. Keywords beside the reference (a description) take precedence."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].rsplit("/", 1)[1]]
    return {**_resolved(target, definitions), **{k: v for k, v in schema.items() if k != "$ref"}}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of `X | None` as that of X: a spec in Kubernetes has optional fields and no null."""
    options = schema.get("anyOf", [])
    if {"type": "null"} not in options:
        return schema
    (option,) = [o for o in options if o != {"type": "null"}]
    rest = {k: v for k, v in schema.items() if k != "anyOf"}
    return {**option, **rest}


def object_schema(model: type[Model]) -> dict[str, Any]:
    """Returns the structural schema of a model."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    for _ in range(2):  # an optional field wraps its reference in anyOf: unwrap, then follow
        schema = _inline(schema, definitions)
    return structural(schema, definitions)


def _inline(node: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Resolves references at every depth."""
    if isinstance(node, dict):
        return {k: _inline(v, definitions) for k, v in _resolved(_without_null(node), definitions).items()}
    if isinstance(node, list):
        return [_inline(v, definitions) for v in node]
    return node


def custom_resource_definition(resource: Resource) -> dict[str, Any]:
    """Returns the CRD of a kind."""
    metadata = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}}
    schema = {
        "type": "object",
        "description": resource.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": metadata,
            "spec": object_schema(resource.spec),
            "status": {
                **object_schema(resource.status),
                "default": {"observedGeneration": NOT_OBSERVED},
            },
        },
        "x-kubernetes-validations": list(resource.name_rules),
    }
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": list(resource.short_names),
        "categories": ["modelwright"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}, **({"scale": resource.scale} if resource.scale else {})},
        "additionalPrinterColumns": [column.manifest() for column in resource.columns],
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def render(resource: Resource) -> str:
    """Returns the CRD as a YAML document."""
    return yaml.safe_dump(
        custom_resource_definition(resource), sort_keys=False, width=110, allow_unicode=True
    )


def main(folders: list[str]) -> None:
    """Writes one file per kind to each folder."""
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for resource in RESOURCES:
            Path(folder, f"{resource.plural}.yaml").write_text(render(resource))
            print(f"{folder}/{resource.plural}.yaml: {resource.kind} {API_VERSION}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
