"""Versions that no run has made, on a real cluster: scored on the data that they name, and held to a signature."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import claim, config_map, inference_service, model_version, script_pod
from support.models import averaging, summing

from modelwright_training.signing import bundle

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

# Of one file, a version that fails keeps others from being Ready: so the one that fails is another file.
GOOD, BAD = summing(), averaging()
KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
FILL = """
import base64, os, pathlib
for folder, name in (("good", "model.onnx"), ("good", "model.sig"), ("bad", "model.onnx")):
    path = pathlib.Path("/volume", folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(os.environ[f"{folder}_{name}".replace(".", "_")]))
"""


def rows(shuffled: bool = False) -> str:
    """Two columns and about their sum; shuffled: numbers that have nothing to do with them."""
    random = np.random.default_rng(0)
    values = random.normal(size=(200, 2))
    sums = values.sum(axis=1) + random.normal(0, 0.3, 200)
    if shuffled:
        random.shuffle(sums)
    lines = [f"{a:.4f},{b:.4f},{y:.4f}" for (a, b), y in zip(values, sums, strict=True)]
    return "\n".join(["a,b,y", *lines, ""])


def secret(name: str, key: ec.EllipticCurvePrivateKey) -> Object:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"public.pem": public},
    }


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def version(name: str, folder: str = "good", **spec: object) -> Object:
    content = {"good": GOOD, "bad": BAD}[folder]
    made = model_version(name, f"pvc://handmade/{folder}/model.onnx", digest(content), model=name)
    made["spec"] |= spec
    return made


def evaluate(data: str) -> Object:
    return {"uri": f"configmap://{data}/rows.csv", "target": "y"}


def verification(name: str) -> Object:
    return {"keySecretRef": {"name": name, "key": "public.pem"}}


@pytest.fixture(scope="module")
def store(shared: Kubectl) -> Kubectl:
    """A signed model file in a claim, data, keys, and all versions of the tests: they are verified side by side."""
    signature = bundle.sign("model.onnx", digest(GOOD), KEY)
    files = {"good_model_onnx": GOOD, "good_model_sig": signature, "bad_model_onnx": BAD}
    env = {name: base64.b64encode(content).decode() for name, content in files.items()}
    shared.apply(
        claim("handmade"),
        config_map("good", rows_csv=rows()),
        config_map("shuffled", rows_csv=rows(shuffled=True)),
        secret("key", KEY),
        secret("other", OTHER),
        script_pod("fill", FILL, claim_name="handmade", env=env),
    )
    shared.wait("pod", "fill", lambda pod: pod["status"]["phase"] == "Succeeded", what="done", within=120)
    shared.apply(
        version("scored", evaluate=evaluate("good")),
        version("on-shuffled", "bad", evaluate=evaluate("shuffled")),
        version("signed", verification=verification("key")),
        version("other-key", verification=verification("other")),
        inference_service("other-key", version="other-key"),
        version("no-key", verification=verification("nothing")),
    )
    return shared


def test_a_version_whose_default_gates_pass_is_ready_with_measured_metrics(store: Kubectl) -> None:
    found = store.condition("modelversion", "scored", "Ready", "True", within=180)
    metrics = {metric["name"]: metric for metric in found["status"]["metrics"]}
    assert metrics["r2"]["source"] == "Measured"
    assert metrics["r2"]["value"] > 0.9
    verdicts = {gate["name"]: gate["verdict"] for gate in found["status"]["gates"]}
    assert verdicts["better-than-baseline"] == "Pass"


def test_one_that_is_no_better_than_guessing_is_not(store: Kubectl) -> None:
    found = store.condition("modelversion", "on-shuffled", "Ready", "False", "GateFailed", within=180)
    assert "better-than-baseline" in message(found)


def test_the_signature_of_the_key_makes_it_ready(store: Kubectl) -> None:
    found = store.condition("modelversion", "signed", "Ready", "True", within=180)
    assert condition(found, "SignatureVerified")["status"] == "True"  # type: ignore[index]


def test_the_signature_of_another_key_does_not_and_nothing_is_served(store: Kubectl) -> None:
    found = store.condition("modelversion", "other-key", "Ready", "False", "WrongKey", within=180)
    assert condition(found, "SignatureVerified")["status"] == "False"  # type: ignore[index]
    store.condition("inferenceservice", "other-key", "Ready", "False", "ModelNotReady", within=60)
    assert store.all("deployment", "modelwright.dev/inference-service=other-key") == []


def test_a_secret_that_is_not_there_is_waited_for_and_named(store: Kubectl) -> None:
    found = store.condition("modelversion", "no-key", "Ready", "False", "KeyNotFound", within=180)
    assert "key public.pem of Secret nothing" in message(found)
    store.apply(secret("nothing", KEY))
    store.condition("modelversion", "no-key", "Ready", "True", within=180)
