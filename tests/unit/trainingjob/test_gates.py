"""What a run measures its model against, and what becomes of a TrainingJob whose model is not good enough."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.given import words
from unit.given.resources import ModelVersion, TrainingJob, a_service, a_training_job, a_version, a_world
from unit.given.world import NAMESPACE, World

from modelwright.common.resources import CLAIMS, MODEL_VERSIONS
from modelwright.engine.objects import Body, Key

RECIPE = {"data": {"holdout": {"fraction": 0.3, "seed": 4, "extraColumns": ["region"]}}}


def template(job: TrainingJob) -> Any:
    return job.world.api.objects[job.job_key]["spec"]["template"]


def document(job: TrainingJob) -> Any:
    return json.loads(template(job)["metadata"]["annotations"]["modelwright.dev/run"])


def mounts(job: TrainingJob, step: str) -> dict[str, Any]:
    pod = template(job)["spec"]
    containers = {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}
    return {each["mountPath"]: each for each in containers[step]["volumeMounts"]}


def spec_of(job: TrainingJob, version: str = "churn-1") -> Any:
    return job.all(MODEL_VERSIONS)[version]["spec"]


def a_rival(world: World, letter: str = "b", **lineage: Any) -> ModelVersion:
    """A Ready version of the family that no run of this TrainingJob has made."""
    return a_version(world, "rival", letter, **lineage).is_verified(letter)


class TestChampion:
    def test_is_chosen_when_the_job_is_made_and_mounted_in_publish_only(self) -> None:
        world = a_world()
        a_rival(world, data=[{"uri": "s3://lake/a.csv", "digest": words.DATA_DIGEST}], recipe=RECIPE)

        job = a_training_job(world).settles()

        assert document(job)["champion"] == {
            "name": "rival",
            "artifact": words.artifact(letter="b"),
            "data": words.DATA_DIGEST,
            "holdout": {"fraction": 0.3, "seed": 4, "stratify": True},
        }
        assert defects("run", document(job)) == []
        assert job.run["champion"] == {"name": "rival", "digest": words.digest("b")}
        assert mounts(job, "publish")["/champion"] == {
            "name": "artifacts", "mountPath": "/champion", "readOnly": True,
        }  # fmt: skip
        assert "/champion" not in {**mounts(job, "fetch"), **mounts(job, "train")}
        job.succeeds()
        assert spec_of(job)["lineage"]["champion"] == {"name": "rival", "digest": words.digest("b")}

    def test_is_the_one_that_a_service_serves(self) -> None:
        world = a_world()
        a_version(world, "old", "b").is_verified("b")
        a_service(world, "old").serves()
        a_version(world, "new", "c").is_verified("c")

        assert document(a_training_job(world).settles())["champion"]["name"] == "old"

    def test_is_none_in_a_family_without_one(self) -> None:
        job = a_training_job(a_world()).succeeds()

        assert "champion" not in document(job)
        assert "champion" not in job.run
        assert "/champion" not in mounts(job, "publish")
        assert "champion" not in spec_of(job)["lineage"]

    def test_stays_that_of_the_job_whatever_is_served_meanwhile(self) -> None:
        world = a_world()
        a_rival(world)
        job = a_training_job(world).settles()

        a_version(world, "newer", "c").is_verified("c")
        job.succeeds()

        assert job.run["champion"]["name"] == spec_of(job)["lineage"]["champion"]["name"] == "rival"

    def test_is_that_of_the_job_where_the_status_was_lost(self) -> None:
        world = a_world()
        a_rival(world)
        job = a_training_job(world).settles()
        a_version(world, "newer", "c").is_verified("c")

        job.loses_its_status()

        assert job.settles().run["champion"]["name"] == "rival"

    def test_is_chosen_again_for_a_job_that_waited_for_its_data(self) -> None:
        world = a_world()
        job = a_training_job(world).settles()
        job.pod().fails("fetch", "DataNotFound")
        job.job_fails().settles()
        a_rival(world)

        world.after(3600)
        job.settles()

        assert document(job)["champion"]["name"] == job.run["champion"]["name"] == "rival"

    def test_in_another_claim_is_not_mounted_as_the_run_might_never_start(self) -> None:
        world = a_world()
        a_rival(world)

        job = a_training_job(world, artifacts={"uri": "pvc://mine/churn"}).settles()

        assert document(job)["champion"]["name"] == "rival"
        assert "/champion" not in mounts(job, "publish")

    @pytest.mark.parametrize(("phase", "is_mounted"), [("Bound", True), ("Lost", False)])
    def test_in_the_default_claim_is_mounted_beside_a_bucket_if_the_claim_is_bound(
        self, phase: str, *, is_mounted: bool
    ) -> None:
        world = a_world()
        first = a_training_job(world).succeeds()
        (claim,) = first.all(CLAIMS)
        world.edit(Key(CLAIMS, NAMESPACE, claim), status={"phase": phase})

        moved = a_training_job(
            world, "moved", model="churn", artifacts={"uri": "s3://models/churn"}
        ).settles()

        assert document(moved)["champion"]["name"] == "churn-1"
        assert ("/champion" in mounts(moved, "publish")) == is_mounted
        assert "/champion" not in {**mounts(moved, "fetch"), **mounts(moved, "train")}
        volumes = {volume["name"]: volume for volume in template(moved)["spec"]["volumes"]}
        if is_mounted:
            assert mounts(moved, "publish")["/champion"]["readOnly"] is True
            assert volumes["champion"]["persistentVolumeClaim"] == {"claimName": claim, "readOnly": True}
        assert ("champion" in volumes) == is_mounted

    @pytest.mark.parametrize(
        ("recipe", "holdout"),
        [
            ({"data": {}}, {"fraction": 0.2, "seed": 0, "stratify": True}),
            ({"data": {"holdout": {"uri": "https://data.example.com/h.csv"}}}, None),
            ({"data": {"holdout": {"seed": -1}}}, None),
            ({"data": {"sample": {"rows": 500}}}, None),
            (
                {"data": {"sample": {"rows": 500}, "holdout": {"split": "Stable"}}},
                {"fraction": 0.2, "seed": 0, "stratify": True, "split": "Stable"},
            ),
            ({"data": {"holdout": ["a"]}}, None),
            ({"data": "all"}, None),
            ({}, None),
        ],
        ids=str,
    )
    def test_with_a_lineage_that_a_user_wrote_stops_no_run(
        self, recipe: dict[str, Any], holdout: dict[str, Any] | None
    ) -> None:
        world = a_world()
        a_rival(world, recipe=recipe)

        found = document(a_training_job(world).settles())

        assert found["champion"].get("holdout") == holdout
        assert defects("run", found) == []


class TestTheVersion:
    def test_holds_the_gates_of_the_run_and_what_was_asked_for_when_it_began(self) -> None:
        terms: dict[str, Any] = {"onInconclusive": "Reject", "approval": {"required": 2}, "author": "alice"}
        gate = {"metric": "roc_auc", "min": 0.9}
        job = a_training_job(a_world(), gates=[gate], **terms).settles()

        job.changes(onInconclusive="Allow", approval={"required": 1}, author="mallory").succeeds()

        spec = spec_of(job)
        assert [each["name"] for each in spec["gates"]] == [
            "gate-1", "better-than-baseline", "not-worse-than-champion",
        ]  # fmt: skip
        assert spec["gates"] == document(job)["gates"]
        assert (spec["defaultGates"], spec["onInconclusive"]) == ("Disabled", "Reject")
        assert (spec["approval"], spec["lineage"]["author"]) == ({"required": 2}, "alice")

    def test_has_no_gates_where_all_are_disabled(self) -> None:
        job = a_training_job(a_world(), defaultGates="Disabled").succeeds(gates=[])

        assert (spec_of(job)["gates"], spec_of(job)["defaultGates"]) == ([], "Disabled")
        assert job.is_ready

    def test_of_a_job_of_an_earlier_release_has_no_gates(self) -> None:
        job = a_training_job(a_world(), approval={"required": 1}).settles()

        def as_before(made: dict[str, Any]) -> None:
            annotations = made["spec"]["template"]["metadata"]["annotations"]
            found = json.loads(annotations["modelwright.dev/run"])
            del found["gates"]
            annotations["modelwright.dev/run"] = json.dumps(found)

        job.world.api.edit(job.job_key, as_before)
        job.world.watch()
        job.succeeds(gates=[])

        assert {"gates", "defaultGates", "approval"}.isdisjoint(spec_of(job))
        assert (job.run["state"], job.is_ready) == ("Succeeded", True)

    @pytest.mark.parametrize(
        ("names", "given"),
        [
            ([None, None], ["gate-1", "gate-2"]),
            (["gate-2", None], ["gate-2", "gate-3"]),
            (["a", "a", "a-2"], ["a", "a-3", "a-2"]),
        ],
        ids=str,
    )
    def test_has_gates_with_names_that_differ(self, names: list[str | None], given: list[str]) -> None:
        gates = [{"metric": "accuracy", "min": 0.5, **({"name": name} if name else {})} for name in names]
        job = a_training_job(a_world(), gates=gates, defaultGates="Disabled").settles()

        assert [gate["name"] for gate in document(job)["gates"]] == given


def gated(job: TrainingJob, *conditions: tuple[str, str, str], message: str = "why") -> TrainingJob:
    """Its version is said to stand so."""
    listed = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status, reason in conditions
    ]
    job.world.edit(job.version.key, status={"conditions": listed})
    return job.settles()


class TestReady:
    def test_follows_a_version_that_fails_a_gate(self) -> None:
        job = a_training_job(a_world()).succeeds(gates=[words.NO_BETTER, words.GATES[1]])

        assert (job.run["state"], job.reason, job.kstatus) == ("Succeeded", "GateInconclusive", "InProgress")
        assert job.message.startswith("run 1 made ModelVersion churn-1, which is not Ready: ")
        assert "0.51" in job.message
        assert job.status["latestModelVersion"] == "churn-1"

    @pytest.mark.parametrize(
        ("state", "reason", "kstatus"),
        [
            ("Stalled", "GateFailed", "Failed"),
            ("Stalled", "GateInconclusive", "Failed"),
            ("Reconciling", "GateInconclusive", "InProgress"),
            ("Reconciling", "AwaitingApproval", "InProgress"),
            ("Stalled", "Rejected", "Failed"),
        ],
    )
    def test_has_the_reason_of_the_version(self, state: str, reason: str, kstatus: str) -> None:
        job = a_training_job(a_world()).succeeds()
        gated(job, ("Ready", "False", reason), (state, "True", reason), message="0.51 is below 0.9")

        assert (job.reason, job.kstatus) == (reason, kstatus)
        assert job.message == "run 1 made ModelVersion churn-1, which is not Ready: 0.51 is below 0.9"

        gated(job, ("Ready", "True", "Published"))
        assert (job.reason, job.kstatus) == ("RunSucceeded", "Current")

    def test_is_not_true_before_the_version_is_judged(self) -> None:
        job = a_training_job(a_world()).settles()
        job.pod().finishes()
        job.job_completes().settles()
        assert (job.reason, job.kstatus) == ("Judging", "InProgress")

    def test_does_not_depend_on_the_file_of_a_version(self) -> None:
        job = a_training_job(a_world()).succeeds()
        gated(job, ("Ready", "False", "DigestMismatch"), ("Stalled", "True", "DigestMismatch"))
        assert job.is_ready

    def test_is_true_where_the_version_was_deleted(self) -> None:
        job = a_training_job(a_world()).succeeds()
        gated(job, ("Ready", "False", "GateFailed"), ("Stalled", "True", "GateFailed"))
        job.version.is_deleted()
        assert job.settles().reason == "RunSucceeded"

    def test_a_model_that_failed_is_not_trained_again_where_the_status_was_lost(self) -> None:
        job = a_training_job(a_world()).succeeds()
        gated(job, ("Ready", "False", "GateFailed"), ("Stalled", "True", "GateFailed"))
        job.world.drop(job.job_key)

        job.loses_its_status()

        assert (job.settles().run["number"], job.reason) == (1, "GateFailed")


class TestReports:
    """The tables of a run's report are kept until its version has taken them."""

    def test_of_earlier_runs_lose_their_tables(self) -> None:
        job = a_training_job(a_world()).succeeds()
        assert "evaluation" in job.run["report"]
        job.changes(seed=1).settles()

        assert set(job.status["history"][0]["report"]) == {"task", "metrics", "parity", "gates", "signature"}
        assert "evaluation" in job.version_of(1).status

    def test_vouch_for_the_gates_of_a_version_that_is_restored_without_its_status(self) -> None:
        job = a_training_job(a_world()).succeeds()
        spec, first = spec_of(job), job.version_of(1)
        job.changes(seed=1).settles()
        first.is_deleted()

        again = ModelVersion(job.world, "churn-1", spec).settles()

        assert (again.is_ready, again.has_job()) == (True, False)

    def test_are_kept_until_the_version_has_a_status(self) -> None:
        job = a_training_job(a_world()).settles()
        job.pod().finishes()
        job.job_completes().settles()
        job.changes(seed=1).settles()
        assert "evaluation" in job.status["history"][0]["report"]

        first = job.version_of(1).settles()

        assert first.condition("ArtifactVerified")["reason"] == "Published"
        assert [gate["verdict"] for gate in first.status["gates"]] == ["Pass", "Pass"]
        assert "evaluation" not in job.settles().status["history"][0]["report"]

    def test_are_kept_where_the_status_does_not_hold_the_gates(self) -> None:
        job = a_training_job(a_world()).settles()
        job.pod().finishes()
        job.job_completes().settles()
        of_an_earlier_release: Body = {"conditions": [
            {"type": "ArtifactVerified", "status": "True", "reason": "Published", "message": "it is"},
        ]}  # fmt: skip
        job.world.edit(job.version.key, status=of_an_earlier_release)
        job.changes(seed=1).settles()

        assert "evaluation" in job.status["history"][0]["report"]
