"""What a new cluster is given through its API: rights for its own programs and a default StorageClass."""

from typing import Any

from cluster.settings import STORAGE_PROVISIONER

RBAC = "rbac.authorization.k8s.io"
COREDNS_USER = "modelwright:coredns"
PROVISIONER_USER = "modelwright:provisioner"
PROXY_USER = "system:kube-proxy"


def objects() -> dict[str, Any]:
    """Return them as one list to apply."""
    items = [
        # Without this neither the administrator nor the API server's kubelet client may do anything.
        _binding("kubeadm:cluster-admins", "cluster-admin", "Group", "kubeadm:cluster-admins"),
        _binding("modelwright:provisioner", "system:persistent-volume-provisioner", "User", PROVISIONER_USER),
        _binding("modelwright:coredns", "modelwright:coredns", "User", COREDNS_USER),
        _coredns_role(),
        _storage_class(),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _binding(name: str, role: str, kind: str, subject: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": kind, "name": subject}],
    }


def _coredns_role() -> dict[str, Any]:
    read = ["list", "watch"]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "modelwright:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        ],
    }


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "hostpath",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": STORAGE_PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
