"""The operator in storms: users who change their minds, pods that fail, watches that lag, requests that get lost,
processes that die. At every moment the promises hold; when the storm is over, everything settles and stays so.

MODELWRIGHT_SOAK=2000 runs as many examples, with new ones each time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from fakes.api import Crash
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from unit.given import words
from unit.given.crds import first_status, with_defaults
from unit.given.resources import RECIPE
from unit.statemachine.cluster import FATES, LETTERS, NAMESPACE, Fate
from unit.statemachine.process import Process
from unit.statemachine.promises import TERMINAL, Promises, Watched

from modelwright.api.requests import ANNOTATION
from modelwright.common.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    JOBS,
    MODEL,
    MODEL_VERSIONS,
    PODS,
    REVISION,
    SERVICES,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.engine.errors import Conflict, TooManyRequests, Unavailable
from modelwright.engine.objects import Body, Key, ResourceType, labels, metadata

SOAK = int(os.environ.get("MODELWRIGHT_SOAK", "0"))
MOST_ROUNDS = 60
MOST_LOOKS = 400
OURS = (
    *(PODS, JOBS, DEPLOYMENTS, SERVICES, CONFIG_MAPS, HTTP_ROUTES, GATEWAYS),
    *(AUTOSCALERS, DISRUPTION_BUDGETS),
)
# Not "pause", which nobody in a storm would take back: nothing would ever settle.
ACTIONS = ("promote", "promote-full", "abort", "resume", "retry", "undo", "nonsense")
STEPS = [{"weight": 10, "holdSeconds": 5}, {"weight": 60, "mirror": 20, "holdSeconds": 5}]
# What pods may say of a canary: all is well, nothing, all fails, or the answers differ.
SAID: tuple[dict[str, Any], ...] = (
    {"delegated": {"Answered": 500}, "answered": {"200": 500}, "stable_answered": {"200": 900}},
    {"delegated": {"Answered": 500}, "shadowed": {"Compared": 90}, "labelled": 90, "agreement": 90.0},
    {"delegated": {}},
    {"delegated": {"Failed": 40, "Timeout": 10, "Answered": 50}, "answered": {"200": 50, "500": 50}},
    {"delegated": {"Answered": 500}, "shadowed": {"Compared": 90}, "labelled": 90, "agreement": 9.0},
    {"answered": {"200": 500}},
    {"answered": {"200": 50, "500": 50}},
)
CUSTOM = (TRAINING_JOBS, MODEL_VERSIONS, INFERENCE_SERVICES)
NAMES = st.sampled_from(["churn", "fraud"])
PICK = st.integers(0, 30)
GOOD: tuple[Fate, ...] = ("ok", "ok", "ok", "ok", "ok", "ok", "ok")
LATER = st.lists(st.sampled_from((*FATES, *GOOD)), min_size=1, max_size=6)
VERSIONS = st.sampled_from(["churn-1", "churn-2", "fraud-1", "by-hand"])
TROUBLE: dict[str, tuple[Callable[[], BaseException], str]] = {
    "conflict": (lambda: Conflict("conflict"), "before"),
    "busy": (lambda: TooManyRequests("busy", retry_after=1.0), "before"),
    "down": (lambda: Unavailable("down"), "before"),
    "lost answer": (lambda: Unavailable("lost"), "after"),
    "crash before": (lambda: Crash("before"), "before"),
    "crash after": (lambda: Crash("after"), "after"),
}


class Storm(RuleBasedStateMachine):
    """One storm."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Watched()
        self.cluster.known = lambda: self.process.intake
        self.promises = self.cluster.promises = Promises(self.cluster, self.cluster.known)
        self.elapsed = 0.0
        self.runner = asyncio.Runner()
        self.process = self._new_process()

    def _new_process(self) -> Process:
        return Process(self.cluster, self.runner, lambda: self.elapsed)

    def _write(self, resource: ResourceType, name: str, spec: dict[str, Any], **marks: str) -> None:
        """A user applies an object: it is made, or its spec is changed."""
        key, whole = Key(resource, NAMESPACE, name), with_defaults(resource.plural, spec)
        if NAMESPACE in self.cluster.terminating_namespaces:
            return
        if key not in self.cluster.objects:
            self.cluster.put(key, {"metadata": {"labels": marks}, "spec": whole})
        elif resource != MODEL_VERSIONS:
            self.cluster.edit(key, lambda body: body.update(spec=whole))

    def _drop(self, resource: ResourceType, which: int) -> None:
        found = self.cluster.all(resource)
        if found:
            key = found[which % len(found)]
            if resource == JOBS and TRAINING_JOB in labels(self.cluster.objects[key]):
                self.promises.job_is_lost(self.cluster.objects[key])
            self.cluster.drop(key)

    @initialize(seed=st.integers(0, 5), fates=LATER)
    def somebody_trains_and_serves(self, seed: int, fates: list[Fate]) -> None:
        """Most storms have something to break."""
        self.train("churn", seed, 3600, 0, 1 + seed % 3, "Delete" if seed % 2 else "Retain")
        self.serve("churn", None, 1, 30)
        self.a_while_goes_by(fates)

    @rule(
        name=NAMES,
        seed=st.integers(0, 5),
        deadline=st.sampled_from([60, 3600]),
        tries=st.integers(0, 2),
        limit=st.integers(1, 3),
        policy=st.sampled_from(["Retain", "Delete"]),
    )
    def train(
        self, name: str, seed: int, deadline: int, tries: int, limit: int = 1, policy: str = "Delete"
    ) -> None:
        """A user applies a TrainingJob."""
        more = {"seed": seed, "activeDeadlineSeconds": deadline, "backoffLimit": tries, "model": "churn"}
        keep = {"versionsHistoryLimit": limit, "artifacts": {"deletionPolicy": policy}}
        self._write(TRAINING_JOBS, name, {**RECIPE, **more, **keep})

    @rule(name=VERSIONS, letter=st.sampled_from(LETTERS))
    def register(self, name: str, letter: str) -> None:
        """A user writes a ModelVersion."""
        self._write(
            MODEL_VERSIONS,
            name,
            {"model": "churn", "artifact": words.artifact(letter=letter)},
            **{MODEL: "churn"},
        )

    @rule(
        name=NAMES,
        version=st.none() | VERSIONS,
        replicas=st.integers(0, 3),
        delay=st.sampled_from([0, 30]),
        steps=st.integers(0, 2),
        policy=st.sampled_from(["Promote", "Rollback"]),
        bake=st.sampled_from([0, 0, 60]),
        blue_green=st.booleans(),
    )
    def serve(
        self,
        name: str,
        version: str | None,
        replicas: int,
        delay: int,
        steps: int = 0,
        policy: str = "Promote",
        bake: int = 0,
        blue_green: bool = False,
    ) -> None:
        """A user applies an InferenceService."""
        model = {"version": version} if version else {"name": "churn", "track": "Latest"}
        rollout: dict[str, Any] = {
            "scaleDownDelaySeconds": delay,
            "progressDeadlineSeconds": 300,
            "bakeSeconds": bake,
        }
        if blue_green:
            rollout |= {"strategy": "BlueGreen", "steps": [{"weight": 0, "holdSeconds": 5 * steps}]}
        elif steps:
            analysis = {"onNoData": policy, "noDataSeconds": 600, "minAgreement": 0.9}
            rollout |= {"strategy": "Canary", "steps": STEPS[:steps], "analysis": analysis}
        spec = {"model": model, "replicas": replicas, "rollout": rollout}
        before = self.cluster.objects.get(Key(INFERENCE_SERVICES, NAMESPACE, name), {"spec": {}})["spec"]
        kept = {part: value for part, value in before.items() if part == "gateway"}
        self._write(INFERENCE_SERVICES, name, {**spec, **kept})

    @rule(
        name=NAMES,
        numbers=st.lists(st.integers(0, 3), min_size=1, max_size=3),
        wanted=st.booleans(),
        fates=LATER,
    )
    def an_autoscaler_changes_its_mind(
        self, name: str, numbers: list[int], wanted: bool, fates: list[Fate]
    ) -> None:
        """One of the operator's, or, if the spec wants none, another one; in a hurry, and then for a while."""
        key = Key(INFERENCE_SERVICES, NAMESPACE, name)
        for number in numbers:
            if key in self.cluster.objects:
                others = {"replicas", "autoscaling"}
                spec = {
                    part: value
                    for part, value in self.cluster.objects[key]["spec"].items()
                    if part not in others
                }
                scaling = {"autoscaling": {"maxReplicas": 3}} if wanted else {}
                self._write(INFERENCE_SERVICES, name, {**spec, **scaling, "replicas": number})
            self.all_news_arrives()
            self.the_operator_works(5)
        self.a_while_goes_by(fates)

    @rule(name=NAMES, version=VERSIONS, steps=st.integers(1, 2), fates=LATER)
    def a_canary_gets_its_share(self, name: str, version: str, steps: int, fates: list[Fate]) -> None:
        """A rollout that gets as far as its first step, if nothing is in its way."""
        self.register(version, LETTERS[steps])
        self.a_while_goes_by(list(GOOD))
        self.serve(name, version, 2, 30, steps, bake=60)
        self.a_while_goes_by(fates)

    @rule(name=NAMES, there=st.booleans(), wanted=st.booleans(), fates=LATER)
    def callers_come_by_a_gateway(self, name: str, there: bool, wanted: bool, fates: list[Fate]) -> None:
        """A Gateway comes, stays or goes, and a user names it, or no longer."""
        key, gateway = Key(INFERENCE_SERVICES, NAMESPACE, name), Key(GATEWAYS, NAMESPACE, "outside")
        if NAMESPACE in self.cluster.terminating_namespaces:
            return
        if there and gateway not in self.cluster.objects:
            web = {"name": "web", "protocol": "HTTP", "port": 80}
            self.cluster.put(gateway, {"metadata": {}, "spec": {"listeners": [web]}})
        elif not there and gateway in self.cluster.objects:
            self.cluster.drop(gateway)
        if key in self.cluster.objects:
            spec = {
                part: value for part, value in self.cluster.objects[key]["spec"].items() if part != "gateway"
            }
            named = with_defaults("inferenceservices", {"gateway": {"name": "outside"}})["gateway"]
            self._write(INFERENCE_SERVICES, name, {**spec, **({"gateway": named} if wanted else {})})
        self.a_while_goes_by(fates)

    @rule(name=NAMES, version=VERSIONS, steps=st.integers(1, 2), action=st.sampled_from(ACTIONS), fates=LATER)
    def a_canary_comes_by_a_gateway(
        self, name: str, version: str, steps: int, action: str, fates: list[Fate]
    ) -> None:
        """A rollout whose share the Gateway has taken in, if nothing is in its way, and that somebody ends."""
        self.callers_come_by_a_gateway(name, there=True, wanted=True, fates=list(GOOD))
        self.a_canary_gets_its_share(name, version, steps, list(GOOD))
        self.somebody_asks(name, action, steps)
        self.all_news_arrives()
        self.the_operator_works(20)
        self.a_while_goes_by(fates)

    @rule(said=st.sampled_from(SAID))
    def the_pods_are_asked(self, said: dict[str, Any]) -> None:
        """Every step that is under way is measured."""
        for key in self.cluster.all(INFERENCE_SERVICES):
            self.process.measure(key, said)

    @rule(name=NAMES, action=st.sampled_from(ACTIONS), token=st.integers(0, 9))
    def somebody_asks(self, name: str, action: str, token: int) -> None:
        """A request about the revision that there is, or about one that there is not."""
        key = Key(INFERENCE_SERVICES, NAMESPACE, name)
        if key not in self.cluster.objects:
            return
        part = "stable" if action == "undo" else "canary"
        about = (self.cluster.objects[key].get("status") or {}).get(part) or {}
        asked = f"{action}@{about.get('revision', 'none')}#{token}"
        meta = {**metadata(self.cluster.objects[key]), "annotations": {ANNOTATION: asked}}
        self.cluster.edit(key, lambda body: body.update(metadata=meta))

    @rule(kind=st.sampled_from([*OURS, *CUSTOM, JOBS, JOBS, None]), which=PICK)
    def lose(self, kind: ResourceType | None, which: int) -> None:
        """Somebody deletes an object, or the whole namespace: then nothing can be made any more, and soon all goes."""
        if kind is None:
            self.cluster.terminating_namespaces.add(NAMESPACE)
        else:
            self._drop(kind, which)

    @rule(name=NAMES, fates=LATER)
    def a_status_is_lost(self, name: str, fates: list[Fate]) -> None:
        """A backup tool or a person removes what the operator remembers of a service."""
        key = Key(INFERENCE_SERVICES, NAMESPACE, name)
        if key in self.cluster.objects:
            lost = first_status("inferenceservices")
            self.cluster.edit(key, lambda body: body.update(status=lost))
        self.a_while_goes_by(fates)

    @rule(name=NAMES, again=st.booleans(), fates=LATER)
    def a_service_is_deleted_without_what_it_controls(
        self, name: str, again: bool, fates: list[Fate]
    ) -> None:
        """By `kubectl delete --cascade=orphan`; and it may be applied again."""
        key = Key(INFERENCE_SERVICES, NAMESPACE, name)
        if key not in self.cluster.objects:
            return
        before = self.cluster.objects[key]
        self.cluster.orphan(key)
        self.a_while_goes_by(fates)
        if again:
            self._write(INFERENCE_SERVICES, name, before["spec"])

    @rule(seed=st.integers(0, 5))
    def a_job_is_deleted_while_it_runs(self, seed: int) -> None:
        """By somebody who wanted the run to stop."""
        self.train("churn", seed, 3600, 0)
        self.a_while_goes_by(["runs"])
        self._drop(JOBS, -1)

    @rule(name=NAMES)
    def a_training_job_loses_its_status(self, name: str) -> None:
        """Somebody removes it, or restores the object from a backup without it."""
        key = Key(TRAINING_JOBS, NAMESPACE, name)
        if key in self.cluster.objects:
            self.promises.status_is_lost(self.cluster.objects[key])
            self.cluster.edit(key, lambda body: body.pop("status", None))

    @rule(fates=LATER)
    def a_while_goes_by(self, fates: list[Fate]) -> None:
        """Everybody works, some in vain."""
        for fate in fates:
            self.controllers_work()
            for pod in self.cluster.all(PODS):
                self.cluster.run(pod, fate)
            self.controllers_work()
            self.all_news_arrives()
            self.the_operator_works(20)
            self.time_passes(2)

    @rule(name=NAMES, version=VERSIONS, steps=st.integers(0, 2), fates=LATER)
    def the_stable_pods_are_lost_beside_a_canary(
        self, name: str, version: str, steps: int, fates: list[Fate]
    ) -> None:
        """Callers are answered by the canary, as soon as the operator has come to rest."""
        self.a_canary_gets_its_share(name, version, steps, ["ok", "ok", "ok"])
        key = Key(INFERENCE_SERVICES, NAMESPACE, name)
        stable = ((self.cluster.objects.get(key) or {}).get("status") or {}).get("stable") or {}
        for pod in self.cluster.all(PODS):
            if stable and labels(self.cluster.objects[pod]).get(REVISION) == stable["revision"]:
                self.cluster.run(pod, "crash")
        self.controllers_work()
        calm = not self.cluster.faults
        self.all_news_arrives()
        self.the_operator_works(MOST_LOOKS)
        if calm:
            self.promises.somebody_answers()
        self.a_while_goes_by(fates)

    @rule(version=VERSIONS, letter=st.sampled_from(LETTERS), fates=LATER)
    def a_version_is_rolled_out(self, version: str, letter: str, fates: list[Fate]) -> None:
        """A user writes a ModelVersion and has it served."""
        self.register(version, letter)
        self.a_while_goes_by(["ok", "ok"])
        self.serve("churn", version, 1, 30)
        self.a_while_goes_by(fates)

    @rule()
    def controllers_work(self) -> None:
        """Jobs and Deployments get their pods and tell of them; what is to go goes."""
        if self.cluster.terminating_namespaces:
            for key in list(self.cluster.objects):
                self.cluster.drop(key)
            self.cluster.terminating_namespaces.clear()
        self.cluster.control()

    @rule(which=PICK, fates=LATER)
    def a_pod_goes_on(self, which: int, fates: list[Fate]) -> None:
        """The kubelet runs some containers of a pod."""
        pods = self.cluster.all(PODS)
        for fate in fates if pods else ():
            self.cluster.run(pods[which % len(pods)], fate)

    @rule(seconds=st.sampled_from([1, 10, 25, 70, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        """For everybody."""
        self.elapsed += seconds
        self.cluster.after(seconds)

    @rule(seconds=st.sampled_from([30, 4000]))
    def the_clock_is_set(self, seconds: int) -> None:
        """Wall clocks jump; the time that passes does not."""
        self.cluster.after(seconds)

    @rule(count=st.integers(1, 10))
    def some_news_arrives(self, count: int) -> None:
        """The watches catch up a little."""
        self.process.hear()
        for event in self.process.late[:count]:
            self.process.deliver(event)
        del self.process.late[:count]

    @rule(picks=st.lists(PICK, min_size=1, max_size=6))
    def news_arrives_out_of_order(self, picks: list[int]) -> None:
        """Watches of several kinds lag each in its own way, and a new watch repeats what is known."""
        self.process.hear()
        for pick in picks:
            if self.process.late:
                event = self.process.late[pick % len(self.process.late)]
                self.process.deliver(event)
                if pick % 2:
                    self.process.late.remove(event)

    @rule()
    def all_news_arrives(self) -> None:
        """The watches are up to date."""
        self.process.deliver_all()

    @rule(count=st.integers(1, 12))
    def the_operator_works(self, count: int) -> None:
        """It takes some keys from its queue; it may die of it."""
        for _ in range(count):
            try:
                if not self.process.look():
                    return
            except Crash:
                self.process = self._new_process()

    @rule()
    def the_operator_is_restarted(self) -> None:
        """It knows only what it is told anew."""
        self.process = self._new_process()

    @rule(kind=st.sampled_from(sorted(TROUBLE)), skip=st.integers(0, 5), times=st.integers(1, 4))
    def trouble_is_ahead(self, kind: str, skip: int, times: int) -> None:
        """Some of the next writes will go wrong."""
        error, moment = TROUBLE[kind]
        self.cluster.fail(error, "after" if moment == "after" else "before", skip=skip, times=times)

    @invariant()
    def the_promises_hold(self) -> None:
        """At every moment."""
        self.promises.hold()

    def teardown(self) -> None:
        """The storm is over: everything settles, and a further pass writes nothing."""
        try:
            self.promises.hold()
            self._calm_down()
            self._stays_calm()
        finally:
            self.runner.close()

    def _calm_down(self) -> None:
        self.cluster.faults.clear()
        self.controllers_work()
        quiet = 0
        for _ in range(MOST_ROUNDS):
            before = self.cluster.version
            for _ in range(2):  # what the operator makes is worked on before the time passes
                self._everybody_works()
            self.time_passes(700)
            quiet = quiet + 1 if self.cluster.version == before else 0
            if quiet == 3:
                return
        raise AssertionError(f"no rest after {MOST_ROUNDS} rounds: {self.cluster.history[-5:]}")

    def _everybody_works(self) -> None:
        for _ in range(4):
            self.cluster.control()
            for pod in self.cluster.all(PODS):
                self.cluster.run(pod, "ok")
        self.cluster.control()
        self.process.deliver_all()
        for _ in range(MOST_LOOKS):
            if not self.process.look():
                break
            self.process.deliver_all()
        else:
            raise AssertionError("the queue does not get empty")
        self.promises.hold()

    def _stays_calm(self) -> None:
        for key, body in self.cluster.objects.items():
            self._is_settled(key, body)
        before = len(self.cluster.writes)
        stopped, self.process = self.process, self._new_process()
        self.process.reads_kept(stopped)
        self._everybody_works()
        written = [(call.verb, call.key) for call in self.cluster.writes[before:]]
        assert written == [], f"a restart over a settled cluster writes nothing: {written}"

    def _is_settled(self, key: Key, body: Body) -> None:
        if key.resource not in CUSTOM:
            return
        status = body["status"]
        assert status["observedGeneration"] == metadata(body)["generation"]
        reasons = {condition["type"]: condition["reason"] for condition in status["conditions"]}
        if "Reconciling" in reasons:
            settled = {"ModelNotFound", "ModelNotReady", "ModelQuarantined", "GatewayNotFound"}
            assert reasons["Reconciling"] in settled, f"{key} still works: {status}"
        if key.resource == TRAINING_JOBS:
            assert status["run"]["state"] in TERMINAL
            assert not status.get("retiring"), f"{key} still deletes versions: {status}"
            assert status["run"]["generation"] == metadata(body)["generation"]


Storm.TestCase.settings = settings(
    max_examples=SOAK or 60,
    stateful_step_count=60 if SOAK else 40,
    deadline=None,
    derandomize=not SOAK,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestStorms = Storm.TestCase
