"""An operator for several namespaces: one that is not there, or whose roles are taken away, stops no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from fakes.objects import TOYS, toy, toy_key
from fakes.places import Running, operating, real_place, until
from kubernetes.aio.client import Configuration
from support.kubectl import KUBECONFIG, Kubectl, Object

from modelwright.engine.connection import configure
from modelwright.engine.objects import Key

pytestmark = pytest.mark.cluster

GROUP = "rbac.authorization.k8s.io"
# What the chart's roles give, for the kinds of tests.
RULES = [
    {"apiGroups": [TOYS.group], "resources": ["toys"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [TOYS.group], "resources": ["toys/status"], "verbs": ["patch"]},
    {"apiGroups": [TOYS.group], "resources": ["toys/finalizers"], "verbs": ["update"]},
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "create", "patch"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "update", "patch"],
    },
]


def roles(account: str, namespace: str) -> list[Object]:
    """The Role and its binding to the account of the operator, which is in another namespace."""
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": account}
    return [
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Role",
            "metadata": {"name": "operator", "namespace": namespace},
            "rules": RULES,
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "operator", "namespace": namespace},
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "operator"},
            "subjects": [subject],
        },
    ]


@dataclass
class Cluster:
    """The namespaces of the test, as the administrator sees them, and the operator's way in."""

    first: Kubectl
    second: Kubectl
    later: Kubectl
    configuration: Configuration

    def let_in(self, kubectl: Kubectl) -> None:
        """Makes a namespace, if it is not there, and the roles in it."""
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
        kubectl.apply(*roles(self.first.namespace, kubectl.namespace))


@pytest.fixture
async def cluster_of_teams(kubectl: Kubectl) -> AsyncIterator[Cluster]:
    """Two namespaces with roles, and one that is not there."""
    second, later = (Kubectl(f"{kubectl.namespace[:50]}-{name}") for name in ("b", "c"))
    async with real_place(kubectl):
        kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}})
        token = kubectl.run("create", "token", "operator").strip()
        admin = await configure(KUBECONFIG)
        configuration = Configuration(host=admin.host, api_key={"BearerToken": f"Bearer {token}"})
        configuration.ssl_ca_cert = admin.ssl_ca_cert
        teams = Cluster(kubectl, second, later, configuration)
        teams.let_in(kubectl)
        teams.let_in(second)
        yield teams
        for each in (second, later):
            each.run("delete", "namespace", each.namespace, "--wait=false", "--ignore-not-found")


def a_toy(kubectl: Kubectl, name: str = "churn") -> Key:
    kubectl.apply({**toy(), "metadata": {"name": name, "namespace": kubectl.namespace}})
    return toy_key(name, kubectl.namespace)


def made(kubectl: Kubectl, name: str = "churn") -> bool:
    """Whether the operator has made what belongs to a toy."""
    return kubectl.find("configmap", name) is not None


async def watched(running: Running, namespace: str, *, is_watched: bool) -> None:
    """Waits until the metrics say whether a namespace is watched."""
    line = f'modelwright_namespace_watched{{namespace="{namespace}"}} {float(is_watched)}'

    async def said() -> bool:
        return line in (await running.ask("/metrics"))[1]

    await until(lambda: running.operator.health.port != 0)
    await until(said)


async def test_namespaces_come_and_go_and_no_other_notices(
    cluster_of_teams: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("modelwright.engine.watching.LOOK_PAUSE", 0.3)
    teams = cluster_of_teams
    first, second, later = (each.namespace for each in (teams.first, teams.second, teams.later))
    async with operating(teams.configuration, first, others=(second, later)) as running:
        await running.settled()
        await watched(running, first, is_watched=True)
        await watched(running, second, is_watched=True)
        await watched(running, later, is_watched=False)
        assert (await running.ask("/readyz"))[0] == 200
        assert f"namespace {later} is not watched: the operator may not list" in caplog.text
        for kubectl in (teams.first, teams.second):
            a_toy(kubectl)
            await until(lambda kubectl=kubectl: made(kubectl))  # type: ignore[misc]

        # It comes, with an object that is older than the roles.
        teams.later.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": later}})
        key = a_toy(teams.later)
        teams.let_in(teams.later)
        await until(lambda: made(teams.later))
        await watched(running, later, is_watched=True)
        assert running.operator.intake.blindness(TOYS, None) is None

        # Its rights go: nothing is planned for there any more, and that is said.
        teams.later.delete("rolebinding", "operator")
        running.proxy.end_watches(410)
        await watched(running, later, is_watched=False)
        assert running.operator.intake.get(key) is not None
        assert running.operator.intake.blindness(TOYS, later) == "Forbidden"
        a_toy(teams.second, "meanwhile")
        await until(lambda: made(teams.second, "meanwhile"))

        # They come back: what has changed in between is seen.
        teams.later.delete("toy", "churn")
        teams.later.apply(*roles(first, later))
        await watched(running, later, is_watched=True)
        assert running.operator.intake.get(key) is None

        # It is deleted as a whole.
        teams.later.run("delete", "namespace", later, "--wait=true", timeout=120)
        a_toy(teams.first, "afterwards")
        await until(lambda: made(teams.first, "afterwards"))
        assert (await running.ask("/livez"))[0] == 200
