"""A control plane: where it lies and listens, its certificates, and the command lines of its programs.

The cluster on this host has one. A bench may start another one beside it, in a folder and on ports of its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.paths import CONTAINERD_SOCKET, STATE
from cluster.processes import Daemon
from cluster.settings import DOMAIN, KUBERNETES, NAME, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE
from cluster.shell import run

KUBEADM_VERSION = "kubeadm.k8s.io/v1beta4"


@dataclass(frozen=True)
class ControlPlane:
    """The folder of a control plane, and the ports on which its programs listen."""

    state: Path
    address: str = "127.0.0.1"
    port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    controller_manager_port: int = 10257
    scheduler_port: int = 10259

    @property
    def pki(self) -> Path:
        """The folder of the certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """The folder of the configuration files and kubeconfigs."""
        return self.state / "config"

    @property
    def kubeadm_file(self) -> Path:
        """What kubeadm reads."""
        return self.config / "kubeadm.json"

    def kubeadm(self) -> list[dict[str, Any]]:
        """What kubeadm needs to know to write certificates and kubeconfigs."""
        return [
            {
                "apiVersion": KUBEADM_VERSION,
                "kind": "ClusterConfiguration",
                "kubernetesVersion": KUBERNETES,
                "clusterName": NAME,
                "certificatesDir": str(self.pki),
                "encryptionAlgorithm": "ECDSA-P256",
                "controlPlaneEndpoint": f"{self.address}:{self.port}",
                "networking": {
                    "serviceSubnet": SERVICE_RANGE,
                    "podSubnet": POD_RANGE,
                    "dnsDomain": DOMAIN,
                },
            },
            {
                "apiVersion": KUBEADM_VERSION,
                "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": self._advertised(), "bindPort": self.port},
                "nodeRegistration": {"name": NAME, "criSocket": f"unix://{CONTAINERD_SOCKET}"},
            },
        ]

    def _advertised(self) -> str:
        """An address that kubeadm accepts. It refuses 127.0.0.1; the one in its place is reserved for examples."""
        return "192.0.2.1" if self.address.startswith("127.") else self.address

    def write_certificates(self, programs: Path) -> None:
        """Write the certificates of all programs."""
        self.kubeadm_file.write_text(
            "\n---\n".join(json.dumps(document, indent=2) for document in self.kubeadm())
        )
        run([programs / "kubeadm", "init", "phase", "certs", "all", "--config", self.kubeadm_file])

    def write_kubeconfigs(self, programs: Path) -> None:
        """Write the kubeconfigs of Kubernetes' own programs, the kubelet's included, and of the administrators."""
        command = ["init", "phase", "kubeconfig", "all", "--config", str(self.kubeadm_file)]
        run([programs / "kubeadm", *command, "--kubeconfig-dir", self.config])

    def write_kubeconfig(self, programs: Path, name: str, user: str, group: str = "") -> Path:
        """Write the kubeconfig of a user, with a certificate that is made for it; return its path."""
        path = self.config / name
        path.touch(mode=0o600)
        command = ["kubeconfig", "user", "--config", str(self.kubeadm_file), "--client-name", user]
        command += ["--org", group] if group else []
        path.write_text(run([programs / "kubeadm", *command]))
        return path

    def etcd(self, programs: Path) -> Daemon:
        """No fsync: the data is thrown away with the cluster, and disks of laptops are slow at it."""
        clients, peers = f"https://127.0.0.1:{self.etcd_port}", f"https://127.0.0.1:{self.etcd_peer_port}"
        return daemon(
            programs,
            "etcd",
            data_dir=self.state / "etcd",
            name=NAME,
            unsafe_no_fsync="true",
            listen_client_urls=clients,
            advertise_client_urls=clients,
            listen_peer_urls=peers,
            initial_advertise_peer_urls=peers,
            initial_cluster=f"{NAME}={peers}",
            client_cert_auth="true",
            trusted_ca_file=self.pki / "etcd" / "ca.crt",
            cert_file=self.pki / "etcd" / "server.crt",
            key_file=self.pki / "etcd" / "server.key",
            peer_client_cert_auth="true",
            peer_trusted_ca_file=self.pki / "etcd" / "ca.crt",
            peer_cert_file=self.pki / "etcd" / "peer.crt",
            peer_key_file=self.pki / "etcd" / "peer.key",
        )

    def api_server(self, programs: Path, **more: str | Path) -> Daemon:
        """The API server; `more` are further flags."""
        return daemon(
            programs,
            "kube-apiserver",
            advertise_address=self.address,
            bind_address=self.address,
            secure_port=str(self.port),
            allow_privileged="true",
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            service_cluster_ip_range=SERVICE_RANGE,
            etcd_servers=f"https://127.0.0.1:{self.etcd_port}",
            etcd_cafile=self.pki / "etcd" / "ca.crt",
            etcd_certfile=self.pki / "apiserver-etcd-client.crt",
            etcd_keyfile=self.pki / "apiserver-etcd-client.key",
            client_ca_file=self.pki / "ca.crt",
            tls_cert_file=self.pki / "apiserver.crt",
            tls_private_key_file=self.pki / "apiserver.key",
            kubelet_client_certificate=self.pki / "apiserver-kubelet-client.crt",
            kubelet_client_key=self.pki / "apiserver-kubelet-client.key",
            kubelet_preferred_address_types="InternalIP",
            service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}",
            service_account_key_file=self.pki / "sa.pub",
            service_account_signing_key_file=self.pki / "sa.key",
            proxy_client_cert_file=self.pki / "front-proxy-client.crt",
            proxy_client_key_file=self.pki / "front-proxy-client.key",
            requestheader_allowed_names="front-proxy-client",
            requestheader_client_ca_file=self.pki / "front-proxy-ca.crt",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            requestheader_group_headers="X-Remote-Group",
            requestheader_username_headers="X-Remote-User",
            **more,
        )

    def controller_manager(self, programs: Path, **more: str | Path) -> Daemon:
        """The controller manager; `more` are further flags."""
        kubeconfig = self.config / "controller-manager.conf"
        return daemon(
            programs,
            "kube-controller-manager",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            bind_address="127.0.0.1",
            secure_port=str(self.controller_manager_port),
            cluster_cidr=POD_RANGE,
            cluster_signing_cert_file=self.pki / "ca.crt",
            cluster_signing_key_file=self.pki / "ca.key",
            flex_volume_plugin_dir=self.state / "kubelet" / "volume-plugins",
            leader_elect="false",
            root_ca_file=self.pki / "ca.crt",
            service_account_private_key_file=self.pki / "sa.key",
            use_service_account_credentials="true",
            **more,
        )

    def scheduler(self, programs: Path, **more: str | Path) -> Daemon:
        """The scheduler; `more` are further flags."""
        return daemon(
            programs,
            "kube-scheduler",
            kubeconfig=self.config / "scheduler.conf",
            leader_elect="false",
            bind_address="127.0.0.1",
            secure_port=str(self.scheduler_port),
            **more,
        )


def daemon(programs: Path, name: str, /, **flags: str | Path) -> Daemon:
    """A program of the folder with these flags; `_` in a name stands for `-`."""
    words = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
    return Daemon((str(programs / name), *words))


CLUSTER = ControlPlane(STATE, NODE_ADDRESS)
