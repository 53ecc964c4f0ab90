"""How many requests it takes until an object is as it should be, with the whole engine and a cluster that works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from unit.given import words
from unit.given.crds import with_defaults
from unit.statemachine.cluster import NAMESPACE, Cluster
from unit.statemachine.process import Process

from modelwright.common.conditions import FIRST_PATIENCE
from modelwright.common.resources import INFERENCE_SERVICES, MODEL_VERSIONS, PODS
from modelwright.engine.objects import Key

VERSION = Key(MODEL_VERSIONS, NAMESPACE, "churn-1")
SERVICE = Key(INFERENCE_SERVICES, NAMESPACE, "churn")
OF_VERSION = {"ModelVersion", "Job"}


class Town:
    """A cluster, its operator, and the requests that the operator has made."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.cluster = Cluster()
        self.start = self.cluster.now
        self.process = Process(self.cluster, runner, self.elapsed)
        self.cluster.calls.clear()

    def elapsed(self) -> float:
        return (self.cluster.now - self.start).total_seconds()

    def make(self, key: Key, **spec: object) -> None:
        self.cluster.put(key, {"metadata": {}, "spec": with_defaults(key.resource.plural, spec)})

    def version(self) -> None:
        self.make(VERSION, model="churn", artifact=words.artifact(letter="a"))

    def service(self, replicas: int = 1) -> None:
        self.make(SERVICE, model={"version": VERSION.name}, replicas=replicas)

    def works(self, seconds: float = 1) -> None:
        """All is seen and reconciled, and so many seconds pass."""
        for _ in range(8):
            self.process.deliver_all()
            while self.process.look():
                pass
        self.cluster.after(seconds)

    def settles(self) -> None:
        """Controllers and kubelets do their part, a second each, until nothing is left to do."""
        for _ in range(12):
            self.cluster.control()
            self.works()
            for pod in self.cluster.all(PODS):
                self.cluster.run(pod, "ok")
            self.works()

    def reason(self, key: Key) -> str | None:
        conditions = self.cluster.objects[key]["status"].get("conditions") or ()
        return next((str(c["reason"]) for c in conditions if c["type"] == "Ready"), None)

    def requests(self) -> list[str]:
        """The requests, each as VERB KIND, or EVENT REASON."""
        calls = [call for call in self.cluster.calls if call.verb != "list"]
        return [
            f"event {(call.body or {})['reason']}"
            if call.resource.kind == "Event"
            else f"{call.verb} {call.resource.kind}"
            for call in calls
        ]


@pytest.fixture
def town() -> Iterator[Town]:
    with asyncio.Runner() as runner:
        yield Town(runner)


def test_a_version_takes_five_requests(town: Town) -> None:
    town.version()
    town.service()
    town.works(0)
    town.settles()

    assert town.reason(VERSION) == "Verified"
    own = [request for request in town.requests() if request.split()[1] in OF_VERSION]
    # That it is verified, that it is in use, and that it is the Champion.
    assert own == [
        "create Job", "apply_status ModelVersion", "delete Job", *(["apply_status ModelVersion"] * 2),
    ]  # fmt: skip


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("first", ["version", "service"])
def test_a_service_takes_four_requests_whatever_is_written_first(
    town: Town, first: str, replicas: int
) -> None:
    if first == "version":
        town.version()
        town.service(replicas)
    else:
        town.service(replicas)
        town.works(0)
        town.version()
    town.works(0)
    town.settles()

    assert town.reason(SERVICE) == "Serving"
    own = [request for request in town.requests() if request.split()[1] not in OF_VERSION]
    # The revision is recorded before it is made.
    assert own == [
        "apply_status InferenceService", "apply Service", "apply Deployment", "apply_status InferenceService",
    ]  # fmt: skip


def test_a_service_that_waits_for_long_says_so_in_one_request_more(town: Town) -> None:
    town.version()
    town.service()
    town.works(FIRST_PATIENCE.total_seconds())
    town.works(0)
    assert (town.reason(VERSION), town.reason(SERVICE)) == ("Verifying", "ModelNotReady")
    town.settles()

    assert town.reason(SERVICE) == "Serving"
    own = [request for request in town.requests() if request.split()[1] not in OF_VERSION]
    assert len(own) == 5


def test_a_model_that_is_not_there_is_a_warning(town: Town) -> None:
    town.service()
    town.works(FIRST_PATIENCE.total_seconds())
    town.works(0)

    assert town.requests() == ["event ModelNotFound", "apply_status InferenceService"]


def test_what_is_settled_takes_no_request(town: Town) -> None:
    town.version()
    town.service()
    town.works(0)
    town.settles()
    town.cluster.calls.clear()
    town.works(600)
    town.works(600)

    assert town.requests() == []
