"""The release before and this one read what the other wrote, and an upgrade changes no object that exists."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import reading
from support.kubectl import ROOT, Object
from support.released import FOLDER, PLURALS, definition, unpacked
from unit.given.crds import defects, filled, schema_of, with_defaults
from unit.given.schemas import breaks, new_values

from modelwright.api.podtemplate import PodTemplate

GUIDE = " ".join((ROOT / "docs/upgrading.md").read_text().split())
PLURAL = {
    "InferenceService": "inferenceservices",
    "ModelVersion": "modelversions",
    "TrainingJob": "trainingjobs",
}
# Parts of a status that may have any fields.
FREE = {"report", "requests", "limits"}
# When the objects were recorded.
RECORDED = "2026-11-28T18:30:00Z"
EVERY_KIND = pytest.mark.parametrize("plural", PLURALS)
# What is not as it was, each with what docs/upgrading.md says of it.
CHANGED: dict[str, str] = {}
# Values of a status that the release before does not know, with what docs/upgrading.md says of the way back.
NEW_VALUES: dict[str, str] = {}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the release before."""
    return unpacked(tmp_path_factory.mktemp("released"))


def before(source: Path, objects: list[Object], *words: str) -> Any:
    """What the operator of the release before makes of objects."""
    done = subprocess.run(
        [sys.executable, "-P", reading.__file__, *words],
        input=json.dumps(objects),
        env={**os.environ, "PYTHONPATH": str(source / "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def now(objects: list[Object]) -> list[Object]:
    """What ours makes of them."""
    found: list[Object] = json.loads(json.dumps([reading.found(body) for body in objects]))
    return found


def old_schema(plural: str) -> Object:
    (version,) = definition(plural)["spec"]["versions"]
    schema: Object = version["schema"]["openAPIV3Schema"]
    return schema


def recorded() -> list[Object]:
    """Objects as an operator of the release before has left them, in every state that lasts."""
    return list(yaml.safe_load_all((FOLDER / "objects.yaml").read_text()))


def examples(source: Path) -> list[Object]:
    """Those of the release before, as its API server stored them."""
    paths = sorted((source / "examples").glob("*/*.yaml"))
    found = [body for path in paths for body in yaml.safe_load_all(path.read_text())]
    return [body for body in found if body["kind"] in PLURAL]


def nothing_of_it(rule: str, fields: set[str]) -> bool:
    """True if a rule holds for whatever has none of these fields."""
    for field in fields:
        rule = rule.replace(f"!has(self.{field})", "true")
    words = [part.replace("(", "").replace(")", "").split() for part in rule.split("||") if balanced(part)]
    return any(part and set(part) <= {"true", "&&"} for part in words)


def balanced(text: str) -> bool:
    return text.count("(") == text.count(")")


def without_rules_of_new_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """The new schema without rules that say nothing of objects of the release before."""
    result = dict(new)
    fields = set(new.get("properties", {})) - set(old.get("properties", {}))
    kept = [
        rule for rule in new.get("x-kubernetes-validations", ()) if not nothing_of_it(rule["rule"], fields)
    ]
    result["x-kubernetes-validations"] = kept
    for keyword in ("items", "additionalProperties"):
        if keyword in old and keyword in new:
            result[keyword] = without_rules_of_new_fields(old[keyword], new[keyword])
    if "properties" in new:
        known = old.get("properties", {})
        result["properties"] = {
            name: without_rules_of_new_fields(known[name], sub) if name in known else sub
            for name, sub in new["properties"].items()
        }
    return result


@EVERY_KIND
def test_whatever_was_valid_is_valid_and_stored_the_same(plural: str) -> None:
    old = old_schema(plural)
    found = list(breaks(old, without_rules_of_new_fields(old, schema_of(plural)), plural))
    assert [problem for problem in found if problem not in CHANGED] == []


def test_what_is_otherwise_is_in_the_guide_and_still_so() -> None:
    found = [
        problem for plural in PLURALS for problem in breaks(old_schema(plural), schema_of(plural), plural)
    ]
    assert set(CHANGED) <= set(found), "remove what is no more so"
    assert [text for text in CHANGED.values() if text not in GUIDE] == []


@EVERY_KIND
def test_a_kind_has_the_names_and_the_parts_that_it_had(plural: str) -> None:
    new = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())["spec"]
    old = definition(plural)["spec"]
    assert {key: new[key] for key in ("group", "scope")} == {key: old[key] for key in ("group", "scope")}
    assert new["names"] == old["names"]
    (version,), (earlier,) = new["versions"], old["versions"]
    assert (version["name"], version["served"], version["storage"]) == (earlier["name"], True, True)
    assert version["subresources"].keys() >= earlier["subresources"].keys()
    columns = {column["name"] for column in earlier["additionalPrinterColumns"]}
    assert columns <= {column["name"] for column in version["additionalPrinterColumns"]}


def test_examples_of_the_release_before_are_valid_and_start_no_run_and_no_rollout(source: Path) -> None:
    given = [{**body, "spec": stored(body)} for body in examples(source)]
    assert {body["kind"] for body in given} == set(PLURAL)
    for body in given:
        plural = PLURAL[body["kind"]]
        assert defects(plural, "spec", body["spec"]) == []
        assert with_defaults(plural, body["spec"]) == body["spec"], "the API server would add something"
    for body, then, today in zip(given, before(source, given), now(given), strict=True):
        assert (then.get("recipe"), then.get("revision")) == (today.get("recipe"), today.get("revision")), (
            body
        )


def stored(body: Object) -> Object:
    """The spec as the API server has stored it under the release before."""
    spec: Object = filled(old_schema(PLURAL[body["kind"]])["properties"]["spec"], body["spec"])
    return spec


def test_what_the_release_before_has_written_is_read_whole(source: Path) -> None:
    given = recorded()
    for body, then, today in zip(given, before(source, given), now(given), strict=True):
        about = f"{body['kind']} {body['metadata']['name']}"
        assert then["faults"] == today["faults"] == [], about
        assert (then.get("recipe"), then.get("revision"), then.get("run")) == (
            today.get("recipe"),
            today.get("revision"),
            today.get("run"),
        ), about
        assert today["status"].items() >= then["status"].items(), about
        assert defects(PLURAL[body["kind"]], "status", body["status"]) == [], about


def test_the_release_before_reads_what_this_one_writes_and_ignores_what_it_does_not_know(
    source: Path,
) -> None:
    given = recorded()
    later = [{**body, "status": with_more(body["status"])} for body in given]
    assert later != given
    for plain, more in zip(before(source, given), before(source, later), strict=True):
        assert more["faults"] == []
        assert more["status"] == plain["status"]


def with_more(value: Any) -> Any:
    """The same with a field in each object that no release has, but for those that have any fields."""
    if isinstance(value, dict):
        more = {name: inner if name in FREE else with_more(inner) for name, inner in value.items()}
        return {**more, "ofALaterRelease": {"a": [1]}}
    return [with_more(inner) for inner in value] if isinstance(value, list) else value


def values_of_a_status() -> Iterator[tuple[str, str, str]]:
    for plural in PLURALS:
        for path, value in new_values(old_schema(plural), schema_of(plural)):
            if path.startswith(".status"):
                yield plural, path, value


def test_each_new_value_of_a_status_is_in_the_guide() -> None:
    found = {value for _, _, value in values_of_a_status()}
    assert found == set(NEW_VALUES)
    assert [text for text in NEW_VALUES.values() if text not in GUIDE] == []


def test_the_release_before_reads_a_run_that_waits_in_a_queue(source: Path) -> None:
    (running,) = (body for body in recorded() if body["metadata"]["name"] == "running")
    queued = copy.deepcopy(running)
    queued["status"]["run"] |= {"state": "Pending", "reason": "Queued", "message": "it waits in a queue"}
    (then,) = before(source, [queued])
    assert "run." not in " ".join(then["faults"])
    assert then["run"] == [1, "running-1"]


def running(deployments: Mapping[str, Object], share: int = 1) -> Iterator[Object]:
    """These Deployments as they are when all of their pods are ready; with 0, none."""
    for number, (name, body) in enumerate(deployments.items()):
        count = body["spec"]["replicas"] * share
        metadata = {
            **body["metadata"],
            "name": name,
            "namespace": "team",
            "uid": f"d{number}",
            "generation": 1,
        }
        ready = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
        yield {
            "kind": "Deployment",
            **body,
            "metadata": metadata,
            "status": {"observedGeneration": 1, **ready},
        }


def test_pods_that_run_are_wanted_as_they_are_whatever_becomes_the_default(source: Path) -> None:
    kept = before(source, recorded(), "deployments", RECORDED)
    assert {name.rpartition("-")[0] for name in kept} == {
        body["metadata"]["name"] for body in recorded() if body["kind"] == "InferenceService"
    }
    others = PodTemplate.model_validate({"spec": {"nodeSelector": {"pool": "models"}}})
    for settings in (reading.SETTINGS, replace(reading.SETTINGS, pod_template=others)):
        assert reading.deployments([*recorded(), *running(kept)], RECORDED, settings) == kept
    none_ready = [*recorded(), *running(kept, 0)]
    assert reading.deployments(none_ready, RECORDED) == kept
    assert "models" in str(reading.deployments(none_ready, RECORDED, settings)), (
        "pods of today take their place"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"properties": {"a": {"type": "string", "maxLength": 4}}}, [".a: maxLength was 5 and is 4"]),
        ({"properties": {"a": {"type": "string"}}}, []),
        ({"properties": {}}, [".a: is no more"]),
        (
            {"properties": {"a": {"type": "integer", "maxLength": 5}}},
            [".a: type was 'string' and is 'integer'"],
        ),
        (
            {"properties": {"a": {"type": "string", "maxLength": 5, "enum": ["x"]}}},
            [".a: has an enum now"],
        ),
        (
            {"properties": {"a": {"type": "string", "maxLength": 5, "default": "x"}}},
            [".a: default was None and is 'x'"],
        ),
        ({"required": ["a"]}, [".a: is required now"]),
        (
            {"x-kubernetes-validations": [{"rule": "!has(self.b) || self.b > 1", "message": "more"}]},
            [": there is a new rule: more"],
        ),
        (
            {
                "properties": {
                    "a": {"type": "string", "maxLength": 5},
                    "c": {"type": "boolean", "default": True},
                }
            },
            [".c: is new and has a default"],
        ),
    ],
)
def test_the_comparison_sees(change: Object, said: list[str]) -> None:
    old = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 5}}}
    assert list(breaks(old, {**old, **change})) == said


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("!has(self.b) || self.b > 1", True),
        ("has(self.a) || (!has(self.b) && !has(self.c))", True),
        ("!has(self.a) || self.a > 1", False),
        ("self.a > 1 && (!has(self.b) || self.b > 1)", False),
        ("has(self.b)", False),
    ],
)
def test_a_rule_of_new_fields_alone_is_told_from_others(rule: str, *, holds: bool) -> None:
    assert nothing_of_it(rule, {"b", "c"}) is holds
