"""What a test starts from, in its own words: a TrainingJob, a ModelVersion, an InferenceService in a world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from unit.given import words
from unit.given.checks import kstatus
from unit.given.pods import Pod
from unit.given.world import NAMESPACE, SETTINGS, World

from modelwright.common.facts import FAILED_CREATE
from modelwright.common.primary import Primary
from modelwright.common.resources import (
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    JOBS,
    MODEL,
    MODEL_VERSIONS,
    REVISION,
    SERVICES,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body, Key, ResourceType, labels, metadata
from modelwright.inferenceservice.manifests.names import canary_name

SKLEARN = {"sklearn": {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 1.0}}}
RECIPE: Mapping[str, Any] = {
    "data": {"uri": "configmap://churn-data/churn.csv", "target": "churned"},
    "trainer": SKLEARN,
}


class Resource:
    """One custom resource and how it stands."""

    kind: ResourceType

    def __init__(self, world: World, name: str, spec: Mapping[str, Any], **metadata: Any) -> None:
        self.world, self.name = world, name
        self.key = world.make(self.kind, name, spec, **metadata)

    @classmethod
    def found(cls, world: World, name: str) -> Self:
        """One that somebody else has made."""
        found = cls.__new__(cls)
        found.world, found.name, found.key = world, name, Key(cls.kind, NAMESPACE, name)
        return found

    @property
    def body(self) -> dict[str, Any]:
        """As it is now."""
        return self.world.api.objects[self.key]

    @property
    def status(self) -> Mapping[str, Any]:
        """What the operator says."""
        status: Mapping[str, Any] = self.body["status"]
        return status

    @property
    def kstatus(self) -> str:
        """What Flux and Argo CD make of it."""
        return kstatus(self.body)

    def condition(self, kind: str = "Ready") -> Mapping[str, Any]:
        """One aspect."""
        found: Mapping[str, Any] = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found

    @property
    def reason(self) -> str:
        """Why it is Ready, or not."""
        return str(self.condition()["reason"])

    @property
    def message(self) -> str:
        """The same in a sentence."""
        return str(self.condition()["message"])

    @property
    def is_ready(self) -> bool:
        """Whether the spec is fulfilled."""
        return bool(self.condition()["status"] == "True")

    @property
    def is_stalled(self) -> bool:
        """Whether nothing more happens until the spec changes."""
        return any(c["type"] == "Stalled" for c in self.status["conditions"])

    def looks_once(self) -> bool:
        """The operator looks once. Says whether it wrote anything."""
        return self.world.look(self.key)

    def looks(self) -> Self:
        """The operator looks once."""
        self.world.look(self.key)
        return self

    def settles(self) -> Self:
        """The operator looks until nothing is left to do."""
        self.world.settle(self.key)
        return self

    def changes(self, **spec: Any) -> Self:
        """The user changes the spec."""
        self.world.edit(self.key, spec=spec)
        return self

    def is_deleted(self) -> None:
        """The user deletes it."""
        self.world.drop(self.key)

    def is_deleted_alone(self) -> None:
        """The user deletes it, and what it controls stays."""
        self.world.api.orphan(self.key)
        self.world.watch()

    def all(self, resource: ResourceType) -> dict[str, Body]:
        """All objects of a kind that there are."""
        return {key.name: body for key, body in self.world.api.objects.items() if key.resource == resource}


class WithJob(Resource):
    """A resource that has a Job work for it."""

    @property
    def job_name(self) -> str:
        """The Job that works now."""
        raise NotImplementedError

    @property
    def job_key(self) -> Key:
        """The key of the Job that works now."""
        return Key(JOBS, NAMESPACE, self.job_name)

    def has_job(self) -> bool:
        """Whether the Job is there."""
        return self.job_key in self.world.api.objects

    def pod(self) -> Pod:
        """The Job makes a pod."""
        return Pod.of(self.world, self.world.api.objects[self.job_key])

    def job_completes(self) -> Self:
        """The Job says that it has succeeded."""
        return self._job_says(
            ("SuccessCriteriaMet", "CompletionsReached", ""), ("Complete", "CompletionsReached", "")
        )

    def job_fails(self, reason: str = "PodFailurePolicy", message: str = "a pod failed") -> Self:
        """The Job says that it has failed."""
        return self._job_says(("FailureTarget", reason, message), ("Failed", reason, message))

    def job_is_deleted(self) -> Self:
        """Somebody deletes the Job."""
        self.world.drop(self.job_key)
        return self

    def _job_says(self, *conditions: tuple[str, str, str]) -> Self:
        now = to_timestamp(self.world.now)
        said = [
            {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
            for kind, reason, message in conditions
        ]
        self.world.edit(self.job_key, status={"conditions": said})
        return self


class TrainingJob(WithJob):
    """A recipe."""

    kind = TRAINING_JOBS

    @property
    def run(self) -> Mapping[str, Any]:
        """The newest run."""
        run: Mapping[str, Any] = self.status["run"]
        return run

    @property
    def job_name(self) -> str:
        """The Job of the newest run."""
        return str(self.run["job"])

    @property
    def jobs(self) -> list[str]:
        """The Jobs that there are."""
        return sorted(self.all(JOBS))

    @property
    def versions(self) -> list[str]:
        """The ModelVersions that there are."""
        return sorted(self.all(MODEL_VERSIONS))

    def gets_no_pod(self, sentence: str | None) -> Self:
        """The API server refuses the pods of the Job in these words, or no longer."""
        self.world.cache.note(self.key, FAILED_CREATE, sentence)
        return self

    def loses_its_status(self, *fields: str) -> Self:
        """Somebody removes the status, or fields of it, as a restored backup does."""

        def without(body: dict[str, Any]) -> None:
            kept = {name: value for name, value in body["status"].items() if name not in fields}
            body["status"] = kept if fields else {}

        self.world.api.edit(self.key, without)
        self.world.watch()
        return self

    def is_asked(self, token: str, by: str = "ada") -> Self:
        """Somebody asks for a run by hand."""

        def asked(body: dict[str, Any]) -> None:
            body["metadata"].setdefault("annotations", {}).update(
                {"modelwright.dev/run": token, "modelwright.dev/run-requested-by": by}
            )

        self.world.api.edit(self.key, asked)
        self.world.watch()
        return self

    @property
    def decision(self) -> Mapping[str, Any]:
        """Why a run was started, or was not."""
        found: Mapping[str, Any] = self.status["triggers"]["lastDecision"]
        return found

    def decided(self, *fields: str) -> list[tuple[Any, ...]]:
        """All decisions that are kept, the newest first."""
        triggers = self.status["triggers"]
        kept = [triggers["lastDecision"], *triggers.get("history", ())]
        return [tuple(each.get(name) for name in fields or ("trigger", "outcome", "reason")) for each in kept]

    def finds_no_other_data(self) -> Self:
        """The run sees that the data is that of the last one."""
        self.pod().fails("fetch", "DataUnchanged", "the data is that of the last run")
        return self.job_fails().settles()

    def is_orphaned(self) -> Self:
        """Somebody deletes it without what it owns, and writes it anew."""
        job_key, body = self.job_key, self.body
        self.world.drop(self.key, orphans=True)
        self.world.api.edit(job_key, lambda job: job["metadata"].pop("ownerReferences"))
        self.world.watch()
        self.key = self.world.make(self.kind, self.name, body["spec"])
        return self

    def succeeds(self, letter: str = "a", **report: Any) -> Self:
        """A run from its start to its ModelVersion, and what that is worth."""
        self.settles()
        self.pod().finishes(words.published(letter, **report))
        self.job_completes().settles()
        self.version.settles()
        return self.settles()

    @property
    def version(self) -> ModelVersion:
        """The ModelVersion of the newest run."""
        return ModelVersion.found(self.world, self.job_name)

    def version_of(self, run: int) -> ModelVersion:
        """The ModelVersion of a run."""
        return ModelVersion.found(self.world, f"{self.name}-{run}")

    def fails(self) -> Self:
        """A run that cannot work."""
        self.settles()
        self.pod().fails("fetch", "TargetMissing")
        return self.job_fails().settles()


class ModelVersion(WithJob):
    """A fact."""

    kind = MODEL_VERSIONS

    @property
    def job_name(self) -> str:
        """The Job that verifies it."""
        return f"{self.name}-verify"

    def is_verified(self, letter: str = "a") -> Self:
        """A verification that goes well."""
        self.settles()
        self.pod().ends("verify", words.verified(letter))
        return self.job_completes().settles()

    def is_rejected(self, reason: str = "DigestMismatch") -> Self:
        """A verification that does not."""
        self.settles()
        self.pod().fails("verify", reason)
        return self.job_fails().settles()


class InferenceService(Resource):
    """A promise about traffic."""

    kind = INFERENCE_SERVICES

    def part(self, name: str) -> Mapping[str, Any] | None:
        """stable, canary or retired."""
        return self.status.get(name)

    def version(self, part: str) -> str | None:
        """The version that has a part."""
        found = self.part(part)
        return found["version"] if found else None

    def revision(self, part: str) -> str:
        """The revision that has a part."""
        found = self.part(part)
        assert found is not None, f"nothing is {part}"
        return str(found["revision"])

    @property
    def canary_name(self) -> str:
        """What the Service of its canary is called."""
        return canary_name(Primary(self.body))

    @property
    def traffic(self) -> str | None:
        """The revision that the Service selects."""
        service = self.world.api.objects.get(Key(SERVICES, NAMESPACE, self.name))
        return service["spec"]["selector"][REVISION] if service else None

    @property
    def deployed(self) -> dict[str, int]:
        """The revisions that have a Deployment, and how many pods each is to have."""
        return {labels(d)[REVISION]: d["spec"]["replicas"] for d in self.all(DEPLOYMENTS).values()}

    def deployment(self, revision: str) -> Key:
        """The Deployment of a revision."""
        return Key(DEPLOYMENTS, NAMESPACE, f"{self.name}-{revision}")

    def starts(self, part: str = "canary") -> Pod:
        """The Deployment makes a pod."""
        return Pod.of(self.world, self.world.api.objects[self.deployment(self.revision(part))])

    def has_ready(self, count: int, part: str = "canary", *, updated: int | None = None) -> Self:
        """The Deployment reports pods that are ready."""
        key = self.deployment(self.revision(part))
        status = {
            "observedGeneration": metadata(self.world.api.objects[key])["generation"],
            "replicas": count,
            "updatedReplicas": count if updated is None else updated,
            "readyReplicas": count,
            "availableReplicas": count,
        }
        self.world.edit(key, status=status)
        return self

    def shows(self, condition: str | None = None, **monitoring: Any) -> Self:
        """Its last window shows something; `condition` is true then."""
        status: dict[str, Any] = dict(self.status)
        others = [c for c in status["conditions"] if c["type"] not in {"DriftDetected", "ScoreBelowTarget"}]
        if condition is not None:
            raised = {"type": condition, "status": "True", "reason": "Found", "message": "it is so"}
            others.append(
                {**raised, "lastTransitionTime": to_timestamp(self.world.now), "observedGeneration": 1}
            )
        whole = {"version": self.version("stable"), "windowSeconds": 60, **monitoring}
        self.world.edit(self.key, status={"conditions": others, "monitoring": whole})
        return self

    def drifts(self, window: str, **monitoring: Any) -> Self:
        """Its last window has drifted."""
        worst = {"feature": "plan", "statistic": "psi", "value": 0.31, "threshold": 0.1}
        seen = {"windowStart": window, "verdict": "Drifted", "inARow": 2, "rowsInARow": 900, "worst": [worst]}
        return self.shows("DriftDetected", **{**seen, **monitoring})

    def serves(self, replicas: int = 1) -> Self:
        """A rollout from its start to its end."""
        self.settles()
        return self.has_ready(replicas).settles()


def a_world(**settings: Any) -> World:
    """An empty cluster."""
    return World(replace(SETTINGS, **settings))


def a_training_job(world: World, name: str = "churn", **spec: Any) -> TrainingJob:
    """A TrainingJob that the user has just applied."""
    return TrainingJob(world, name, {**RECIPE, **spec})


def a_version(
    world: World, name: str = "churn-1", letter: str = "a", model: str = "churn", **lineage: Any
) -> ModelVersion:
    """A ModelVersion that the user has just applied; with a lineage, one that a run has made."""
    spec = {
        "model": model,
        "artifact": words.artifact(model, letter),
        **({"lineage": lineage} if lineage else {}),
    }
    job = lineage.get("trainingJob")
    marks = {MODEL: model, **({TRAINING_JOB: job} if job else {})}
    return ModelVersion(world, name, spec, labels=marks)


def a_service(
    world: World, version: str | None = "churn-1", name: str = "churn", **spec: Any
) -> InferenceService:
    """An InferenceService that the user has just applied."""
    model = {"version": version} if version else {"name": "churn", "track": "Latest"}
    return InferenceService(world, name, {"model": model, **spec})


def a_served_version(world: World | None = None, **spec: Any) -> InferenceService:
    """churn-1 has the traffic."""
    world = world or a_world()
    a_version(world).is_verified()
    return a_service(world, **spec).serves(spec.get("replicas", 1))
