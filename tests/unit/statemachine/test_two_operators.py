"""Two operators with different settings look after one namespace: both report it, and leave the API server alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from unit.given import words
from unit.given.crds import with_defaults
from unit.given.world import SETTINGS
from unit.statemachine.cluster import NAMESPACE, Cluster
from unit.statemachine.process import Process

from modelwright.common.resources import DEPLOYMENTS, INFERENCE_SERVICES, MODEL_VERSIONS, PODS, SERVICES
from modelwright.engine.events import EVENTS
from modelwright.engine.objects import Key, ResourceType, annotations_of
from modelwright.engine.rivals import OPERATOR

CHURN = Key(INFERENCE_SERVICES, NAMESPACE, "churn")
# Seconds between two moments at which everybody works; nothing here takes less.
STEP = 3
SERVICE = Key(SERVICES, NAMESPACE, "churn")


class Installations:
    """One cluster, and the operators that are installed on it."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.elapsed = 0.0
        self.runner = asyncio.Runner()
        self.processes: dict[str, Process] = {}
        self.writes: dict[str, list[float]] = {}

    def install(self, name: str, **different: Any) -> None:
        settings = replace(SETTINGS, serving_image_policy="Now", **different)
        self.processes[name] = Process(self.cluster, self.runner, lambda: self.elapsed, settings, name)
        self.writes[name] = []

    def uninstall(self, name: str) -> None:
        del self.processes[name]

    def write(self, resource: ResourceType, name: str, **spec: Any) -> None:
        whole = with_defaults(resource.plural, spec)
        self.cluster.put(Key(resource, NAMESPACE, name), {"metadata": {"labels": {}}, "spec": whole})

    def works(self, seconds: int) -> None:
        """Time goes by, and every pod does well."""
        for _ in range(0, seconds, STEP):
            self.cluster.control()
            for pod in self.cluster.all(PODS):
                self.cluster.run(pod, "ok")
            for name, process in self.processes.items():
                process.deliver_all()
                before = len(self.cluster.writes)
                for _ in range(20):
                    if not process.look():
                        break
                made = [call for call in self.cluster.writes[before:] if call.resource != EVENTS]
                self.writes[name] += [self.elapsed] * len(made)
            self.elapsed += STEP
            self.cluster.after(STEP)

    @property
    def ready(self) -> dict[str, str]:
        conditions = self.cluster.objects[CHURN]["status"]["conditions"]
        found: dict[str, str] = next(c for c in conditions if c["type"] == "Ready")
        return found

    @property
    def refusals(self) -> set[str]:
        """The messages of the events about refused writes."""
        return {
            body["message"]
            for key, body in self.cluster.objects.items()
            if key.resource == EVENTS and body["reason"] == "ApplyFailed"
        }


@pytest.fixture
def installed() -> Iterator[Installations]:
    """churn is served by the operator a/one."""
    installed = Installations()
    installed.install("a/one")
    installed.write(MODEL_VERSIONS, "churn-1", model="churn", artifact=words.artifact())
    installed.write(INFERENCE_SERVICES, "churn", model={"version": "churn-1"})
    installed.works(120)
    assert installed.ready["status"] == "True", installed.ready
    installed.writes["a/one"].clear()
    yield installed
    installed.runner.close()


def test_each_child_names_the_installation_that_wrote_it(installed: Installations) -> None:
    for key in (SERVICE, *installed.cluster.all(DEPLOYMENTS)):
        assert annotations_of(installed.cluster.objects[key])[OPERATOR] == "a/one"


@pytest.mark.parametrize(
    "different",
    [{"serving_image": "serving:2"}, {"serving_resources": {"limits": {"memory": "1Gi"}}}],
    ids=["image", "resources"],
)
def test_two_that_want_different_things_stop_and_report_it(
    installed: Installations, different: dict[str, Any]
) -> None:
    installed.install("b/two", **different)
    installed.works(600)

    for name, writes in installed.writes.items():
        settled = [at for at in writes if at > 180]
        assert len(writes) <= 12, (name, writes)
        assert len(settled) <= 4, (name, writes)
    assert (installed.ready["status"], installed.ready["reason"]) == ("False", "AnotherOperator")
    assert installed.refusals == {
        "another operator (a/one) writes it too", "another operator (b/two) writes it too",
    }  # fmt: skip
    remedy = "writes it too; scope one of the operators to other namespaces, or uninstall it"
    assert installed.ready["message"].endswith(remedy)


@pytest.mark.parametrize(
    ("gone", "kept", "image"), [("a/one", "b/two", "serving:2"), ("b/two", "a/one", "serving:1")]
)
def test_the_one_that_is_left_goes_on(installed: Installations, gone: str, kept: str, image: str) -> None:
    installed.install("b/two", serving_image="serving:2")
    installed.works(300)
    installed.uninstall(gone)
    installed.works(900)

    assert installed.ready["status"] == "True", installed.ready
    (deployment,) = installed.cluster.all(DEPLOYMENTS)
    body = installed.cluster.objects[deployment]
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_a_release_that_has_moved_takes_over_in_silence(installed: Installations) -> None:
    installed.uninstall("a/one")
    installed.install("b/two", serving_image="serving:2")
    installed.works(300)

    assert installed.ready["status"] == "True", installed.ready
    assert installed.refusals == set()
    assert annotations_of(installed.cluster.objects[SERVICE])[OPERATOR] == "b/two"


def test_two_that_want_the_same_write_nothing(installed: Installations) -> None:
    installed.install("b/two")
    installed.works(300)

    assert installed.writes == {"a/one": [], "b/two": []}
    assert installed.ready["status"] == "True"
