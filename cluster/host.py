"""Starts and ends Kubernetes' own programs on this host: the order of the steps, and nothing else."""

import json
import os
import platform
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path

from cluster import addons, config, daemons, network, packages, pause, processes, programs
from cluster.paths import ADMIN, CONFIG, CONTAINERD_SOCKET, KUBECONFIG, LOCAL, LOGS, PKI, STAMP, STATE, VOLUMES
from cluster.settings import NAME
from cluster.shell import Failed, run, succeeds, wait_until
from cluster.steps import say, step

SUPER_ADMIN = CONFIG / "super-admin.conf"
PORTS = {2379: "etcd", 6443: "kube-apiserver", 10250: "kubelet", 10256: "kube-proxy"}
# What containerd and the kubelet keep at places that no setting moves.
KUBELET_LINKS = Path("/var/log/containers")
SHIM_SOCKETS = Path("/run/containerd/s")
FIXED_FOLDERS = (SHIM_SOCKETS, SHIM_SOCKETS.parent, Path("/var/lib/kubelet/device-plugins"), Path("/var/lib/kubelet"))


def up() -> None:
    """Leave a healthy cluster: the running one if it is, else a new one."""
    _require_this_host_fits()
    packages.install_missing(packages.CLUSTER)
    folder = programs.kubernetes()
    _link(folder)
    if problem := _problem(folder):
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
    KUBECONFIG.unlink(missing_ok=True)
    if not shutil.which("containerd"):  # then there was never a cluster here
        return
    with step("remove what is left of a cluster"):
        processes.end_all()
        _unmount()
        network.tear_down()
        processes.remove_cgroups()
        shutil.rmtree(STATE, ignore_errors=True)
        _remove_strays()
    if left := [*network.leftovers(), *_mounts()]:
        raise Failed("still there after the clean-up: " + ", ".join(left))


def load(archive: Path) -> None:
    """Make an image known to the node."""
    run([*_ctr(), "images", "import", archive], timeout=300)


def has_image(name: str) -> bool:
    """Whether the node already has the image."""
    return run([*_ctr(), "images", "list", "-q", f"name=={name}"]).strip() == name


def _boot(folder: Path) -> None:
    early, late = daemons.first(folder), daemons.second(folder)
    with step("write certificates and configuration"):
        _require_free_ports()
        for path in (CONFIG, VOLUMES, LOGS):
            path.mkdir(parents=True)
        STATE.chmod(0o711)
        config.write_all()
        _certificates(folder)
    with step("start etcd, kube-apiserver and containerd"):
        network.set_up()
        for daemon in early:
            processes.start(daemon)
        wait_until(lambda: _runtime_answers(early), 60, f"containerd does not answer; read {LOGS}/containerd.log")
        pause.write_archive(CONFIG / "pause.tar")
        load(CONFIG / "pause.tar")
        wait_until(lambda: _api_answers(early), 120, f"the API server is not ready; read {LOGS}")
        run(_kubectl(SUPER_ADMIN, "create", "-f", "-"), stdin=json.dumps(addons.objects()))
    with step("start the other programs, wait for the node"):
        for daemon in late:
            processes.start(daemon)
        wait_until(lambda: _ready(early + late), 120, f"the node is not ready; read {LOGS}/kubelet.log")
    STAMP.write_text(folder.name)


def _certificates(folder: Path) -> None:
    kubeadm = [folder / "kubeadm"]
    common = ["--config", config.KUBEADM]
    run([*kubeadm, "init", "phase", "certs", "all", *common])
    run([*kubeadm, "init", "phase", "kubeconfig", "all", *common, "--kubeconfig-dir", CONFIG])
    users = {
        "coredns.conf": addons.COREDNS_USER,
        "provisioner.conf": addons.PROVISIONER_USER,
        "kube-proxy.conf": addons.PROXY_USER,
    }
    for name, user in users.items():
        (CONFIG / name).write_text(run([*kubeadm, "kubeconfig", "user", *common, "--client-name", user]))
        (CONFIG / name).chmod(0o600)
    if not (PKI / "ca.crt").exists():
        raise Failed(f"kubeadm wrote no certificates to {PKI}")


def _link(folder: Path) -> None:
    programs.link(folder / "kubectl")
    programs.link(programs.helm() / "helm")


def _problem(folder: Path) -> str:
    """Say why the cluster cannot be used as it is; nothing when it can."""
    if not STAMP.exists():
        return "no cluster was started to its end"
    if STAMP.read_text() != folder.name:
        return "the running programs are not of this version"
    expected = daemons.first(folder) + daemons.second(folder)
    if ended := sorted({daemon.name for daemon in expected} - processes.running()):
        return f"{', '.join(ended)} not running"
    return "" if _ready(expected) else "the node is not ready"


def _runtime_answers(started: list[processes.Daemon]) -> bool:
    processes.require_running(started)
    return CONTAINERD_SOCKET.exists() and succeeds([*_ctr(), "version"])


def _api_answers(started: list[processes.Daemon]) -> bool:
    processes.require_running(started)
    return succeeds(_kubectl(SUPER_ADMIN, "get", "--raw", "/readyz"))


def _ready(started: list[processes.Daemon]) -> bool:
    """Node Ready, names resolvable, and the account that pods of the default namespace need."""
    processes.require_running(started)
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    try:
        ready = run(_kubectl(ADMIN, "get", "node", NAME, "--ignore-not-found", "-o", condition), timeout=20)
    except Failed:
        return False
    return ready == "True" and _dns_ready() and succeeds(_kubectl(ADMIN, "get", "serviceaccount", "default"))


def _dns_ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8181/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _kubectl(kubeconfig: Path, *words: str) -> list[str | Path]:
    return [LOCAL / "bin" / "kubectl", "--kubeconfig", kubeconfig, "--request-timeout=10s", *words]


def _ctr() -> list[str | Path]:
    return ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]


def _mounts() -> list[str]:
    """Return the mount points below the state folder, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return sorted((point for point in points if point.startswith(f"{STATE}/")), reverse=True)


def _unmount() -> None:
    for point in _mounts():
        succeeds(["umount", "--lazy", point])


def _remove_strays() -> None:
    """Remove what lies outside the state folder: links to logs, sockets that nobody listens on."""
    for link in KUBELET_LINKS.glob("*.log"):
        if str(link.readlink()).startswith(str(STATE)):
            link.unlink()
    in_use = Path("/proc/net/unix").read_text()
    for shim in SHIM_SOCKETS.glob("*"):
        if str(shim) not in in_use:
            shim.unlink()
    for folder in FIXED_FOLDERS:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _require_this_host_fits() -> None:
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise Failed("no Docker engine answers: start one, or run this as root on Linux")


def _require_free_ports() -> None:
    for port, program in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as taken:
                raise Failed(f"port {port}, which {program} needs, is taken: `ss -ltnp` shows by whom") from taken
