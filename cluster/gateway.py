"""An add-on for the cluster on this host: the Gateway API, and a real Traefik that follows its routes.

Traefik runs as a program of this host, like Kubernetes' own: it reaches the pods, and callers reach it at the node's
address.
"""

import json
import urllib.error
import urllib.request
from typing import Any

from cluster import node, processes, programs
from cluster.addons import RBAC
from cluster.controlplane import CLUSTER
from cluster.paths import ADMIN, CONFIG
from cluster.settings import GATEWAY_CLASS, GATEWAY_HTTP, NODE_ADDRESS
from cluster.shell import StepError, run, wait_until
from cluster.steps import say, step

USER = "modelwright:traefik"
GROUP = "gateway.networking.k8s.io"
KUBECONFIG = CONFIG / "traefik.conf"
SETTINGS = CONFIG / "traefik.json"
PING = 8002


def up() -> None:
    """Leave a Traefik that follows the Gateways of the class, in the running cluster."""
    folder = programs.traefik()
    if not node.running():
        raise StepError("no cluster runs on this host: run `make cluster` first")
    if "traefik" in processes.running() and _answers():
        say("  Traefik is up and healthy")
        return
    with step("install the Gateway API and start Traefik"):
        run(node.kubectl(ADMIN, "apply", "--server-side", "-f", str(programs.gateway_api())), timeout=120)
        run(node.kubectl(ADMIN, "wait", "--for=condition=Established", "--timeout=60s", *_crds()), timeout=90)
        run(node.kubectl(ADMIN, "apply", "--server-side", "-f", "-"), stdin=json.dumps(_objects()))
        _write_files()
        daemon = processes.Daemon(
            (str(folder / "traefik"), f"--configFile={SETTINGS}"), (("KUBECONFIG", str(KUBECONFIG)),)
        )
        processes.start(daemon)
        wait_until(_answers, 60, f"Traefik does not answer; read {daemon.log}")
        processes.require_running([daemon])


def _crds() -> list[str]:
    return [f"crd/{plural}.{GROUP}" for plural in ("gatewayclasses", "gateways", "httproutes", "grpcroutes")]


def _write_files() -> None:
    CLUSTER.write_kubeconfig(programs.kubernetes(), KUBECONFIG.name, USER)
    SETTINGS.write_text(json.dumps(_settings(), indent=2))


def _settings() -> dict[str, Any]:
    """Callers only at the node's address: the host's others are not the cluster's."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "entryPoints": {
            "web": {"address": f"{NODE_ADDRESS}:{GATEWAY_HTTP}"},
            "ping": {"address": f"127.0.0.1:{PING}"},
        },
        "ping": {"entryPoint": "ping"},
        "providers": {
            "kubernetesGateway": {"statusAddress": {"ip": NODE_ADDRESS}},
        },
        "log": {"level": "INFO", "noColor": True},
    }


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PING}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _objects() -> dict[str, Any]:
    """The class, and what Traefik may do: as its documentation asks for."""
    items = [
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": GATEWAY_CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER},
            "rules": list(_rules()),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER}],
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _rules() -> list[dict[str, Any]]:
    read = ["get", "list", "watch"]
    kinds = [
        "gatewayclasses",
        "gateways",
        "httproutes",
        "grpcroutes",
        "backendtlspolicies",
        "referencegrants",
    ]
    return [
        {
            "apiGroups": [""],
            "resources": ["namespaces", "services", "secrets", "configmaps"],
            "verbs": read,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        {"apiGroups": [GROUP], "resources": kinds, "verbs": read},
        {"apiGroups": [GROUP], "resources": [f"{kind}/status" for kind in kinds], "verbs": ["update"]},
    ]
