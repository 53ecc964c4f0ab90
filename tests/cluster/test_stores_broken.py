"""A store that dies in the middle, or gives other bytes: no run is lost, and no wrong byte is served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from support.kubectl import Kubectl, Object
from support.manifests import inference_service, model_version, secret, training_job
from support.predict import predict, rows
from support.stores.faults import Proxy, proxy
from support.stores.node import HOST, MARKS
from support.stores.s3 import Gateway, gateway
from support.stores.searching import running
from support.stores.trainer import CSV

pytestmark = MARKS

LARGE_MIB = 16
DEAD_SECONDS = 20
REQUEST = rows([20.0, 1.0], [60.0, 1.0])


@dataclass(frozen=True)
class Lake:
    """S3 behind a proxy."""

    server: Gateway
    front: Proxy

    def store(self, name: str = "lake") -> Object:
        """The `store` of a spec that uses a Secret."""
        return {"secretRef": {"name": name}, "endpoint": self.front.endpoint}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with gateway(tmp_path_factory.mktemp("lake"), HOST) as server, proxy(server, HOST) as front:
        server.bucket("models")
        server.put("lake", "churn.csv", CSV.encode())
        yield Lake(server, front)


def test_a_server_that_is_dead_for_a_while_costs_a_run_nothing_but_time(kubectl: Kubectl, lake: Lake) -> None:
    note = "n" * 1000
    lines = [f"{20 + n % 50},{note},{int(n % 50 > 25)}\n" for n in range(LARGE_MIB * 1000)]
    content = ("age,note,churned\n" + "".join(lines)).encode()
    size = len(content)
    lake.server.put("lake", "large.csv", content)
    kubectl.apply(
        secret("lake", lake.server.keys.secret_data()),
        training_job(
            "large",
            data={
                "uri": "s3://lake/large.csv",
                "target": "churned",
                "store": lake.store(),
                "features": ["age"],
                "sample": {"rows": 1000},
            },
        ),
    )
    lake.front.rate = size / 6
    running(kubectl, "modelwright.dev/training-job=large", "fetch")
    until(lambda: lake.front.sent() > size / 3)

    lake.server.program.kill()
    time.sleep(DEAD_SECONDS)
    lake.server.program.start()
    lake.front.rate = None

    done = kubectl.condition("trainingjob", "large", "Ready", "True", within=240)
    assert done["status"]["run"]["number"] == 1
    assert lake.front.sent("large.csv") <= 1.1 * size
    pods = kubectl.all("pod", "modelwright.dev/training-job=large")
    assert len(pods) == 1


def test_another_byte_is_never_served_and_the_stable_version_answers_on(kubectl: Kubectl, lake: Lake) -> None:
    store = lake.store()
    kubectl.apply(secret("lake", lake.server.keys.secret_data()))
    uris = {}
    for seed in (1, 2):
        kubectl.apply(
            training_job(
                f"run-{seed}",
                model="flips",
                seed=seed,
                data={"uri": "s3://lake/churn.csv", "target": "churned", "store": store},
                artifacts={"uri": "s3://models/flips", "store": store},
            )
        )
    for seed in (1, 2):
        done = kubectl.condition("trainingjob", f"run-{seed}", "Ready", "True", within=240)
        version = done["status"]["latestModelVersion"]
        uris[version] = kubectl.get("mv", version)["spec"]["artifact"]
    good, bad = uris
    kubectl.apply(inference_service("flips", version=good))
    kubectl.condition("mwisvc", "flips", "Ready", "True", within=120)
    path = lake.server.root / str(uris[bad]["uri"]).removeprefix("s3://")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    kubectl.patch("mwisvc", "flips", {"spec": {"model": {"version": bad}}})
    copied = model_version("by-hand", uris[bad]["uri"], uris[bad]["digest"])
    copied["spec"]["artifact"]["store"] = store
    kubectl.apply(copied)

    refused = kubectl.wait(
        "mwisvc", "flips", lambda found: "DigestMismatch" in str(found.get("status")), within=120
    )
    assert refused["status"]["stable"]["version"] == good
    kubectl.condition("mv", "by-hand", "ArtifactVerified", "False", "DigestMismatch")
    answer, headers = predict(kubectl, "flips", REQUEST)
    assert headers["modelwright-model-digest"] == uris[good]["digest"]
    assert answer["outputs"]


def test_a_pull_without_the_right_key_says_so_and_goes_on_once_the_secret_is_mended(
    kubectl: Kubectl, lake: Lake
) -> None:
    store = lake.store()
    kubectl.apply(
        secret("lake", lake.server.keys.secret_data()),
        training_job(
            "keys",
            data={"uri": "s3://lake/churn.csv", "target": "churned", "store": store},
            artifacts={"uri": "s3://models/keys", "store": store},
        ),
    )
    kubectl.condition("trainingjob", "keys", "Ready", "True", within=240)
    kubectl.apply(
        secret("lake", {**lake.server.keys.secret_data(), "AWS_SECRET_ACCESS_KEY": "of-another-account"})
    )
    kubectl.apply(inference_service("keys", track="keys"))

    kubectl.wait("mwisvc", "keys", lambda found: "CredentialsRefused" in str(found.get("status")), within=60)
    kubectl.apply(secret("lake", lake.server.keys.secret_data()))

    kubectl.condition("mwisvc", "keys", "Ready", "True", within=180)


def until(holds: Callable[[], bool], within: float = 60) -> None:
    """Waits until something holds."""
    over, deadline = threading.Event(), time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        over.wait(0.05)
