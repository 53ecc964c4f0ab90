"""Versions of a model that tests write by hand, on a claim of the test's own namespace."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from support.kubectl import Kubectl
from support.manifests import claim, model_version, script_pod

_FILL = """
import base64, os, pathlib
for name, text in os.environ.items():
    if name.startswith("FILE_"):
        folder = pathlib.Path("/volume", name[5:].lower())
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(base64.b64decode(text))
"""


def versions(
    kubectl: Kubectl, model: str, files: Mapping[str, bytes], within: float = 180, *, many_nodes: bool = False
) -> None:
    """Makes a ModelVersion of each file, by its name, and waits until all are Ready.

    `many_nodes`: pods on several nodes may have the claim, and the operator sees that.
    """
    kubectl.apply(claim("handmade", "ReadWriteMany", seen=True) if many_nodes else claim("handmade"))
    fill(kubectl, "fill", files)
    for name, content in files.items():
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        kubectl.apply(model_version(name, f"pvc://handmade/{name}/model.onnx", digest, model))
    for name in files:
        kubectl.condition("modelversion", name, "Ready", "True", within=within)


def fill(kubectl: Kubectl, pod: str, files: Mapping[str, bytes]) -> None:
    """Writes the files into the claim, over those that are there."""
    env = {f"FILE_{name.upper()}": base64.b64encode(content).decode() for name, content in files.items()}
    kubectl.apply(script_pod(pod, _FILL, claim_name="handmade", env=env))
    kubectl.wait("pod", pod, lambda found: found["status"]["phase"] == "Succeeded", what="done")
