"""What must hold at every moment, read off the history of the API server and off the requests of the operator."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from fakes.api import Call, WatchEvent
from unit.given.checks import check_effect
from unit.given.crds import defects
from unit.statemachine.cluster import NAMESPACE, Cluster
from unit.statemachine.gateway import named

from modelwright.common.conditions import true_condition
from modelwright.common.indexes import VERSIONS_OF_DIGEST
from modelwright.common.primary import Primary
from modelwright.common.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICE,
    INFERENCE_SERVICES,
    JOBS,
    MODEL_VERSIONS,
    REVISION,
    SERVICES,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, labels, metadata, owner_uid, uid
from modelwright.engine.plan import Create
from modelwright.inferenceservice.manifests.names import canary_name
from modelwright.inferenceservice.rollout import rejections
from modelwright.modelversion.aspects import IN_USE, QUARANTINED

ENDS = {("Ready", "True"), ("Stalled", "True")}
TERMINAL = {"Succeeded", "Failed", "Superseded"}
# A run that waits for the cluster or for its data is pending again.
STEPS = {
    ("Pending", "Running"),
    ("Running", "Pending"),
    *((live, end) for live in ("Pending", "Running") for end in TERMINAL),
}


class Promises:
    """Follows a cluster and fails the test at the first promise that is broken."""

    def __init__(self, cluster: Cluster, known: Callable[[], View]) -> None:
        self.cluster, self.known = cluster, known
        self._seen = self._heard = 0
        self._runs: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._newest: dict[str, int] = defaultdict(int)
        self._jobs: dict[tuple[str, str], int] = defaultdict(int)
        self._jobs_lost: dict[tuple[str, str], int] = defaultdict(int)
        self._answers: set[str] = set()
        self._complete: set[tuple[str, str]] = set()
        self._given_up: dict[str, str | None] = {}
        self._services: dict[str, Mapping[str, Any]] = {}
        self._stands_in: dict[str, str | None] = {}
        self._selected: dict[str, str] = {}
        self._specs: dict[str, str] = {}
        self._verdicts: dict[str, str] = {}

    def job_is_lost(self, job: Body) -> None:
        """Somebody else deletes the Job of a run: if nobody has noted yet that it was there, it may be made again."""
        self._jobs_lost[owner_uid(job) or "", metadata(job)["name"]] += 1

    def status_is_lost(self, training_job: Body) -> None:
        """Nobody can hold a TrainingJob to runs that nothing is left of."""
        self.hold()
        owner, left = uid(training_job), {key.name for key in self.cluster.all(JOBS)}
        self._newest.pop(owner, None)
        self._runs = {run: found for run, found in self._runs.items() if run[0] != owner}
        for job in [job for job in self._jobs if job[0] == owner and job[1] not in left]:
            del self._jobs[job]

    def hold(self) -> None:
        """Looks at everything that has happened since the last time."""
        for event in self.cluster.history[self._seen :]:
            self._look_at(event)
        for call in self.cluster.calls[self._heard :]:
            self._listen_to(call)
        self._seen, self._heard = len(self.cluster.history), len(self.cluster.calls)

    def _look_at(self, event: WatchEvent) -> None:
        checks = {
            TRAINING_JOBS: self._training_job,
            MODEL_VERSIONS: self._model_version,
            INFERENCE_SERVICES: self._inference_service,
            DEPLOYMENTS: self._deployment,
            SERVICES: self._service,
            CONFIG_MAPS: self._rule,
            JOBS: self._job,
        }
        check = checks.get(event.resource)
        if check is not None and event.change != "DELETED":
            check(event.body, event.change == "ADDED")

    def _listen_to(self, call: Call) -> None:
        if call.resource == MODEL_VERSIONS:
            allowed = {"create", "apply_status", "get", "list", "delete"}
            assert call.verb in allowed, f"{call.verb} of a ModelVersion"
        spec_owners = {TRAINING_JOBS, INFERENCE_SERVICES}
        if call.resource in spec_owners:
            assert call.verb in {"apply_status", "get", "list"}, f"{call.verb} of a user's object"

    def _status(self, plural: str, body: Body) -> Mapping[str, Any]:
        status: Mapping[str, Any] = body.get("status") or {}
        if status:
            assert defects(plural, "status", status) == []
            assert status["observedGeneration"] <= metadata(body)["generation"]
        return status

    def _training_job(self, body: Body, _: bool) -> None:
        """Runs are numbered upwards, go from state to state one way, and stay as they ended."""
        status = self._status("trainingjobs", body)
        run = status.get("run")
        if run is None:
            return
        assert run["number"] >= self._newest[uid(body)], "a newer run was forgotten"
        self._newest[uid(body)] = run["number"]
        for told in (run, *status.get("history", ())):
            self._run(uid(body), told)

    def _run(self, owner: str, run: Mapping[str, Any]) -> None:
        known = self._runs.get((owner, run["number"]))
        # The generation is the newest one with the recipe of the run.
        told = {name: value for name, value in run.items() if name not in {"report", "generation"}}
        if known is not None and known != told:
            assert known["state"] not in TERMINAL, f"a run that had ended changed: {known} -> {told}"
            assert known["job"] == told["job"]
            assert known["state"] == told["state"] or (known["state"], told["state"]) in STEPS
        self._runs[owner, run["number"]] = told

    def _job(self, body: Body, is_new: bool) -> None:
        """A run has one Job, and the status speaks of it first."""
        if not is_new or TRAINING_JOB not in labels(body) or _deletes_a_file(body):
            return
        owner, name = owner_uid(body) or "", metadata(body)["name"]
        self._jobs[owner, name] += 1
        assert self._jobs[owner, name] <= 1 + self._jobs_lost[owner, name], f"{name} was doubled"
        number = int(name.rpartition("-")[2])
        assert (owner, number) in self._runs, f"{name} was made before the status spoke of it"
        known = self._runs[owner, number]
        assert known["state"] not in TERMINAL or number < self._newest[owner], (
            f"{name} was made after its run ended"
        )

    def _model_version(self, body: Body, _: bool) -> None:
        """A fact."""
        status = self._status("modelversions", body)
        verdict, told = self._verdicts.get(uid(body)), _without_mark(status)
        assert verdict in {None, told}, "a verdict changed"
        if any((c["type"], c["status"]) in ENDS for c in status.get("conditions", ())):
            self._verdicts[uid(body)] = told
        spec = json.dumps(body["spec"], sort_keys=True)
        assert self._specs.setdefault(uid(body), spec) == spec, "a ModelVersion changed"

    def _inference_service(self, body: Body, _: bool) -> None:
        status = self._status("inferenceservices", body)
        if "stable" in status:
            self._adopted(uid(body), status["stable"]["revision"])
            self._answers.add(uid(body))
        canary = status.get("canary") or {}
        self._rejections(body, status)
        self._given_up[uid(body)] = canary.get("revision") if canary.get("state") == "Failed" else None
        if "standInSince" in canary:  # one pod that is ready is enough where nobody else answers
            self._complete.add((uid(body), canary["revision"]))

    def _adopted(self, owner: str, revision: str) -> None:
        """A service that is applied again begins with the revision that had the traffic, as complete as that was."""
        if owner not in self._answers and any(known == revision for _, known in self._complete):
            self._complete.add((owner, revision))

    def _rejections(self, body: Body, status: Mapping[str, Any]) -> None:
        """What was rejected is not started, and is forgotten only for a reason: somebody asked for it, the spec asked
        for something else in between, or it has the traffic."""
        known, stable = status.get("rejected", []), status.get("stable") or {}
        canary = status.get("canary") or {"state": "Failed"}
        if canary["state"] != "Failed":
            assert not [found for found in known if _rejects(found, canary)], "what was rejected was started"
        before = self._services.get(uid(body), {})
        self._services[uid(body)] = status
        if "stable" not in status or before.get("lastHandledRequest") != status.get("lastHandledRequest"):
            return  # it was lost, or somebody has asked for something
        kept = {found["digest"] for found in known}
        for found in before.get("rejected", ()):
            over = found["retryWhenNamed"] or _rejects(found, stable) or len(known) == rejections.MOST
            assert found["digest"] in kept or over, f"it was forgotten who rejected {found['version']}"

    def _deployment(self, body: Body, _: bool) -> None:
        status, wanted = body.get("status") or {}, body["spec"]["replicas"]
        current = status.get("observedGeneration") == metadata(body)["generation"]
        if current and status["readyReplicas"] >= wanted:
            self._complete.add((owner_uid(body) or "", labels(body)[REVISION]))

    def _service(self, body: Body, _: bool) -> None:
        """The traffic goes to a revision that was complete, or stands in, and never to one that was given up. Until
        there is one that answers, to the one that starts."""
        owner, revision = owner_uid(body) or "", body["spec"]["selector"].get(REVISION, "")
        if metadata(body)["name"] != labels(body)[INFERENCE_SERVICE]:
            return  # callers do not know it
        if self._selected.get(uid(body)) == revision:
            return
        self._selected[uid(body)] = revision
        assert (owner, revision) in self._complete or owner not in self._answers, (
            "the Service was switched to a revision that was never complete"
        )
        assert self._given_up.get(owner) != revision, (
            "the Service was switched to a revision that was given up"
        )

    def _rule(self, body: Body, _: bool) -> None:
        """A share goes to a revision that was ready for it, is not given up, and is not the one that shares."""
        content = body["data"].get("traffic.json", "")
        if not content or owner_uid(body) is None:  # the operator has written nothing, or not this
            return
        rule, owner = json.loads(content), owner_uid(body) or ""
        if not owner:
            return  # a backup tool has restored it
        assert (owner, rule["revision"]) in self._complete, "a share went to a revision that was never ready"
        assert rule["revision"] != labels(body)[REVISION]

    def somebody_answers(self) -> None:
        """The operator has come to rest: where a revision that was asked for has a ready pod, the Service selects
        one that has."""
        for key in self.cluster.all(INFERENCE_SERVICES):
            status = self.cluster.objects[key].get("status") or {}
            canary = status.get("canary") or {"state": "Failed"}
            parts = [status.get("stable"), None if canary["state"] == "Failed" else canary]
            ready = {
                part["revision"] for part in parts if part and self._has_ready_pods(key, part["revision"])
            }
            service = self.cluster.objects.get(Key(SERVICES, key.namespace, key.name))
            if ready and service is not None:
                assert service["spec"]["selector"][REVISION] in ready, (
                    "the Service selects nobody who answers"
                )

    def _has_ready_pods(self, service: Key, revision: str) -> bool:
        found = (
            self.cluster.objects.get(Key(DEPLOYMENTS, service.namespace, f"{service.name}-{revision}")) or {}
        )
        return bool((found.get("status") or {}).get("readyReplicas"))

    def before_delete(self, key: Key) -> None:
        """The operator is about to delete an object."""
        self._before_leaving(key)
        beside = {CONFIG_MAPS, HTTP_ROUTES, AUTOSCALERS, DISRUPTION_BUDGETS}
        leftovers = key.resource in beside or (
            key.resource == SERVICES and key.name != labels(self.cluster.objects[key])[INFERENCE_SERVICE]
        )
        assert leftovers or key.resource in {JOBS, DEPLOYMENTS, MODEL_VERSIONS}, f"the operator deletes {key}"
        if key.resource == MODEL_VERSIONS:
            self._before_deleting_version(key)
        if key.resource == JOBS:
            self._before_deleting_job(self.cluster.objects[key])
        if key.resource != DEPLOYMENTS:
            return
        body = self.cluster.objects[key]
        owner = next((b for b in self.cluster.objects.values() if uid(b) == owner_uid(body)), None)
        stable = ((owner or {}).get("status") or {}).get("stable") or {}
        assert stable.get("revision") != labels(body)[REVISION], "the stable Deployment was deleted"
        selected = self.known().get(Key(SERVICES, key.namespace, labels(body)[INFERENCE_SERVICE]))
        if stable and selected is not None:
            assert selected["spec"]["selector"][REVISION] != labels(body)[REVISION], (
                "pods went that were called"
            )

    def _before_deleting_version(self, key: Key) -> None:
        """Only what a run made, and what no service has a revision of. A user may name it at the last moment."""
        made_by = labels(self.cluster.objects[key]).get(TRAINING_JOB)
        assert made_by is not None, f"{key} was not made by a run"
        job = self.cluster.objects[Key(TRAINING_JOBS, key.namespace, made_by)]
        assert key.name in {entry["name"] for entry in job["status"]["retiring"]}, "the status comes first"
        assert key.name != job["status"].get("latestModelVersion"), "the newest version was deleted"
        assert not [found for found in self._revisions() if found["version"] == key.name], f"{key} is needed"

    def _revisions(self) -> list[Mapping[str, Any]]:
        """The revisions in the statuses of all services."""
        statuses = [
            self.cluster.objects[key].get("status") or {} for key in self.cluster.all(INFERENCE_SERVICES)
        ]
        return [
            status[role] for status in statuses for role in ("stable", "canary", "retired") if role in status
        ]

    def _before_deleting_file(self, job: Body) -> None:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        digest = json.loads(container["env"][0]["value"])["artifact"]["digest"]
        assert not [found for found in self._revisions() if found["artifact"]["digest"] == digest], (
            "a file goes that is served"
        )
        named = self.known().indexed(VERSIONS_OF_DIGEST, NAMESPACE, digest)
        assert named == [], "a file goes that a ModelVersion names"

    def _before_deleting_job(self, job: Body) -> None:
        """A Job of the newest run goes only when it has failed, and the run waits to get another one."""
        recipe = self.known().get(Key(TRAINING_JOBS, NAMESPACE, labels(job).get(TRAINING_JOB, ""))) or {}
        run = (recipe.get("status") or {}).get("run") or {}
        if run.get("job") != metadata(job)["name"]:
            return
        assert true_condition(job, "Failed"), "a Job was deleted while it ran"
        assert run["state"] == "Pending", "the Job of a run that has ended was deleted"
        self.job_is_lost(job)

    def before_create(self, key: Key, body: Body, known: View) -> None:
        """The operator, which knows this much, is about to make or to change an object."""
        if key.resource == JOBS and _deletes_a_file(body):
            self._before_deleting_file(body)
        elif key.resource == JOBS and TRAINING_JOB in labels(body):
            recipe = known.get(Key(TRAINING_JOBS, key.namespace, labels(body)[TRAINING_JOB])) or {}
            run = recipe["status"]["run"]
            assert (run["state"], run["job"]) == ("Pending", key.name), (
                "only a run that is pending gets a Job"
            )
        if key.resource == CONFIG_MAPS and body["data"].get("traffic.json"):
            self._before_rule(body, known)
        if key.resource == HTTP_ROUTES:
            self._before_route(key, body, known)
        owner = next((b for b in self.cluster.objects.values() if uid(b) == owner_uid(body)), None)
        if owner is not None:
            check_effect(owner, Create(key, body))

    def _before_rule(self, body: Body, known: View) -> None:
        """A share is in the status before any pod hears of it, and never larger than its step says."""
        rule = json.loads(body["data"]["traffic.json"])
        namespace, name = metadata(body)["namespace"], labels(body)[INFERENCE_SERVICE]
        service = known.get(Key(INFERENCE_SERVICES, namespace, name)) or {}
        canary = service["status"].get("canary") or {}
        if canary.get("revision") == rule["revision"]:
            assert canary["state"] in {"Shifting", "Completing"}, "a share for a canary that has none"
            by_gateway = "gateway" in service["spec"]
            assert rule["weight"] == (0 if by_gateway else canary["weight"])
            assert rule["weight"] <= max(step["weight"] for step in service["spec"]["rollout"]["steps"])
        elif (service["status"].get("retired") or {}).get("revision") == rule["revision"]:
            assert not rule["weight"], "a share for the revision before"
        else:
            assert service["status"]["stable"]["revision"] == rule["revision"], "a share for nobody"

    def _before_route(self, key: Key, body: Body, known: View) -> None:
        """Callers are led to a canary that has a share of that size, and pods that are ready."""
        service = known.get(Key(INFERENCE_SERVICES, key.namespace, key.name)) or {}
        canary, name = service["status"].get("canary") or {}, canary_name(Primary(service))
        if name not in named(body):
            return
        assert canary["state"] in {"Shifting", "Completing"}, "callers were led to a canary that has no share"
        led_to = known.get(Key(SERVICES, key.namespace, name)) or {}
        assert led_to["spec"]["selector"][REVISION] == canary["revision"], "callers were led to somebody else"
        pods = known.get(Key(DEPLOYMENTS, key.namespace, f"{key.name}-{canary['revision']}")) or {}
        assert pods["status"]["readyReplicas"] > 0, "callers were led to nobody"
        weights = {r["weight"] for rule in body["spec"]["rules"][-1:] for r in rule["backendRefs"][1:]}
        assert weights <= {canary["weight"]}

    def _before_leaving(self, key: Key) -> None:
        """What a Gateway still leads callers to stays, as far as the operator can know of it."""
        if key.resource not in {SERVICES, DEPLOYMENTS}:
            return
        body, known = self.cluster.objects[key], self.known()
        name = labels(body)[INFERENCE_SERVICE]
        owner = known.get(Key(INFERENCE_SERVICES, key.namespace, name)) or {"spec": {}}
        wanted = owner["spec"].get("gateway")
        if wanted is None:
            return
        route = Key(HTTP_ROUTES, key.namespace, name)
        canary = Key(SERVICES, key.namespace, canary_name(Primary(owner)))
        if None in {
            known.get(route) and 1,
            known.get(Key(GATEWAYS, key.namespace, wanted["name"])) and 1,
        }:
            return
        led_to = self.cluster.objects.get(canary)
        if (
            led_to is None
            or known.get(canary) is None
            or not self.cluster.gateways.leads_to(route, canary.name)
        ):
            return
        selected = led_to["spec"]["selector"][REVISION]
        assert key != canary, "a Service went that callers were led to"
        assert labels(body).get(REVISION) != selected, "pods went that callers were led to"


def _rejects(rejected: Mapping[str, Any], revision: Mapping[str, Any]) -> bool:
    if rejected["scope"] == "Revision":
        return bool(rejected["revision"] == revision.get("revision"))
    return bool(rejected["digest"] == (revision.get("artifact") or {}).get("digest"))


def _deletes_a_file(job: Body) -> bool:
    """Whether a Job deletes the file of a ModelVersion, and trains nothing."""
    return bool(metadata(job)["name"].endswith("-delete"))


def _without_mark(status: Mapping[str, Any]) -> str:
    """What was found out about a version: not what services have done with it since."""
    found = [c for c in status.get("conditions", ()) if c["type"] not in {QUARANTINED, IN_USE}]
    facts = {name: value for name, value in status.items() if name != "aliases"}
    return json.dumps({**facts, "conditions": found}, sort_keys=True)


class Watched(Cluster):
    """A cluster whose operator is held to its promises before it writes."""

    promises: Promises
    known: Callable[[], View]

    async def delete(self, key: Key, *, uid: str, resource_version: str | None = None) -> Body | None:
        """Asks the object to go."""
        known = self.objects.get(key)
        if known is not None and metadata(known)["uid"] == uid:
            self.promises.before_delete(key)
        return await super().delete(key, uid=uid, resource_version=resource_version)

    async def create(self, key: Key, body: Body) -> Body:
        """Makes a new object."""
        if key.resource.kind != "Event":
            self.promises.before_create(key, body, self.known())
        return await super().create(key, body)

    async def apply(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply."""
        self.promises.before_create(key, body, self.known())
        return await super().apply(key, body, manager=manager)
