"""The host's side of the network: bridges, forwarding and packet rules, and how they go away again."""

import json
import re
from pathlib import Path

from cluster.settings import DNS_ADDRESS, NAME, NODE_ADDRESS, NODE_BRIDGE, POD_BRIDGE, SERVICE_RANGE
from cluster.shell import StepError, run, succeeds

KERNEL_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
}
# What kube-proxy, the kubelet, the network plugins and we name chains, in both address families.
OWN_CHAIN = "MODELWRIGHT-SERVICES"
CHAINS = re.compile(r"\b(KUBE|CNI|MODELWRIGHT)-")
RESULTS = Path("/var/lib/cni/results")


def set_up() -> None:
    """Give the node and its DNS server addresses that no cable carries.

    A bridge without ports holds them, because not every kernel has the dummy device.
    """
    if not Path("/proc/sys/net/bridge").exists():
        succeeds(["modprobe", "br_netfilter"])
    for name, value in KERNEL_SETTINGS.items():
        (Path("/proc/sys") / name).write_text(value)
    run(["ip", "link", "add", NODE_BRIDGE, "type", "bridge"])
    for address in (NODE_ADDRESS, DNS_ADDRESS):
        run(["ip", "address", "add", f"{address}/32", "dev", NODE_BRIDGE])
    run(["ip", "link", "set", NODE_BRIDGE, "up"])
    # Without a default route the host could not even begin to send to a service.
    run(["ip", "route", "add", SERVICE_RANGE, "dev", NODE_BRIDGE, "src", NODE_ADDRESS])
    _refuse_unknown_services()


def tear_down() -> None:
    """Remove the links, the packet rules and what the network plugins remember."""
    for port in _links(["master", POD_BRIDGE]) if POD_BRIDGE in _links([]) else []:
        succeeds(["ip", "link", "delete", port])
    for bridge in {POD_BRIDGE, NODE_BRIDGE} & _links([]):
        run(["ip", "link", "delete", bridge])
    for family in ("iptables", "ip6tables"):
        _remove_chains(family)
    for remembered in RESULTS.glob(f"{NAME}-*"):
        remembered.unlink()


def leftovers() -> list[str]:
    """Name what of ours is still there, for the check after a clean-up."""
    links = sorted({POD_BRIDGE, NODE_BRIDGE} & _links([]))
    rules = [line for line in run(["iptables-save"]).splitlines() if CHAINS.search(line)]
    return [*links, *rules]


def _refuse_unknown_services() -> None:
    """Refuse at once what is sent to a service that kube-proxy does not know, or not yet.

    Left alone, such a packet finds nobody for three seconds. Worse, its connection is remembered as one to be left
    alone: for two minutes a caller who happens to have the same port again reaches nobody either.
    """
    run(["iptables", "-N", OWN_CHAIN])
    run(["iptables", "-A", OWN_CHAIN, "-d", SERVICE_RANGE, "-j", "REJECT"])
    for chain in ("OUTPUT", "FORWARD"):
        run(["iptables", "-I", chain, "-j", OWN_CHAIN])


def _links(selection: list[str]) -> set[str]:
    found = json.loads(run(["ip", "-json", "link", "show", *selection]) or "[]")
    return {link["ifname"] for link in found if "ifname" in link}


def _remove_chains(family: str) -> None:
    """Write the rules back without ours; one transaction, so that nobody sees half of it."""
    try:
        rules = run([f"{family}-save"])
    except StepError:  # no such address family in this kernel, so no rule of ours
        return
    if CHAINS.search(rules):
        kept = [line for line in rules.splitlines() if not CHAINS.search(line)]
        run([f"{family}-restore"], stdin="\n".join(kept) + "\n")
