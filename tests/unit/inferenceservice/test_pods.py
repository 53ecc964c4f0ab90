"""Pods that serve: what is said of them, and when a change of that replaces them."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.checks import restricted_violations
from unit.given.resources import InferenceService, a_served_version, a_service, a_version, a_world
from unit.inferenceservice.rollout.test_canary import rollout

from modelwright.api.podtemplate import PodTemplate
from modelwright.common.resources import DEPLOYMENTS, INFERENCE_SERVICE, REVISION
from modelwright.engine.errors import Invalid
from modelwright.engine.objects import Body, Key, annotations_of, labels

POOL = {"metadata": {"labels": {"team": "ml"}}, "spec": {"nodeSelector": {"pool": "a"}}}
OTHER_POOL = {"spec": {"nodeSelector": {"pool": "b"}}}
NO_NODE = (
    "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes"
)
STEP = {"weight": 50, "holdSeconds": 10}


def template(**parts: Any) -> PodTemplate:
    return PodTemplate.model_validate(parts)


def defaults(**parts: Any) -> dict[str, Any]:
    """The settings of an administrator who says this of pods that serve."""
    return {"serving_pod_template": template(**parts)}


def pods(service: InferenceService) -> dict[str, Any]:
    """The pods that each Deployment asks for."""
    return {labels(found)[REVISION]: found["spec"]["template"] for found in service.all(DEPLOYMENTS).values()}


def pool(service: InferenceService, part: str) -> Any:
    """The nodes that the pods of a revision ask for."""
    return pods(service)[service.revision(part)]["spec"].get("nodeSelector", {}).get("pool")


def as_before_templates(service: InferenceService) -> InferenceService:
    """Makes the service one that a release without templates has written."""

    def without_template(body: dict[str, Any]) -> None:
        for part in ("stable", "canary", "retired"):
            (body["status"].get(part) or {}).pop("mergedPodTemplate", None)

    world = service.world
    world.api.edit(service.key, without_template)
    world.watch()
    return service


def test_what_the_spec_and_the_administrator_say_reaches_the_pods() -> None:
    world = a_world(**defaults(metadata={"labels": {"cost": "7"}, "annotations": {"note": "x"}}))
    service = a_served_version(world, podTemplate=POOL)

    (deployment,) = service.all(DEPLOYMENTS).values()
    made = deployment["spec"]["template"]
    assert {"team": "ml", "cost": "7"}.items() <= made["metadata"]["labels"].items()
    assert {"team": "ml", "cost": "7"}.items() <= labels(deployment).items()
    assert made["metadata"]["annotations"]["note"] == "x"
    assert not {"team", "cost"} & set(deployment["spec"]["selector"]["matchLabels"])
    assert pool(service, "stable") == "a"
    assert restricted_violations(made["spec"]) == []
    stable = service.part("stable") or {}
    assert stable["podTemplate"] == POOL
    assert stable["mergedPodTemplate"]["metadata"]["labels"] == {"team": "ml", "cost": "7"}


def test_pods_are_spread_among_those_of_their_own_revision() -> None:
    zones = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    }
    service = a_served_version(podTemplate={"spec": {"topologySpreadConstraints": [zones]}})
    (constraint,) = pods(service)[service.revision("stable")]["spec"]["topologySpreadConstraints"]
    assert constraint == {
        **zones,
        "labelSelector": {
            "matchLabels": {INFERENCE_SERVICE: "churn", REVISION: service.revision("stable")},
        },
    }


def test_a_template_that_says_nothing_makes_no_other_revision() -> None:
    world = a_world()
    plain = a_served_version(world).revision("stable")
    said_nothing: tuple[dict[str, Any], ...] = ({}, {"metadata": {}}, {"spec": {}})
    for empty in said_nothing:
        named = a_service(world, name=f"n{len(world.api.history)}", podTemplate=empty).serves()
        assert named.revision("stable") == plain


def test_a_change_of_the_template_is_a_rollout() -> None:
    service = a_served_version(podTemplate=POOL, rollout=rollout(STEP))
    before = service.revision("stable")

    service.changes(podTemplate=OTHER_POOL).settles()

    assert (service.revision("stable"), pool(service, "canary")) == (before, "b")
    assert pool(service, "stable") == "a"


@pytest.mark.parametrize(
    "change",
    [
        defaults(**POOL),
        {"pod_template": PodTemplate()},
        {"image_pull_secrets": ("corp",), "pod_template": template(spec={"priorityClassName": "high"})},
    ],
    ids=["a pool", "no ids", "a pull secret"],
)
def test_what_the_administrator_changes_replaces_no_pod_that_serves(change: dict[str, Any]) -> None:
    service = a_served_version()
    before, revision = pods(service), service.revision("stable")

    service.world.is_upgraded(**change)
    service.settles()

    assert (pods(service), service.revision("stable"), service.part("canary")) == (before, revision, None)


def test_the_next_revision_is_as_the_administrator_says_by_then() -> None:
    service = a_served_version(rollout=rollout(STEP))
    service.world.is_upgraded(**defaults(**POOL))
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.settles().changes(model={"version": "churn-2"}).settles()
    assert (pool(service, "stable"), pool(service, "canary")) == (None, "a")


@pytest.mark.parametrize("replicas", [1, 3])
def test_an_upgrade_from_a_release_without_templates_replaces_no_pod_and_writes_nothing(
    replicas: int,
) -> None:
    service = as_before_templates(a_served_version(replicas=replicas))
    before = pods(service)
    service.looks()  # the world has changed the Deployment's hash with it
    calls = len(service.world.api.calls)

    service.world.is_upgraded()
    service.settles()

    assert pods(service) == before
    assert len(service.world.api.calls) == calls
    assert "mergedPodTemplate" not in (service.part("stable") or {})


def test_an_upgrade_does_not_replace_pods_of_an_earlier_release_that_start_or_fail() -> None:
    service = as_before_templates(a_served_version())
    service.has_ready(0, "stable").settles()
    before = pods(service)
    service.world.is_upgraded()
    assert pods(service.settles()) == before


def test_a_service_of_an_earlier_release_at_rest_is_left_alone() -> None:
    service = as_before_templates(
        a_served_version().changes(replicas=0).settles().has_ready(0, "stable").settles()
    )
    service.looks()
    calls = len(service.world.api.calls)
    service.world.is_upgraded(**defaults(**POOL))
    service.settles()
    assert len(service.world.api.calls) == calls


def test_without_ready_pods_a_revision_is_placed_as_of_today() -> None:
    """A pool that is gone: the administrator names another, and the service is back."""
    service = a_served_version(a_world(**defaults(**POOL)))
    service.has_ready(0, "stable").settles()
    before = service.revision("stable")

    service.world.is_upgraded(**defaults(**OTHER_POOL))
    service.settles()

    assert (pool(service, "stable"), service.revision("stable"), service.part("canary")) == (
        "b",
        before,
        None,
    )
    service.has_ready(1, "stable").settles()
    service.world.is_upgraded(**defaults(**POOL))
    assert pool(service.settles(), "stable") == "b"


def test_pods_that_are_not_ready_for_a_moment_are_not_replaced() -> None:
    """A probe that fails, a node without network: their server has been ready, and runs since."""
    service = a_served_version(a_world(**defaults(**POOL)))
    pod = (
        service.starts("stable").exits("pull", 0).crashes("server", 255).runs("server").beside("istio-proxy")
    )
    service.has_ready(0, "stable").settles()

    service.world.is_upgraded(**defaults(**OTHER_POOL))
    assert pool(service.settles(), "stable") == "a"

    pod.crashes("server", 1)
    assert pool(service.settles(), "stable") == "b"


def test_without_ready_pods_one_of_an_earlier_release_is_placed_as_of_today() -> None:
    service = as_before_templates(a_served_version())
    service.has_ready(0, "stable").settles()
    service.world.is_upgraded(**defaults(**POOL), serving_image="serving:2")
    service.settles()
    assert pool(service, "stable") == "a"
    assert {each["image"] for each in pods(service)[service.revision("stable")]["spec"]["containers"]} == {
        "serving:1"
    }


def test_a_canary_that_no_node_takes_is_mended_by_the_spec() -> None:
    service = a_served_version(rollout=rollout(STEP)).changes(podTemplate=POOL).settles()
    service.starts().unschedulable(NO_NODE)
    service.settles()
    assert "no node takes the pod" in service.message
    before, wrong = service.revision("stable"), service.revision("canary")

    service.changes(podTemplate=OTHER_POOL).settles()

    assert pool(service, "canary") == "b"
    assert service.revision("stable") == before
    assert wrong not in service.deployed


def test_a_first_revision_that_no_node_takes_is_mended_by_the_spec() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world, podTemplate=POOL).settles()
    service.starts().unschedulable(NO_NODE)
    service.settles()
    assert not service.is_ready

    service.changes(podTemplate=OTHER_POOL).settles()
    service.has_ready(1).settles()

    assert (pool(service, "stable"), service.is_ready, len(service.deployed)) == ("b", True, 1)


def refuses_affinity(key: Key, body: Body) -> None:
    """The API server, which knows more of affinities than the CRD does."""
    pod = (body.get("spec", {}).get("template") or {}).get("spec", {})
    if key.resource == DEPLOYMENTS and pod.get("affinity"):
        raise Invalid("Deployment.apps is invalid: spec.template.spec.affinity.nodeAffinity: Required value")


def test_what_the_api_server_refuses_is_said_at_once_and_mended_by_a_change() -> None:
    world = a_world()
    world.api.rules.append(refuses_affinity)
    service = a_served_version(world)
    before = pods(service)
    service.changes(podTemplate={"spec": {"affinity": {"nodeAffinity": {"x": 1}}}}).settles()
    assert (service.reason, service.is_stalled) == ("Refused", True)
    assert "spec.affinity.nodeAffinity: Required value; change the spec" in service.message.replace(
        "template.spec", "spec"
    )
    assert before.items() <= pods(service).items()

    service.changes(podTemplate=OTHER_POOL).settles().has_ready(1).settles()

    assert (pool(service, "stable"), service.is_ready) == ("b", True)


def test_a_default_that_the_api_server_refuses_is_mended_by_the_administrator() -> None:
    world = a_world(**defaults(spec={"affinity": {"nodeAffinity": {"x": 1}}}))
    world.api.rules.append(refuses_affinity)
    a_version(world).is_verified()
    service = a_service(world).settles()
    assert (service.reason, service.deployed) == ("Refused", {})

    world.is_upgraded(**defaults(**POOL))
    service.settles().has_ready(1).settles()

    assert (pool(service, "stable"), service.is_ready) == ("a", True)


def test_a_template_that_changes_in_a_rollout_begins_another_one_and_callers_keep_the_stable_revision() -> (
    None
):
    service = a_served_version(rollout=rollout(STEP), podTemplate=POOL)
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.settles().changes(model={"version": "churn-2"}).settles()
    service.has_ready(1).settles()
    stable, first = service.revision("stable"), service.revision("canary")

    service.changes(podTemplate=OTHER_POOL).settles()

    assert service.revision("canary") != first
    assert (service.revision("stable"), service.traffic, pool(service, "canary")) == (stable, stable, "b")
    service.changes(podTemplate=POOL, model={"version": "churn-1"}).settles()
    assert (service.part("canary"), service.revision("stable")) == (None, stable)


@pytest.mark.parametrize("said", [{}, {"podTemplate": POOL}])
def test_a_lost_status_is_read_back_from_the_pods(said: dict[str, Any]) -> None:
    service = a_served_version(a_world(**defaults(metadata={"labels": {"cost": "7"}})), **said)
    before, stable = pods(service), service.part("stable") or {}
    service.world.api.edit(service.key, lambda body: body.update(status={"observedGeneration": -1}))
    service.world.watch()
    service.world.is_upgraded(**defaults(metadata={"labels": {"cost": "8"}}))

    service.settles()

    found = service.part("stable") or {}
    assert (pods(service), service.part("canary")) == (before, None)
    assert (found.get("podTemplate"), found["revision"]) == (stable.get("podTemplate"), stable["revision"])
    (deployment,) = service.all(DEPLOYMENTS).values()
    assert ("modelwright.dev/pod-template" in annotations_of(deployment)) == bool(said)


def test_a_lost_status_of_an_earlier_release_replaces_no_pod() -> None:
    service = as_before_templates(a_served_version())
    before = pods(service)
    service.world.api.edit(service.key, lambda body: body.update(status={"observedGeneration": -1}))
    service.world.watch()
    service.settles()
    assert pods(service) == before
