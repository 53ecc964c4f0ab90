"""The input of the ModelVersion planner: the object, its run and Job, and the InferenceServices around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.common.facts import APPROVALS_POLICY, FAILED_CREATE
from modelwright.common.families import champion
from modelwright.common.indexes import (
    SERVICES_APPROVING,
    SERVICES_REJECTING,
    SERVICES_SERVING,
    VERSIONS_OF_DIGEST,
)
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.resources import (
    JOBS,
    TRAINING_JOBS,
    controlled,
    pods_of_job,
)
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, name, namespace
from modelwright.workload.champion import champion_claim
from modelwright.workload.podstatus import Problem, newest_first
from modelwright.workload.refusals import refusal_problem


@dataclass(frozen=True)
class Observed(Primary):
    """The ModelVersion, the run that it names, the Job that verifies it, and the InferenceServices that serve it or
    have rolled back its file.

    `approving`: the InferenceServices that approve its file. `approvals_policy`: IN_FORCE if the API server checks who
    approves, else why it does not; None if that is not known. `siblings`: the other versions with the same file.
    `champion`: the version that its gates compare it with; None if it is not scored, or there is none.
    `champion_claim`: the claim of that one's file, if it is seen to be bound.
    """

    run: Mapping[str, Any] | None
    job: Body | None
    pods: tuple[Body, ...]
    pods_refused: Problem | None
    services: tuple[Body, ...]
    approving: tuple[Body, ...] = ()
    approvals_policy: str | None = None
    siblings: tuple[Body, ...] = ()
    champion: Body | None = None
    champion_claim: str | None = None

    @property
    def key(self) -> Mapping[str, Any] | None:
        """The key of a Secret that the signature of the file has to belong to; None if none has to."""
        return (self.spec.get("verification") or {}).get("keySecretRef")

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec, which never changes."""
        spec: Mapping[str, Any] = self.body["spec"]
        return spec

    @property
    def artifact(self) -> Mapping[str, Any]:
        """The model file."""
        artifact: Mapping[str, Any] = self.spec["artifact"]
        return artifact

    @property
    def job_name(self) -> str:
        """The name of the Job that verifies it."""
        return _job_name(self.name)

    @property
    def job_key(self) -> Key:
        """The key of the Job that verifies it."""
        return Key(JOBS, self.namespace, self.job_name)


def observe(view: View, key: Key) -> Observed | None:
    """Returns what the planner needs; None if the ModelVersion does not exist."""
    body = view.get(key)
    if body is None:
        return None
    jobs = controlled(view, JOBS, body)
    job = next((job for job in jobs if name(job) == _job_name(key.name)), None)
    refused = view.fact(key, FAILED_CREATE)
    digest = body["spec"]["artifact"]["digest"]
    rival = _champion(view, body) if body["spec"].get("evaluate") else None
    same = view.indexed(VERSIONS_OF_DIGEST, key.namespace, digest)
    return Observed(
        body,
        run=_run(view, key, body["spec"]),
        job=job,
        pods=tuple(newest_first(pods_of_job(view, body, job))),
        pods_refused=None if refused is None else refusal_problem(refused),
        services=_services(view, key, digest),
        approving=tuple(view.indexed(SERVICES_APPROVING, key.namespace, digest)),
        approvals_policy=view.fact(key, APPROVALS_POLICY),
        siblings=tuple(version for version in same if name(version) != key.name),
        champion=rival,
        champion_claim=champion_claim(view, rival),
        refusals=refusals_of(view, key),
    )


def _champion(view: View, body: Body) -> Body | None:
    found = champion(view, namespace(body), str(body["spec"]["model"]))
    return None if found is None or name(found) == name(body) else found


def _job_name(version: str) -> str:
    return f"{version}-verify"


def _services(view: View, key: Key, digest: str) -> tuple[Body, ...]:
    """The InferenceServices of the namespace that serve the version, or have rolled back its file."""
    serving = view.indexed(SERVICES_SERVING, key.namespace, key.name)
    rejecting = view.indexed(SERVICES_REJECTING, key.namespace, digest)
    return tuple({name(service): service for service in (*serving, *rejecting)}.values())


def _run(view: View, key: Key, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run that the lineage names, from the TrainingJob's status; None if it is not there."""
    lineage = spec.get("lineage") or {}
    if "trainingJob" not in lineage:
        return None
    job = view.get(Key(TRAINING_JOBS, key.namespace, lineage["trainingJob"])) or {}
    identity = (lineage.get("run"), key.name)
    return next((run for run in _runs(job) if (run.get("number"), run.get("job")) == identity), None)


def _runs(training_job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All runs in the status of a TrainingJob, the newest first."""
    status = training_job.get("status") or {}
    if status.get("run"):
        yield status["run"]
    yield from status.get("history") or ()
