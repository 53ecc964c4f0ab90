"""`python3 -m cluster ACTION`: on kind or this host; failures are reported in one place."""

import argparse
import fcntl
import sys

from cluster import gateway, host, kind, network_policies, prometheus, stores
from cluster.paths import KUBECONFIG, LOCK
from cluster.shell import StepError
from cluster.steps import say

POLICIES = {"network-policies": network_policies.up, "network-policies-off": network_policies.down}
ACTIONS = ("up", "down", "gateway", *POLICIES)
# What only goes into the cache.
INSTALLED = {
    "stores": stores.install,
    "prometheus": prometheus.install,
    "firewall": network_policies.install,
}


def main() -> int:
    """Do what the command line asks for; one at a time on this host."""
    parser = argparse.ArgumentParser(
        prog="python3 -m cluster", description="A small Kubernetes for development"
    )
    parser.add_argument("action", choices=[*ACTIONS, *INSTALLED])
    action = parser.parse_args().action
    try:
        if action in INSTALLED:
            INSTALLED[action]()
            return 0
        engine = kind if kind.engine_answers() else host
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if action == "down":
                engine.down()
                return 0
            if action == "gateway":
                _add_gateway(on_this_host=engine is host)
            elif action in POLICIES:
                _enforce_policies(action, on_this_host=engine is host)
            else:
                engine.up()
    except StepError as failed:
        say(f"\n{failed}")
        return 1
    say(f"export KUBECONFIG={KUBECONFIG}")
    return 0


def _add_gateway(*, on_this_host: bool) -> None:
    if not on_this_host:
        raise StepError(
            "the Gateway is an add-on of the cluster on this host, not of kind: install one there by hand"
        )
    gateway.up()


def _enforce_policies(action: str, *, on_this_host: bool) -> None:
    if on_this_host:
        POLICIES[action]()
    else:
        say("  kind enforces NetworkPolicies by itself")


if __name__ == "__main__":
    sys.exit(main())
