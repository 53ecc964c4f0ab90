"""With the chart's NetworkPolicies enforced everything works that should, and what is not listed is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from cluster import kind, network_policies, processes
from cluster.settings import NODE_ADDRESS
from support.handmade import fill
from support.kubectl import ROOT, Kubectl, Object, message, program
from support.load import calling
from support.manifests import claim, image, inference_service, model_version, secret
from support.models import valid_model
from support.operator import NAMESPACE, RELEASE, values
from support.rollouts import GOOD, NAME, REQUEST, service, takes_over_unnoticed
from support.rowstream import Caller, reachable
from support.stores.node import HOST
from support.stores.s3 import Gateway, gateway
from support.stores.searching import running
from support.stores.trainer import CSV, staying_trainer

pytestmark = [
    pytest.mark.cluster,
    # The firewall handles the packets of all pods.
    pytest.mark.alone,
    pytest.mark.skipif(
        kind.engine_answers(),
        reason="the stores and the callers are on this host, which pods of kind do not reach",
    ),
]

API_SERVER = f"{NODE_ADDRESS}:6443"
KEY = "a key of tests, of at least thirty-two bytes"
WINDOW = 10
# From a pod that has no policy, all of these take connections.
TRY = """
import json, socket, sys
def outcome(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps({place: outcome(place) for place in sys.argv[1:]}))
"""
LISTEN = "python3 -m http.server 7000 --directory /tmp & exec python3 -m http.server 8080 --directory /tmp"
# A trainer may be any code: before it trains, it tries what it reaches, and listens.
TRIES = f"""
import os, subprocess, sys, threading
subprocess.Popen([sys.executable, "-m", "http.server", "7000", "--directory", "/tmp"])
places = os.environ["PLACES"].split()
print("TRIED", subprocess.run([sys.executable, "-c", {TRY!r}, *places], capture_output=True, text=True).stdout)
sys.stdout.flush()
"""


@dataclass(frozen=True)
class Policed:
    """A namespace with the policies, and one without any."""

    inside: Kubectl
    outside: Kubectl
    store: Gateway

    def tries(self, where: Kubectl, pod: str, *places: str, container: str = "main") -> dict[str, bool]:
        """Which of the places take a connection from a pod."""
        said = where.run("exec", pod, "-c", container, "--", "python3", "-c", TRY, *places, timeout=60)
        outcome: dict[str, bool] = json.loads(said)
        return outcome

    def settles(
        self, expected: Mapping[str, bool], where: Kubectl, pod: str, container: str = "main"
    ) -> None:
        """Waits until the places take connections or not, as expected: the firewall follows a new pod by a moment."""
        deadline = time.monotonic() + 20
        while (tried := self.tries(where, pod, *expected, container=container)) != expected:
            assert time.monotonic() < deadline, f"from {where.namespace}/{pod}: {tried}, not {expected}"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def enforced() -> Iterator[None]:
    """Policies are enforced while the module runs, and afterwards no trace of that is left."""
    was_on = network_policies.PROGRAM in processes.running()
    make("network-policies")
    yield
    if not was_on:
        make("network-policies-off")
        assert network_policies.leftovers() == []


def make(target: str) -> None:
    """Runs what the Makefile's target runs."""
    subprocess.run([sys.executable, "-m", "cluster", target], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def outside(shared: Kubectl) -> Iterator[Kubectl]:
    """A namespace without policies."""
    name = f"{shared.namespace[:50]}-outside"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    shared.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield Kubectl(name)
    shared.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An S3 server with the data, where models go as well."""
    folder: Path = tmp_path_factory.mktemp("lake")
    with gateway(folder, HOST) as server:
        server.bucket("models")
        server.put("lake", "churn.csv", CSV.encode())
        yield server


@pytest.fixture(scope="module")
def policed(
    operator: Kubectl, enforced: None, shared: Kubectl, outside: Kubectl, store: Gateway
) -> Iterator[Policed]:
    """The policies of the chart, for the operator and for a namespace in which models are trained and served."""
    to_store = [
        {
            "to": [{"ipBlock": {"cidr": f"{NODE_ADDRESS}/32"}}],
            "ports": [{"protocol": "TCP", "port": store.program.port}],
        }
    ]
    scraper = {"podSelector": {"matchLabels": {"app": "scraper"}}}
    made = policies(
        workloads={
            "enabled": True,
            "namespaces": [shared.namespace],
            "servingFrom": [{"podSelector": {"matchLabels": {"app": "caller"}}}],
            "metricsFrom": [scraper],
            "trainingTo": to_store,
            "servingTo": to_store,
        },
        enabled=True,
        metricsFrom=[{"namespaceSelector": {}, **scraper}],
    )
    shared.apply(*(pod(name) for name in ("caller", "scraper", "bystander")))
    outside.apply(pod("stranger"))
    for where, name in (
        (shared, "caller"),
        (shared, "scraper"),
        (shared, "bystander"),
        (outside, "stranger"),
    ):
        where.wait("pod", name, is_ready, what="ready")
    of_operator = [policy for policy in made if policy["metadata"]["namespace"] == NAMESPACE]
    assert len(of_operator) == 1
    for policy in made:
        Kubectl(policy["metadata"]["namespace"]).apply(policy)
    rolled_out(shared)
    yield Policed(shared, outside, store)
    operator.delete("networkpolicy", of_operator[0]["metadata"]["name"])


def rolled_out(kubectl: Kubectl) -> None:
    """Two versions on a volume, and a service of the first; nothing is waited for."""
    files = {"one": valid_model(), "two": GOOD["two"]}
    kubectl.apply(claim("handmade"))
    fill(kubectl, "fill", files)
    for name, content in files.items():
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        kubectl.apply(model_version(name, f"pvc://handmade/{name}/model.onnx", digest, NAME))
    kubectl.apply(service("one", replicas=2))


def policies(**given: Any) -> list[Object]:
    """The NetworkPolicies that a release with these values has."""
    done = subprocess.run(
        [
            *(
                program("helm"),
                "template",
                RELEASE,
                str(ROOT / "charts/modelwright"),
                f"--namespace={NAMESPACE}",
            ),
            *(f"--values={values()}", "--values=-"),
        ],
        input=json.dumps({"networkPolicy": given}),
        capture_output=True,
        text=True,
        check=True,
    )
    found = (each for each in yaml.safe_load_all(done.stdout) if each)
    return [each for each in found if each["kind"] == "NetworkPolicy"]


def pod(name: str) -> Object:
    """A pod of a user's, labelled with its name, that listens at 8080 and 7000."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": image("trainingImage"),
                    "command": ["sh", "-c", LISTEN],
                    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def is_ready(found: Object) -> bool:
    """Whether a pod is."""
    conditions = found["status"].get("conditions", ())
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def address(kubectl: Kubectl, name: str) -> str:
    """The address of a pod."""
    return str(kubectl.get("pod", name)["status"]["podIP"])


def serving(kubectl: Kubectl, name: str) -> Object:
    """A pod that serves."""
    return next(
        each for each in kubectl.all("pods", f"modelwright.dev/inference-service={name}") if is_ready(each)
    )


@pytest.fixture(scope="module")
def trained(policed: Policed) -> Policed:
    """A model from data in the store, kept there; its trainer has tried what it reaches, and is tried while it runs."""
    kubectl, store = policed.inside, policed.store
    where = {"secretRef": {"name": "lake"}, "endpoint": store.endpoint}
    places = " ".join(targets(policed))
    job = staying_trainer(
        "churn",
        stay=10,
        data={"uri": "s3://lake/churn.csv", "target": "churned", "store": where},
        artifacts={"uri": "s3://models/churn", "store": where},
    )
    trainer = job["spec"]["trainer"]
    trainer["env"].append({"name": "PLACES", "value": places})
    trainer["command"][2] = TRIES + trainer["command"][2]
    kubectl.apply(
        secret("lake", store.keys.secret_data()),
        secret("feedback", {"key": KEY}),
        job,
        inference_service(
            "churn",
            track="churn",
            monitoring={
                "drift": {"windowSeconds": WINDOW, "minSamples": 100},
                "feedback": {"secretRef": {"name": "feedback"}},
            },
        ),
    )
    return policed


def targets(policed: Policed) -> dict[str, bool]:
    """What takes connections from a pod without policies; True: from one that trains, too."""
    store = policed.store.program
    return {
        f"{store.host}:{store.port}": True,
        API_SERVER: False,
        "kubernetes.default.svc:443": False,
        f"{address(policed.outside, 'stranger')}:8080": False,
        f"{address(policed.inside, 'bystander')}:8080": False,
    }


def test_what_is_tried_here_takes_connections_where_no_policy_selects_the_pod(policed: Policed) -> None:
    """Otherwise the other tests would show nothing."""
    everything = dict.fromkeys(targets(policed), True)
    policed.settles(everything, policed.inside, "bystander")
    policed.settles(everything, policed.outside, "stranger")


def test_a_trainer_reaches_its_store_alone_and_nobody_reaches_it(trained: Policed) -> None:
    kubectl, label = trained.inside, "modelwright.dev/training-job=churn"

    name = running(kubectl, label, "train")
    place = f"{address(kubectl, name)}:7000"
    for where, source in ((kubectl, "bystander"), (kubectl, "scraper"), (trained.outside, "stranger")):
        trained.settles({place: False}, where, source)
    trained.settles({"127.0.0.1:7000": True}, kubectl, name, container="train")

    kubectl.condition("trainingjob", "churn", "Ready", "True", within=120)

    log = kubectl.run("logs", name, "-c", "train")
    (said,) = (line for line in log.splitlines() if line.startswith("TRIED "))
    assert json.loads(said.removeprefix("TRIED ")) == targets(trained)


def test_a_model_is_pulled_from_the_store_and_served_to_callers_that_are_listed(trained: Policed) -> None:
    kubectl = trained.inside
    kubectl.condition("mwisvc", "churn", "Ready", "True", within=180)
    found = serving(kubectl, "churn")
    host, name = found["status"]["podIP"], found["metadata"]["name"]
    http, grpc, admin = f"{host}:8080", f"{host}:8081", f"{host}:9090"

    trained.settles({http: True, grpc: True, admin: False, "churn:80": True}, kubectl, "caller")
    trained.settles({http: False, grpc: False, admin: True}, kubectl, "scraper")
    trained.settles({http: False, grpc: False, admin: False}, kubectl, "bystander")
    trained.settles({http: False, grpc: False, admin: False}, trained.outside, "stranger")
    trained.settles({**targets(trained), "churn:80": True}, kubectl, name, container="server")


def test_the_operator_counts_what_callers_send_and_bring_back(trained: Policed) -> None:
    kubectl = trained.inside
    kubectl.condition("mwisvc", "churn", "Ready", "True", within=180)
    host = reachable(kubectl.get("service", "churn")["spec"]["clusterIP"])
    rows = np.array([[20.0 + number % 50, number % 7] for number in range(200)])
    with Caller(host, "churn") as caller:
        answer = caller.ask(rows, tokens=True)
        counted = caller.label(answer.tokens, [int(row[0] > 45) for row in rows])
    assert counted["counted"] == 200

    def counts(seen: Object) -> bool:
        monitoring = seen["status"].get("monitoring") or {}
        return (monitoring.get("feedback") or {}).get("counted") == 200

    kubectl.wait("mwisvc", "churn", counts, within=60, what="counted")


def test_a_canary_gets_its_share_is_judged_and_promoted(policed: Policed) -> None:
    kubectl = policed.inside
    kubectl.condition("modelversion", "two", "Ready", "True", within=120)
    kubectl.condition("mwisvc", NAME, "Ready", "True", within=180)
    host = kubectl.get("service", NAME)["spec"]["clusterIP"]
    takes_over_unnoticed(kubectl, host, "two")


def test_the_operators_metrics_are_for_those_that_are_listed(policed: Policed) -> None:
    pods = Kubectl(NAMESPACE).all("pods", "app.kubernetes.io/component=operator")
    metrics = f"{pods[0]['status']['podIP']}:8080"
    policed.settles({metrics: True}, policed.inside, "scraper")
    policed.settles({metrics: False}, policed.inside, "caller")


def test_a_canary_that_a_policy_closes_is_rolled_back_with_words_about_it(policed: Policed) -> None:
    kubectl, policy = policed.inside, f"{RELEASE}-serving"
    kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
    rules = kubectl.get("networkpolicy", policy)["spec"]
    without_peers = {
        side: [rule for rule in rules[side] if "modelwright.dev/inference-service" not in json.dumps(rule)]
        for side in ("ingress", "egress")
    }
    kubectl.patch("networkpolicy", policy, {"spec": without_peers})
    host = kubectl.get("service", NAME)["spec"]["clusterIP"]
    with calling(host, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service("one", replicas=2))
        found = kubectl.condition("mwisvc", NAME, "Stalled", "True", "RolledBack", within=120)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert "NetworkPolicies have to let the stable revision's pods reach their port 8080" in message(found)
    assert found["status"]["stable"]["version"] == "two"
    assert found["status"]["rejected"][0]["quarantine"] is False
