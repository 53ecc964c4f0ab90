"""The pod of `data put`: it is what the administrator says of all pods, and keeps to the restricted standard."""

from __future__ import annotations

import json

import pytest
from unit.given.checks import restricted_violations

from modelwright.cli.putting import IDS, manifest, option

OPENSHIFT = {"spec": {"securityContext": {"fsGroupChangePolicy": "OnRootMismatch"}}}
COMPANY = {
    "metadata": {"labels": {"team": "fraud"}, "annotations": {"example.com/cost-centre": "4711"}},
    "spec": {
        "nodeSelector": {"pool": "batch"},
        "imagePullSecrets": [{"name": "registry"}],
        "securityContext": {"runAsUser": 4711},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
        ],
    },
}


@pytest.mark.parametrize(
    ("template", "ids"),
    [
        (None, IDS),
        ({}, {}),
        (OPENSHIFT, {"fsGroupChangePolicy": "OnRootMismatch"}),
        (COMPANY, {"runAsUser": 4711}),
        ({"spec": "of another release"}, IDS),
    ],
    ids=["none", "empty", "openshift", "company", "unknown"],
)
def test_users_and_groups_are_those_of_the_administrator(
    template: dict[str, object] | None, ids: dict[str, object]
) -> None:
    text = None if template is None else json.dumps(template)
    spec = manifest("put-1", "data", "training:1", text)["spec"]

    other = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["securityContext"] == {**ids, **other}
    assert not restricted_violations(spec)


def test_labels_places_and_pull_secrets_are_those_of_the_administrator() -> None:
    pod = manifest("put-1", "data", "training:1", json.dumps(COMPANY))

    assert pod["metadata"]["labels"] == {"team": "fraud", "app.kubernetes.io/name": "modelwright-data-put"}
    assert pod["metadata"]["annotations"] == {"example.com/cost-centre": "4711"}
    assert pod["metadata"]["name"] == "put-1"
    assert pod["spec"]["nodeSelector"] == {"pool": "batch"}
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert "topologySpreadConstraints" not in pod["spec"]


def test_an_option_is_found_by_its_whole_name() -> None:
    arguments = ["--training-pod-template={}", '--pod-template={"a": "="}', "--training-image=training:1"]

    assert option(arguments, "--pod-template") == '{"a": "="}'
    assert option(arguments, "--training-image") == "training:1"
    assert option(arguments, "--serving-image") is None
