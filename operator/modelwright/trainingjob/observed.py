"""The input of the TrainingJob planner: the object and its runs, Jobs, pods and ModelVersion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.api.trainingjob import Run
from modelwright.common.facts import FAILED_CREATE
from modelwright.common.families import champion
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.resources import JOBS, MODEL_VERSIONS, PODS, controlled
from modelwright.common.standing import has_facts
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, generation, name, owner_uid, root_uid, uid
from modelwright.engine.plan import ABSENT
from modelwright.trainingjob.memory import Memory, job_of_run, read_memory
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
    rival = _champion(view, key, body, memory, job)
    return Observed(
        body=body,
        memory=memory,
        jobs=tuple(controlled(view, JOBS, body)),
        job=job,
        pods=pods_of(view, job) if job is not None else (),
        version=view.get(Key(MODEL_VERSIONS, key.namespace, memory.run.job)) if memory.run else None,
        champion=rival,
        champion_claim=champion_claim(view, rival),
        unread=frozenset(_unread(view, key, memory)),
        refusals=refusals_of(view, key),
        absent=_absent(view, key, memory.run, job),
        failed_create=view.fact(key, FAILED_CREATE),
    )


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
