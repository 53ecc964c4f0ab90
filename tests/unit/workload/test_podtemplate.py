"""What is said of pods: how templates are merged, and that no template weakens what every pod has."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.checks import restricted_violations

from modelwright.api.podtemplate import MOST, MOST_MERGED, PodTemplate, PodTemplateSpec
from modelwright.common.settings import DEFAULT_POD_TEMPLATE, Settings
from modelwright.workload.podtemplate import (
    earlier_template,
    merged,
    pod_annotations,
    pod_fields,
    pod_labels,
    says_nothing,
    serving_template,
    template_in,
    training_template,
    with_fields,
)

PODS = {"modelwright.dev/training-job": "churn"}
SPOT = {"key": "spot", "operator": "Exists"}
GPU = {"key": "gpu", "value": "a100", "effect": "NoSchedule"}
ZONES = {"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
NODES = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}


def template(**spec: Any) -> PodTemplate:
    return PodTemplate.model_validate({"spec": spec})


def settings(**more: Any) -> Settings:
    return Settings(serving_image="serving:1", training_image="training:1", **more)


def written(found: PodTemplate) -> dict[str, Any]:
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


# Each row: what the administrator says, what the spec says, what holds. docs/pods.md has the same rules in words.
MERGED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "nodeSelector by key": (
        {"nodeSelector": {"pool": "ml", "disk": "ssd"}},
        {"nodeSelector": {"pool": "gpu"}},
        {"nodeSelector": {"pool": "gpu", "disk": "ssd"}},
    ),
    "tolerations are added up, each once": (
        {"tolerations": [SPOT]},
        {"tolerations": [GPU, SPOT]},
        {"tolerations": [SPOT, GPU]},
    ),
    "imagePullSecrets are added up, each once": (
        {"imagePullSecrets": [{"name": "corp"}]},
        {"imagePullSecrets": [{"name": "team"}, {"name": "corp"}]},
        {"imagePullSecrets": [{"name": "corp"}, {"name": "team"}]},
    ),
    "affinity is replaced": (
        {"affinity": {"nodeAffinity": {"a": 1}, "podAffinity": {}}},
        {"affinity": {"nodeAffinity": {"b": 2}}},
        {"affinity": {"nodeAffinity": {"b": 2}}},
    ),
    "topologySpreadConstraints are replaced": (
        {"topologySpreadConstraints": [NODES]},
        {"topologySpreadConstraints": [ZONES]},
        {"topologySpreadConstraints": [ZONES]},
    ),
    "topologySpreadConstraints are taken away": (
        {"topologySpreadConstraints": [NODES]},
        {"topologySpreadConstraints": []},
        {"topologySpreadConstraints": []},
    ),
    "priorityClassName": ({"priorityClassName": "low"}, {"priorityClassName": "high"}, {"priorityClassName": "high"}),
    "runtimeClassName": ({"runtimeClassName": "gvisor"}, {}, {"runtimeClassName": "gvisor"}),
    "schedulerName": ({}, {"schedulerName": "volcano"}, {"schedulerName": "volcano"}),
    "serviceAccountName": ({"serviceAccountName": "a"}, {"serviceAccountName": "b"}, {"serviceAccountName": "b"}),
    "securityContext field by field": (
        {"securityContext": {"runAsUser": 65532, "fsGroup": 65532, "supplementalGroups": [1, 2]}},
        {"securityContext": {"fsGroup": 100, "supplementalGroups": [3], "seLinuxOptions": {"level": "s0"}}},
        {
            "securityContext": {
                "runAsUser": 65532, "fsGroup": 100, "supplementalGroups": [3], "seLinuxOptions": {"level": "s0"},
            }
        },
    ),
    "nothing said": ({"nodeSelector": {"pool": "ml"}}, {}, {"nodeSelector": {"pool": "ml"}}),
}  # fmt: skip


@pytest.mark.parametrize(("base", "given", "holds"), MERGED.values(), ids=MERGED)
def test_each_field_is_merged_by_its_rule(
    base: dict[str, Any], given: dict[str, Any], holds: dict[str, Any]
) -> None:
    assert written(merged(template(**base), template(**given))) == {"spec": holds}


def test_every_field_has_a_row() -> None:
    known = {field.alias for field in PodTemplateSpec.model_fields.values()}
    assert known == {field for _, _, holds in MERGED.values() for field in holds}


def test_labels_and_annotations_are_merged_by_key() -> None:
    base = PodTemplate.model_validate({"metadata": {"labels": {"team": "ml", "cost": "1"}}})
    given = PodTemplate.model_validate(
        {"metadata": {"labels": {"cost": "2"}, "annotations": {"sidecar.istio.io/inject": "true"}}}
    )

    found = merged(base, given)

    assert pod_labels(found) == {"team": "ml", "cost": "2"}
    assert pod_annotations(found) == {"sidecar.istio.io/inject": "true"}


def test_the_kind_stands_over_all_and_the_spec_over_the_kind() -> None:
    world = settings(
        pod_template=template(nodeSelector={"a": "all", "b": "all", "c": "all"}),
        training_pod_template=template(nodeSelector={"b": "training", "c": "training"}),
        serving_pod_template=template(nodeSelector={"b": "serving"}),
    )

    trained = training_template(world, {"spec": {"nodeSelector": {"c": "spec"}}})
    served = serving_template(world, template(nodeSelector={"c": "spec"}))

    assert pod_fields(trained, PODS)["nodeSelector"] == {"a": "all", "b": "training", "c": "spec"}
    assert pod_fields(served, PODS)["nodeSelector"] == {"a": "all", "b": "serving", "c": "spec"}


def test_the_pull_secrets_of_the_option_come_first() -> None:
    world = settings(image_pull_secrets=("corp",), pod_template=template(imagePullSecrets=[{"name": "team"}]))
    assert pod_fields(training_template(world), PODS)["imagePullSecrets"] == [
        {"name": "corp"},
        {"name": "team"},
    ]


def test_an_operator_without_the_option_has_the_ids_of_before() -> None:
    assert pod_fields(training_template(settings()), PODS) == {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def test_a_platform_may_choose_the_ids_itself() -> None:
    world = settings(
        pod_template=PodTemplate.model_validate({"spec": {"securityContext": {"runAsUser": None}}})
    )
    assert pod_fields(training_template(world), PODS)["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_no_template_weakens_what_every_pod_has() -> None:
    """Fields that are not in the template are not taken from it, whatever another release writes there."""
    wild = {
        "hostNetwork": True,
        "automountServiceAccountToken": True,
        "securityContext": {
            "runAsNonRoot": False,
            "seccompProfile": {"type": "Unconfined"},
            "sysctls": [{"name": "a", "value": "b"}],
            "supplementalGroups": [5],
        },
    }
    fields = pod_fields(training_template(settings(), {"spec": wild}), PODS)

    container = {"name": "a", "securityContext": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
    }}  # fmt: skip
    assert restricted_violations({**fields, "containers": [container], "volumes": []}) == []
    assert fields["automountServiceAccountToken"] is False
    assert "hostNetwork" not in fields
    assert "sysctls" not in fields["securityContext"]


def test_a_constraint_counts_the_pods_of_the_workload_unless_it_says_others() -> None:
    said = {**ZONES, "labelSelector": {"matchLabels": {"app": "all"}}}
    found = pod_fields(template(topologySpreadConstraints=[ZONES, said]), PODS)["topologySpreadConstraints"]
    assert [each["labelSelector"] for each in found] == [
        {"matchLabels": PODS},
        {"matchLabels": {"app": "all"}},
    ]


@pytest.mark.parametrize("said", [None, template(topologySpreadConstraints=[])])
def test_pods_name_no_constraint_of_ours_as_it_would_replace_those_of_the_cluster(
    said: PodTemplate | None,
) -> None:
    for found in (serving_template(settings(), said), training_template(settings(), said)):
        assert "topologySpreadConstraints" not in pod_fields(found, PODS)


WHOLE = {
    "metadata": {"labels": {"team": "ml"}, "annotations": {"note": "x"}},
    "spec": {
        "nodeSelector": {"pool": "gpu"}, "tolerations": [SPOT, GPU], "affinity": {"nodeAffinity": {"x": [1]}},
        "topologySpreadConstraints": [NODES, {**ZONES, "labelSelector": {"matchLabels": {"a": "b"}}}],
        "priorityClassName": "high", "runtimeClassName": "nvidia", "schedulerName": "volcano",
        "serviceAccountName": "trainer", "imagePullSecrets": [{"name": "corp"}],
        "securityContext": {"runAsUser": 7, "runAsGroup": 0, "fsGroup": 8, "supplementalGroups": [9]},
    },
}  # fmt: skip


def test_a_template_is_read_back_from_the_pods_that_have_it() -> None:
    whole = PodTemplate.model_validate(WHOLE)
    pods = {
        "metadata": {
            "labels": {
                **pod_labels(whole),
                "modelwright.dev/root-uid": "u",
                "app.kubernetes.io/managed-by": "x",
            },
            "annotations": {**pod_annotations(whole), "modelwright.dev/model-digest": "d"},
        },
        "spec": {**pod_fields(whole, PODS), "containers": [{"name": "server"}], "serviceAccount": "trainer"},
    }
    found = template_in({"spec": {"template": pods, "selector": {"matchLabels": PODS}}})
    assert written(found) == WHOLE
    assert pod_fields(found, PODS) == pod_fields(whole, PODS)


def test_what_the_api_server_fills_in_is_no_part_of_a_template() -> None:
    spec = {
        **pod_fields(earlier_template(settings()), PODS),
        "schedulerName": "default-scheduler",
        "tolerations": [],
    }
    found = template_in({"spec": {"template": {"metadata": {"labels": PODS}, "spec": spec}}})
    assert found == DEFAULT_POD_TEMPLATE


def test_fields_of_a_template_replace_those_that_pods_had() -> None:
    pod = {
        "nodeSelector": {"pool": "gone"}, "serviceAccountName": "old", "serviceAccount": "old", "priority": 7,
        "containers": [{"name": "server"}], "securityContext": {"runAsUser": 1},
    }  # fmt: skip
    found = with_fields(pod, template(tolerations=[SPOT]), PODS)
    assert found == {"containers": [{"name": "server"}], **pod_fields(template(tolerations=[SPOT]), PODS)}


def test_a_merged_template_can_be_read_however_much_the_three_say() -> None:
    """A status with one that cannot be read would lose the revision."""

    def full(letter: str) -> PodTemplate:
        keys = {f"{letter}{number}": "x" for number in range(MOST)}
        listed = [{"key": key, "operator": "Exists"} for key in keys]
        secrets = [{"name": key} for key in keys]
        return PodTemplate.model_validate(
            {
                "metadata": {"labels": keys, "annotations": keys},
                "spec": {"nodeSelector": keys, "tolerations": listed, "imagePullSecrets": secrets},
            }
        )

    world = settings(
        image_pull_secrets=tuple(f"o{number}" for number in range(MOST)),
        pod_template=full("a"),
        serving_pod_template=full("b"),
    )
    whole = serving_template(world, full("c"))
    assert PodTemplate.model_validate(written(whole)) == whole
    assert len(pod_fields(whole, PODS)["imagePullSecrets"]) == MOST_MERGED


def test_what_is_as_it_was_before_templates_says_nothing() -> None:
    assert says_nothing(settings())
    assert says_nothing(settings(image_pull_secrets=("corp",)))
    assert not says_nothing(settings(serving_pod_template=template(nodeSelector={"a": "b"})))
    assert not says_nothing(settings(pod_template=PodTemplate()))
