"""From the release before to this one and back, as an administrator does it, over objects in every state that lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from images import released
from support.kubectl import ROOT, Kubectl, Object
from support.load import Callers, calling
from support.manifests import image
from support.operator import install
from support.people import Person
from support.released import unpacked
from support.rollouts import MARKS, REQUEST, asks
from support.scene import SETTLED, address, set_up

pytestmark = [*MARKS, pytest.mark.alone]

VALUES = {"operator": "image", "serving": "servingImage", "training": "trainingImage"}
OURS = "trainingjob,modelversion,inferenceservice"
# Its Job is made again until its data is there.
TRIED_AGAIN = "pending-1"
# What goes on by itself: what callers send is judged.
IN_MOTION = {"DriftDetected"}
Known = tuple[str, str, str]


@dataclass(frozen=True)
class State:
    """What has to stay: uids of pods that serve and of Jobs, the newest run of each TrainingJob, conditions."""

    pods: dict[str, str]
    jobs: dict[str, str]
    runs: dict[str, int]
    conditions: dict[Known, tuple[str, str, str]]

    @classmethod
    def of(cls, kubectl: Kubectl) -> State:
        """As it is now."""
        ours = kubectl.all(OURS)
        return cls(
            pods=_uids(kubectl.all("pod", "modelwright.dev/inference-service")),
            jobs=_uids(kubectl.all("job")),
            runs={
                each["metadata"]["name"]: each["status"]["run"]["number"]
                for each in ours
                if each["kind"] == "TrainingJob"
            },
            conditions={
                (each["kind"], each["metadata"]["name"], known["type"]): (
                    known["status"],
                    known["reason"],
                    known["lastTransitionTime"],
                )
                for each in ours
                for known in each["status"]["conditions"]
                if known["type"] not in IN_MOTION
            },
        )

    def stays(self, later: State, *but: str) -> None:
        """Fails with what is missing or other later; `but` are services that were changed in between."""
        assert later.runs == self.runs, "a run was started"
        assert {name for name in later.jobs if name not in self.jobs} == set()
        kept = {name: uid for name, uid in self.jobs.items() if name != TRIED_AGAIN and name in later.jobs}
        assert kept.items() <= later.jobs.items()
        pods = {name: uid for name, uid in self.pods.items() if not name.startswith(but or ("-",))}
        assert pods.items() <= later.pods.items(), "a pod that serves was replaced"
        conditions = {at: known for at, known in self.conditions.items() if at[1] not in (*but, "pending")}
        other = {at: (known, later.conditions.get(at)) for at, known in conditions.items()}
        assert {at: both for at, both in other.items() if both[0] != both[1]} == {}, "a verdict is another"


def _uids(found: list[Object]) -> dict[str, str]:
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}


@dataclass(frozen=True)
class Released:
    """The release before: its chart, and the names of its images as values."""

    chart: Path
    values: dict[str, Object]

    def install(self) -> None:
        """Makes it the release of the cluster."""
        install(Kubectl("default"), "replicas=1", chart=self.chart, given=self.values)


@pytest.fixture
def before(tmp_path: Path) -> Iterator[Released]:
    """The release before, whose operator is installed; the present one is again afterwards."""
    source = unpacked(tmp_path)
    names = released.provide(source, {program: image(part) for program, part in VALUES.items()})
    values = {}
    for program, name in names.items():
        repository, _, tag = name.rpartition(":")
        values[VALUES[program]] = {"repository": repository, "tag": tag}
    found = Released(source / "charts/modelwright", values)
    try:
        found.install()
        yield found
    finally:
        install(Kubectl("default"))


def test_what_runs_outlives_an_upgrade_and_the_way_back(before: Released, kubectl: Kubectl) -> None:
    set_up(kubectl)
    with ExitStack() as stack:
        callers = [stack.enter_context(calls(kubectl, name)) for name in ("serving", "canary")]
        begun = canary(kubectl)
        old = State.of(kubectl)

        install(Kubectl("default"), "replicas=1")
        kubectl.patch("mwisvc", "zero", {"spec": {"replicas": 1}})
        kubectl.condition("mwisvc", "zero", "Ready", "True", "Serving")
        new, step = State.of(kubectl), goes_on(kubectl, begun)
        old.stays(new, "zero")
        serves_what_it_did(kubectl, before)

        before.install()
        Person(kubectl.namespace, "ann", ("system:masters",)).patch(
            "modelversion", "waiting", {"spec": {"approvals": [{"by": "ann", "decision": "Approve"}]}}
        )
        kubectl.condition("modelversion", "waiting", "Ready", "True")
        assert samples(goes_on(kubectl, step)) > samples(begun)
        new.stays(State.of(kubectl), "waiting")
        asks(kubectl, "promote-full", step["revision"], name="canary")
        kubectl.condition("mwisvc", "canary", "Ready", "True", "Serving")
        for each in callers:
            each.answered_everywhere()
            assert each.stop()["failed"] == {}


def calls(kubectl: Kubectl, name: str) -> AbstractContextManager[Callers]:
    """Callers of a service, who are no load."""
    return calling(address(kubectl, name), 80, 8081, name, REQUEST, pause=0.1)


def canary(kubectl: Kubectl) -> Object:
    """The canary that is under way, once requests were counted."""
    found = kubectl.wait("mwisvc", "canary", lambda found: samples(found["status"]["canary"]) > 0)
    now: Object = found["status"]["canary"]
    return now


def goes_on(kubectl: Kubectl, earlier: Object) -> Object:
    """The canary is where it was, with what was counted."""
    now: Object = kubectl.get("mwisvc", "canary")["status"]["canary"]
    same = ("revision", "image", "state", "step", "stepSince", "weight", "measurement")
    assert {field: now.get(field) for field in same} == {field: earlier.get(field) for field in same}
    assert samples(now) >= samples(earlier), "it counts from the beginning"
    return now


def samples(canary: Object) -> int:
    """How many requests its checks were made of."""
    return max((check.get("samples", 0) for check in canary.get("checks", ())), default=0)


def serves_what_it_did(kubectl: Kubectl, before: Released) -> None:
    """An upgrade brings another image of the server, and services that run keep theirs."""
    old = before.values["servingImage"]["tag"]
    assert old != yaml.safe_load((ROOT / ".cluster/images.yaml").read_text())["servingImage"]["tag"]
    for kind, name in SETTLED:
        stable = kubectl.get(kind, name)["status"].get("stable") if kind == "mwisvc" else None
        assert stable is None or stable["image"].endswith(f":{old}"), name
