"""Whatever a user gets wrong ends in a condition and an event that say what, where and what to do."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import (
    claim,
    config_map,
    inference_service,
    model_version,
    own_trainer,
    script_pod,
    training_job,
)
from support.models import failing_at_run, valid_model

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CHURN = "age,plan,churned\n" + "".join(f"{20 + n},{'pro' if n % 3 else 'free'},{n % 2}\n" for n in range(60))
DATA = {"uri": "configmap://churn/data.csv", "target": "churned"}


@dataclass(frozen=True)
class Mistake:
    """What a user got wrong, and what the TrainingJob says of it."""

    name: str
    reason: str
    says: tuple[str, ...]
    csv: str = CHURN
    data: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> Object:
        data = {**DATA, "uri": f"configmap://{self.name}/data.csv", **self.data}
        return training_job(self.name, data=data, **self.spec)


MISTAKES = [
    Mistake("other-bytes", "DigestMismatch", ("sha256:" + "0" * 64,), data={"digest": "sha256:" + "0" * 64}),
    Mistake("no-rows", "DataEmpty", (), csv="age,plan,churned\n"),
    Mistake("no-target", "TargetMissing", ("left", "churned"), data={"target": "left"}),
    Mistake("no-feature", "FeatureMissing", ("agee", "age"), data={"features": ["agee"]}),
    Mistake("out-of-range", "SchemaViolation", ("age", "30"), data={"schema": {"age": {"max": 30}}}),
    Mistake("not-in-values", "SchemaViolation", ("plan", "pro"), data={"schema": {"plan": {"values": ["free"]}}}),
    Mistake("one-class", "OneClassOnly", ("churned",), csv=CHURN.replace(",1\n", ",0\n")),
    Mistake(
        "no-estimator", "EstimatorUnknown", ("RandomForestClassifier",),
        spec={"sklearn": {"estimator": "sklearn.ensemble.RandomForrestClassifier"}},
    ),
    Mistake(
        "bad-parameter", "BadParameters", ("n_trees", "n_estimators"),
        spec={"sklearn": {"estimator": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_trees": 3}}},
    ),
    Mistake(
        "no-converter", "NotConvertible", ("NearestCentroid",),
        spec={"sklearn": {"estimator": "sklearn.neighbors.NearestCentroid"}},
    ),
    Mistake(
        "no-memory", "OutOfMemory", ("resources.limits.memory",),
        spec={"resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "40Mi"}}, "backoffLimit": 0},
    ),
]  # fmt: skip


# So many runs are under way while a test waits for the first of them: most of that time none of them computes.
AHEAD = 3


@pytest.fixture(scope="module")
def under_way() -> set[str]:
    """The names of the mistakes that were applied."""
    return set()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_run_that_cannot_work_says_why_and_stops(
    shared: Kubectl, mistake: Mistake, under_way: set[str]
) -> None:
    first = MISTAKES.index(mistake)
    for each in MISTAKES[first : first + AHEAD]:
        if each.name not in under_way:
            shared.apply(config_map(each.name, data_csv=each.csv), each.manifest())
            under_way.add(each.name)

    failed = shared.condition("trainingjob", mistake.name, "Stalled", "True", mistake.reason, within=240)

    for word in mistake.says:
        assert word in message(failed)
    assert condition(failed, "Ready")["status"] == "False"  # type: ignore[index]
    assert failed["status"]["run"]["state"] == "Failed"
    assert ("Warning", mistake.reason) in [event[:2] for event in shared.events("TrainingJob", mistake.name)]
    assert shared.find("modelversion", f"{mistake.name}-1") is None


OWN_TRAINERS = [
    ("says-nothing", ("true",), "ModelMissing", "/model/model.onnx"),
    ("not-onnx", ("python3", "-c", "open('/model/model.onnx','w').write('hello')"), "NotOnnx", "ONNX"),
    ("fails", ("python3", "-c", "raise SystemExit('no licence')"), "TrainFailed", "no licence"),
]


@pytest.mark.parametrize(
    ("name", "command", "reason", "says"),
    OWN_TRAINERS,
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_an_image_that_makes_no_model_is_told_apart(
    shared: Kubectl, name: str, command: tuple[str, ...], reason: str, says: str
) -> None:
    shared.apply(own_trainer(*command, name=name, backoffLimit=0))

    failed = shared.condition("trainingjob", name, "Stalled", "True", reason, within=240)

    assert says in message(failed)


def test_a_training_that_takes_too_long_is_ended(shared: Kubectl) -> None:
    command = ("python3", "-c", "import time; time.sleep(600)")
    shared.apply(own_trainer(*command, name="too-slow", activeDeadlineSeconds=30))

    failed = shared.condition("trainingjob", "too-slow", "Stalled", "True", "DeadlineExceeded", within=240)

    assert "activeDeadlineSeconds: 30" in message(failed)


def test_data_that_comes_later_is_found_by_the_same_run(shared: Kubectl) -> None:
    shared.apply(training_job("later", data={**DATA, "uri": "configmap://later/data.csv"}))
    waiting = shared.condition("trainingjob", "later", "Ready", "False", "DataNotFound", within=120)
    assert condition(waiting, "Reconciling") is not None

    shared.apply(config_map("later", data_csv=CHURN))

    done = shared.condition("trainingjob", "later", "Ready", "True", within=240)
    assert (done["status"]["run"]["number"], done["status"]["run"]["state"]) == (1, "Succeeded")


def test_pods_that_a_limit_range_refuses_are_made_once_it_is_gone(kubectl: Kubectl) -> None:
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    kubectl.apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "team"}, "spec": {"limits": limits}},
        training_job("refused", activeDeadlineSeconds=40),
    )
    waiting = kubectl.condition("trainingjob", "refused", "Ready", "False", "LimitRangeViolated", within=60)
    assert "maximum memory usage per Container is 64Mi" in message(waiting)
    kubectl.wait(
        "trainingjob", "refused", lambda found: found["status"]["run"].get("reason") is not None, within=60
    )

    kubectl.delete("limitrange", "team")

    kubectl.wait(
        "trainingjob", "refused", lambda found: found["status"]["run"].get("step") is not None, within=240
    )
    assert kubectl.get("trainingjob", "refused")["status"]["run"]["number"] == 1


def test_an_image_that_is_not_there_is_named_while_the_run_waits(shared: Kubectl) -> None:
    shared.apply(training_job("no-image", trainer={"image": "localhost/nobody/nothing:1"}))

    waiting = shared.condition("trainingjob", "no-image", "Ready", "False", "ImagePullFailed")

    assert "localhost/nobody/nothing:1" in message(waiting)
    assert condition(waiting, "Reconciling") is not None
    assert "ImagePullFailed" in [event[1] for event in shared.events("TrainingJob", "no-image")]


def test_a_run_that_no_node_has_room_for_says_so(shared: Kubectl) -> None:
    shared.apply(training_job("no-room", resources={"requests": {"cpu": "1000"}}))

    waiting = shared.condition("trainingjob", "no-room", "Ready", "False", "Unschedulable")

    assert "Insufficient cpu" in message(waiting)


def test_a_failed_run_starts_again_when_the_spec_is_mended(shared: Kubectl) -> None:
    shared.apply(
        config_map("mended", data_csv=CHURN),
        training_job("mended", data={**DATA, "uri": "configmap://mended/data.csv", "target": "left"}),
    )
    shared.condition("trainingjob", "mended", "Stalled", "True", "TargetMissing")

    shared.apply(training_job("mended", data={**DATA, "uri": "configmap://mended/data.csv"}))

    mended = shared.condition("trainingjob", "mended", "Ready", "True", within=240)
    assert mended["status"]["run"]["number"] == 2
    assert [run["reason"] for run in mended["status"]["history"]] == ["TargetMissing"]


@pytest.fixture(scope="module")
def store(shared: Kubectl) -> Kubectl:
    """A claim with model files that were made elsewhere."""
    shared.apply(claim("handmade"))
    files = {"good": valid_model(), "crashes": failing_at_run(), "text": b"not a model"}
    script = (
        "import base64, os, pathlib\n"
        "for name, text in os.environ.items():\n"
        "    if name.startswith('FILE_'):\n"
        "        folder = pathlib.Path('/volume', name[5:].lower())\n"
        "        folder.mkdir(exist_ok=True)\n"
        "        (folder / 'model.onnx').write_bytes(base64.b64decode(text))\n"
    )
    env = {f"FILE_{name.upper()}": base64.b64encode(content).decode() for name, content in files.items()}
    shared.apply(script_pod("fill", script, claim_name="handmade", env=env))
    shared.wait("pod", "fill", lambda pod: pod["status"]["phase"] == "Succeeded", what="done")
    return shared


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


HANDMADE = [
    ("other", "good", digest(b"other"), "DigestMismatch", digest(b"other")),
    ("text", "text", digest(b"not a model"), "NotOnnx", "ONNX"),
    ("crashes", "crashes", digest(failing_at_run()), "ModelFailed", "run"),
]


@pytest.mark.parametrize(("name", "folder", "digest", "reason", "says"), HANDMADE, ids=lambda part: part[:10])
def test_a_model_version_that_is_not_what_it_says_is_refused(
    store: Kubectl, name: str, folder: str, digest: str, reason: str, says: str
) -> None:
    store.apply(
        model_version(f"hand-{name}", f"pvc://handmade/{folder}/model.onnx", digest, model=f"hand-{name}")
    )

    refused = store.condition("modelversion", f"hand-{name}", "Stalled", "True", reason, within=180)

    assert says in message(refused)
    assert (("Warning", reason)) in [event[:2] for event in store.events("ModelVersion", f"hand-{name}")]


def test_a_good_model_of_ones_own_is_served(store: Kubectl) -> None:
    version = model_version(
        "hand-good", "pvc://handmade/good/model.onnx", digest(valid_model()), model="hand-good"
    )
    store.apply(version, inference_service("hand-good", version="hand-good"))

    ready = store.condition("modelversion", "hand-good", "Ready", "True", "Verified", within=180)
    store.condition("inferenceservice", "hand-good", "Ready", "True", "Serving", within=180)

    assert ready["status"]["signature"]["inputs"][0]["datatype"] == "FP32"
    assert store.find("job", "hand-good-verify") is None


def test_a_service_of_an_unknown_version_waits_and_says_so(shared: Kubectl) -> None:
    shared.apply(inference_service("lost", version="nowhere-1"))

    waiting = shared.condition("inferenceservice", "lost", "Ready", "False", "ModelNotFound")

    assert "nowhere-1" in message(waiting)
    assert condition(waiting, "Available")["status"] == "False"  # type: ignore[index]


def test_a_service_of_a_refused_version_waits_and_says_so(store: Kubectl) -> None:
    version = model_version("refused", "pvc://handmade/good/model.onnx", digest(b"else"), model="refused")
    store.apply(version, inference_service("refused", version="refused"))

    waiting = store.wait(
        "inferenceservice", "refused", lambda found: "DigestMismatch" in str(found.get("status")), within=180
    )

    assert condition(waiting, "Ready")["reason"] == "ModelNotReady"  # type: ignore[index]
