"""The CRDs: equal to the models they come from, bounded everywhere, and self-explaining."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwright.api.base import ABOVE_LIMIT, DEVICE_LIMIT, NO_AMOUNT, UNKNOWN_RESOURCE
from modelwright.api.crd import RESOURCES, Resource, custom_resource_definition, render

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "crds", ROOT / "charts/modelwright/files/crds")
EVERY_KIND = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
UNBOUNDED_BY_DESIGN = {".apiVersion", ".kind"}


def schema_of(resource: Resource) -> dict[str, Any]:
    crd = custom_resource_definition(resource)
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


@EVERY_KIND
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parts[-2])
def test_the_files_say_what_the_models_say(resource: Resource, folder: Path) -> None:
    assert (folder / f"{resource.plural}.yaml").read_text() == render(resource), "run `make generate`"


@EVERY_KIND
def test_every_field_teaches(resource: Resource) -> None:
    silent = [
        path
        for path, node in nodes(schema_of(resource))
        if path.startswith((".spec", ".status")) and not path.endswith("[]") and not node.get("description")
    ]
    assert silent == []


@EVERY_KIND
def test_no_bound_of_a_model_is_lost(resource: Resource) -> None:
    """Structural schemas have no exclusive bounds as JSON Schema has them: the API server would take what no planner
    can read."""
    schemas = (resource.spec.model_json_schema(), resource.status.model_json_schema())
    assert not [word for word in ("exclusiveMinimum", "exclusiveMaximum") if word in json.dumps(schemas)]


@EVERY_KIND
def test_every_list_map_and_string_is_bounded(resource: Resource) -> None:
    unbounded = [
        path
        for path, node in nodes(schema_of(resource))
        if path not in UNBOUNDED_BY_DESIGN and not bounded(node)
    ]
    assert unbounded == []


def bounded(node: dict[str, Any]) -> bool:
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return True  # free JSON: what holds it is bounded by the API server's request size
    match node.get("type"):
        case "string":
            return "maxLength" in node or "enum" in node
        case "array":
            return "maxItems" in node
        case "object" if "additionalProperties" in node:
            return "maxProperties" in node
    return True


@EVERY_KIND
def test_the_schema_is_structural(resource: Resource) -> None:
    for path, node in nodes(schema_of(resource)):
        assert "$ref" not in node, path
        assert "title" not in node, path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert "anyOf" not in node or node.get("x-kubernetes-int-or-string"), path


@EVERY_KIND
def test_a_crd_fits_client_side_apply(resource: Resource) -> None:
    assert len(yaml.safe_dump(custom_resource_definition(resource))) < 256 * 1024


@EVERY_KIND
def test_every_rule_says_what_to_do(resource: Resource) -> None:
    for path, node in nodes(schema_of(resource)):
        for rule in node.get("x-kubernetes-validations", ()):
            assert len(rule["message"]) > 15, path


@EVERY_KIND
def test_an_object_that_the_operator_has_not_seen_says_so(resource: Resource) -> None:
    """kstatus and Flux compare observedGeneration with the generation: without a status they call it current."""
    status = schema_of(resource)["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["observedGeneration"]["minimum"] == -1


@pytest.mark.parametrize("plural", ["trainingjobs", "inferenceservices"])
def test_resources_that_no_pod_could_have_are_refused_where_users_ask_for_them(plural: str) -> None:
    (resource,) = [found for found in RESOURCES if found.plural == plural]
    ruled = {
        path: {rule["message"] for rule in node["x-kubernetes-validations"]}
        for path, node in nodes(schema_of(resource))
        if path.endswith(".resources") and "x-kubernetes-validations" in node
    }
    assert ruled == {".spec.resources": {UNKNOWN_RESOURCE, NO_AMOUNT, ABOVE_LIMIT, DEVICE_LIMIT}}, (
        "and never in a status"
    )


def test_the_name_of_a_service_begins_with_a_letter_and_older_objects_can_still_be_told_so() -> None:
    (service,) = [found for found in RESOURCES if found.kind == "InferenceService"]
    (letter,) = [rule for rule in service.name_rules if "letter" in rule["message"]]
    assert letter["optionalOldSelf"] is True
    assert letter["rule"] == "oldSelf.hasValue() || self.metadata.name.matches('^[a-z]')"
