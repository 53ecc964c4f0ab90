"""A model of two columns that tests roll out: its versions, the service that serves them, and how a rollout ends."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import kind

from support.handmade import versions
from support.kubectl import Kubectl, Object
from support.load import calling
from support.manifests import inference_service
from support.models import valid_model
from support.predict import rows

NAME = "doubles"
REQUEST = rows([3.0, 4.0])
LARGE = rows([300.0, 400.0])
STEPS = [{"weight": 10, "holdSeconds": 1}, {"weight": 50, "holdSeconds": 1}]
FOR_EVER = 3600
GOOD = {name: valid_model() + b"\x1a" + bytes((len(name),)) + name.encode() for name in ("two", "three")}
MARKS = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(
        kind.engine_answers(),
        reason="the callers are on this host, where a Service of kind cannot be reached",
    ),
]


def publish(kubectl: Kubectl, **files: bytes) -> None:
    """ModelVersions with these files, checked and Ready."""
    versions(kubectl, NAME, files)


def service(
    version: str,
    *,
    name: str = NAME,
    replicas: int = 1,
    resources: Object | None = None,
    analysis: Object | None = None,
    **rollout: Any,
) -> Object:
    """The service of a version, which takes over in two short steps unless told otherwise."""
    shape: Object = {} if resources is None else {"resources": resources}
    told = {
        "strategy": "Canary",
        "analysis": {"minSamples": 20, **(analysis or {})},
        "scaleDownDelaySeconds": 3,
        **({} if rollout.get("strategy") else {"steps": STEPS}),
        **rollout,
    }
    return inference_service(name, version=version, replicas=replicas, rollout=told, **shape)


def serve(kubectl: Kubectl, version: str = "one", **more: Any) -> str:
    """A version that has the traffic, in two pods unless told otherwise; gives the Service's address."""
    manifest = service(version, **{"replicas": 2, **more})
    name = manifest["metadata"]["name"]
    kubectl.apply(manifest)
    kubectl.condition("mwisvc", name, "Ready", "True", within=180)
    return str(kubectl.get("service", name)["spec"]["clusterIP"])


def reset(kubectl: Kubectl) -> None:
    """Version `one` has the traffic again, and nothing else is left."""
    kubectl.apply(service("one", replicas=2, strategy="Replace"))
    kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=120)
    is_tidy(kubectl)


def waits_for_weight(kubectl: Kubectl, weight: int, name: str = NAME) -> Object:
    """Until the canary has this share; gives the service."""

    def has_it(found: Object) -> bool:
        canary = found.get("status", {}).get("canary") or {}
        return canary.get("weight") == weight and canary.get("state") == "Shifting"

    return kubectl.wait("mwisvc", name, has_it, within=180, what=f"served by a canary with {weight} %")


def asks(kubectl: Kubectl, action: str, revision: str, token: str = "1", name: str = NAME) -> None:
    """Writes a request about a rollout onto the service."""
    request = f"modelwright.dev/rollout={action}@{revision}#{token}"
    kubectl.run("annotate", "--overwrite", "mwisvc", name, request)


def decisions(found: Object) -> list[Object]:
    """What was decided, the newest first."""
    status = found["status"]
    return [status["lastDecision"], *status.get("history", [])] if "lastDecision" in status else []


def verdicts(found: Object) -> list[tuple[str, int]]:
    """What was decided of which step, the oldest first."""
    return [(decision["verdict"], decision["step"]) for decision in reversed(decisions(found))]


def takes_over_unnoticed(kubectl: Kubectl, address: str, version: str) -> Object:
    """Rolls a version out by canary under load: it goes through both steps, and no request fails. Gives the service."""
    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service(version, replicas=2))
        done = kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=180)
        is_tidy(kubectl)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert done["status"]["stable"]["version"] == version
    assert verdicts(done)[-2:] == [("Advance", 0), ("Promote", 1)]
    assert done["status"]["lastDecision"]["samples"] >= 20
    return done


def is_tidy(kubectl: Kubectl, name: str = NAME) -> None:
    """Waits until one revision runs, and nothing of another one is left."""
    selector = f"modelwright.dev/inference-service={name}"

    def alone(found: Object) -> bool:
        revision = found["status"]["stable"]["revision"]
        left = {each["metadata"]["name"] for each in kubectl.all("deployment,configmap,service", selector)}
        return left <= {name, f"{name}-{revision}"} and "retired" not in found["status"]

    kubectl.wait("mwisvc", name, alone, within=90, what="the only one")
