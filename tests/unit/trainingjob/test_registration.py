"""Which ModelVersion a run takes for its own, and that no document in a Job stops the planner."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import ModelVersion, TrainingJob, a_training_job, a_world

from modelwright.api.rundocument import terms_hash
from modelwright.common.resources import JOBS, MODEL_VERSIONS, TRAINING_JOB

APPROVED: dict[str, Any] = {"approval": {"required": 2}, "onInconclusive": "Reject"}
RUN, TERMS = "modelwright.dev/run", "modelwright.dev/terms"


def registered(**spec: Any) -> dict[str, Any]:
    """The spec of the ModelVersion that the first run of such a TrainingJob writes."""
    job = a_training_job(a_world(), **spec).succeeds()
    return copy.deepcopy(dict(job.version.body["spec"]))


def meets(version: dict[str, Any], *, seen: bool = True, **spec: Any) -> TrainingJob:
    """A run that ends when there is such a ModelVersion already. `seen`: its result is read."""
    job = a_training_job(a_world(), **spec).settles()
    ModelVersion(job.world, "churn-1", version, labels={TRAINING_JOB: "churn"})
    pod = job.pod()
    if seen:
        pod.finishes()
    job.job_completes().settles()
    job.world.after(60)
    return job.settles()


@pytest.mark.parametrize("seen", [True, False])
class TestAVersionThatExists:
    def test_is_the_runs_own_if_it_is_as_the_run_writes_it(self, seen: bool) -> None:
        job = meets(registered(**APPROVED), seen=seen, **APPROVED)

        assert (job.run["state"], job.run["digest"]) == ("Succeeded", words.digest())
        assert job.run["termsHash"] == terms_hash(job.version.body["spec"])

    @pytest.mark.parametrize(
        ("change", "difference"),
        [
            (lambda spec: spec.pop("gates"), "other gates"),
            (lambda spec: spec.update(gates=[]), "other gates"),
            (lambda spec: spec["gates"].pop(), "other gates"),
            (lambda spec: spec["gates"][0].update(minChange=-1), "other gates"),
            (lambda spec: spec["gates"][0].update(onInconclusive="Allow"), "other gates"),
            (lambda spec: spec.update(onInconclusive="Allow"), "other gates"),
            (lambda spec: spec.pop("approval"), "other approvals"),
            (lambda spec: spec.update(approval={"required": 0}), "other approvals"),
            (lambda spec: spec.update(evaluate={"uri": "pvc://c/easy.csv", "target": "y"}), "other gates"),
            (lambda spec: spec.pop("lineage"), "another run"),
            (lambda spec: spec["lineage"].update(trainingJob="other"), "another run"),
            (lambda spec: spec["lineage"].update(run=7), "another run"),
        ],
    )
    def test_is_not_if_it_is_easier_to_have_ready(
        self, seen: bool, change: Callable[[dict[str, Any]], Any], difference: str
    ) -> None:
        version = registered(**APPROVED)
        change(version)

        job = meets(version, seen=seen, **APPROVED)

        assert (job.run["state"], job.reason, job.kstatus) == ("Failed", "ModelVersionExists", "Failed")
        assert difference in job.message
        assert "change the spec to run again" in job.message
        assert "modelVersion" not in job.run
        assert job.version.body["spec"] == version, "it is left alone"


class TestACrash:
    @pytest.mark.parametrize(
        "later", [{}, {"approval": {"required": 1}, "author": "eve"}, {"seed": 5}], ids=str
    )
    def test_after_the_version_was_made_costs_nothing(self, later: dict[str, Any]) -> None:
        job = a_training_job(a_world(), **APPROVED).settles()
        job.pod().finishes()
        job.job_completes()
        while not job.versions:
            job.looks()
        assert job.run["state"] == "Running"

        job.world.restart()
        job.world.after(3600)
        job.changes(**later).settles()

        runs = {run["number"]: run for run in (job.run, *job.status.get("history", ()))}
        assert (runs[1]["state"], runs[1]["modelVersion"]) == ("Succeeded", "churn-1")
        assert runs[1]["termsHash"] == terms_hash(job.version_of(1).body["spec"])


def changed(job: TrainingJob, annotation: str, text: str) -> TrainingJob:
    """A person makes the Job of the run again, without an owner and with another annotation."""
    job.is_orphaned()
    template = ("spec", "template", "metadata", "annotations")

    def write(body: dict[str, Any]) -> None:
        part: Any = body
        for key in template:
            part = part[key]
        part[annotation] = text

    key = next(key for key in job.world.api.objects if key.resource == JOBS)
    job.world.api.edit(key, write)
    job.world.watch()
    return job


class TestAJobOfAnotherHand:
    @pytest.mark.parametrize(
        "champion",
        [
            {}, "x", [], 7, {"name": "rival"}, {"name": "rival", "artifact": "x"},
            {"name": "rival", "artifact": {}}, {"name": "No name!", "artifact": {"digest": words.digest()}},
            {"name": ["a"], "artifact": {"digest": words.digest()}},
            {"name": "rival", "artifact": {"digest": "md5:1"}},
        ],
        ids=str,
    )  # fmt: skip
    def test_with_a_champion_that_cannot_be_read_has_none(self, champion: object) -> None:
        job = a_training_job(a_world()).settles()
        annotations = job.world.api.objects[job.job_key]["spec"]["template"]["metadata"]["annotations"]
        document = {**json.loads(annotations[RUN]), "champion": champion}
        changed(job, RUN, json.dumps(document)).succeeds()

        assert job.run["state"] == "Succeeded"
        assert "champion" not in job.run
        assert "champion" not in job.version.body["spec"]["lineage"]

    @pytest.mark.parametrize(
        "document",
        [
            "{}", "[]", "{", "[" * 100_000, '{"data": 1}', '{"data": {}, "trainer": 7, "model": "m"}',
            '{"data": {"holdout": "x"}, "trainer": {}, "model": "m"}', '{"data": {}, "trainer": {}, "gates": []}',
        ],
        ids=lambda text: text[:40],
    )  # fmt: skip
    def test_with_a_document_that_cannot_be_read_fails_the_run(self, document: str) -> None:
        job = changed(a_training_job(a_world()).settles(), RUN, document).settles()
        job.pod().finishes()
        job.job_completes().settles()

        assert (job.run["state"], job.reason) == ("Failed", "ResultUnreadable")
        assert job.versions == []

    @pytest.mark.parametrize(
        "terms",
        [
            "[1]",
            "{",
            "7",
            '{"approval": "no"}',
            '{"approval": {"required": -1}}',
            '{"onInconclusive": "Maybe"}',
        ],
    )
    def test_with_terms_that_cannot_be_read_needs_an_approval(self, terms: str) -> None:
        job = changed(a_training_job(a_world(), **APPROVED).settles(), TERMS, terms).succeeds()

        spec = job.version.body["spec"]
        assert (spec["approval"], spec["onInconclusive"]) == ({"required": 1}, "Hold")
        assert (job.run["state"], job.reason) == ("Succeeded", "AwaitingApproval")


def test_a_version_that_no_run_can_have_made_stops_nothing() -> None:
    world = a_world()
    long = registered() | {"lineage": {"trainingJob": "churn", "run": 7}}
    world.make(MODEL_VERSIONS, "churn-" + "x" * 80, long, labels={TRAINING_JOB: "churn"})

    assert a_training_job(world).succeeds().run["state"] == "Succeeded"
