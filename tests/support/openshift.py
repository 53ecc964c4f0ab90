"""Admission of pods as OpenShift's SecurityContextConstraints `restricted-v2` does it: a webhook in this process.

It refuses what the constraints refuse, and gives users and groups of the namespace's range to pods that name none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.kubectl import Kubectl, Object
from support.stores.certificates import certificates
from support.stores.listening import Handler, listening

FIRST, LAST = 1000650000, 1000659999
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}  # fmt: skip
HOST = "127.0.0.1"


class RefusedError(Exception):
    """The pod does not fit the constraints."""


def admitted(pod: Object) -> list[Object]:
    """The JSON patch that fits a pod into the constraints; RefusedError if none does."""
    spec = pod["spec"]
    security = spec.get("securityContext") or {}
    for volume in spec.get("volumes", ()):
        if not VOLUMES & volume.keys():
            raise RefusedError(f"volume {volume['name']}: its type is not allowed")
    _in_range("spec.securityContext.runAsUser", security)
    _in_range("spec.securityContext.fsGroup", security)
    patch = [_add("/spec/securityContext", {**security, "fsGroup": security.get("fsGroup", FIRST)})]
    for kind in ("initContainers", "containers"):
        for place, container in enumerate(spec.get(kind, ())):
            own = container.get("securityContext") or {}
            path = f"/spec/{kind}/{place}/securityContext"
            _in_range(path, own)
            if own.get("allowPrivilegeEscalation") or own.get("privileged"):
                raise RefusedError(f"{path}: privileges are not allowed")
            user = own.get("runAsUser", security.get("runAsUser", FIRST))
            patch.append(_add(path, {**own, "runAsUser": user}))
    return patch


def _in_range(path: str, security: Object) -> None:
    for field in ("runAsUser", "fsGroup"):
        if field in security and not FIRST <= security[field] <= LAST:
            raise RefusedError(f"{path}: {security[field]} is not in the range [{FIRST}, {LAST}]")


def _add(path: str, value: Any) -> Object:
    return {"op": "add", "path": path, "value": value}


class Admission(Handler):
    """The webhook."""

    def answer(self) -> None:
        """Answer one review of a pod."""
        request = json.loads(self.body())["request"]
        response: Object = {"uid": request["uid"], "allowed": True}
        try:
            patch = json.dumps(admitted(request["object"])).encode()
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
        except RefusedError as error:
            words = f"unable to validate against any security context constraint: {error}"
            response |= {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": words}}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        self.send(200, json.dumps(review).encode(), {"Content-Type": "application/json"})


@contextmanager
def restricted_v2(cluster: Kubectl, folder: Path, *namespaces: str) -> Iterator[None]:
    """The constraints hold for new pods of these namespaces."""
    issued = certificates(folder, HOST)
    name = f"{namespaces[0]}.openshift.example.com"
    with listening(Admission, HOST, issued) as url:
        cluster.apply(_webhook(name, url, issued.authority, namespaces))
        try:
            yield
        finally:
            cluster.delete("mutatingwebhookconfiguration", name)


def _webhook(name: str, url: str, authority: str, namespaces: tuple[str, ...]) -> Object:
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": name,
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority.encode()).decode()},
        "rules": [pods],
        "namespaceSelector": {"matchExpressions": [names]},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }
