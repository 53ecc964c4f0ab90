"""How callers, gateways and the kubelet reach the server of an InferenceService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given.resources import InferenceService, a_served_version, a_service, a_version, a_world
from unit.inferenceservice.rollout.test_canary import BAD, a_canary, measures, rollout

from modelwright.common.resources import DEPLOYMENTS, SERVICES


def server_of(service: InferenceService) -> Mapping[str, Any]:
    (deployment,) = service.all(DEPLOYMENTS).values()
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Mapping[str, Any] = server
    return found


def ports_of(service: InferenceService) -> Mapping[str, Mapping[str, Any]]:
    (found,) = service.all(SERVICES).values()
    return {port["name"]: port for port in found["spec"]["ports"]}


def test_the_service_takes_http_and_grpc_and_tells_gateways_which_is_which() -> None:
    ports = ports_of(a_served_version())

    said = {name: (port["port"], port["appProtocol"]) for name, port in ports.items()}
    assert said == {"http": (80, "http"), "grpc": (8081, "kubernetes.io/h2c")}


def test_a_canary_is_looked_at_over_the_same_ports() -> None:
    service = a_canary()
    services = {name: found["spec"]["ports"] for name, found in service.all(SERVICES).items()}

    assert services[service.canary_name] == services["churn"]


@pytest.mark.parametrize("name", ["http", "grpc"])
def test_a_port_of_the_service_leads_to_where_the_server_is_told_to_listen(name: str) -> None:
    service = a_served_version()
    server = server_of(service)
    listening = {port["name"]: port["containerPort"] for port in server["ports"]}
    command = server["command"]

    target = ports_of(service)[name]["targetPort"]

    assert str(listening[target]) == command[command.index(f"--{name}-port") + 1]


@pytest.mark.parametrize(
    ("probe", "path"),
    [
        ("startupProbe", "/v2/health/ready"),
        ("readinessProbe", "/v2/health/ready"),
        ("livenessProbe", "/v2/health/live"),
    ],
)
def test_the_kubelet_asks_the_admin_port_which_callers_cannot_fill(probe: str, path: str) -> None:
    asked = server_of(a_served_version())[probe]["httpGet"]

    assert (asked["path"], asked["port"]) == (path, "admin")


def test_a_stuck_server_is_ended_later_than_it_loses_its_traffic() -> None:
    server = server_of(a_served_version())

    patience = {
        name: server[name]["periodSeconds"] * server[name]["failureThreshold"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert patience["readinessProbe"] < patience["livenessProbe"] < patience["startupProbe"]


def test_the_canarys_service_stays_as_long_as_its_pods_do() -> None:
    service = a_canary()
    pod = service.starts()
    measures(service, BAD).settles()
    assert (service.reason, set(service.all(SERVICES))) == ("RolledBack", {"churn", service.canary_name})

    service.world.drop(pod.key)

    assert set(service.settles().all(SERVICES)) == {"churn"}


@pytest.mark.parametrize(("told", "seconds"), [(None, 5), ({"strategy": "Replace"}, None)])
def test_pods_of_a_canary_count_when_the_nodes_have_heard_of_them(
    told: dict[str, Any] | None, seconds: int | None
) -> None:
    service = a_service(a_world(), rollout=told or rollout())
    a_version(service.world).is_verified()
    (deployment,) = service.settles().all(DEPLOYMENTS).values()
    assert deployment["spec"].get("minReadySeconds") == seconds
