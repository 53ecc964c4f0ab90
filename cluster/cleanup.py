"""Removes every trace of a cluster from this host, whoever left it and in whatever state."""

import shutil
from pathlib import Path

from cluster import network, network_policies, processes
from cluster.paths import STATE
from cluster.shell import StepError, succeeds

# What containerd and the kubelet keep at places that no setting moves.
KUBELET_LINKS = Path("/var/log/containers")
SOCKETS = (Path("/run/containerd/s"), Path("/var/lib/kubelet/device-plugins"))


def remove_all() -> None:
    """Remove processes, mounts, links, packet rules, control groups and files, in this order."""
    processes.end_all()
    _unmount()
    network.tear_down()
    network_policies.destroy_sets()
    processes.remove_cgroups()
    shutil.rmtree(STATE, ignore_errors=True)
    _remove_strays()
    if left := [*network.leftovers(), *network_policies.sets(), *_mounts()]:
        raise StepError("still there after the clean-up: " + ", ".join(left))


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
    for folder in SOCKETS:
        for unused in [path for path in folder.glob("*") if path.is_socket() and str(path) not in in_use]:
            unused.unlink()
        for emptied in (folder, folder.parent):
            if emptied.is_dir() and not any(emptied.iterdir()):
                emptied.rmdir()
