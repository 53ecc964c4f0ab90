"""The flows of docs/network.md have the ports of the code, and what it shows is taken by the chart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from unit.docs.pages import blocks

from modelwright import options
from modelwright.inferenceservice.manifests.names import ADMIN_PORT, GRPC, GRPC_PORT, HTTP, HTTP_PORT
from modelwright_serving import settings
from modelwright_stores.addresses import PORTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "network.md").read_text()
CHART = ROOT / "charts" / "modelwright"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
IMAGES = ["--serving-image=s:1", "--training-image=t:1", "--lease-namespace=n"]
OPERATOR = options.parse(IMAGES).health_port
POLICY = VALUES["networkPolicy"]


def listed(ports: list[int]) -> str:
    """Ports as the table has them."""
    return f"TCP {', '.join(map(str, ports))}"


# From, to, port: every flow that the code has.
FLOWS = [
    ("callers, a Gateway's pods", "serving pods", listed([HTTP_PORT])),
    ("callers, a Gateway's pods", "serving pods", listed([GRPC_PORT])),
    ("serving pods", "serving pods of the same service", listed([HTTP_PORT])),
    ("the node's kubelet", "serving pods", listed([ADMIN_PORT])),
    ("the operator", "serving pods", listed([ADMIN_PORT])),
    ("Prometheus", "serving pods", listed([ADMIN_PORT])),
    ("Prometheus", "the operator", listed([OPERATOR])),
    ("the node's kubelet", "the operator", listed([OPERATOR])),
    ("the operator", "the API server", listed(POLICY["apiServerPorts"])),
    ("the operator", "Prometheus", f"{listed(POLICY['prometheusPorts'])}, or as `prometheus.url` says"),
    ("the operator, serving pods, pods that train", "DNS", f"UDP and {listed(POLICY['dnsPorts'])}"),
    (
        "pods that train, verify, look and delete",
        "stores outside",
        f"{listed([PORTS['https']])}, or the endpoint's",
    ),
    (
        "serving pods (container `pull`)",
        "stores outside",
        f"{listed([PORTS['https']])}, or the endpoint's",
    ),
]


def test_the_table_has_all_flows_with_their_ports() -> None:
    table = PAGE.partition("| from | to |")[2].partition("\n\n")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]
    assert [row[:3] for row in rows] == FLOWS
    assert all(len(row) == 5 and row[4] for row in rows), "each says what is missing without it"


def test_the_ports_of_services_are_theirs() -> None:
    assert f"The Service of an InferenceService has port {HTTP} for {HTTP_PORT}, and {GRPC}." in PAGE
    assert GRPC == GRPC_PORT


def test_a_server_without_options_listens_where_the_operators_pods_do() -> None:
    serving = settings.parse(["--model=model.onnx", "--name=churn"])
    assert (serving.http_port, serving.grpc_port, serving.admin_port) == (HTTP_PORT, GRPC_PORT, ADMIN_PORT)


def test_the_table_of_policies_names_every_value_and_port() -> None:
    table = PAGE.partition("| policy | of |")[2].partition("\n\n")[0]
    template = (CHART / "templates" / "workloadpolicies.yaml").read_text()
    assert set(re.findall(r"\b\d{4}\b", table)) == set(re.findall(r"port: (\d+)\}", template))
    rules = {key for key in POLICY["workloads"] if key not in {"enabled", "namespaces"}}
    assert rules == set(re.findall(r"`(\w+)`", table))
    assert re.findall(r"`RELEASE(-\w+)`", table) == ["-serving", "-training"]
    assert set(re.findall(r"modelwright\.fullname\" \$ \}\}(-\w+)", template)) == {"-serving", "-training"}


@pytest.mark.parametrize("shown", list(blocks(PAGE, "yaml")), ids=["all", "clouds"])
def test_the_values_are_taken_by_the_chart(shown: dict[str, object]) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft202012Validator(
        schema["properties"]["networkPolicy"] | {"definitions": schema["definitions"]}
    ).validate(shown["networkPolicy"])
