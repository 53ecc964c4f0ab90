"""The command line of every program of the cluster, in the two groups in which they start."""

from pathlib import Path

from cluster import config
from cluster.controlplane import CLUSTER, daemon
from cluster.paths import AUDIT_LOG, CONFIG, STATE, VOLUMES
from cluster.processes import Daemon
from cluster.settings import NAME, NODE_ADDRESS


def first(programs: Path) -> list[Daemon]:
    """What needs nothing else: the API server with its store, and the container runtime."""
    return [
        Daemon(("containerd", "--config", str(config.CONTAINERD))),
        CLUSTER.etcd(programs),
        CLUSTER.api_server(
            programs,
            audit_policy_file=config.AUDIT_POLICY,
            audit_log_path=AUDIT_LOG,
            audit_log_maxsize="20",
            audit_log_maxbackup="4",
        ),
    ]


def second(programs: Path) -> list[Daemon]:
    """What needs the API server."""
    return [
        CLUSTER.controller_manager(programs),
        CLUSTER.scheduler(programs),
        daemon(
            programs,
            "kubelet",
            config=config.KUBELET,
            kubeconfig=CONFIG / "kubelet.conf",
            root_dir=STATE / "kubelet",
            cert_dir=STATE / "kubelet" / "pki",
            hostname_override=NAME,
            node_ip=NODE_ADDRESS,
        ),
        daemon(programs, "kube-proxy", config=config.KUBE_PROXY),
        Daemon((str(programs / "coredns"), "-conf", str(config.COREFILE))),
        daemon(programs, "hostpath-provisioner", kubeconfig=CONFIG / "provisioner.conf", root=VOLUMES),
    ]
