"""Private data becomes a served model through S3, and credentials are nowhere but where they are used."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.kubectl import Kubectl, Object, message
from support.manifests import config_map, inference_service, secret, training_job
from support.operator import EXCHANGES, STORES
from support.predict import predict, rows
from support.stores.certificates import certificates
from support.stores.faults import Proxy, proxy
from support.stores.node import HOST, MARKS
from support.stores.s3 import Gateway, gateway
from support.stores.searching import Search, outside, running
from support.stores.sessions import Sessions
from support.stores.sts import TokenService, token_service
from support.stores.trainer import CSV, staying_trainer

pytestmark = MARKS

ROLE = "arn:aws:iam::1:role/models"
MOUNTS = "/etc/modelwright/stores"
SLOW = 100


@dataclass(frozen=True)
class Lake:
    """S3 behind a proxy that takes temporary keys too, and the STS that issues them. `named`: a proxy too, which the
    administrator has named, as the STS."""

    server: Gateway
    front: Proxy
    named: Proxy
    sts: TokenService
    sessions: Sessions
    authority: str

    def store(self) -> Object:
        """The `store` of a spec that uses the Secret `lake`."""
        return {"secretRef": {"name": "lake"}, "endpoint": self.front.endpoint}

    def identity(self) -> Object:
        """The `store` of a spec that uses an identity."""
        return {
            "endpoint": self.named.endpoint,
            "identity": {"roleArn": ROLE, "stsEndpoint": self.sts.endpoint},
            "caConfigMapRef": {"name": "authority", "key": "ca.crt"},
        }

    def files(self, bucket: str, pattern: str) -> list[str]:
        """The objects of a bucket that are as the pattern says."""
        root = self.server.bucket(bucket)
        return sorted(str(path.relative_to(root)) for path in root.glob(pattern) if path.is_file())


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    folder: Path = tmp_path_factory.mktemp("lake")
    tls, sessions = certificates(folder / "tls", HOST), Sessions()
    with (
        gateway(folder, HOST) as server,
        proxy(server, HOST, sessions=sessions) as front,
        proxy(server, HOST, sessions=sessions, ports=STORES) as named,
        token_service(tls, sessions, ROLE, host=HOST, ports=EXCHANGES) as sts,
    ):
        server.bucket("models")
        server.put("lake", "churn.csv", CSV.encode())
        yield Lake(server, front, named, sts, sessions, tls.authority)


def run_pod(name: str) -> str:
    """The labels of the pods of a TrainingJob's runs."""
    return f"modelwright.dev/training-job={name}"


def test_keys_are_in_the_mounts_of_the_containers_that_use_them_and_nowhere_else(
    kubectl: Kubectl, lake: Lake
) -> None:
    search = Search(kubectl, [lake.server.keys.access, lake.server.keys.secret])
    store = lake.store()
    kubectl.apply(
        secret("lake", {**lake.server.keys.secret_data(), "LD_PRELOAD": "/evil.so"}),
        staying_trainer(
            "churn",
            stay=8,
            data={"uri": "s3://lake/churn.csv", "target": "churned", "store": store},
            artifacts={"uri": "s3://models/churn", "store": store},
        ),
        inference_service("churn", track="churn"),
    )

    lake.front.rate = 1000
    found = {"fetch": search.container(running(kubectl, run_pod("churn"), "fetch"), "fetch")}
    lake.front.rate = None
    found["train"] = search.container(running(kubectl, run_pod("churn"), "train"), "train")
    lake.front.rate = SLOW
    found["publish"] = search.container(running(kubectl, run_pod("churn"), "publish"), "publish")
    lake.front.rate = None
    kubectl.condition("trainingjob", "churn", "Ready", "True", within=120)
    kubectl.condition("mwisvc", "churn", "Ready", "True", within=120)
    answer, _ = predict(kubectl, "churn", rows([20.0, 1.0], [60.0, 1.0]))
    pod = running(kubectl, "modelwright.dev/inference-service=churn", "server")
    found["server"] = search.container(pod, "server")
    lake.front.rate = SLOW
    kubectl.run("delete", "pod", pod, "--force", "--grace-period=0")
    found["pull"] = search.container(
        running(kubectl, "modelwright.dev/inference-service=churn", "pull"), "pull"
    )
    lake.front.rate = None

    assert [output["data"] for output in answer["outputs"] if output["name"] == "label"] == [[0, 1]]
    assert found["train"] == found["server"] == []
    for name, folder in (("fetch", "data"), ("publish", "artifacts"), ("pull", "artifacts")):
        keys = {f"{MOUNTS}/{folder}/secret/AWS_{key}" for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
        assert keys <= set(found[name]), (name, found)
        assert outside(found[name], f"{MOUNTS}/data", f"{MOUNTS}/artifacts") == []
    assert outside(found["publish"], f"{MOUNTS}/artifacts") == []
    assert search.objects() == []
    assert search.logs() == []
    assert lake.files("models", "churn/sha256-*/report.json")


def test_two_runs_that_make_the_same_model_at_once_store_it_once(kubectl: Kubectl, lake: Lake) -> None:
    store = lake.store()
    data = {"uri": "s3://lake/churn.csv", "target": "churned", "store": store}
    kubectl.apply(
        secret("lake", lake.server.keys.secret_data()),
        *(
            training_job(
                name, model="twins", data=data, artifacts={"uri": "s3://models/twins", "store": store}
            )
            for name in ("first", "second")
        ),
    )

    with concurrent.futures.ThreadPoolExecutor() as both:
        waits = [
            both.submit(kubectl.condition, "trainingjob", name, "Ready", "True", within=240)
            for name in ("first", "second")
        ]
        done = [wait.result() for wait in waits]

    versions = [kubectl.get("mv", each["status"]["latestModelVersion"]) for each in done]
    artifacts = {version["spec"]["artifact"]["uri"] for version in versions}
    assert len(artifacts) == 1
    assert len(lake.files("models", "twins/*/model.onnx")) == 1
    assert len(lake.files("models", "twins/*/report.json")) == 1


def test_an_identity_needs_no_secret_and_its_token_is_not_the_trainers(kubectl: Kubectl, lake: Lake) -> None:
    search = Search(kubectl, [])
    store = lake.identity()
    kubectl.apply(
        config_map("authority", ca_crt=lake.authority),
        staying_trainer(
            "irsa",
            stay=8,
            data={"uri": "s3://lake/churn.csv", "target": "churned", "store": store},
            artifacts={"uri": "s3://models/irsa", "store": store},
        ),
        inference_service("irsa", track="irsa"),
    )
    lake.named.rate = 1000
    in_fetch = search.container(running(kubectl, run_pod("irsa"), "fetch"), "fetch")
    lake.named.rate = None
    in_trainer = search.container(running(kubectl, run_pod("irsa"), "train"), "train")
    kubectl.condition("trainingjob", "irsa", "Ready", "True", within=120)
    kubectl.condition("mwisvc", "irsa", "Ready", "True", within=120)
    pod = running(kubectl, "modelwright.dev/inference-service=irsa", "server")

    assert f"{MOUNTS}/data/token" in in_fetch
    assert outside(in_fetch, f"{MOUNTS}/data", f"{MOUNTS}/artifacts") == []
    assert in_trainer == []
    search.marks += [
        text for keys in lake.sessions.issued for text in (keys.access, keys.secret, str(keys.token))
    ]
    search.marks += lake.sts.tokens
    assert search.container(pod, "server") == []
    assert search.objects() == []
    assert search.logs() == []
    subjects = {request["claims"]["sub"] for request in lake.sts.requests}
    assert subjects == {f"system:serviceaccount:{kubectl.namespace}:default"}
    assert {request["outcome"] for request in lake.sts.requests} == {"granted"}


def test_a_token_that_the_sts_refuses_is_named_until_the_role_is_allowed(
    kubectl: Kubectl, lake: Lake
) -> None:
    store = lake.identity()
    store["identity"]["roleArn"] = "arn:aws:iam::1:role/another"
    kubectl.apply(
        config_map("authority", ca_crt=lake.authority),
        training_job("role", data={"uri": "s3://lake/churn.csv", "target": "churned", "store": store}),
    )

    refused = kubectl.condition("trainingjob", "role", "Ready", "False", "IdentityRefused")

    assert "data.store.identity" in message(refused)
    lake.sts.roles = (*lake.sts.roles, "arn:aws:iam::1:role/another")
    kubectl.condition("trainingjob", "role", "Ready", "True", within=240)
