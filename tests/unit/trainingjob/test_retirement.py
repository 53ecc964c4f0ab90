"""Old ModelVersions are deleted, and their files if that is asked for: step by step, with a crash at any of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fakes.api import Crash, Fault
from unit.given import words
from unit.given.pods import Pod
from unit.given.resources import (
    InferenceService,
    ModelVersion,
    TrainingJob,
    a_service,
    a_training_job,
    a_version,
    a_world,
)
from unit.given.world import NAMESPACE, SETTINGS, World, finish

from modelwright.common.indexes import INDEXES
from modelwright.common.resources import INFERENCE_SERVICES, JOBS, MODEL_VERSIONS, TRAINING_JOBS
from modelwright.engine.cache import Cache
from modelwright.engine.errors import Forbidden
from modelwright.engine.executor import Executor
from modelwright.engine.objects import Key, metadata
from modelwright.wiring import kinds

GRACE = 31
LETTERS = "abcdef"


def runs(job: TrainingJob, count: int, *, first: int = 0) -> TrainingJob:
    """So many runs, each of which makes another model."""
    for letter in LETTERS[first : first + count]:
        job.changes(seed=ord(letter)).succeeds(letter)
        for version in job.versions:  # they may lose an alias
            ModelVersion.found(job.world, version).settles()
    return job.settles()


def ended(job: TrainingJob) -> TrainingJob:
    """All that can be deleted has been, apart from files."""
    job.settles()
    job.world.after(GRACE)
    return job.settles()


def retiring(job: TrainingJob) -> list[str]:
    return [entry["name"] for entry in job.status.get("retiring", ())]


def messages(job: TrainingJob, reason: str = "VersionRetired") -> list[str]:
    return [event.message for event in job.world.told.events if event.reason == reason]


def exceeded(job: TrainingJob) -> str | None:
    found = [c for c in job.status["conditions"] if c["type"] == "HistoryLimitExceeded"]
    return str(found[0]["message"]) if found else None


def deletion(job: TrainingJob, version: str = "churn-1") -> Key:
    return Key(JOBS, NAMESPACE, f"{version}-delete")


def its_pod(job: TrainingJob, version: str = "churn-1") -> Pod:
    return Pod.of(job.world, job.world.api.objects[deletion(job, version)])


def job_ends(job: TrainingJob, kind: str, version: str = "churn-1") -> None:
    """The Job that deletes a file says that it is Complete, or Failed."""
    finished = TrainingJob.found(job.world, job.name)
    finished.__class__ = type("Deletion", (TrainingJob,), {"job_name": f"{version}-delete"})
    finished.job_completes() if kind == "Complete" else finished.job_fails()


def file_is_deleted(job: TrainingJob, version: str = "churn-1", **result: Any) -> None:
    letter = LETTERS[int(version.rpartition("-")[2]) - 1]
    its_pod(job, version).ends("delete", words.deleted(letter, **result))
    job_ends(job, "Complete", version)


def test_the_newest_versions_are_kept_and_older_ones_deleted() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=2), 4)
    assert retiring(job) == ["churn-1", "churn-2"]

    ended(ended(job))

    assert job.versions == ["churn-3", "churn-4"]
    assert sorted(messages(job)) == [
        f"ModelVersion churn-{run} was deleted: versionsHistoryLimit is 2; its file stays" for run in (1, 2)
    ]
    assert not job.status.get("retiring")
    assert exceeded(job) is None
    assert job.is_ready
    assert [run["modelVersion"] for run in job.status["history"]] == ["churn-3", "churn-2", "churn-1"]


def test_by_default_twenty_are_kept() -> None:
    world = a_world()
    for run in range(1, 21):
        made(world, run)
    job = a_training_job(world).settles()
    assert job.body["spec"]["versionsHistoryLimit"] == 20
    assert retiring(job) == []

    made(world, 21)

    assert retiring(job.settles()) == ["churn-1"]


def made(world: World, run: int) -> ModelVersion:
    """A version that a run made, which is Ready."""
    version = a_version(world, f"churn-{run}", "abcdef"[run % 6], trainingJob="churn", run=run)
    world.edit(
        version.key,
        metadata={
            "labels": {**metadata(version.body)["labels"], "app.kubernetes.io/managed-by": "modelwright"}
        },
        status={
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Published",
                    "message": "x",
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ]
        },
    )
    return version


def test_a_lowered_limit_deletes_the_versions_some_at_a_time_and_starts_no_run() -> None:
    world = a_world()
    for run in range(1, 16):
        made(world, run)
    job = a_training_job(world).succeeds("a")
    ModelVersion.found(world, "churn-16").settles()
    before = job.run

    job.changes(versionsHistoryLimit=1).settles()

    assert len(retiring(job)) == 10
    ended(ended(ended(job)))
    assert job.versions == ["churn-16"]
    assert {**job.run, "generation": 0} == {**before, "generation": 0}
    assert job.status["observedGeneration"] == 2
    assert job.jobs == ["churn-16"]


@pytest.mark.parametrize(
    "change",
    [{"versionsHistoryLimit": 3}, {"artifacts": {"deletionPolicy": "Delete"}}, {"artifacts": {}}],
    ids=str,
)
@pytest.mark.parametrize("ends", ["succeeds", "fails"])
def test_how_long_results_are_kept_is_no_part_of_the_recipe(change: dict[str, Any], ends: str) -> None:
    job = a_training_job(a_world())
    getattr(job, ends)()
    state = job.run["state"]

    job.changes(**change).settles()

    assert (job.run["number"], job.run["state"]) == (1, state)
    assert job.status["observedGeneration"] == 2


def test_a_change_of_the_limit_does_not_end_a_run_that_is_under_way() -> None:
    job = a_training_job(a_world()).settles()

    job.changes(versionsHistoryLimit=3).settles()

    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Running", ["churn-1"])


def test_a_status_of_an_earlier_release_starts_no_run_either() -> None:
    job = a_training_job(a_world()).succeeds()
    job.world.edit(job.key, status={"run": {k: v for k, v in job.run.items() if k != "recipeHash"}})

    job.changes(versionsHistoryLimit=3).settles()

    assert job.run["number"] == 1


def test_a_served_version_is_kept_until_it_is_no_longer_served() -> None:
    job = runs(a_training_job(a_world()), 1)
    service = a_service(job.world, "churn-1").serves()
    runs(job, 2, first=1)
    ended(job.changes(versionsHistoryLimit=1))

    assert job.versions == ["churn-1", "churn-3"]
    assert exceeded(job) == "ModelVersion churn-1 is kept: InferenceService churn serves it"
    assert job.is_ready

    service.is_deleted()
    job.version_of(1).settles()
    ended(job)

    assert job.versions == ["churn-3"]
    assert exceeded(job) is None


def test_a_version_that_is_needed_again_within_the_grace_stays() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    assert retiring(job) == ["churn-1"]

    service = a_service(job.world, "churn-1").settles()
    ended(job)

    assert job.versions == ["churn-1", "churn-2"]
    assert retiring(job) == []
    assert service.version("canary") == "churn-1"


def test_a_service_that_follows_the_family_does_not_take_up_what_is_being_deleted() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    newest = ModelVersion.found(job.world, "churn-2")

    def is_no_longer_ready(body: dict[str, Any]) -> None:
        body["status"]["conditions"] = [c for c in body["status"]["conditions"] if c["type"] != "Ready"]

    job.world.api.edit(newest.key, is_no_longer_ready)
    job.world.watch()

    service = a_service(job.world, None).settles()

    assert retiring(job) == ["churn-1"]
    assert service.reason == "ModelNotReady"
    job.settles()
    assert retiring(job) == [], "without a newer one that can be served, it is within the limit"
    assert service.settles().version("canary") == "churn-1"


def test_a_service_that_the_watch_has_not_shown_is_seen_by_the_last_look() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    world = job.world
    world.after(GRACE)
    unseen = Key(INFERENCE_SERVICES, NAMESPACE, "late")
    world.api.put(unseen, {"metadata": {}, "spec": {"model": {"version": "churn-1"}}})
    assert world.cache.get(unseen) is None

    for _ in range(4):
        finish(world.executor.execute(job.key, world.plan(job.key)))  # the watch still shows nothing

    assert Key(MODEL_VERSIONS, NAMESPACE, "churn-1") in world.api.objects
    assert world.cache.get(unseen) is not None


def test_a_version_that_changes_right_before_its_deletion_stays() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    world = job.world
    world.after(GRACE)
    world.look(job.key)  # the last look at the services
    key = Key(MODEL_VERSIONS, NAMESPACE, "churn-1")
    world.api.edit(key, lambda body: body["status"].update(aliases=["champion"]))

    plan = world.plan(job.key)
    finish(world.executor.execute(job.key, plan))

    assert key in world.api.objects
    world.watch()
    ended(job)
    assert exceeded(job) == "ModelVersion churn-1 is kept: it has an alias"


def test_a_version_that_cannot_be_seen_does_not_count_as_deleted() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    job.world.cache.replace(MODEL_VERSIONS, (), 1 << 62)
    job.world.cache.blind(MODEL_VERSIONS, "Forbidden")

    job.looks()

    assert retiring(job) == ["churn-1"]
    assert messages(job) == []


def test_a_refused_deletion_is_shown_beside_ready() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    job.world.api.faults.append(_refusing("churn-1"))

    ended(job)

    assert job.is_ready
    assert exceeded(job) == (
        'ModelVersion churn-1 cannot be deleted: User "modelwright" cannot delete resource "modelversions"; '
        "grant the operator what its chart does"
    )


def _refusing(version: str) -> Any:
    return Fault(
        lambda: Forbidden('User "modelwright" cannot delete resource "modelversions"'),
        times=100,
        verbs=frozenset({"delete"}),
        where=lambda call: call.key is not None and call.key.name == version,
    )


def test_nothing_is_deleted_once_the_training_job_is_gone() -> None:
    job = runs(a_training_job(a_world(), versionsHistoryLimit=1), 2)
    service = a_service(job.world, None).settles()
    assert service.version("canary") == "churn-2"

    job.is_deleted()
    job.world.after(GRACE)
    job.world.look(job.key)

    assert sorted(job.all(MODEL_VERSIONS)) == ["churn-1", "churn-2"]


def test_two_training_jobs_of_one_model_keep_their_own_versions() -> None:
    world = a_world()
    one = runs(a_training_job(world, versionsHistoryLimit=1), 2)
    other = runs(a_training_job(world, "second", model="churn", versionsHistoryLimit=1), 2)

    ended(one)
    ended(other)

    assert one.versions == ["churn-2", "second-2"]


def with_a_bucket() -> TrainingJob:
    """churn-1, whose file is in a bucket, is about to be deleted, with its file."""
    artifacts = {"uri": "s3://models/churn", "deletionPolicy": "Delete"}
    job = a_training_job(a_world(), versionsHistoryLimit=1, artifacts=artifacts)
    for seed, letter in enumerate("ab"):
        job.changes(seed=seed).succeeds(letter, artifact=in_a_bucket(letter))
        for version in job.versions:
            ModelVersion.found(job.world, version).settles()
    assert retiring(job.settles()) == ["churn-1"]
    return job


def in_a_bucket(letter: str = "a") -> dict[str, Any]:
    uri = f"s3://models/churn/sha256-{letter * 64}/model.onnx"
    return {"uri": uri, "digest": words.digest(letter), "size": 2048}


def used_elsewhere(world: World, user: str) -> None:
    """Something in another namespace uses the file of churn-1, which no watch has shown yet."""
    spec: dict[str, Any] = {"model": {"version": "churn"}}
    revision = {"version": "churn", "artifact": in_a_bucket()}
    status = {"service": {"observedGeneration": 1, "stable": revision}, "unclear": {}}
    if user == "version":
        spec = {"model": "churn", "artifact": in_a_bucket()}
        world.api.put(Key(MODEL_VERSIONS, "prod", "churn"), {"metadata": {}, "spec": spec, "status": {}})
    else:
        body = {"metadata": {"generation": 1}, "spec": spec, "status": status[user]}
        world.api.put(Key(INFERENCE_SERVICES, "prod", "churn"), body)


class TestFiles:
    """With deletionPolicy Delete the file goes after the version."""

    @staticmethod
    def given(**spec: Any) -> TrainingJob:
        """churn-1 is deleted, and its file is about to be."""
        artifacts = {"artifacts": {"deletionPolicy": "Delete"}}
        job = runs(a_training_job(a_world(), versionsHistoryLimit=1, **{**artifacts, **spec}), 2)
        assert retiring(job) == ["churn-1"]
        return ended(job)

    def test_a_version_of_a_later_release_stays_and_the_others_go(self) -> None:
        job = runs(a_training_job(a_world(), artifacts={"deletionPolicy": "Delete"}), 3)
        later = job.world.api.objects[Key(MODEL_VERSIONS, NAMESPACE, "churn-1")]["spec"]["artifact"]
        artifact = {**later, "uri": "nfs://host/model.onnx"}
        job.world.edit(Key(MODEL_VERSIONS, NAMESPACE, "churn-1"), spec={"artifact": artifact})

        job.changes(versionsHistoryLimit=1).settles()

        assert retiring(job) == ["churn-2"]

    def test_a_job_deletes_the_file_after_the_version(self) -> None:
        job = self.given()
        assert job.versions == ["churn-2"]
        assert messages(job) == []

        file_is_deleted(job)
        job.settles()

        assert messages(job) == [
            "ModelVersion churn-1 was deleted: versionsHistoryLimit is 1; its file was deleted"
        ]
        assert retiring(job) == []
        assert job.jobs == ["churn-2"], "the Job goes once its result is read"

    def test_the_job_is_a_pod_of_the_contract(self) -> None:
        job = self.given()

        spec = job.world.api.objects[deletion(job)]["spec"]
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]

        assert container["command"] == ["modelwright-training", "delete"]
        assert pod["volumes"][0] == {
            "name": "artifacts",
            "persistentVolumeClaim": {"claimName": "modelwright-artifacts"},
        }
        assert spec["activeDeadlineSeconds"] == 600

    def test_the_run_job_is_not_taken_for_an_outdated_one_nor_the_other_way_round(self) -> None:
        job = self.given()
        assert job.jobs == ["churn-1-delete", "churn-2"]

        job.changes(seed=99).settles()

        assert job.jobs == ["churn-1-delete", "churn-3"]

    def test_a_file_that_a_run_needs_stays(self) -> None:
        job = self.given()

        file_is_deleted(job, deleted=False, keptBy=[".run.team.second.4"])
        job.settles()

        (message,) = messages(job)
        assert message == (
            "ModelVersion churn-1 was deleted: versionsHistoryLimit is 1; its file stays: "
            ".run.team.second.4 in its folder"
        )
        assert retiring(job) == []

    def test_a_version_of_any_family_keeps_the_file(self) -> None:
        job = runs(
            a_training_job(a_world(), versionsHistoryLimit=1, artifacts={"deletionPolicy": "Delete"}), 2
        )
        spec = {"model": "golden", "artifact": words.artifact()}
        ModelVersion(job.world, "golden", spec)

        ended(job)

        assert job.versions == ["churn-2", "golden"]
        assert deletion(job) not in job.world.api.objects
        (message,) = messages(job)
        assert message == (
            "ModelVersion churn-1 was deleted: versionsHistoryLimit is 1; its file stays, as ModelVersion golden "
            "has the same one"
        )

    def test_a_version_that_comes_while_the_job_waits_ends_the_deletion(self) -> None:
        job = self.given()

        ModelVersion(job.world, "golden", {"model": "golden", "artifact": words.artifact()})
        job.settles()

        assert deletion(job) not in job.world.api.objects
        assert retiring(job) == []

    def test_a_version_that_the_watch_has_not_shown_is_seen_by_the_last_look(self) -> None:
        job = runs(
            a_training_job(a_world(), versionsHistoryLimit=1, artifacts={"deletionPolicy": "Delete"}), 2
        )
        world = job.world
        world.after(GRACE)
        world.look(job.key)
        world.look(job.key)
        assert job.versions == ["churn-2"]
        late = Key(MODEL_VERSIONS, NAMESPACE, "late")
        world.api.put(
            late, {"metadata": {}, "spec": {"model": "golden", "artifact": words.artifact()}, "status": {}}
        )

        for _ in range(4):
            finish(world.executor.execute(job.key, world.plan(job.key)))

        assert deletion(job) not in world.api.objects
        assert retiring(job) == []

    def test_a_service_that_still_has_a_revision_of_the_file_is_waited_for(self) -> None:
        job = runs(
            a_training_job(a_world(), versionsHistoryLimit=1, artifacts={"deletionPolicy": "Delete"}), 2
        )
        copy = ModelVersion(job.world, "copy", {"model": "golden", "artifact": words.artifact()})
        copy.is_verified()
        service = a_service(job.world, "copy", "other").serves()
        copy.is_deleted()
        service.settles()

        ended(job)

        assert retiring(job) == ["churn-1"]
        assert deletion(job) not in job.world.api.objects
        assert exceeded(job) == (
            "the file of ModelVersion churn-1 is kept for now: InferenceService other needs it"
        )
        service.is_deleted()
        ended(job)
        assert deletion(job) in job.world.api.objects

    @pytest.mark.parametrize("seen", ["by the watch", "by the last look"])
    @pytest.mark.parametrize("user", ["version", "service", "unclear"])
    def test_a_file_in_a_bucket_that_another_namespace_needs_is_kept(self, user: str, seen: str) -> None:
        job = with_a_bucket()
        if seen == "by the watch":
            used_elsewhere(job.world, user)
            job.world.watch()
            ended(job)
        else:
            job.world.after(GRACE)
            while "churn-1" in job.versions:
                job.looks_once()
            used_elsewhere(job.world, user)
            for _ in range(4):
                finish(job.world.executor.execute(job.key, job.world.plan(job.key)))
            job.world.watch()
            job.looks()

        assert "churn-1" not in job.versions
        assert deletion(job) not in job.world.api.objects
        said = messages(job)[-1] if user == "version" else exceeded(job)
        assert said is not None
        assert said.endswith(
            {
                "version": "its file stays, as ModelVersion prod/churn has the same one",
                "service": "churn-1 is kept for now: InferenceService prod/churn needs it",
                "unclear": "the status of InferenceService prod/churn does not show yet what that needs",
            }[user]
        )

    def test_a_file_on_a_claim_is_no_matter_of_another_namespace(self) -> None:
        job = runs(
            a_training_job(a_world(), versionsHistoryLimit=1, artifacts={"deletionPolicy": "Delete"}), 2
        )
        used_elsewhere(job.world, "service")
        job.world.watch()
        assert deletion(ended(job)) in job.world.api.objects

    @staticmethod
    def with_a_scope(*namespaces: str) -> TrainingJob:
        """An operator of some namespaces, which has not seen yet that another one uses the file."""
        job = with_a_bucket()
        world = job.world
        used_elsewhere(world, "service")
        world.restart()
        world.cache = Cache(namespaces, INDEXES)
        world.executor = Executor(world.api, world.cache, world.told)
        for key, body in world.api.objects.items():
            if key.namespace == NAMESPACE:
                world.cache.put(key.resource, body)
        return job

    def test_an_operator_of_one_namespace_asks_for_no_other(self) -> None:
        job = self.with_a_scope(NAMESPACE)
        assert deletion(ended(job)) in job.world.api.objects

    def test_an_operator_of_several_namespaces_asks_each_of_them(self) -> None:
        job = self.with_a_scope(NAMESPACE, "prod")
        assert deletion(ended(job)) not in job.world.api.objects

    def test_a_namespace_that_cannot_be_watched_keeps_the_files_that_it_could_use(self) -> None:
        job = self.with_a_scope(NAMESPACE, "nowhere")
        job.world.cache.blind(INFERENCE_SERVICES, "Forbidden", "nowhere")
        assert deletion(ended(job)) not in job.world.api.objects
        assert "the operator cannot see inferenceservices (Forbidden)" in str(exceeded(job))

    def test_a_policy_that_is_changed_back_keeps_the_file(self) -> None:
        job = self.given()

        job.changes(artifacts={"deletionPolicy": "Retain"}).settles()

        assert deletion(job) not in job.world.api.objects
        assert messages(job) == [
            "ModelVersion churn-1 was deleted: versionsHistoryLimit is 1; its file stays"
        ]

    def test_a_store_that_does_not_let_a_file_be_deleted_holds_up_others_for_an_hour(self) -> None:
        job = self.given()
        its_pod(job).fails("delete", "AccessDenied", "artifacts.store: the key lacks s3:DeleteObject.")
        job_ends(job, "Failed")
        job.settles()
        assert (retiring(job), messages(job, "ArtifactKept")) == (["churn-1"], [])
        assert "s3:DeleteObject" in str(exceeded(job))

        job.world.after(3600)
        job.settles()

        assert retiring(job) == []
        (message,) = messages(job, "ArtifactKept")
        assert message.endswith("its file stays: delete: artifacts.store: the key lacks s3:DeleteObject.")

    @pytest.mark.parametrize("reason", ["StoreCorrupt", "UriUnsupported"])
    def test_a_file_that_cannot_be_deleted_is_left_and_reported(self, reason: str) -> None:
        job = self.given()

        its_pod(job).fails("delete", reason)
        job_ends(job, "Failed")
        job.settles()

        (message,) = messages(job, "ArtifactKept")
        assert message.startswith(
            "ModelVersion churn-1 was deleted: versionsHistoryLimit is 1; its file stays"
        )
        assert retiring(job) == []
        assert job.is_ready

    def test_a_store_that_fails_is_tried_again(self) -> None:
        job = self.given()

        its_pod(job).exits("delete", 75, words.error("delete", "StorageFailed"))
        job_ends(job, "Failed")
        job.settles()
        assert retiring(job) == ["churn-1"]
        assert "is tried again" in str(exceeded(job))
        first = metadata(job.world.api.objects[deletion(job)])["uid"]

        job.world.after(601)
        job.settles()

        assert metadata(job.world.api.objects[deletion(job)])["uid"] != first
        file_is_deleted(job)
        assert retiring(job.settles()) == []

    def test_a_result_that_is_lost_with_its_pod_is_no_end(self) -> None:
        job = self.given()

        job_ends(job, "Complete")
        job.settles()
        assert retiring(job) == ["churn-1"]
        due = job.world.plan(job.key).requeue_at
        assert due is not None
        assert due <= job.world.now + timedelta(seconds=20)
        job.world.after(601)
        job.settles()

        assert "status" not in job.world.api.objects[deletion(job)], "another Job looks at the folder"

    def test_a_job_of_that_name_that_is_somebody_elses_is_reported_beside_ready(self) -> None:
        artifacts = {"deletionPolicy": "Delete"}
        job = runs(a_training_job(a_world(), versionsHistoryLimit=1, artifacts=artifacts), 2)
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", "controller": True}
        job.world.make(JOBS, "churn-1-delete", {"template": {}}, ownerReferences=[owner])

        ended(job)

        assert job.is_ready
        assert "Job churn-1-delete is refused" in str(exceeded(job))
        assert retiring(job) == ["churn-1"]

    def test_a_job_that_somebody_deletes_is_made_again(self) -> None:
        job = self.given()

        job.world.drop(deletion(job))
        job.settles()

        assert deletion(job) in job.world.api.objects

    def test_runs_that_have_ended_do_not_keep_the_file_and_one_under_way_does(self) -> None:
        job = self.given()
        assert '"run": 2' in _document(job)
        job.world.drop(deletion(job))

        job.changes(seed=99).settles()

        assert '"run": 2' in _document(job), "run 3 may have published the same file"


def _document(job: TrainingJob) -> str:
    (container,) = job.world.api.objects[deletion(job)]["spec"]["template"]["spec"]["containers"]
    return str(container["env"][0]["value"])


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", range(8))
def test_a_crash_at_any_write_loses_nothing_and_forgets_nothing(write: int, moment: Any) -> None:
    job = runs(a_training_job(a_world(), artifacts={"deletionPolicy": "Delete"}), 3)
    a_service(job.world, "churn-2").serves()
    job.changes(versionsHistoryLimit=1)
    world = job.world
    world.api.fail(Crash, moment, skip=write)

    for _ in range(30):
        try:
            wrote = world.look(job.key)
        except Crash:
            world.watch()
            world.restart()
            continue
        world.after(0 if wrote else GRACE)
        if deletion(job) in world.api.objects and "status" not in world.api.objects[deletion(job)]:
            file_is_deleted(job)

    assert job.versions == ["churn-2", "churn-3"]
    assert retiring(job) == []
    assert deletion(job) not in world.api.objects
    assert any(message.endswith("its file was deleted") for message in messages(job))


def test_a_service_wakes_the_training_job_of_what_it_needed() -> None:
    wakes: dict[Any, Callable[..., Any] | None] = {kind.resource: kind.wakes for kind in kinds(SETTINGS)}
    job = runs(a_training_job(a_world()), 1)
    service: InferenceService = a_service(job.world, "churn-1").settles()
    wake = wakes[INFERENCE_SERVICES]
    assert wake is not None

    assert Key(TRAINING_JOBS, NAMESPACE, "churn") in set(wake(job.world.cache, service.body))
    malformed = {**service.body, "status": {"stable": "churn-1"}}
    assert set(wake(job.world.cache, malformed)) is not None
