"""Services whose model lies outside the namespace: when their pods are replaced, and what a store that fails means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import (
    InferenceService,
    ModelVersion,
    a_served_version,
    a_service,
    a_version,
    a_world,
)
from unit.given.world import World

from modelwright.api.base import ResourceRequirements
from modelwright.api.inferenceservice import ServerOptions
from modelwright.api.stores import Store
from modelwright.common.resources import DEPLOYMENTS
from modelwright.common.settings import StoreDefault
from modelwright.inferenceservice.revision.revisions import revision_name

KEYS = {"secretRef": {"name": "keys"}}
OTHER = {"secretRef": {"name": "other"}, "endpoint": "https://s3.corp:9000"}


def default(store: dict[str, Any]) -> dict[str, Any]:
    """The settings of an administrator who knows this store."""
    return {"stores": (StoreDefault("s3://models", Store.model_validate(store)),)}


def a_bucket_version(world: World, name: str = "churn-1", letter: str = "a", **store: Any) -> ModelVersion:
    """A version whose file is in a bucket."""
    uri = f"s3://models/churn/sha256-{letter * 64}/model.onnx"
    artifact = {"uri": uri, "digest": words.digest(letter), "size": 2048, **store}
    return ModelVersion(world, name, {"model": "churn", "artifact": artifact}).is_verified(letter)


def served(world: World, **store: Any) -> InferenceService:
    """churn-1, whose file is in a bucket, has the traffic."""
    a_bucket_version(world, **store)
    return a_service(world).serves()


def pods(service: InferenceService) -> dict[str, Any]:
    """The pods that each Deployment asks for."""
    return {name: found["spec"]["template"] for name, found in service.all(DEPLOYMENTS).items()}


def entry(service: InferenceService) -> dict[str, Any]:
    """The store that the only Deployment's `pull` is given."""
    (template,) = pods(service).values()
    (pull,) = template["spec"]["initContainers"]
    variables = {each["name"]: each["value"] for each in pull.get("env", ())}
    stores = json.loads(variables.get("MODELWRIGHT_STORES", "{}")).get("stores", {})
    found: dict[str, Any] = stores.get("artifacts", {})
    return found


@pytest.mark.parametrize(
    "change",
    [default(OTHER), {"stores": ()}, {"allowed_networks": ("10.0.0.0/8",)}],
    ids=["another store", "no store", "a network"],
)
def test_what_the_administrator_changes_replaces_no_pod_that_serves(change: dict[str, Any]) -> None:
    service = served(a_world(**default(KEYS)))
    before, revision = pods(service), service.revision("stable")

    service.world.is_upgraded(**change)
    service.settles()

    assert (pods(service), service.revision("stable"), service.part("canary")) == (before, revision, None)


def test_an_administrator_who_first_knows_a_store_replaces_no_pod_that_serves() -> None:
    service = served(a_world())
    before = pods(service)

    service.world.is_upgraded(**default(KEYS))
    service.settles()

    assert pods(service) == before


def test_a_revision_that_never_was_ready_takes_what_the_administrator_mends() -> None:
    world = a_world(**default(KEYS))
    a_bucket_version(world)
    service = a_service(world).settles()
    service.starts().fails("pull", "SecretNotFound", "artifact.store.secretRef: there is no Secret keys.")
    assert (service.settles().reason, entry(service)["secret"]) == ("SecretNotFound", "keys")

    world.is_upgraded(**default(OTHER))
    service.settles()

    assert entry(service)["secret"] == "other"


def test_a_revision_of_an_earlier_release_without_ready_pods_takes_what_the_administrator_mends() -> None:
    service = served(a_world(**default(KEYS)))
    (before,) = pods(service).values()
    service.world.is_upgraded(serving_image="serving:2", **default(OTHER))
    service.settles()
    assert (list(pods(service).values()), entry(service)["secret"]) == ([before], "keys"), "its pods serve"

    service.has_ready(0, "stable").settles()

    assert entry(service) == {**entry(service), "secret": "other", "endpoint": "https://s3.corp:9000"}
    (after,) = pods(service).values()
    (pull,), (earlier,) = after["spec"]["initContainers"], before["spec"]["initContainers"]
    assert (pull["image"], pull["command"]) == (earlier["image"], earlier["command"])
    assert sorted(mount["name"] for mount in pull["volumeMounts"]) == ["model", "store-artifacts", "tmp"]
    assert after["spec"]["containers"] == before["spec"]["containers"]
    (volume,) = (each for each in after["spec"]["volumes"] if each["name"] == "store-artifacts")
    assert volume["projected"]["sources"][0]["secret"]["name"] == "other"

    service.world.is_upgraded(serving_image="serving:2", stores=())
    service.settles()
    assert entry(service) == {}
    assert "store-artifacts" not in json.dumps(pods(service))


def test_pods_that_are_not_ready_for_a_moment_keep_what_pull_was_told() -> None:
    service = served(a_world(**default(KEYS)))
    pod = service.starts("stable").exits("pull", 0).runs("server")
    service.has_ready(0, "stable").settles()
    service.world.is_upgraded(**default(OTHER))
    assert entry(service.settles())["secret"] == "keys"

    pod.gone()
    assert entry(service.settles())["secret"] == "other"


def test_a_revision_of_an_earlier_release_on_a_claim_stays_as_it_is() -> None:
    service = a_served_version()
    before = pods(service)
    service.world.is_upgraded(serving_image="serving:2", allowed_networks=("10.0.0.0/8",))
    assert pods(service.has_ready(0, "stable").settles()) == before


def test_a_wrong_default_that_no_ready_pod_has_is_mended_while_an_earlier_pod_serves() -> None:
    service = served(a_world(**default(KEYS)))
    service.has_ready(0, "stable")
    service.world.is_upgraded(**default({"secretRef": {"name": "wrong"}}))
    assert entry(service.settles())["secret"] == "wrong", "no pod was ready"
    key = service.deployment(service.revision("stable"))
    generation = service.all(DEPLOYMENTS)[key.name]["metadata"]["generation"]
    # The pod of before is ready again, and that of the new template never is.
    status = {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}
    service.world.edit(key, status=status)

    service.world.is_upgraded(**default(OTHER))

    assert entry(service.settles())["secret"] == "other"


def test_a_scaled_service_keeps_its_store_before_its_status_is_new() -> None:
    service = served(a_world(**default(KEYS)))
    service.world.is_upgraded(**default(OTHER))
    service.changes(replicas=2).settles()
    assert entry(service.settles())["secret"] == "keys"


def test_another_store_of_the_version_makes_another_revision() -> None:
    service = served(a_world(), store=KEYS)
    before = service.revision("stable")

    version = ModelVersion.found(service.world, "churn-1")
    artifact = {**version.body["spec"]["artifact"], "store": OTHER}
    service.world.edit(version.key, spec={"artifact": artifact})
    version.settles()
    service.settles()

    assert (service.revision("stable"), service.version("canary")) == (before, "churn-1")
    service.has_ready(1).settles()
    stable = service.part("stable") or {}
    assert stable["revision"] != before
    assert stable["artifact"]["store"] == OTHER


def test_a_version_that_is_gone_serves_on_from_the_store_that_is_recorded() -> None:
    world = a_world()
    a_bucket_version(world, store=KEYS)
    service = a_service(world, None).serves()
    before = pods(service)

    ModelVersion.found(world, "churn-1").is_deleted()
    # Its model has another version, which is not better known: it is not Ready.
    ModelVersion(world, "churn-2", {"model": "churn", "artifact": words.artifact(letter="b")}).settles()
    service.settles()

    assert (service.version("stable"), pods(service)) == ("churn-1", before)
    assert (service.part("stable") or {})["artifact"]["store"] == KEYS


def test_the_store_survives_a_lost_status() -> None:
    store = {**KEYS, "region": "eu-1", "caConfigMapRef": {"name": "ca", "key": "ca.crt"}}
    service = served(a_world(), store=store)
    before, revision = pods(service), service.revision("stable")

    service.world.api.edit(service.key, lambda body: body.update(status={"observedGeneration": -1}))
    service.world.watch()
    service.settles()

    assert (service.part("stable") or {})["artifact"]["store"] == store
    assert (pods(service), service.revision("stable"), service.part("canary")) == (before, revision, None)


RESOURCES = ResourceRequirements.model_validate({"limits": {"memory": "512Mi"}})


@pytest.mark.parametrize(
    ("resources", "server", "name"),
    [
        (None, None, "374a46493e"),
        (RESOURCES, None, "cec815eb98"),
        (RESOURCES, ServerOptions(max_rows=100), "4d95dc657f"),
    ],
)
def test_revisions_of_earlier_releases_keep_their_names(
    resources: ResourceRequirements | None, server: ServerOptions | None, name: str
) -> None:
    assert revision_name(words.digest(), "churn-1", "serving:1", resources, server) == name


def a_rollout() -> InferenceService:
    """churn-1 has the traffic, churn-2 starts; both are in a bucket."""
    service = served(a_world(), store=KEYS)
    a_bucket_version(service.world, "churn-2", "b", store=KEYS)
    return service.changes(model={"version": "churn-2"}).settles()


@pytest.mark.parametrize(
    "reason", ["SecretNotFound", "CredentialsExpired", "AccessDenied", "ArtifactNotFound"]
)
def test_a_store_that_a_person_can_mend_does_not_reject_the_canary(reason: str) -> None:
    service = a_rollout()
    pod = service.starts()
    pod.fails("pull", reason, "artifact.store: mend it.")
    assert (service.settles().reason, service.is_stalled) == (reason, False), "at once"
    assert service.message == "ModelVersion churn-2: pull: artifact.store: mend it."
    # The container that is started after it looks again: its last end still has the reason.
    pod.crashes("pull", 65, words.error("pull", reason, "artifact.store: mend it.")).runs("pull")
    assert service.settles().reason == reason

    service.world.after(601)
    service.settles()
    canary = service.part("canary") or {}
    assert (canary["state"], canary["reason"], "retryAt" in canary) == ("Failed", reason, True)
    assert (service.kstatus, service.status.get("rejected")) == ("InProgress", None)


def test_other_bytes_are_never_served_and_the_stable_revision_serves_on() -> None:
    service = a_rollout()
    service.starts().fails("pull", "DigestMismatch", "the file has other bytes.")
    service.settles()

    assert (service.version("stable"), service.is_stalled, service.reason) == (
        "churn-1",
        True,
        "DigestMismatch",
    )
    refuted = service.condition("ArtifactVerified")
    assert (refuted["status"], refuted["reason"]) == ("False", "DigestMismatch")
    assert refuted["message"].startswith("ModelVersion churn-2: pull: the file has other bytes.")
    assert service.condition("Available")["status"] == "True"


def test_a_new_pod_of_what_serves_that_finds_other_bytes_stays_out() -> None:
    service = served(a_world(), store=KEYS).changes(replicas=2).settles()
    pod = service.starts("stable").fails("pull", "DigestMismatch", "the file has other bytes.")
    service.has_ready(1, "stable").settles()

    assert (service.reason, service.version("stable"), service.is_stalled) == (
        "DigestMismatch",
        "churn-1",
        False,
    )
    assert service.condition("ArtifactVerified")["status"] == "False"
    assert service.condition("Available")["status"] == "True"

    pod.gone()
    service.has_ready(2, "stable").settles()
    assert service.is_ready
    assert "ArtifactVerified" not in {each["type"] for each in service.status["conditions"]}


def test_a_claim_is_mounted_as_it_always_was() -> None:
    world = a_world(**default(KEYS), allowed_networks=("10.0.0.0/8",))
    a_version(world).is_verified()
    service = a_service(world).serves()
    plain = a_world()
    a_version(plain).is_verified()

    (given,), (before,) = pods(service).values(), pods(a_service(plain).serves()).values()
    assert given["spec"] == before["spec"]
