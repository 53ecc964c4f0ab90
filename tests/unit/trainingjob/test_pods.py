"""Pods of TrainingJobs: what is said of them, what own trainers are given, and queues."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given.checks import restricted_violations
from unit.given.resources import RECIPE, TrainingJob, a_training_job, a_version, a_world
from unit.given.world import World

from modelwright.api.podtemplate import PodTemplate
from modelwright.common.resources import JOBS, MODEL_VERSIONS
from modelwright.common.times import to_timestamp
from modelwright.engine.errors import Invalid
from modelwright.engine.objects import Body, Key
from modelwright.view.reproduction import lines
from modelwright.view.version import read_version

POOL = {"metadata": {"labels": {"team": "ml"}}, "spec": {"nodeSelector": {"pool": "gpu"}}}
OTHER_POOL = {"spec": {"nodeSelector": {"pool": "cpu"}}}
NO_NODE = (
    "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes"
)
QUEUE = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high", "team": "ml"}
OWN = {
    "image": "team/train:1",
    "env": [
        {"name": "DEPTH", "value": "3"},
        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "DB_URL", "value": "postgres://u:$(DB_PASSWORD)@db"},
        {
            "name": "LEVEL",
            "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "log", "optional": True}},
        },
    ],
    "envFrom": [{"prefix": "HUB_", "secretRef": {"name": "hub"}}],
    "volumes": [
        {"name": "certs", "secret": {"secretName": "certs", "items": [{"key": "a", "path": "a.pem"}]}},
        {"name": "base", "persistentVolumeClaim": {"claimName": "base-models", "readOnly": True}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ],
    "volumeMounts": [
        {"name": "certs", "mountPath": "/certs", "readOnly": True},
        {"name": "base", "mountPath": "/base", "subPath": "bert"},
        {"name": "tmp", "mountPath": "/dev/shm"},
    ],
}


def template(**parts: Any) -> PodTemplate:
    return PodTemplate.model_validate(parts)


def job_of(job: TrainingJob) -> Body:
    return job.world.api.objects[job.job_key]


def pod_of(job: TrainingJob) -> dict[str, Any]:
    spec: dict[str, Any] = job_of(job)["spec"]["template"]["spec"]
    return spec


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


def a_queued_job(world: World | None = None, **spec: Any) -> TrainingJob:
    return TrainingJob(world or a_world(), "churn", {**RECIPE, **spec}, labels=QUEUE).settles()


def labelled(job: TrainingJob, labels: dict[str, str]) -> TrainingJob:
    """The user writes other labels."""
    job.world.api.edit(job.key, lambda body: body["metadata"].update(labels=labels))
    job.world.watch()
    return job


def resumed(job: TrainingJob, suspend: bool = False) -> TrainingJob:
    """Kueue resumes, or suspends, the Job."""
    start = {} if suspend else {"startTime": to_timestamp(job.world.now)}
    condition = {"type": "Suspended", "status": str(suspend), "reason": "Job", "message": ""}
    job.world.edit(job.job_key, spec={"suspend": suspend}, status={**start, "conditions": [condition]})
    return job


class TestWhatIsSaidOfThePods:
    def test_labels_and_placing_reach_the_pods_and_labels_the_job(self) -> None:
        world = a_world(
            pod_template=template(metadata={"labels": {"cost": "7"}, "annotations": {"note": "x"}}),
            training_pod_template=template(spec={"priorityClassName": "low"}),
        )
        job = a_training_job(world, podTemplate=POOL).settles()

        made, pod = job_of(job), job_of(job)["spec"]["template"]
        assert {"team": "ml", "cost": "7"}.items() <= made["metadata"]["labels"].items()
        assert {"team": "ml", "cost": "7"}.items() <= pod["metadata"]["labels"].items()
        assert pod["metadata"]["annotations"]["note"] == "x"
        assert (pod["spec"]["nodeSelector"], pod["spec"]["priorityClassName"]) == ({"pool": "gpu"}, "low")
        assert restricted_violations(pod["spec"]) == []

    def test_a_change_starts_no_run_once_one_has_ended(self) -> None:
        job = a_training_job(a_world(), podTemplate=POOL).succeeds()

        job.changes(podTemplate=OTHER_POOL).settles()

        assert (job.run["number"], job.is_ready) == (1, True)

    def test_a_change_leaves_a_run_alone_whose_containers_run(self) -> None:
        job = a_training_job(a_world(), podTemplate=POOL).settles()
        job.pod().runs("fetch")
        before = job_of(job)["metadata"]["uid"]

        job.settles().changes(podTemplate=OTHER_POOL).settles()

        assert job_of(job)["metadata"]["uid"] == before
        assert (job.run["number"], job.reason) == (1, "Fetching")

    def test_a_run_that_no_node_takes_goes_on_once_that_is_mended(self) -> None:
        job = a_training_job(a_world(), podTemplate=POOL).settles()
        job.pod().unschedulable(NO_NODE)
        assert (job.settles().reason, job.kstatus) == ("Unschedulable", "InProgress")

        job.changes(podTemplate=OTHER_POOL).settles()

        assert pod_of(job)["nodeSelector"] == {"pool": "cpu"}
        assert (job.run["number"], job.reason, job.jobs) == (1, "RunStarted", ["churn-1"])
        job.succeeds()
        assert job.is_ready

    def test_a_run_whose_images_are_still_pulled_is_made_again_too(self) -> None:
        job = a_training_job(a_world(), podTemplate=POOL).settles()
        job.pod()
        job.settles().changes(podTemplate=OTHER_POOL).settles()
        assert (pod_of(job)["nodeSelector"], job.run["number"]) == ({"pool": "cpu"}, 1)

    def test_a_change_of_the_defaults_mends_a_run_that_no_node_takes(self) -> None:
        job = a_training_job(a_world(pod_template=template(**POOL))).settles()
        job.pod().unschedulable(NO_NODE)
        job.settles().world.is_upgraded(pod_template=template(**OTHER_POOL))
        job.settles()
        assert (pod_of(job)["nodeSelector"], job.run["number"]) == ({"pool": "cpu"}, 1)

    def test_a_change_of_the_defaults_leaves_a_run_alone_that_has_begun(self) -> None:
        job = a_training_job(a_world(pod_template=template(**POOL))).settles()
        pod = job.pod()
        pod.ends("fetch").waits("train", "ImagePullBackOff")
        before = job_of(job)["metadata"]["uid"]

        job.world.is_upgraded(pod_template=template(**OTHER_POOL))

        assert (job.settles().reason, job_of(job)["metadata"]["uid"]) == ("ImagePullFailed", before)

    def test_an_upgrade_makes_no_job_of_an_earlier_release_again(self) -> None:
        job = a_training_job(a_world()).settles()
        job.pod()
        job.world.edit(job.job_key, metadata={"annotations": {
            key: value for key, value in job_of(job)["metadata"]["annotations"].items() if "pods-hash" not in key
        }})  # fmt: skip
        before = job_of(job)["metadata"]["uid"]

        job.world.is_upgraded(pod_template=template(**POOL))

        assert job_of(job.settles())["metadata"]["uid"] == before

    def test_what_the_api_server_refuses_is_said_and_mended_by_a_change(self) -> None:
        world = a_world()

        def judge(key: Key, body: Body) -> None:
            terms = (body.get("spec", {}).get("template") or {}).get("spec", {}).get("affinity")
            if key.resource == JOBS and terms:
                raise Invalid('Job.batch "churn-1" is invalid: spec.template.spec.affinity: Required value')

        world.api.rules.append(judge)
        job = a_training_job(world, podTemplate={"spec": {"affinity": {"nodeAffinity": {}}}}).settles()
        assert (job.reason, job.is_stalled, job.jobs) == ("Refused", True, [])
        assert job.message.endswith("Required value; change the spec")

        job.changes(podTemplate=POOL).settles()

        assert (job.run["number"], job.reason, job.jobs) == (1, "RunStarted", ["churn-1"])

    def test_annotations_count_as_what_a_run_takes(self) -> None:
        many = {f"note-{number}": "x" * 1000 for number in range(32)}
        columns = {f"column {number}": {"values": ["y" * 200] * 200} for number in range(6)}
        job = a_training_job(
            a_world(),
            podTemplate={"metadata": {"annotations": many}},
            data={**RECIPE["data"], "schema": columns},
        ).settles()
        assert job.reason == "SpecTooLarge"

    def test_probes_and_deletions_have_the_template_and_verifications_the_defaults(self) -> None:
        world = a_world(pod_template=template(metadata={"labels": {"cost": "7"}}))
        probed = a_training_job(
            world, podTemplate=POOL, triggers={"onDataChange": {"intervalSeconds": 600}}
        ).succeeds()
        world.after(700)
        probed.settles()
        (probe,) = (body for name, body in probed.all(JOBS).items() if name != "churn-1")
        assert probe["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}
        assert {"cost": "7", "team": "ml"}.items() <= probe["spec"]["template"]["metadata"]["labels"].items()

        version = a_version(world, "other-1", "b", model="other").settles()
        verify = world.api.objects[version.job_key]["spec"]["template"]
        assert "nodeSelector" not in verify["spec"]
        assert verify["metadata"]["labels"]["cost"] == "7"


class TestOwnTrainers:
    def test_secrets_and_volumes_reach_the_trainer_alone(self) -> None:
        job = a_training_job(a_world(), trainer=OWN).settles()
        pod = pod_of(job)
        train = containers(pod)["train"]

        variables = {each["name"]: each for each in train["env"]}
        assert variables["DB_PASSWORD"] == OWN["env"][1]
        assert variables["DEPTH"] == {"name": "DEPTH", "value": "3"}
        assert [each["name"] for each in train["env"]][-3:] == ["DB_PASSWORD", "DB_URL", "LEVEL"]
        assert train["envFrom"] == OWN["envFrom"]
        own = {each["mountPath"]: each["name"] for each in train["volumeMounts"]}
        assert (own["/certs"], own["/base"], own["/dev/shm"]) == ("own-certs", "own-base", "own-tmp")
        assert own["/tmp"] == "tmp"
        assert len({volume["name"] for volume in pod["volumes"]}) == len(pod["volumes"])
        for name, each in containers(pod).items():
            others = [mount for mount in each["volumeMounts"] if mount["name"].startswith("own-")]
            assert name == "train" or not (others or "envFrom" in each)
        assert restricted_violations(pod) == []

    def test_they_are_part_of_the_recipe(self) -> None:
        job = a_training_job(a_world(), trainer=OWN).succeeds()
        job.changes(trainer={**OWN, "envFrom": [{"configMapRef": {"name": "settings"}}]}).settles()
        assert job.run["number"] == 2

    def test_the_lineage_names_them_and_the_run_document_does_not(self) -> None:
        job = a_training_job(a_world(), trainer=OWN).succeeds()
        version = job.all(MODEL_VERSIONS)["churn-1"]

        trainer = version["spec"]["lineage"]["recipe"]["trainer"]

        assert {key: trainer[key] for key in ("envFrom", "volumes", "volumeMounts")} == {
            key: OWN[key] for key in ("envFrom", "volumes", "volumeMounts")
        }
        assert trainer["env"][1:] == [OWN["env"][1], {"name": "DB_URL"}, OWN["env"][3]]
        document = job_of(job)["spec"]["template"]["metadata"]["annotations"]["modelwright.dev/run"]
        assert json.loads(document)["trainer"] == {"image": "team/train:1"}
        for image in version["spec"]["lineage"]["images"]:
            image["imageID"] = f"team/train@sha256:{'a' * 64}"
        text = "\n".join(lines(read_version(version)))
        assert (
            "Secret db, ConfigMap levels, Secret hub, Secret certs, PersistentVolumeClaim base-models" in text
        )
        assert "fill in DB_URL." in text

    def test_a_run_says_which_secret_it_waits_for_and_goes_on_once_it_is_renamed(self) -> None:
        job = a_training_job(a_world(), trainer=OWN).settles()
        job.pod()
        assert job.settles().message.endswith("which needs the Secret certs of trainer.volumes")

    def test_devices_are_for_the_trainer_alone(self) -> None:
        amounts = {"cpu": 2, "nvidia.com/gpu": 1}
        job = a_training_job(a_world(), resources={"requests": amounts, "limits": amounts}).settles()
        for name, each in containers(pod_of(job)).items():
            assert ("nvidia.com/gpu" in each["resources"]["limits"]) == (name == "train")
            assert each["resources"]["requests"]["cpu"] == 2
        job.succeeds()
        version = job.all(MODEL_VERSIONS)["churn-1"]
        assert version["spec"]["lineage"]["recipe"]["resources"]["limits"] == amounts


class TestQueues:
    def test_a_job_with_a_queue_waits_for_kueue_and_says_so(self) -> None:
        job = a_queued_job()

        made = job_of(job)
        assert made["spec"]["suspend"] is True
        kueue = {key: value for key, value in QUEUE.items() if "kueue" in key}
        assert kueue.items() <= made["metadata"]["labels"].items()
        assert "team" not in made["metadata"]["labels"]
        assert not set(kueue) & set(made["spec"]["template"]["metadata"]["labels"])
        assert (job.run["state"], job.run["reason"], job.reason) == ("Pending", "Queued", "Queued")
        assert job.message.startswith("run 1: Job churn-1 waits in the queue gpus; Kueue starts it when")
        assert (job.kstatus, "startTime" in job.run) == ("InProgress", False)

    def test_time_in_the_queue_is_no_time_of_the_run(self) -> None:
        job = a_queued_job(activeDeadlineSeconds=60)
        job.world.after(7200)
        assert job.settles().reason == "Queued"

        left = to_timestamp(job.world.now)
        resumed(job).settles()

        assert job.run["startTime"] == left
        assert (job.run["state"], job.reason, job.run.get("reason")) == ("Running", "RunStarted", None)
        job.succeeds()
        assert (job.is_ready, job.run["number"]) == (True, 1)

    def test_a_job_that_is_preempted_is_queued_again(self) -> None:
        job = resumed(a_queued_job()).settles()
        pod = job.pod()
        pod.runs("train")
        assert job.settles().reason == "Training"
        pod.gone()

        resumed(job, suspend=True).settles()

        assert (job.run["state"], job.reason) == ("Pending", "Queued")
        resumed(job).succeeds()
        assert (job.is_ready, job.run["number"]) == (True, 1)

    def test_a_pod_that_still_goes_after_a_preemption_says_nothing_of_the_run_that_was_resumed(self) -> None:
        """Its trainer ignores SIGTERM, and it outlives the time in the queue."""
        job = resumed(a_queued_job()).settles()
        pod = job.pod()
        pod.ends("fetch").runs("train")
        job.settles()
        going = {
            "deletionTimestamp": to_timestamp(job.world.now),
            "finalizers": ["batch.kubernetes.io/job-tracking"],
        }
        job.world.edit(pod.key, metadata=going)
        resumed(job, suspend=True).settles()
        job.world.after(5)

        resumed(job).settles()
        assert job.reason == "RunStarted"
        pod.exits("train", 143)
        assert job.settles().reason == "RunStarted"

        job.pod().runs("fetch")
        assert job.settles().reason == "Fetching"

    def test_a_job_that_failed_at_once_after_the_queue_has_failed(self) -> None:
        """Between two looks it was resumed and failed: it was not postponed."""
        job = resumed(a_queued_job())
        job.pod().fails("fetch", "TargetMissing")
        job.job_fails().settles()
        assert (job.run["state"], job.reason) == ("Failed", "TargetMissing")

    def test_a_queued_job_that_is_deleted_by_hand_has_failed(self) -> None:
        job = a_queued_job()
        job.job_is_deleted().settles()
        assert (job.run["state"], job.reason) == ("Failed", "JobDeleted")

    def test_without_the_label_no_queue_is_waited_for(self) -> None:
        job = a_queued_job()
        labelled(job, {}).settles()

        assert "suspend" not in job_of(job)["spec"]
        assert (job.run["number"], job.reason) == (1, "RunStarted")

    def test_another_queue_or_another_place_makes_a_queued_job_again(self) -> None:
        job = a_queued_job(podTemplate=POOL)
        job.world.edit(
            job.key, metadata={**job.body["metadata"], "labels": {**QUEUE, "kueue.x-k8s.io/queue-name": "b"}}
        )
        job.settles()
        assert (job_of(job)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], job.run["number"]) == ("b", 1)
        job.changes(podTemplate=OTHER_POOL).settles()
        assert (pod_of(job)["nodeSelector"], job.run["number"], job.reason) == ({"pool": "cpu"}, 1, "Queued")

    def test_a_queue_that_is_taken_back_while_the_job_goes_does_not_fail_the_run(self) -> None:
        job = a_queued_job()
        job.world.edit(job.job_key, metadata={"finalizers": ["foregroundDeletion"]})
        for queue in ("b", "gpus"):
            labelled(job, {**QUEUE, "kueue.x-k8s.io/queue-name": queue}).looks()
            assert job.run["state"] == "Pending"

        job.world.api.edit(job.job_key, lambda body: body["metadata"].pop("finalizers"))
        job.world.watch()
        job.settles()

        assert (job.run["number"], job.reason, job.jobs) == (1, "Queued", ["churn-1"])

    def test_a_job_without_a_queue_that_somebody_suspends_is_suspended(self) -> None:
        job = a_training_job(a_world()).settles()
        resumed(job, suspend=True).settles()
        assert (job.run["state"], job.reason) == ("Running", "Suspended")

    def test_small_jobs_do_not_queue(self) -> None:
        job = a_queued_job(triggers={"onDataChange": {"intervalSeconds": 600}})
        resumed(job).succeeds()
        job.world.after(700)
        job.settles()
        (probe,) = (body for name, body in job.all(JOBS).items() if name != "churn-1")
        assert "suspend" not in probe["spec"]

    @pytest.mark.parametrize("lose", [("run",), ()])
    def test_a_lost_status_does_not_train_twice(self, lose: tuple[str, ...]) -> None:
        job = a_queued_job()
        before = job_of(job)["metadata"]["uid"]
        job.loses_its_status(*lose).settles()
        assert (job_of(job)["metadata"]["uid"], job.run["number"], job.reason) == (before, 1, "Queued")
