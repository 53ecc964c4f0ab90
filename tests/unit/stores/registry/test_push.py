"""What is pushed is read by another client, is sent once, and becomes visible at once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.stores.registries import Fault, Front, Registry
from unit.stores.registry.conftest import Given

from modelwright_stores.failures import StoreError
from modelwright_stores.registry.repository import Repository
from modelwright_stores.resuming import stream

MODEL = bytes(range(256)) * 5000
FILES = {
    "report.json": b"{}",
    "model.onnx": MODEL,
    "golden.json": b"[]",
    "card.md": b"# A model\n",
    "model.sig": b"x",
}
CONFIG = {"descriptor": {"name": "churn", "version": "3"}, "config": {"precision": "float32"}}


def test_another_client_reads_the_files_that_were_pushed(
    plain: Repository, real: Registry, name: str
) -> None:
    digest = plain.push("v1", FILES, CONFIG)
    assert real.crane("digest", f"{real.host}/{name}:v1").decode().strip() == digest
    manifest = real.manifest(f"{name}:v1")
    for layer in manifest["layers"]:
        content = real.crane("blob", f"{real.host}/{name}@{layer['digest']}")
        assert content == FILES[layer["annotations"]["org.opencontainers.image.title"]]
        assert layer["size"] == len(content)


def test_the_artifact_is_a_modelpack(plain: Repository, real: Registry, name: str) -> None:
    plain.push("v1", FILES, CONFIG)
    manifest = real.manifest(f"{name}:v1")
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [
        (layer["mediaType"].rpartition("model.")[2], layer["annotations"]) for layer in manifest["layers"]
    ] == [
        (kind, {"org.opencontainers.image.title": title, "org.cncf.model.filepath": title})
        for kind, title in (
            ("weight.v1.raw", "model.onnx"),
            ("doc.v1.raw", "card.md"),
            ("doc.v1.raw", "golden.json"),
            ("doc.v1.raw", "model.sig"),
            ("doc.v1.raw", "report.json"),
        )
    ]
    config = json.loads(real.crane("blob", f"{real.host}/{name}@{manifest['config']['digest']}"))
    assert config == {
        "descriptor": CONFIG["descriptor"],
        "config": {"format": "onnx", "precision": "float32"},
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in manifest["layers"]]},
    }


def test_the_same_files_are_the_same_artifact_and_are_not_sent_again(
    before: Front, access: Given, name: str
) -> None:
    repository = Repository(f"oci://{before.host}/{name}", access())
    first = repository.push("v1", FILES, CONFIG)
    sent, begun = before.received, len(before.asked)
    assert repository.push("v1", dict(reversed(FILES.items())), CONFIG) == first
    assert [asked.method for asked in before.asked[begun:]] == ["GET"]
    assert repository.push("v2", {**FILES, "card.md": b"# Another\n"}, CONFIG) != first
    assert before.received - sent < 5000


def test_a_layer_that_the_registry_keeps_elsewhere_is_not_sent_again(
    before: Front, access: Given, name: str
) -> None:
    repository = Repository(f"oci://{before.host}/{name}", access())
    repository.push("v1", FILES, CONFIG)
    before.inject(Fault("/blobs/sha256", "HEAD", 5, 307, headers={"Location": "https://cdn.invalid/"}))
    sent = before.received
    repository.push("v2", FILES, {})
    assert before.received - sent < 2500


def test_a_repository_that_is_not_there_has_no_manifest_and_can_be_pushed_to(plain: Repository) -> None:
    assert plain.manifest("v1") is None
    plain.check_push()
    assert plain.manifest("v1") is None
    digest = plain.push("v1", {"model.onnx": MODEL}, {})
    there = plain.manifest("v1")
    assert there is not None
    assert (there.digest, dict(there.files)) == (
        digest,
        {"model.onnx": f"sha256:{hashlib.sha256(MODEL).hexdigest()}"},
    )
    assert plain.manifest("v2") is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/blobs/uploads/", "POST", 2, 503, ""),
        Fault("/blobs/uploads/", "PUT", 1, 500, ""),
        Fault("/blobs/uploads/", "PUT", 2, 429, "TOOMANYREQUESTS"),
        Fault("/manifests/v1", "PUT", 1, 502, ""),
        Fault("/blobs/sha256", "HEAD", 1, 504, ""),
    ],
    ids=lambda fault: f"{fault.method}-{fault.status}",
)
def test_a_push_outlasts_a_registry_that_is_busy(
    before: Front, access: Given, name: str, fault: Fault
) -> None:
    repository = Repository(f"oci://{before.host}/{name}", access())
    before.inject(fault)
    model = MODEL + name.encode()  # this registry has one store of blobs for all repositories
    repository.push("v1", {**FILES, "model.onnx": model}, CONFIG)
    assert before.faults == []
    assert stream(repository.model("v1"), 1 << 30).read() == model


def test_a_proxy_that_takes_no_large_bodies_is_named(before: Front, access: Given, name: str) -> None:
    repository = Repository(f"oci://{before.host}/{name}", access())
    before.inject(Fault("/blobs/uploads/", "PUT", 1, 413))
    with pytest.raises(StoreError, match="Raise its limit") as failure:
        repository.push("v1", {"model.onnx": MODEL * 20}, CONFIG)
    assert failure.value.reason == "FileTooLarge"
    assert repository.manifest("v1") is None


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, "UNAUTHORIZED", "NoCredentials"),
        (403, "DENIED", "NoCredentials"),
        (404, "NAME_UNKNOWN", "BucketNotFound"),
        (404, "", "BucketNotFound"),
        (405, "UNSUPPORTED", "AccessDenied"),
        (400, "NAME_INVALID", "BucketNotFound"),
        (418, "", "StoreAnswerInvalid"),
    ],
)
def test_who_may_not_push_learns_it_before_anything_is_trained(
    before: Front, access: Given, name: str, status: int, code: str, reason: str
) -> None:
    before.inject(Fault("/blobs/uploads/", "POST", 1, status, code))
    with pytest.raises(StoreError) as failure:
        Repository(f"oci://{before.host}/{name}", access()).check_push()
    assert failure.value.reason == reason
    assert not failure.value.passing
    assert "secret that must not" not in failure.value.message


PUSH = """
import sys
from ipaddress import ip_network
from pathlib import Path
from modelwright_stores.access import Access
from modelwright_stores.registry.repository import Repository
access = Access(Path("/nonexistent"), endpoint=sys.argv[1], networks=(ip_network("127.0.0.0/8"),))
Repository(sys.argv[2], access).push("v1", {"model.onnx": Path(sys.argv[3])}, {})
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_a_large_model_is_pushed_in_little_memory(real: Registry, name: str, tmp_path: Path) -> None:
    large = tmp_path / "model.onnx"
    with large.open("wb") as file:
        file.truncate(300 << 20)
    command = [sys.executable, "-c", PUSH, real.endpoint, f"oci://{real.host}/{name}", str(large)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 60 << 10
    assert real.manifest(f"{name}:v1")["layers"][0]["size"] == 300 << 20
