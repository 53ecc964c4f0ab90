"""An add-on for the cluster on this host: NetworkPolicies are enforced, by the firewall of kube-router.

The pod network of this host enforces none by itself. Pods that no policy selects are left as they are. Of a connection
between two pods of one policy the rule of either end is enough for this firewall; Kubernetes asks for those of both.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from cluster import kind, node, packages, processes, programs
from cluster.addons import RBAC
from cluster.controlplane import CLUSTER, daemon
from cluster.network import OWN_CHAIN
from cluster.paths import ADMIN, CONFIG
from cluster.settings import NAME, SERVICE_RANGE
from cluster.shell import StepError, run, succeeds, wait_until
from cluster.steps import say, step

PROGRAM = programs.FIREWALL
USER = "modelwright:firewall"
KUBECONFIG = CONFIG / "firewall.conf"
PACKAGES = {"ipset": "ipset"}
# What kube-router names its chains and its sets of addresses.
CHAINS = re.compile(r"\bKUBE-(ROUTER|POD-FW|NWPLCY)-")
SETS = re.compile(r"KUBE-(SRC|DST)-")
FORWARD = "KUBE-ROUTER-FORWARD"
# The last rule that it writes: whatever the policies let through is accepted.
WRITTEN = re.compile(rf"^-A {FORWARD} .*-j ACCEPT$", re.MULTILINE)


def install() -> None:
    """Leave the program in the cache, and the package that it needs on this host; kind needs neither."""
    if kind.engine_answers():
        return
    packages.install_missing(PACKAGES)
    programs.firewall()


def up() -> None:
    """Enforce the policies of the running cluster."""
    if not node.running():
        raise StepError("no cluster runs on this host: run `make cluster` first")
    install()
    if PROGRAM in processes.running() and WRITTEN.search(_rules()):
        say("  NetworkPolicies are enforced")
        return
    down()
    with step("enforce NetworkPolicies"):
        run(node.kubectl(ADMIN, "apply", "--server-side", "-f", "-"), stdin=json.dumps(_objects()))
        CLUSTER.write_kubeconfig(programs.kubernetes(), KUBECONFIG.name, USER)
        firewall = _daemon()
        processes.start(firewall)
        wait_until(lambda: _has_written(firewall), 60, f"no rules are written; read {firewall.log}")
        _refuse_unknown_services()


def down() -> None:
    """Enforce none any more, and leave nothing of the firewall in the kernel."""
    processes.end(PROGRAM)
    lines = _rules().splitlines()
    chains = [line[1:].split()[0] for line in lines if line.startswith(":") and CHAINS.search(line)]
    if chains:
        # One transaction of changes: kube-proxy may be writing rules of its own.
        jumps = [
            line.split(maxsplit=1)[1] for line in lines if CHAINS.search(line) and not line.startswith(":")
        ]
        changes = [
            *(f"-D {rule}" for rule in jumps if rule.split()[0] not in chains),
            *(f"-F {chain}" for chain in chains),
            *(f"-X {chain}" for chain in chains),
        ]
        run(["iptables-restore", "--noflush"], stdin="\n".join(["*filter", *changes, "COMMIT", ""]))
    destroy_sets()


def destroy_sets() -> None:
    """Remove the sets of addresses that no rule uses any more."""
    for name in sets():
        run(["ipset", "destroy", name])


def sets() -> list[str]:
    """The firewall's sets of addresses in the kernel."""
    if not succeeds(["ipset", "--version"]):  # then it has never run here
        return []
    return [name for name in run(["ipset", "list", "-name"]).split() if SETS.match(name)]


def leftovers() -> list[str]:
    """Name what of the firewall is in the kernel."""
    return [*(line for line in _rules().splitlines() if CHAINS.search(line)), *sets()]


def _daemon() -> processes.Daemon:
    return daemon(programs.firewall(), PROGRAM, kubeconfig=KUBECONFIG, services=SERVICE_RANGE, node=NAME)


def _has_written(firewall: processes.Daemon) -> bool:
    processes.require_running([firewall])
    return bool(WRITTEN.search(_rules()))


def _rules() -> str:
    return run(["iptables-save", "--table", "filter"])


def _refuse_unknown_services() -> None:
    """Refuse at once what a pod sends to a Service that is not known: the firewall accepts it before our own rule."""
    run(["iptables", "--insert", FORWARD, "-d", SERVICE_RANGE, "-j", OWN_CHAIN])


def _objects() -> dict[str, Any]:
    """What it may read."""
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": USER},
        "rules": list(_rights()),
    }
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [role, binding]}


def _rights() -> Iterator[dict[str, Any]]:
    kinds = {"": ["namespaces", "pods", "nodes"], "networking.k8s.io": ["networkpolicies"]}
    for group, resources in kinds.items():
        yield {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}
