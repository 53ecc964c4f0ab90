"""Artifacts in stores outside the cluster, through the steps: real servers of S3, Azure and OCI, a stub of Google's."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.stores.faults import Fault, internal_error, proxy, slow_down
from support.stores.s3 import Gateway, gateway
from unit.stores.webserver import Certificates
from unit.training.outside import Place, place
from unit.training.pod import Json, Pod, numbers, schema
from unit.training.signatures import Key

from modelwright_training.files import digest_of
from modelwright_training.signing import keys as signing
from modelwright_training.storing import stores
from modelwright_training.storing.bucket import BucketStore
from modelwright_training.storing.layout import mark_of

GATE = {"name": "auc", "metric": "roc_auc", "against": "Champion", "minChange": -0.01}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    assert Pod(root).given_rows(numbers(80)).through("fetch", "train").code == 0
    return root


@pytest.fixture
def ready(trained: Path, pod: Pod) -> Pod:
    """A pod that has fetched and trained."""
    shutil.copytree(trained, pod.root, dirs_exist_ok=True)
    return pod


@pytest.fixture(scope="module", params=["s3", "az", "gs", "oci"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def s3(server: Gateway, request: pytest.FixtureRequest) -> Place:
    """A bucket of this test alone."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[:50].strip(
        "-"
    )
    server.bucket(name)
    return Place(f"s3://{name}/models", server.endpoint, server.keys.secret_data())


def files(server: Gateway, place: Place) -> dict[str, Path]:
    """What is in the bucket, by the last part of its key."""
    root = server.root / place.uri.split("/")[2]
    return {path.name: path for path in root.rglob("*") if path.is_file()}


def delete_document(artifact: Json, run: int, **parts: str) -> Json:
    made = {"namespace": "default", "trainingJob": "churn", "run": run, "artifact": artifact, **parts}
    schema("delete").validate(made)
    return made


def verify_document(artifact: Json, **parts: str) -> Json:
    made = {"modelVersion": "churn-1", "model": "churn", "artifact": artifact, **parts}
    schema("verify").validate(made)
    return made


def test_a_model_is_kept_signed_verified_compared_with_and_deleted(
    kept: Place, ready: Pod, tmp_path: Path
) -> None:
    first = kept.publish(ready).result
    artifact = {key: first["artifact"][key] for key in ("uri", "digest")}
    in_bucket = not kept.uri.startswith("oci://")
    digest = artifact["digest"].removeprefix("sha256:")
    # Registries reserve the tag sha256-HEX.
    name = f"/sha256-{digest}/model.onnx" if in_bucket else f":model-{digest}"
    assert artifact["uri"] == f"{kept.uri}{name}"
    environ = kept.environ(ready)

    verified = ready.verify(verify_document(artifact), **environ).result
    assert verified["metrics"] == first["metrics"], "those of the report beside the model"

    key = Key.made(tmp_path / "key")
    ready.document["run"] = 2
    ready.document |= {"champion": {"name": "churn-1", "artifact": artifact}, "gates": [GATE]}
    ready.given_key(key.private)
    second = kept.publish(ready, MODELWRIGHT_SIGN="key k of Secret s").result
    assert second["signedBy"] == signing.hint(signing.public_key(key.public, "key k"))
    assert (second["artifact"], second["gates"][0]["value"]) == (first["artifact"], 0)
    ready.given_key(key.public)
    document = verify_document(artifact, verification="key k of Secret s")
    assert ready.verify(document, **environ).result["signedBy"] == second["signedBy"]

    if not in_bucket:
        anywhere = delete_document({"uri": "s3://b/x", "digest": artifact["digest"]}, 2)
        refused = ready.delete(anywhere | {"artifact": artifact}, **environ)
        assert (refused.reason, "retention rules" in refused.message) == ("UriUnsupported", True)
        return
    assert ready.delete(delete_document(artifact, 1), **environ).result["keptBy"] == [
        mark_of("default", "churn", 2)
    ]
    assert ready.delete(delete_document(artifact, 2), **environ).result["deleted"] is True
    store = kept.store(ready)
    assert isinstance(store, BucketStore)
    assert [entry.key for entry in store.bucket.entries(store.prefix)] == []
    gone = ready.verify(document, **environ)
    assert (gone.reason, gone.code) == ("ArtifactNotFound", 65)


def test_a_cluster_keeps_what_another_one_has_published_in_the_same_bucket(s3: Place, ready: Pod) -> None:
    """Both have a TrainingJob of this name, made from one repository."""
    clusters = {"aaaaaaaa-1111": 5, "bbbbbbbb-2222": 2}
    for uid, run in clusters.items():
        ready.document |= {"uid": uid, "run": run}
        artifact = s3.publish(ready).result["artifact"]
    artifact = {key: artifact[key] for key in ("uri", "digest")}
    environ = s3.environ(ready)
    kept, gone = (ready.delete(delete_document(artifact, 5, uid=uid), **environ).result for uid in clusters)
    assert (kept["deleted"], kept["keptBy"]) == (False, [mark_of("default", "churn", 2, "bbbbbbbb-2222")])
    assert gone["deleted"] is True


def test_what_was_published_before_is_not_written_again(s3: Place, server: Gateway, ready: Pod) -> None:
    assert s3.publish(ready).code == 0
    before = {
        name: path.stat().st_mtime_ns for name, path in files(server, s3).items() if not name.startswith(".")
    }
    assert before.keys() == {"model.onnx", "report.json", "golden.json", "profile.json", "card.md"}
    ready.document["trainingJob"] = "other"
    assert s3.publish(ready).code == 0
    after = {name: path.stat().st_mtime_ns for name, path in files(server, s3).items()}
    assert {name: after[name] for name in before} == before
    assert json.loads(files(server, s3)["report.json"].read_text())["trainingJob"] == "churn"


@pytest.mark.parametrize("keys", [{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "wrong"}, {}])
def test_what_cannot_be_written_is_said_before_anything_is_fetched(
    s3: Place, pod: Pod, keys: dict[str, str]
) -> None:
    refused = replace(s3, keys=keys, entry={"secret": "models"})
    pod.document["artifacts"] = {"uri": s3.uri}
    ending = pod.run("fetch", **refused.environ(pod))
    assert (ending.reason, ending.code) == ("CredentialsRefused" if keys else "SecretNotFound", 65)
    assert "models" in ending.message
    missing = replace(s3, uri="s3://never-made/models")
    pod.document["artifacts"] = {"uri": missing.uri}
    assert pod.run("fetch", **missing.environ(pod)).reason == "BucketNotFound"
    s3.store(pod).check_writable()
    pod.document["artifacts"] = {"uri": s3.uri}
    assert pod.run("fetch", **s3.environ(pod)).reason == "DataNotFound", "now the data is looked for"


def test_a_store_that_fails_for_a_while_is_tried_again(s3: Place, server: Gateway, ready: Pod) -> None:
    with proxy(server) as front:
        front.inject(
            slow_down(6, method="PUT", path=".run."),
            internal_error(6, method="PUT", path="model.onnx"),
            Fault(method="PUT", path="report.json", then="reset"),
            Fault(method="GET", path="model.onnx", times=1, after=50, then="reset"),
        )
        ending = replace(s3, endpoint=front.endpoint).publish(ready)
        assert ending.code == 0, ending.document
    assert not front._faults
    assert digest_of(files(server, s3)["model.onnx"].read_bytes()) == ending.result["artifact"]["digest"]


def test_a_server_that_is_gone_for_a_while_is_waited_for(s3: Place, server: Gateway, ready: Pod) -> None:
    server.program.kill()
    back = threading.Timer(4, server.program.start)
    back.start()
    try:
        assert s3.publish(ready).code == 0
    finally:
        back.join()


def test_a_refusal_leaves_no_report_and_what_is_left_is_completed(
    s3: Place, server: Gateway, ready: Pod
) -> None:
    with proxy(server) as front:
        front.inject(Fault(method="PUT", path="report.json", times=20, status=403, code="AccessDenied"))
        ending = replace(s3, endpoint=front.endpoint).publish(ready)
        assert (ending.reason, ending.code) == ("AccessDenied", 65)
    assert "model.onnx" in files(server, s3)
    assert "report.json" not in files(server, s3)
    assert s3.publish(ready).code == 0
    assert "report.json" in files(server, s3)


def test_patience_ends(s3: Place, server: Gateway, ready: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE", 1.0)
    with proxy(server) as front:
        front.inject(slow_down(1000, method="*"))
        ending = replace(s3, endpoint=front.endpoint).publish(ready)
    assert (ending.reason, ending.code) == ("StoreUnavailable", 75)


def test_a_wrong_byte_is_refused_everywhere(s3: Place, server: Gateway, ready: Pod) -> None:
    artifact = s3.publish(ready).result["artifact"]
    path, environ = files(server, s3)["model.onnx"], s3.environ(ready)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    assert ready.verify(verify_document(artifact), **environ).reason == "DigestMismatch"
    assert s3.publish(ready).reason == "StoreCorrupt"
    assert ready.delete(delete_document(artifact, 1), **environ).reason == "StoreCorrupt"
    assert path.read_bytes() == content, "it is left as it is"
    ready.document |= {"champion": {"name": "churn-1", "artifact": artifact}, "gates": [GATE]}
    ready.document["artifacts"] = {"uri": "pvc://models/churn"}
    found = ready.run("publish", **s3.environ(ready, "champion")).result["gates"][0]
    assert (found["reason"], "Either the file has changed" in found["message"]) == ("NotComparable", True)


def test_many_publications_of_the_same_model_leave_one(s3: Place, server: Gateway, pod: Pod) -> None:
    content = b"the model" * 1000
    digest = digest_of(content)
    made = {"model.onnx": content, "golden.json": b"[]", "card.md": b"#"}

    opened = [s3.store(pod) for _ in range(8)]

    def publish(run: int) -> bool:
        return opened[run].put(digest, {**made, "report.json": b"%d" % run}, mark_of("team", "churn", run))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(publish, range(8))) == [False] * 7 + [True]
    found = files(server, s3)
    assert {name: found[name].read_bytes() for name in made} == made
    assert found.keys() == {*made, "report.json", *(mark_of("team", "churn", run) for run in range(8))}


def test_publications_and_deletions_at_once_lose_nothing(s3: Place, server: Gateway, pod: Pod) -> None:
    content = b"the model" * 1000
    digest = digest_of(content)
    made = {"model.onnx": content, "golden.json": b"[]", "report.json": b"{}"}
    first, second = s3.store(pod), s3.store(pod)
    for run in range(12):
        marks = [mark_of("team", "churn", run), mark_of("team", "churn", run + 1)]

        def publish(mark: str = marks[1]) -> bool:
            return first.put(digest, made, mark)

        def delete(mark: str = marks[0], run: int = run) -> list[str]:
            time.sleep(run * 0.004)
            return second.remove(digest, lambda found: found == mark)

        with ThreadPoolExecutor(2) as pool:
            deleted, published = pool.submit(delete), pool.submit(publish)
            published.result(60)
            deleted.result(60)
        assert {*made, marks[1]} <= files(server, s3).keys(), run
    assert s3.store(pod).remove(digest, lambda _: True) == []
    assert files(server, s3) == {}


def test_a_model_on_a_web_server_is_verified_and_compared_with(ready: Pod, tmp_path: Path) -> None:
    content = ready.paths.model_file.read_bytes()
    certificates = Certificates(tmp_path)
    with certificates.site() as site:
        site.content = content
        uri = f"https://127.0.0.1:{site.server_address[1]}/model.onnx"
        artifact = {"uri": uri, "digest": digest_of(content)}
        environ = {
            "SSL_CERT_FILE": str(certificates.file),
            "MODELWRIGHT_STORES": json.dumps({"networks": ["127.0.0.0/8", "::1/128"]}),
        }
        verified = ready.verify(verify_document(artifact), **environ).result
        assert (verified["artifact"]["digest"], verified["metrics"]) == (artifact["digest"], [])
        ready.document |= {"champion": {"name": "churn-1", "artifact": artifact}, "gates": [GATE]}
        assert ready.run("publish", **environ).result["gates"][0]["value"] == 0
        refused = ready.delete(
            {**delete_document(artifact | {"uri": "s3://b/x"}, 1), "artifact": artifact}, **environ
        )
        assert refused.reason == "UriUnsupported"


def test_a_champion_on_a_claim_is_not_compared_with_a_candidate_outside(s3: Place, ready: Pod) -> None:
    artifact = {"uri": "pvc://models/churn/model.onnx", "digest": digest_of(b"x")}
    ready.document |= {"champion": {"name": "churn-1", "artifact": artifact}, "gates": [GATE]}
    found = s3.publish(ready).result["gates"][0]
    assert found["reason"] == "NotComparable"
    assert "no claim is mounted" in found["message"]
