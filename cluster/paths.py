"""Where everything lies, in the checkout, in the cache and on the host; creates nothing."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".cluster"
KUBECONFIG = LOCAL / "kubeconfig"
LINKS = LOCAL / "bin"
KUBECTL = LINKS / "kubectl"
IMAGE_VALUES = LOCAL / "images.yaml"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelwright"

# The one folder of a cluster on this host; short, because the paths of sockets have a length limit.
STATE = Path("/var/lib/modelwright-cluster")
LOGS = STATE / "log"
AUDIT_LOG = LOGS / "audit.log"
PKI = STATE / "pki"
CONFIG = STATE / "config"
CONTAINERD_SOCKET = STATE / "run" / "containerd.sock"
VOLUMES = STATE / "volumes"
# Which build of the programs is running.
STAMP = STATE / "programs"
ADMIN = CONFIG / "admin.conf"
SUPER_ADMIN = CONFIG / "super-admin.conf"
LOCK = CACHE / "lock"
