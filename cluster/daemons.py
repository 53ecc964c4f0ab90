"""The command line of every program of the cluster, in the two groups in which they start."""

from pathlib import Path

from cluster import config
from cluster.paths import CONFIG, PKI, STATE, VOLUMES
from cluster.processes import Daemon
from cluster.settings import DOMAIN, NAME, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE


def first(programs: Path) -> list[Daemon]:
    """What needs nothing else: the API server with its store, and the container runtime."""
    return [
        Daemon(("containerd", "--config", str(config.CONTAINERD))),
        _daemon(programs, "etcd", **_etcd()),
        _daemon(programs, "kube-apiserver", **_api_server()),
    ]


def second(programs: Path) -> list[Daemon]:
    """What needs the API server."""
    return [
        _daemon(programs, "kube-controller-manager", **_controller_manager()),
        _daemon(
            programs,
            "kube-scheduler",
            kubeconfig=CONFIG / "scheduler.conf",
            leader_elect="false",
            bind_address="127.0.0.1",
        ),
        _daemon(
            programs,
            "kubelet",
            config=config.KUBELET,
            kubeconfig=CONFIG / "kubelet.conf",
            root_dir=STATE / "kubelet",
            cert_dir=STATE / "kubelet" / "pki",
            hostname_override=NAME,
            node_ip=NODE_ADDRESS,
        ),
        _daemon(programs, "kube-proxy", config=config.KUBE_PROXY),
        Daemon((str(programs / "coredns"), "-conf", str(config.COREFILE))),
        _daemon(programs, "hostpath-provisioner", kubeconfig=CONFIG / "provisioner.conf", root=VOLUMES),
    ]


def _daemon(programs: Path, name: str, /, **flags: str | Path) -> Daemon:
    words = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
    return Daemon((str(programs / name), *words))


def _etcd() -> dict[str, str | Path]:
    """No fsync: the data is thrown away with the cluster, and disks of laptops are slow at it."""
    clients, peers = "https://127.0.0.1:2379", "https://127.0.0.1:2380"
    return {
        "data_dir": STATE / "etcd",
        "name": NAME,
        "unsafe_no_fsync": "true",
        "listen_client_urls": clients,
        "advertise_client_urls": clients,
        "listen_peer_urls": peers,
        "initial_advertise_peer_urls": peers,
        "initial_cluster": f"{NAME}={peers}",
        "client_cert_auth": "true",
        "trusted_ca_file": PKI / "etcd" / "ca.crt",
        "cert_file": PKI / "etcd" / "server.crt",
        "key_file": PKI / "etcd" / "server.key",
        "peer_client_cert_auth": "true",
        "peer_trusted_ca_file": PKI / "etcd" / "ca.crt",
        "peer_cert_file": PKI / "etcd" / "peer.crt",
        "peer_key_file": PKI / "etcd" / "peer.key",
    }


def _api_server() -> dict[str, str | Path]:
    return {
        "advertise_address": NODE_ADDRESS,
        "bind_address": NODE_ADDRESS,
        "secure_port": "6443",
        "allow_privileged": "true",
        "authorization_mode": "Node,RBAC",
        "enable_admission_plugins": "NodeRestriction",
        "service_cluster_ip_range": SERVICE_RANGE,
        "etcd_servers": "https://127.0.0.1:2379",
        "etcd_cafile": PKI / "etcd" / "ca.crt",
        "etcd_certfile": PKI / "apiserver-etcd-client.crt",
        "etcd_keyfile": PKI / "apiserver-etcd-client.key",
        "client_ca_file": PKI / "ca.crt",
        "tls_cert_file": PKI / "apiserver.crt",
        "tls_private_key_file": PKI / "apiserver.key",
        "kubelet_client_certificate": PKI / "apiserver-kubelet-client.crt",
        "kubelet_client_key": PKI / "apiserver-kubelet-client.key",
        "kubelet_preferred_address_types": "InternalIP",
        "service_account_issuer": f"https://kubernetes.default.svc.{DOMAIN}",
        "service_account_key_file": PKI / "sa.pub",
        "service_account_signing_key_file": PKI / "sa.key",
        "proxy_client_cert_file": PKI / "front-proxy-client.crt",
        "proxy_client_key_file": PKI / "front-proxy-client.key",
        "requestheader_allowed_names": "front-proxy-client",
        "requestheader_client_ca_file": PKI / "front-proxy-ca.crt",
        "requestheader_extra_headers_prefix": "X-Remote-Extra-",
        "requestheader_group_headers": "X-Remote-Group",
        "requestheader_username_headers": "X-Remote-User",
    }


def _controller_manager() -> dict[str, str | Path]:
    kubeconfig = CONFIG / "controller-manager.conf"
    return {
        "kubeconfig": kubeconfig,
        "authentication_kubeconfig": kubeconfig,
        "authorization_kubeconfig": kubeconfig,
        "bind_address": "127.0.0.1",
        "cluster_cidr": POD_RANGE,
        "cluster_signing_cert_file": PKI / "ca.crt",
        "cluster_signing_key_file": PKI / "ca.key",
        "flex_volume_plugin_dir": STATE / "kubelet" / "volume-plugins",
        "leader_elect": "false",
        "root_ca_file": PKI / "ca.crt",
        "service_account_private_key_file": PKI / "sa.key",
        "use_service_account_credentials": "true",
    }
