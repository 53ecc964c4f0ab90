"""Installs what is missing of the Debian packages that a step needs."""

import shutil
import tempfile
from pathlib import Path

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


def unpack(package: str, folder: Path) -> None:
    """Lay a package out in a folder of its own: nothing of the system changes, and no service starts.

    The lists of packages are fetched into the cache as well, so that nobody has to be root for it.
    """
    if not shutil.which("apt-get"):
        raise StepError(f"install {package} with this system's package manager, then try again")
    own = CACHE / "apt"
    log = CACHE / "logs" / "apt.log"
    (own / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (own / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    options = [f"-oDir::State::Lists={own / 'lists'}", f"-oDir::Cache={own}", "-oAPT::Sandbox::User="]
    with step(f"download {package}"), tempfile.TemporaryDirectory(dir=CACHE) as made:
        run(["apt-get", *options, "update"], log=log)
        run(["apt-get", *options, "download", package], cwd=Path(made), log=log)
        (archive,) = Path(made).glob("*.deb")
        run(["dpkg-deb", "--extract", archive, Path(made, "files")], log=log)
        Path(made, "files").rename(folder)
