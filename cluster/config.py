"""The configuration files of the API server's audit log, containerd, the kubelet, kube-proxy, CoreDNS and the pod
network."""

import json
from pathlib import Path
from typing import Any

from cluster.paths import CONFIG, CONTAINERD_SOCKET, LOGS, PKI, STATE
from cluster.settings import (
    DNS_ADDRESS,
    DOMAIN,
    NAME,
    NODE_ADDRESS,
    PAUSE_IMAGE,
    POD_BRIDGE,
    POD_RANGE,
)

PLUGINS = Path("/usr/lib/cni")
AUDIT_POLICY = CONFIG / "audit.json"
KUBELET = CONFIG / "kubelet.json"
KUBE_PROXY = CONFIG / "kube-proxy.json"
# The operator that tests install.
OPERATOR = "system:serviceaccount:modelwright-system:modelwright-operator"
COREFILE = CONFIG / "Corefile"
CONTAINERD = CONFIG / "containerd.toml"
POD_NETWORK = CONFIG / "cni" / "10-modelwright.conflist"


def write_all() -> None:
    """Write every file; JSON wherever YAML is expected, because it is YAML."""
    POD_NETWORK.parent.mkdir(parents=True, exist_ok=True)
    AUDIT_POLICY.write_text(json.dumps(audit_policy(), indent=2))
    KUBELET.write_text(json.dumps(kubelet(), indent=2))
    KUBE_PROXY.write_text(json.dumps(kube_proxy(), indent=2))
    POD_NETWORK.write_text(json.dumps(pod_network(), indent=2))
    COREFILE.write_text(corefile())
    CONTAINERD.write_text(containerd())


def audit_policy() -> dict[str, Any]:
    """What the API server logs: who wrote objects of ours, and with which answer; and what the operator asks for, by
    which `make rights` tells the rights that it uses. Not what objects hold."""
    writes = ["create", "update", "patch", "delete", "deletecollection"]
    resources = ["trainingjobs", "modelversions", "inferenceservices"]
    ours = [{"group": "modelwright.dev", "resources": resources}]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "verbs": writes, "resources": ours},
            {"level": "Metadata", "users": [OPERATOR]},
            {"level": "None"},
        ],
    }


def kubelet() -> dict[str, Any]:
    """A kubelet for one busy host: it sweeps up late and looks often."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "eventRecordQPS": 0,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "maxPods": 200,
        # This process may not lower the score below its own: the kernel capability is often missing.
        "oomScoreAdj": 0,
        "podLogsDir": str(LOGS / "pods"),
        "registerNode": True,
        "resolvConf": str(_resolver()),
        # A changed ConfigMap reaches a pod after 10 s instead of a minute.
        "syncFrequency": "10s",
        "volumePluginDir": str(STATE / "kubelet" / "volume-plugins"),
    }


def kube_proxy() -> dict[str, Any]:
    """Services by packet rules; node ports only on the node's own address."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(CONFIG / "kube-proxy.conf")},
        "clusterCIDR": POD_RANGE,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "hostnameOverride": NAME,
        "iptables": {"localhostNodePorts": False},
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "iptables",
        "nodePortAddresses": [f"{NODE_ADDRESS}/32"],
        "oomScoreAdj": 0,
    }


def pod_network() -> dict[str, Any]:
    """Every pod on one bridge of this host."""
    return {
        "cniVersion": "1.0.0",
        "name": NAME,
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_BRIDGE,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "mtu": 1400,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(STATE / "cni"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def corefile() -> str:
    """Names of the cluster from the API server, all others from the host's resolver."""
    return f"""\
.:53 {{
    bind {DNS_ADDRESS}
    errors
    ready 127.0.0.1:8181
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {CONFIG / "coredns.conf"}
        pods insecure
        ttl 5
    }}
    forward . /etc/resolv.conf
    cache 5
}}
"""


def containerd() -> str:
    """Below our state folder; restrict_oom_score_adj because the capability to lower it may be missing."""
    return f"""\
version = 2
root = "{STATE / "containerd"}"
state = "{STATE / "run" / "containerd"}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "{STATE / "opt"}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{POD_NETWORK.parent}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _resolver() -> Path:
    """Return a resolver file that holds inside a pod too: not one that points at this host's loopback."""
    behind_systemd = Path("/run/systemd/resolve/resolv.conf")
    return behind_systemd if behind_systemd.exists() else Path("/etc/resolv.conf")
