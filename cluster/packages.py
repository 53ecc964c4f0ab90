"""Installs what is missing of the Debian packages that a step needs."""

import shutil

from cluster.paths import CACHE
from cluster.shell import StepError, run
from cluster.steps import step

# program that shows the package is there -> package
CLUSTER = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "modprobe": "kmod",
    "/bin/busybox": "busybox-static",
}
IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}


def install_missing(wanted: dict[str, str]) -> None:
    """Install the packages whose program is not found."""
    install(sorted(package for program, package in wanted.items() if not shutil.which(program)))


def install(missing: list[str]) -> None:
    """Install packages with apt, or say that the user has to."""
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise StepError(f"install {', '.join(missing)} with this system's package manager, then try again")
    log = CACHE / "logs" / "apt.log"
    with step(f"install {', '.join(missing)}"[:58]):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update"], env=quiet, log=log)
        run(["apt-get", "install", "-y", "--no-install-recommends", *missing], env=quiet, log=log)
