"""A TrainingJob from its first look to its ModelVersion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import a_training_job, a_version, a_world

from modelwright.common.resources import CLAIMS, JOBS, MODEL_VERSIONS
from modelwright.common.settings import ClaimSettings
from modelwright.engine.objects import Key, metadata
from modelwright.engine.plan import Create
from modelwright.trainingjob.memory import recipe_hash


def test_the_first_look_writes_the_status_before_any_child() -> None:
    job = a_training_job(a_world())

    job.looks()

    first, *others = job.world.api.writes
    assert first.verb == "apply_status"
    assert {call.resource.kind for call in others} == {"Job", "PersistentVolumeClaim"}
    assert first.body is not None
    assert first.body["status"]["run"] == {
        "number": 1,
        "generation": 1,
        "recipeHash": recipe_hash(job.body),
        "cause": {"trigger": "SpecChange", "at": "2026-01-01T00:00:00Z"},
        "state": "Pending",
        "job": "churn-1",
    }
    assert job.kstatus == "InProgress"


def test_a_run_is_pending_until_its_job_is_there_and_then_running() -> None:
    job = a_training_job(a_world())

    states = [job.looks().run["state"] for _ in range(2)]

    assert states == ["Pending", "Running"]
    assert job.run["jobUid"] == metadata(job.world.api.objects[job.job_key])["uid"]
    assert job.reason == "RunStarted"


def test_a_job_that_was_never_made_is_made_by_the_next_look() -> None:
    job = a_training_job(a_world())
    status = job.world.plan(job.key).status
    assert status is not None
    job.world.edit(job.key, status=status)  # the process died between the status and the Job

    job.settles()

    assert job.jobs == ["churn-1"]
    assert job.run["number"] == 1


def test_the_steps_of_the_pod_are_shown_as_reasons() -> None:
    job = a_training_job(a_world()).settles()
    pod = job.pod()
    reasons = []

    for step in ("fetch", "train", "publish"):
        pod.runs(step)
        reasons.append(job.settles().reason)
        pod.ends(step)
        reasons.append(job.settles().reason)

    assert reasons == ["Fetching", "Training", "Training", "Publishing", "Publishing", "Publishing"]
    assert job.kstatus == "InProgress"


def test_a_finished_run_ends_in_a_model_version_and_is_then_succeeded() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().finishes()
    job.job_completes()

    job.looks()
    assert job.versions == ["churn-1"]
    assert job.run["state"] == "Running", "not succeeded before its version is there"
    job.settles()
    assert (job.run["state"], job.reason, job.kstatus) == ("Succeeded", "Judging", "InProgress")
    job.version.settles()
    job.settles()

    assert (job.run["state"], job.reason, job.kstatus) == ("Succeeded", "RunSucceeded", "Current")
    assert job.status["latestModelVersion"] == job.run["modelVersion"] == "churn-1"
    rows = {"trainRows": 80, "holdoutRows": 20}
    assert job.run["data"] == {"digest": words.DATA_DIGEST, "inputDigest": words.DATA_DIGEST, **rows}
    assert job.run["report"]["metrics"][0] == {"name": "accuracy", "value": 0.9}
    assert job.jobs == ["churn-1"], "the Job is kept: its log is the user's"


def test_the_model_version_says_what_it_was_made_of() -> None:
    job = a_training_job(a_world(), seed=7).succeeds()

    spec = job.all(MODEL_VERSIONS)["churn-1"]["spec"]

    assert spec["artifact"] == words.artifact()
    assert spec["lineage"]["data"] == [
        {"uri": "configmap://churn-data/churn.csv", "digest": words.DATA_DIGEST}
    ]
    assert spec["lineage"]["parameters"] == {"C": 1.0}
    assert spec["lineage"]["seed"] == 7
    assert [image["step"] for image in spec["lineage"]["images"]] == ["fetch", "train", "publish"]
    assert all(image["imageID"] for image in spec["lineage"]["images"])
    assert spec["lineage"]["completionTime"] == "2026-01-01T00:00:01Z", "the Job's, not the time of the look"


def test_a_run_that_an_earlier_release_started_ends_in_its_version() -> None:
    job = a_training_job(a_world(), seed=7).settles()

    def as_before(made: dict[str, Any]) -> None:
        template = made["spec"]["template"]
        document = json.loads(template["metadata"].pop("annotations")["modelwright.dev/run"])
        document["data"]["uri"] = "configmap://churn-data/churn.csv"
        for container in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
            container["env"] = [{"name": "MODELWRIGHT_RUN", "value": json.dumps(document)}]

    job.world.api.edit(job.job_key, as_before)
    job.world.watch()
    job.pod().finishes()
    job.job_completes().settles()

    lineage = job.all(MODEL_VERSIONS)["churn-1"]["spec"]["lineage"]
    assert (job.run["state"], lineage["seed"]) == ("Succeeded", 7)
    assert lineage["data"] == [{"uri": "configmap://churn-data/churn.csv", "digest": words.DATA_DIGEST}]


def test_the_code_of_an_own_image_is_in_the_lineage() -> None:
    code = {"repository": "https://example.org/team/train", "revision": "4f2a9c1"}
    job = a_training_job(a_world(), trainer={"image": "team/train:1", "code": code}, task="Classification")

    assert job.succeeds().all(MODEL_VERSIONS)["churn-1"]["spec"]["lineage"]["code"] == code


@pytest.mark.parametrize("classes", [[0, 1], ["no", "yes"]])
def test_classes_may_be_numbers_or_words(classes: list[int | str]) -> None:
    job = a_training_job(a_world()).settles()
    job.pod().finishes(words.published(signature={**words.SIGNATURE, "classes": classes}))

    job.job_completes().settles()

    assert job.run["state"] == "Succeeded", job.message
    assert job.run["report"]["signature"]["classes"] == [str(label) for label in classes]


def test_the_result_is_read_when_the_pod_is_seen_after_its_job_has_ended() -> None:
    job = a_training_job(a_world()).settles()

    job.job_completes().settles()
    assert (job.run["state"], job.reason) == ("Running", "Publishing")
    job.world.after(15)
    job.pod().finishes()
    job.settles()

    assert job.run["state"] == "Succeeded"


def test_a_finished_result_waits_for_its_pod_even_when_the_spec_has_changed() -> None:
    job = a_training_job(a_world()).settles()
    job.job_completes()
    job.changes(seed=1).settles()
    assert job.run["number"] == 1, "the model is published: its words are about to be seen"

    job.pod().finishes()
    job.settles()

    assert job.versions == ["churn-1"]
    assert job.run["number"] == 2


def test_the_claim_is_made_where_none_is_named() -> None:
    job = a_training_job(a_world()).settles()

    (name,) = job.all(CLAIMS)
    assert name == "modelwright-artifacts"


def test_a_claim_that_is_there_already_will_do() -> None:
    world = a_world()
    world.make(CLAIMS, "modelwright-artifacts", {"accessModes": ["ReadWriteMany"]})

    job = a_training_job(world).settles()

    assert job.jobs == ["churn-1"]


def test_no_claim_is_made_where_the_user_or_the_administrator_names_one() -> None:
    users = a_training_job(a_world(), artifacts={"uri": "pvc://models/churn"}).settles()
    administrators = a_training_job(a_world(artifacts_uri="pvc://shared/all")).settles()

    assert not users.all(CLAIMS)
    assert not administrators.all(CLAIMS)


def test_run_numbers_pass_over_versions_of_an_earlier_training_job_of_the_name() -> None:
    world = a_world()
    a_version(world, "churn-7", trainingJob="churn", run=7)

    job = a_training_job(world).settles()

    assert (job.run["number"], job.jobs) == (8, ["churn-8"])


def test_versions_of_others_do_not_count() -> None:
    world = a_world()
    a_version(world, "other-7", trainingJob="other", run=7)
    a_version(world, "by-hand")

    assert a_training_job(world).settles().run["number"] == 1


def test_every_look_at_a_deleted_or_missing_training_job_does_nothing() -> None:
    job = a_training_job(a_world()).settles()
    job.world.edit(
        job.key, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.user/s"]}
    )

    assert job.world.plan(job.key).status is None
    job.is_deleted()
    assert not job.world.look(job.key)


def test_a_second_training_job_in_the_namespace_minds_its_own_job() -> None:
    world = a_world()
    churn, fraud = a_training_job(world), a_training_job(world, "fraud", model="risk")

    churn.succeeds()
    fraud.settles()

    assert (fraud.run["state"], fraud.reason) == ("Running", "RunStarted")
    assert fraud.status["model"] == "risk"


def test_a_job_of_that_name_that_is_not_ours_is_not_followed() -> None:
    job = a_training_job(a_world())
    job.world.make(JOBS, "churn-1", {"template": {}})

    plan = job.world.plan(job.key)

    assert any(
        isinstance(effect, Create) and effect.key == Key(JOBS, "team", "churn-1") for effect in plan.effects
    )
    assert plan.status is not None
    assert plan.status["run"]["state"] == "Pending"


def test_the_claim_is_what_the_administrator_wants() -> None:
    claim = ClaimSettings(size="1Ti", storage_class="nfs", access_mode="ReadWriteMany")

    (made,) = a_training_job(a_world(claim=claim)).settles().all(CLAIMS).values()

    assert made["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "1Ti"}},
        "storageClassName": "nfs",
    }


@pytest.mark.parametrize("uri", ["pvc://modelwright-artifacts/team", None])
def test_image_settings_of_the_administrator_are_those_of_every_pod(uri: str | None) -> None:
    world = a_world(artifacts_uri=uri, image_pull_policy="Always", image_pull_secrets=("registry",))
    job = a_training_job(world).settles()

    pod = world.api.objects[job.job_key]["spec"]["template"]["spec"]

    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert {c["imagePullPolicy"] for c in (*pod["initContainers"], *pod["containers"])} == {"Always"}
    assert list(job.all(CLAIMS)) == ["modelwright-artifacts"]
