"""The input of the TrainingJob planner: the object and its runs, Jobs, pods and ModelVersion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwright.api.trainingjob import Run, TrainingJobStatus
from modelwright.api.triggers import TriggerStatus
from modelwright.common.facts import FAILED_CREATE
from modelwright.common.families import champion
from modelwright.common.indexes import watched_services
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.reading import read_valid
from modelwright.common.resources import INFERENCE_SERVICES, JOBS, MODEL_VERSIONS, PODS, controlled
from modelwright.common.standing import has_facts
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, generation, name, owner_uid, root_uid, uid
from modelwright.engine.plan import ABSENT
from modelwright.trainingjob.memory import Memory, job_of_run, read_memory, recipe_hash
from modelwright.trainingjob.triggers.signals import Watched, monitoring_of
from modelwright.workload.champion import champion_claim
from modelwright.workload.podstatus import newest_first


@dataclass(frozen=True)
class Observed(Primary):
    """The TrainingJob, its runs, the Jobs that it controls, and the Job, pods and ModelVersion of the newest run.

    `absent`: objects that the API server confirms not to exist. `failed_create`: why it refuses the pods of the Job.
    """

    memory: Memory
    jobs: tuple[Body, ...]
    job: Body | None
    pods: tuple[Body, ...]
    version: Body | None
    # The version that a run is compared with that starts now.
    champion: Body | None = None
    # The claim of its file, if it is seen to be bound.
    champion_claim: str | None = None
    # The ModelVersions of runs with a report that have not taken their facts from it yet.
    unread: frozenset[str] = frozenset()
    absent: frozenset[Key] = frozenset()
    failed_create: str | None = None
    # What became of the triggers, as it was last written.
    triggers: TriggerStatus | None = None
    # The services that the triggers name, by name.
    watched: Mapping[str, Watched] = field(default_factory=dict)
    # The digest of all that the last successful run with this recipe has read, if its ModelVersion is there.
    known_digest: str | None = None
    # The Job that looks whether the data has changed.
    probe_job: Body | None = None
    probe_pods: tuple[Body, ...] = ()

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec, with the API server's defaults."""
        spec: Mapping[str, Any] = self.body["spec"]
        return spec

    @property
    def model(self) -> str:
        """The model that the versions belong to; the name of the TrainingJob if the spec has none."""
        return str(self.spec.get("model") or self.name)

    @property
    def run(self) -> Run | None:
        """The newest run."""
        return self.memory.run

    @property
    def real_run(self) -> Run | None:
        """The newest run that was not skipped."""
        return self.memory.real_run

    def job_key(self, run: Run) -> Key:
        """The key of the Job of a run."""
        return Key(JOBS, self.namespace, run.job)


def observe(view: View, key: Key) -> Observed | None:
    """Returns what the planner needs; None if the TrainingJob does not exist."""
    body = view.get(key)
    if body is None:
        return None
    memory = read_memory(view, body)
    job = job_of_run(view, body, memory.run)
    jobs = controlled(view, JOBS, body)
    probe = next((each for each in jobs if name(each) == probe_job_name(key.name)), None)
    real = memory.real_run
    rival = _champion(view, key, body, memory, job)
    return Observed(
        body=body,
        memory=memory,
        jobs=tuple(each for each in jobs if each is not probe),
        job=job,
        pods=pods_of(view, job) if job is not None else (),
        version=view.get(Key(MODEL_VERSIONS, key.namespace, real.job)) if real else None,
        champion=rival,
        champion_claim=champion_claim(view, rival),
        unread=frozenset(_unread(view, key, memory)),
        refusals=refusals_of(view, key),
        absent=_absent(view, key, memory.run, job),
        failed_create=view.fact(key, FAILED_CREATE),
        triggers=read_valid(TrainingJobStatus, body.get("status") or {}).triggers,
        watched={service: _watched(view, key, service) for service in watched_services(body)},
        known_digest=_known_digest(view, key, body, memory),
        probe_job=probe,
        probe_pods=pods_of(view, probe) if probe is not None else (),
    )


def probe_job_name(training_job: str) -> str:
    """The name of the Job that looks whether the data has changed. No run, and no other Job, has such a name."""
    return f"{training_job}-probe"


def _watched(view: View, key: Key, service: str) -> Watched:
    body = view.get(Key(INFERENCE_SERVICES, key.namespace, service))
    found = None if body is None else monitoring_of(body)
    version = None if found is None else view.get(Key(MODEL_VERSIONS, key.namespace, found.version))
    return Watched(service, body, version)


def _known_digest(view: View, key: Key, body: Body, memory: Memory) -> str | None:
    recipe = recipe_hash(body)
    for run in (memory.run, *memory.history):
        if run is not None and run.state == "Succeeded" and run.recipe_hash == recipe:
            is_there = view.get(Key(MODEL_VERSIONS, key.namespace, run.job)) is not None
            return run.data.input_digest if is_there and run.data is not None else None
    return None


def _champion(view: View, key: Key, body: Body, memory: Memory, job: Body | None) -> Body | None:
    """The Champion of the family; None while no Job is to be made."""
    if job is not None and memory.run is not None and memory.run.generation == generation(body):
        return None
    return champion(view, key.namespace, str(body["spec"].get("model") or name(body)))


def _unread(view: View, key: Key, memory: Memory) -> Iterator[str]:
    """The versions whose status does not hold yet what the report of their run says. One that is not seen counts."""
    for run in (memory.run, *memory.history):
        if run is not None and run.report is not None:
            version = view.get(Key(MODEL_VERSIONS, key.namespace, run.job))
            if version is None or not has_facts(version):
                yield run.job


def _absent(view: View, key: Key, run: Run | None, job: Body | None) -> frozenset[Key]:
    """The objects that are known not to exist. If a Job of another owner has the name of ours, ours does not exist."""
    absent: frozenset[Key] = view.fact(key, ABSENT) or frozenset()
    named = Key(JOBS, key.namespace, run.job) if run is not None else None
    return absent if named is None or job is not None or view.get(named) is None else absent | {named}


def pods_of(view: View, job: Body) -> tuple[Body, ...]:
    """Returns the pods of a Job, the newest first.

    They are looked up by the label of the Job, which may name a TrainingJob that no longer exists.
    """
    pods = (pod for pod in view.owned(PODS, root_uid(job) or "") if owner_uid(pod) == uid(job))
    return tuple(newest_first(pods))
