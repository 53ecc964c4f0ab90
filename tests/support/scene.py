"""Objects of every kind in every state that lasts, in one namespace: what outlives an upgrade and the way back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from support.correlated import drawing, table
from support.handmade import fill
from support.kubectl import Kubectl, Object
from support.manifests import (
    claim,
    config_map,
    inference_service,
    model_version,
    own_trainer,
    training_job,
)
from support.models import averaging, failing_on_data, summing, valid_model
from support.rollouts import FOR_EVER, GOOD, NAME, REQUEST, asks, service
from support.rowstream import streaming
from support.tracks import Asker

FILES = {
    "one": valid_model(),
    "two": GOOD["two"],
    "fails": failing_on_data(),
    "rejected": valid_model(),
    "held": averaging(),
    "waiting": summing(),
}
LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression"}
# Nothing is to be learnt from it.
SHUFFLED = "a,b,y\n" + "".join(f"{n % 7},{n % 5},{(n * 37) % 101}.5\n" for n in range(200))
HALF = [{"weight": 50, "holdSeconds": FOR_EVER}]
WINDOW = 10
# More than any node has.
TOO_LARGE = {"requests": {"memory": "900Gi"}, "limits": {"memory": "900Gi"}}
# What each object comes to, by kind and name: a condition with its status and its reason.
SETTLED = {
    ("trainingjob", "done"): ("Ready", "True", "RunSucceeded"),
    ("trainingjob", "failed"): ("Ready", "False", "TargetMissing"),
    ("trainingjob", "running"): ("Ready", "Unknown", "Training"),
    ("modelversion", "one"): ("Ready", "True", "Verified"),
    ("modelversion", "rejected"): ("Ready", "False", "DigestMismatch"),
    ("modelversion", "held"): ("Ready", "False", "GateFailed"),
    ("modelversion", "waiting"): ("Ready", "False", "AwaitingApproval"),
    ("modelversion", "fails"): ("Quarantined", "True", "ErrorRateTooHigh"),
    ("mwisvc", "serving"): ("Ready", "True", "Serving"),
    ("mwisvc", "starting"): ("Ready", "False", "Unschedulable"),
    ("mwisvc", "canary"): ("Ready", "False", "CanaryInProgress"),
    ("mwisvc", "paused"): ("Ready", "False", "CanaryPaused"),
    ("mwisvc", "baking"): ("Ready", "False", "Baking"),
    ("mwisvc", "rolled-back"): ("Stalled", "True", "RolledBack"),
    ("mwisvc", "blue-green"): ("Ready", "False", "AwaitingApproval"),
    ("mwisvc", "monitored"): ("Ready", "True", "Serving"),
    ("mwisvc", "zero"): ("Ready", "True", "ScaledToZero"),
}


def set_up(kubectl: Kubectl) -> None:
    """Makes them all, and waits until each is in its state."""
    data = (config_map("numbers", rows_csv=table(600)), config_map("shuffled", rows_csv=SHUFFLED))
    kubectl.apply(claim("handmade"), *data, *_trainings())
    fill(kubectl, "fill", FILES)
    kubectl.apply(*_versions(), *_services())
    for name in ("one", "two", "fails"):
        kubectl.condition("modelversion", name, "Ready", "True", within=120)
    for name in ("canary", "paused", "baking", "rolled-back", "blue-green"):
        kubectl.condition("mwisvc", name, "Ready", "True", "Serving", within=120)
    kubectl.apply(*_rollouts())
    for name in ("paused", "baking"):
        revision = _shifting(kubectl, name)
        asks(kubectl, {"paused": "pause", "baking": "promote-full"}[name], revision, name=name)
    _shifting(kubectl, "canary")
    _fail(kubectl, "rolled-back")
    _watch(kubectl, "monitored")
    for (kind, name), (aspect, status, reason) in SETTLED.items():
        kubectl.condition(kind, name, aspect, status, reason, within=60)
    kubectl.wait("trainingjob", "pending", lambda found: _run(found) == (1, "Pending"), what="Pending")
    kubectl.wait("trainingjob", "skipped", lambda found: _run(found) == (2, "Skipped"), what="Skipped")


def _run(found: Object) -> tuple[int, str]:
    run = found.get("status", {}).get("run", {})
    return run.get("number"), run.get("state")


def _trainings() -> Iterator[Object]:
    data = {"uri": "configmap://numbers/rows.csv", "target": "label", "holdout": {"fraction": 0.4}}
    yield training_job("done", data=data, sklearn=LINEAR)
    once_more: Object = {"triggers": {"schedule": "* * * * *"}, "brakes": {"maxRunsPerDay": 2}}
    yield training_job("skipped", data=data, sklearn=LINEAR, **once_more)
    yield training_job("failed", data={**data, "target": "nope"}, sklearn=LINEAR, backoffLimit=0)
    yield own_trainer("sleep", str(FOR_EVER), name="running")
    yield training_job("pending", data={**data, "uri": "configmap://later/rows.csv"}, sklearn=LINEAR)


def _versions() -> Iterator[Object]:
    for name, content in FILES.items():
        wrong = b"wrong" if name == "rejected" else b""
        digest = f"sha256:{hashlib.sha256(content + wrong).hexdigest()}"
        family = NAME if name in {"one", "two", "fails"} else name
        made = model_version(name, f"pvc://handmade/{name}/model.onnx", digest, family)
        if name == "held":
            made["spec"]["evaluate"] = {"uri": "configmap://shuffled/rows.csv", "target": "y"}
        if name == "waiting":
            made["spec"]["approval"] = {"required": 1}
        yield made


def _services() -> Iterator[Object]:
    yield service("one", name="serving", replicas=2)
    yield service("one", name="starting", resources=TOO_LARGE, progressDeadlineSeconds=FOR_EVER)
    yield service("one", name="zero", replicas=0)
    for name in ("canary", "paused", "baking", "rolled-back", "blue-green"):
        yield service("one", name=name, strategy="Replace")
    drift = {"windowSeconds": WINDOW, "minSamples": 50, "consecutive": 1}
    yield inference_service("monitored", version="done-1", monitoring={"drift": drift})


def _rollouts() -> Iterator[Object]:
    quiet: dict[str, Any] = {"steps": HALF, "analysis": {"onNoData": "Wait"}}
    yield service("two", name="canary", **quiet)
    yield service("two", name="paused", **quiet)
    yield service("two", name="baking", bakeSeconds=FOR_EVER, **quiet)
    yield service("fails", name="rolled-back", steps=HALF)
    looked_at = [{"weight": 0, "holdSeconds": 0, "approval": True}]
    yield service("two", name="blue-green", strategy="BlueGreen", steps=looked_at)


def _shifting(kubectl: Kubectl, name: str) -> str:
    """Waits until a canary has half of the traffic; gives its revision."""

    def is_so(found: Object) -> bool:
        canary = found["status"].get("canary") or {}
        return canary.get("state") == "Shifting" and canary.get("weight") == HALF[0]["weight"]

    found = kubectl.wait("mwisvc", name, is_so, what="shifting")
    return str(found["status"]["canary"]["revision"])


def address(kubectl: Kubectl, name: str) -> str:
    """The address of a service."""
    return str(kubectl.get("service", name)["spec"]["clusterIP"])


def _fail(kubectl: Kubectl, name: str) -> None:
    """Sends what the canary fails on, until it is rolled back."""
    _shifting(kubectl, name)

    def is_over(found: Object) -> bool:
        for _ in range(20):
            asker.ask()
        return "rejected" in found["status"]

    with Asker(address(kubectl, name), name, REQUEST) as asker:
        kubectl.wait("mwisvc", name, is_over, what="rolled back")


def _watch(kubectl: Kubectl, name: str) -> None:
    """Sends rows like those of the hold-out until a window of them was judged."""
    kubectl.condition("mwisvc", name, "Ready", "True", "Serving")
    with streaming(address(kubectl, name), name, drawing(1)):
        kubectl.wait(
            "mwisvc", name, lambda found: found["status"].get("monitoring", {}).get("rows"), what="watched"
        )


def rows(kubectl: Kubectl, name: str) -> Any:
    """A stream of rows to a service that was trained on them."""
    return streaming(address(kubectl, name), name, drawing(1))
