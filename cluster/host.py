"""Starts and ends Kubernetes' own programs on this host: the order of the steps, and nothing else."""

import json
import os
import platform
import shutil
import socket
from pathlib import Path

from cluster import addons, cleanup, config, daemons, network, node, packages, pause, processes, programs
from cluster.controlplane import CLUSTER
from cluster.paths import ADMIN, CONFIG, KUBECONFIG, LOCAL, LOGS, STAMP, STATE, SUPER_ADMIN, VOLUMES
from cluster.shell import StepError, run, wait_until
from cluster.steps import say, step

USERS = {
    "coredns.conf": addons.COREDNS_USER,
    "provisioner.conf": addons.PROVISIONER_USER,
    "kube-proxy.conf": addons.PROXY_USER,
}
PORTS = {2379: "etcd", 6443: "kube-apiserver", 10250: "kubelet", 10256: "kube-proxy"}


def up() -> None:
    """Leave a healthy cluster: the running one if it is, else a new one."""
    _require_this_host_fits()
    packages.install_missing(packages.CLUSTER)
    folder = programs.kubernetes()
    _link(folder)
    if problem := node.problem(folder):
        if STATE.exists():
            say(f"  starting anew: {problem}")
        down()
        _boot(folder)
    else:
        say("  the cluster is up and healthy")
    LOCAL.mkdir(exist_ok=True)
    shutil.copyfile(ADMIN, KUBECONFIG)
    KUBECONFIG.chmod(0o600)


def down() -> None:
    """Remove every process, mount, link, packet rule and file of a cluster, whoever left it here."""
    _require_this_host_fits()
    KUBECONFIG.unlink(missing_ok=True)
    if shutil.which("containerd"):  # else there was never a cluster here
        with step("remove what is left of a cluster"):
            cleanup.remove_all()


def _boot(folder: Path) -> None:
    early, late = daemons.first(folder), daemons.second(folder)
    with step("write certificates and configuration"):
        _require_free_ports()
        for path in (CONFIG, VOLUMES, LOGS):
            path.mkdir(parents=True)
        STATE.chmod(0o711)
        config.write_all()
        CLUSTER.write_certificates(folder)
        CLUSTER.write_kubeconfigs(folder)
        for name, user in USERS.items():
            CLUSTER.write_kubeconfig(folder, name, user)
    with step("start etcd, kube-apiserver and containerd"):
        network.set_up()
        for daemon in early:
            processes.start(daemon)
        wait_until(lambda: node.runtime_answers(early), 60, f"containerd does not answer; read {LOGS}")
        pause.write_archive(CONFIG / "pause.tar")
        node.load(CONFIG / "pause.tar")
        wait_until(lambda: node.api_answers(early), 120, f"the API server is not ready; read {LOGS}")
        run(node.kubectl(SUPER_ADMIN, "create", "-f", "-"), stdin=json.dumps(addons.objects()))
    with step("start the other programs, wait for the node"):
        for daemon in late:
            processes.start(daemon)
        wait_until(lambda: node.ready(early + late), 120, f"the node is not ready; read {LOGS}/kubelet.log")
    STAMP.write_text(folder.name)


def _link(folder: Path) -> None:
    programs.link(folder / "kubectl")
    programs.link(programs.helm() / "helm")


def _require_this_host_fits() -> None:
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise StepError("no Docker engine answers: start one, or run this as root on Linux")


def _require_free_ports() -> None:
    for port, program in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as taken:
                raise StepError(
                    f"port {port}, which {program} needs, is taken: `ss -ltnp` shows by whom"
                ) from taken
