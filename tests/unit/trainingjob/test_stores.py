"""Runs whose data or models lie outside the namespace: what they wait for, what they leave, and what they never say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import RECIPE, SKLEARN, TrainingJob, a_training_job, a_world
from unit.given.world import SETTINGS

from modelwright.api.stores import Store
from modelwright.api.trainingjob import TrainingJobSpec
from modelwright.common.resources import CLAIMS, JOBS, MODEL_VERSIONS
from modelwright.common.settings import StoreDefault
from modelwright.engine.objects import Body
from modelwright.trainingjob.memory import recipe_hash
from modelwright.trainingjob.recipe import stores_in
from modelwright.view.reproduction import lines, manifest
from modelwright.view.version import read_version

KEYS = {"secretRef": {"name": "keys"}}
OTHER = {"secretRef": {"name": "other"}, "endpoint": "https://s3.corp:9000"}
CA = {"name": "corp-ca", "key": "ca.crt"}
MODELS = {"uri": "s3://models/churn", "store": KEYS}
DVC = {"configMapRef": {"name": "repo", "key": "dvc.lock"}, "path": "data/churn.csv"}
SOURCE = {
    "image": "exporter:1",
    "args": ["--table", "churn"],
    "env": [{"name": "DEPTH", "value": "3"}, {"name": "DB_PASSWORD", "value": "hunter2"}],
    "secretRef": {"name": "warehouse"},
}
MD5 = "0123456789abcdef0123456789abcdef"


def published(letter: str = "a") -> dict[str, Any]:
    """The result of publish to a bucket."""
    uri = f"s3://models/churn/sha256-{letter * 64}/model.onnx"
    return words.published(letter, artifact={"uri": uri, "digest": words.digest(letter), "size": 2048})


def run(job: Job, fetched: dict[str, Any] | None = None) -> Body:
    """A run from its start to its ModelVersion."""
    job.settles()
    pod = job.pod()
    if job.spec_has_source():
        pod.exits("source", 0, "", "Completed")
    pod.finishes(published(), fetched)
    job.job_completes().settles()
    return job.all(MODEL_VERSIONS)[job.job_name]


class Job(TrainingJob):
    """A TrainingJob of this module."""

    def spec_has_source(self) -> bool:
        """Whether a container makes its data."""
        return "source" in self.body["spec"]["data"]


def a_job(world: Any = None, **spec: Any) -> Job:
    """A TrainingJob that stores its models in a bucket."""
    made = a_training_job(world or a_world(), **{"artifacts": MODELS, **spec})
    return Job.found(made.world, made.name)


def test_a_bucket_needs_no_claim() -> None:
    job = a_job().settles()
    assert job.all(CLAIMS) == {}
    settings = a_world(artifacts_uri="oci://registry.corp/models")
    assert a_training_job(settings).settles().all(CLAIMS) == {}
    assert list(a_training_job(a_world()).settles().all(CLAIMS)) == ["modelwright-artifacts"]


def test_the_version_holds_how_the_spec_reached_its_store_when_the_run_began() -> None:
    job = a_job().settles()
    pod = job.pod()
    job.world.edit(job.key, spec={"artifacts": {**MODELS, "store": OTHER}})
    pod.finishes(published())
    job.job_completes().settles()

    version = job.all(MODEL_VERSIONS)["churn-1"]
    assert version["spec"]["artifact"] == {**published()["artifact"], "store": KEYS}


def test_a_spec_that_asks_for_no_credentials_is_kept_in_the_version() -> None:
    known = StoreDefault("s3://models", Store.model_validate(OTHER))
    version = run(a_job(a_world(stores=(known,)), artifacts={"uri": "s3://models/churn", "store": {}}))
    assert version["spec"]["artifact"]["store"] == {}


@pytest.mark.parametrize("said", ["[]", '{"data": "x", "artifacts": 1}', "{"])
def test_what_another_wrote_about_stores_is_passed_over(said: str) -> None:
    annotated = {"spec": {"template": {"metadata": {"annotations": {"modelwright.dev/stores": said}}}}}
    assert stores_in(annotated) == {}


def test_the_version_says_nothing_of_a_store_that_the_administrator_knows() -> None:
    known = StoreDefault("s3://models", Store.model_validate(OTHER))
    version = run(a_job(a_world(stores=(known,)), artifacts={"uri": "s3://models/churn"}))
    assert version["spec"]["artifact"] == published()["artifact"]


def test_a_secret_that_is_made_lets_the_run_go_on() -> None:
    job = a_job().settles()
    job.world.after(20)
    job.pod().fails("fetch", "SecretNotFound", "artifacts.store.secretRef: there is no Secret keys.")
    job.job_fails().settles()
    assert (job.run["state"], job.reason, job.kstatus) == ("Pending", "SecretNotFound", "InProgress")
    assert job.message.endswith("there is no Secret keys; fetch tries again with growing pauses")

    job.world.after(21)
    job.settles().settles()
    job.pod().runs("fetch")
    assert job.settles().reason == "SecretNotFound", "only the end of fetch shows that it is there"
    job.pod().ends("fetch").runs("train")
    assert (job.settles().reason, job.run["number"], job.is_stalled) == ("Training", 1, False)


def test_a_store_that_answers_no_more_is_waited_for_even_after_all_retries() -> None:
    job = a_job(backoffLimit=0).settles()
    said = words.error("publish", "StoreUnavailable", "artifacts.store: s3.corp does not answer.")
    job.pod().ends("fetch").ends("train").exits("publish", 75, said)
    job.job_fails("BackoffLimitExceeded").settles()

    assert (job.run["state"], job.reason, job.is_stalled) == ("Pending", "StoreUnavailable", False)
    assert job.message.endswith(
        "does not answer; the run is tried again with growing pauses, and trains again each time"
    )


def test_what_only_another_spec_helps_ends_the_run() -> None:
    job = a_job().settles()
    job.pod().fails("fetch", "UriUnsupported", "data.uri names no file.")
    assert job.job_fails().settles().is_stalled


def test_the_steps_of_a_run_whose_data_a_container_makes_begin_with_it() -> None:
    job = a_job(data={"source": SOURCE, "target": "churned"}).settles()
    assert job.message == "run 1 starts" or "Secret warehouse of data.source" in job.message
    pod = job.pod().runs("source")
    assert (job.settles().reason, job.run["step"]) == ("Sourcing", "source")
    pod.exits("source", 0, "", "Completed").runs("fetch")
    assert (job.settles().reason, job.run["step"]) == ("Fetching", "fetch")
    # A spec that is changed meanwhile names other steps; those of the Job count.
    version = run(a_job(data={"source": SOURCE, "target": "churned"}))
    assert version["spec"]["lineage"]["data"] == [{"uri": "source://exporter:1", "digest": words.DATA_DIGEST}]
    steps = [each["step"] for each in version["spec"]["lineage"]["images"]]
    assert steps == ["source", "fetch", "train", "publish"]


def test_a_pod_that_waits_for_the_secret_of_the_source_says_so() -> None:
    job = a_job(data={"source": SOURCE, "target": "churned"}).settles()
    job.pod()
    assert job.settles().message.endswith("starts its pod, which needs the Secret warehouse of data.source")


def test_a_source_that_fails_is_quoted() -> None:
    job = a_job(data={"source": SOURCE, "target": "churned"}, backoffLimit=0).settles()
    job.pod().exits("source", 1, "no such table: churn")
    job.job_fails("BackoffLimitExceeded").settles()
    assert (job.reason, job.is_stalled) == ("SourceFailed", True)
    assert "source ended with exit code 1: no such table: churn" in job.message


def test_the_lineage_names_what_dvc_tracks() -> None:
    data = {"uri": "s3://remote/dvc", "store": KEYS, "dvc": DVC, "target": "churned"}
    version = run(a_job(data=data), words.fetched(dvc={"path": DVC["path"], "md5": MD5}))

    lineage = version["spec"]["lineage"]
    tracked = {"path": "data/churn.csv", "md5": MD5}
    assert lineage["data"] == [{"uri": "s3://remote/dvc", "digest": words.DATA_DIGEST, "dvc": tracked}]
    assert (lineage["recipe"]["data"]["store"], lineage["recipe"]["data"]["dvc"]) == (KEYS, DVC)


def test_the_recipe_is_printed_again_with_its_stores_and_without_secrets() -> None:
    data = {"uri": "https://user:pass@a.example/x.csv?sig=SECRET", "store": KEYS, "caConfigMapRef": CA}
    version = read_version(run(a_job(data={**data, "target": "churned"})))
    again = manifest(version)["spec"]

    TrainingJobSpec.model_validate(again)
    assert again["data"]["store"] == KEYS
    assert (again["data"]["uri"], again["data"]["caConfigMapRef"]) == ("https://a.example/x.csv", CA)
    said = "\n".join(lines(version))
    assert "# It needs these objects in its namespace: Secret keys, ConfigMap corp-ca." in said
    assert "SECRET" not in said


def test_a_source_is_printed_again_without_what_may_be_secret() -> None:
    version = read_version(run(a_job(data={"source": SOURCE, "target": "churned"})))
    again = manifest(version)["spec"]["data"]["source"]

    assert again == {**SOURCE, "env": [{"name": "DEPTH", "value": "3"}, {"name": "DB_PASSWORD"}]}
    said = "\n".join(lines(version))
    assert "fill in DB_PASSWORD" in said
    assert "Its image exporter:1 is not pinned" in said


def test_a_query_is_in_the_job_of_the_run_alone() -> None:
    data = {
        "uri": "https://a.example/x.csv?X-Amz-Signature=SIGNED", "store": KEYS, "target": "churned",
        "holdout": {"uri": "https://a.example/h.csv?token=SIGNED"},
    }  # fmt: skip
    job = a_job(data=data)
    run(job)
    job.changes(seed=2).settles()
    job.pod().fails("fetch", "CredentialsRefused", "data.store: a.example refused the credentials.")
    job.job_fails().settles()
    world = job.world

    signed = []
    for key, body in world.api.objects.items():
        spoken = {**body, "spec": {}} if key == job.key else body
        if "SIGNED" in json.dumps(spoken):
            signed.append(key)
    # A pod is its Job's.
    assert {key.resource.kind for key in signed} == {"Job", "Pod"}
    for key in signed:
        spec = world.api.objects[key]["spec"]
        pod = spec["template"]["spec"] if key.resource == JOBS else spec
        fetch = next(each for each in pod["initContainers"] if each["name"] == "fetch")
        rest = json.dumps(world.api.objects[key]).replace(json.dumps(fetch), "")
        assert "SIGNED" not in rest
    assert "SIGNED" not in "".join(event.message for event in world.told.events)


def hashed(**spec: Any) -> str:
    """The hash of a recipe."""
    recipe = {"data": {"uri": "s3://lake/a.csv", "target": "churned"}, "trainer": SKLEARN, **spec}
    return recipe_hash({"spec": recipe})


def test_how_a_store_is_reached_is_no_part_of_the_recipe() -> None:
    data = {"uri": "s3://lake/a.csv", "target": "churned"}
    assert {hashed(data={**data, "store": store}) for store in (KEYS, OTHER)} == {hashed()}
    assert hashed(artifacts={"store": KEYS}) == hashed()
    assert hashed(artifacts=MODELS) == hashed(artifacts={"uri": MODELS["uri"]})
    hashes = {hashed(), hashed(data={**data, "dvc": DVC}), hashed(artifacts=MODELS)}
    assert len(hashes) == 3


def test_another_store_in_the_spec_repeats_no_run_that_succeeded() -> None:
    job = a_job()
    run(job)
    job.changes(artifacts={**MODELS, "store": OTHER}).settles()
    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Succeeded", ["churn-1"])


@pytest.mark.parametrize("step", ["fetch", "publish"])
def test_a_run_that_waits_takes_the_mended_name_of_a_secret_at_once(step: str) -> None:
    job = a_job().settles()
    job.world.after(7200)
    pod = job.pod()
    if step == "publish":
        pod.ends("fetch").ends("train")
    pod.fails(step, "SecretNotFound", "artifacts.store.secretRef: there is no Secret keys.")
    job.job_fails().settles()
    before = job.all(JOBS)["churn-1"]

    job.changes(artifacts={**MODELS, "store": OTHER}).settles()

    after = job.all(JOBS)["churn-1"]
    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Running", ["churn-1"])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    (publish,) = after["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in publish["env"]}
    assert json.loads(variables["MODELWRIGHT_STORES"])["stores"]["artifacts"]["secret"] == "other"
    job.pod().fails(step, "SecretNotFound", "artifacts.store.secretRef: there is no Secret other.")
    again = job.job_fails().settles().all(JOBS)["churn-1"]
    assert again["metadata"]["uid"] == after["metadata"]["uid"], "one try for each change"
    assert job.run["state"] == "Pending"


def test_what_the_spec_says_before_the_job_fails_ends_the_pause_too() -> None:
    job = a_job().settles()
    before, pod = job.all(JOBS)["churn-1"], job.pod()
    pod.ends("fetch").runs("train")
    job.changes(artifacts={**MODELS, "store": OTHER}).settles()
    assert job.all(JOBS)["churn-1"]["metadata"]["uid"] == before["metadata"]["uid"], "it may work"

    pod.ends("train").fails(
        "publish", "SecretNotFound", "artifacts.store.secretRef: there is no Secret keys."
    )
    job.job_fails().settles()

    assert job.all(JOBS)["churn-1"]["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.parametrize("problem", ["an image", "a Secret"])
def test_a_job_that_cannot_start_is_made_again_from_a_changed_spec(problem: str) -> None:
    signing = {"keySecretRef": {"name": "missing", "key": "private.pem"}}
    job = a_job(**({"signing": signing} if problem == "a Secret" else {})).settles()
    before, pod = job.all(JOBS)["churn-1"], job.pod()
    if problem == "an image":
        pod.waits("fetch", "ErrImagePull")
    job.settles()

    mended = {"keySecretRef": {"name": "churn-key", "key": "private.pem"}}
    job.changes(
        artifacts={**MODELS, "store": OTHER},
        **({"signing": mended} if job.body["spec"].get("signing") else {}),
    )
    job.settles()

    after = job.all(JOBS)["churn-1"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (job.run["number"], job.run["state"], job.is_stalled) == (1, "Running", False)
    assert "missing" not in json.dumps(after["spec"])


def test_another_store_in_the_spec_repeats_a_run_that_failed() -> None:
    job = a_job(data={"uri": "s3://lake/a.csv", "store": KEYS, "target": "churned"}).settles()
    job.pod().fails("fetch", "UriUnsupported", "data.uri names no file.")
    assert job.job_fails().settles().is_stalled
    assert job.changes(versionsHistoryLimit=3).settles().run["number"] == 1

    job.changes(data={"uri": "s3://lake/a.csv", "store": OTHER, "target": "churned"}).settles()

    assert (job.run["number"], job.run["state"], job.jobs) == (2, "Running", ["churn-2"])


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        (dict(RECIPE), "5c0877d14d837622"),
        (
            {
                "data": {"uri": "https://a.example/a.csv", "target": "y", "caConfigMapRef": CA},
                "trainer": {"image": "mine:1"},
                "artifacts": {"uri": "pvc://models"},
            },
            "5d5390af60329457",
        ),
    ],
)
def test_recipes_of_earlier_releases_have_the_hash_that_they_had(spec: dict[str, Any], known: str) -> None:
    assert recipe_hash({"spec": spec}) == known


def test_settings_know_no_store_by_default() -> None:
    assert (SETTINGS.stores, SETTINGS.allowed_networks) == ((), ())
