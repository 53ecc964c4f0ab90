"""Every kind of store makes the round trip: data from it, a model to it, answers from what is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cluster.settings import DNS_ADDRESS
from support.kubectl import Kubectl, Object, message
from support.manifests import config_map, image, inference_service, secret, training_job
from support.predict import predict, rows
from support.stores.azurite import azurite
from support.stores.certificates import Certificates, certificates
from support.stores.gcs import cloud_storage
from support.stores.node import HOST, MARKS
from support.stores.registries import front, registry
from support.stores.s3 import gateway
from support.stores.searching import Search, running
from support.stores.trainer import CSV, staying_trainer
from support.stores.website import website

pytestmark = MARKS

REQUEST = rows([20.0, 1.0], [60.0, 1.0])
FILE = CSV.encode()
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
QUERY = """
import os, pathlib, sys
password = pathlib.Path("/credentials/password").read_text()
if len(password) != 16:  # the test looks for the password itself: it must not be here
    sys.exit("the warehouse knows no such password")
pathlib.Path("/out/part-1.csv").write_text(os.environ["ROWS"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.fixture(scope="module")
def tls(folder: Path) -> Certificates:
    return certificates(folder / "tls", HOST, DNS_ADDRESS)


@pytest.fixture(scope="module")
def authority(shared: Kubectl, tls: Certificates) -> Object:
    """The `caConfigMapRef` of the servers over TLS."""
    shared.apply(config_map("authority", ca_crt=tls.authority))
    return {"name": "authority", "key": "ca.crt"}


def goes_round(kubectl: Kubectl, name: str, data: Object, artifacts: Object) -> Object:
    """Trains from one store, publishes to another one and serves from there; gives the ModelVersion."""
    kubectl.apply(
        training_job(name, data={"target": "churned", **data}, artifacts=artifacts),
        inference_service(name, track=name),
    )
    done = kubectl.condition("trainingjob", name, "Ready", "True", within=240)
    kubectl.condition("mwisvc", name, "Ready", "True", within=180)
    version = kubectl.get("mv", done["status"]["latestModelVersion"])
    _, headers = predict(kubectl, name, REQUEST)
    assert headers["modelwright-model-digest"] == version["spec"]["artifact"]["digest"]
    assert done["status"]["run"]["data"]["digest"] == DIGEST
    return version


def test_azure(shared: Kubectl, folder: Path) -> None:
    with azurite(folder / "azure", HOST) as server:
        for container in ("lake", "models"):
            server.container(container)
        server.put("lake", "churn.csv", FILE)
        signature = {"AZURE_STORAGE_SAS_TOKEN": server.shared_access()}
        shared.apply(
            secret("azure", server.secret_data()),
            secret("signature", {"AZURE_STORAGE_ACCOUNT_NAME": server.account, **signature}),
        )
        version = goes_round(
            shared,
            "azure",
            {
                "uri": "az://lake/churn.csv",
                "store": {"secretRef": {"name": "signature"}, "endpoint": server.endpoint},
            },
            {
                "uri": "az://models/churn",
                "store": {"secretRef": {"name": "azure"}, "endpoint": server.endpoint},
            },
        )
    assert version["spec"]["artifact"]["uri"].startswith("az://models/churn/sha256-")


def test_google(shared: Kubectl) -> None:
    with cloud_storage(HOST) as cloud:
        cloud.put("lake", "churn.csv", FILE)
        cloud.bucket("models")
        shared.apply(secret("google", {"key.json": cloud.service_account()}))
        store = {"secretRef": {"name": "google"}, "endpoint": cloud.endpoint}
        version = goes_round(
            shared,
            "google",
            {"uri": "gs://lake/churn.csv", "store": store},
            {"uri": "gs://models/churn", "store": store},
        )
        uri = version["spec"]["artifact"]["uri"]
        assert uri.removeprefix("gs://models/") in cloud.buckets["models"]
        assert cloud.refused == []


def test_a_registry(shared: Kubectl, folder: Path, tls: Certificates, authority: Object) -> None:
    with registry(folder / "registry", HOST) as upstream, front(upstream, tls, HOST) as hub:
        hub.auth, hub.users, hub.writers = "token", {"robot": "of-the-hub"}, {"robot"}
        shared.apply(
            secret("hub", {"username": "robot", "password": "of-the-hub"}), config_map("rows", churn_csv=CSV)
        )
        store = {"secretRef": {"name": "hub"}, "caConfigMapRef": authority}
        version = goes_round(
            shared,
            "registry",
            {"configMapRef": {"name": "rows", "key": "churn.csv"}},
            {"uri": f"oci://{hub.host}/models/churn", "store": store},
        )
        tag = "model-" + version["spec"]["artifact"]["digest"].removeprefix("sha256:")
        assert version["spec"]["artifact"]["uri"] == f"oci://{hub.host}/models/churn:{tag}"
        manifest = upstream.manifest(f"models/churn:{tag}")
        assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"


def test_web_servers_with_a_password_a_token_and_a_way_to_another_host(
    shared: Kubectl, tls: Certificates, authority: Object
) -> None:
    with website(tls, HOST, DNS_ADDRESS) as site:
        site.files["churn.csv"] = FILE
        shared.apply(
            secret("password", {"username": site.username, "password": site.password}),
            secret("token", {"token": site.token}),
        )
        for name, kept in (("basic", "password"), ("bearer", "token"), ("moved", "password"), ("bare", "")):
            path = "bearer" if name == "bare" else name
            given = {"secretRef": {"name": kept}} if kept else {}
            shared.apply(
                training_job(
                    f"web-{name}",
                    data={
                        "uri": f"{site.endpoint}/{path}/churn.csv",
                        "target": "churned",
                        "store": {**given, "caConfigMapRef": authority},
                    },
                )
            )
        for name in ("basic", "bearer", "moved"):
            done = shared.condition("trainingjob", f"web-{name}", "Ready", "True", within=240)
            assert done["status"]["run"]["data"]["digest"] == DIGEST
        refused = shared.condition("trainingjob", "web-bare", "Ready", "False", within=60)
        assert "data.store" in message(refused)
    elsewhere = [given for path, given in site.asked if path.startswith("/open/")]
    assert elsewhere
    assert set(elsewhere) == {None}


def test_a_file_of_dvc_is_found_by_the_hash_that_the_lock_has(shared: Kubectl, folder: Path) -> None:
    md5 = hashlib.md5(FILE, usedforsecurity=False).hexdigest()
    lock = f"""
schema: '2.0'
stages:
  prepare:
    cmd: python prepare.py
    outs:
    - path: data/churn.csv
      hash: md5
      md5: {md5}
      size: {len(FILE)}
"""
    with gateway(folder / "dvc", HOST) as server:
        server.put("lake", f"dvc/files/md5/{md5[:2]}/{md5[2:]}", FILE)
        shared.apply(secret("dvc", server.keys.secret_data()), config_map("dvc", dvc_lock=lock))
        dvc = {"configMapRef": {"name": "dvc", "key": "dvc.lock"}, "path": "data/churn.csv"}
        store = {"secretRef": {"name": "dvc"}, "endpoint": server.endpoint}
        shared.apply(
            training_job(
                "dvc", data={"uri": "s3://lake/dvc", "dvc": dvc, "target": "churned", "store": store}
            )
        )
        done = shared.condition("trainingjob", "dvc", "Ready", "True", within=240)
    assert done["status"]["run"]["data"]["digest"].startswith("sha256:")
    version = shared.get("mv", done["status"]["latestModelVersion"])
    assert md5 in str(version["spec"]["lineage"])


def test_a_container_makes_the_data_and_alone_has_its_secret(shared: Kubectl) -> None:
    search = Search(shared, ["of-the-warehouse"])
    shared.apply(secret("warehouse", {"password": "of-the-warehouse"}))
    wrong = CSV.replace("age,", "years,")
    for name, text, stay in (("right", CSV, 8), ("wrong", wrong, 0)):
        source = {
            "image": image("trainingImage"),
            "command": ["python3", "-c", QUERY],
            "env": [{"name": "ROWS", "value": text}],
            "secretRef": {"name": "warehouse"},
        }
        data = {"source": source, "target": "churned", "schema": {"age": {"type": "integer", "min": 0}}}
        shared.apply(staying_trainer(f"source-{name}", stay=stay, data=data))
    pod = running(shared, "modelwright.dev/training-job=source-right", "train")
    assert search.container(pod, "train") == []

    done = shared.condition("trainingjob", "source-right", "Ready", "True", within=240)
    refused = shared.condition("trainingjob", "source-wrong", "Stalled", "True", within=120)

    assert {each["step"] for each in images(shared, done)} >= {"source", "fetch", "train", "publish"}
    assert "age" in message(refused)
    assert search.objects() == []
    assert search.logs() == []


def images(kubectl: Kubectl, done: Object) -> list[Object]:
    """The images of the steps, as the lineage of the newest version has them."""
    version = kubectl.get("mv", done["status"]["latestModelVersion"])
    found: list[Object] = version["spec"]["lineage"]["images"]
    return found
